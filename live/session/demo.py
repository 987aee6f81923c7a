"""Plays the demo: a built-in performance of four bars, and four bars of answer."""

from collections.abc import Sequence
from pathlib import Path

from drumvae.midi.constants import NOTE_ON
from drumvae.midi.io import write_midi
from drumvae.music.grid import LOOP_BARS, Grid
from drumvae.music.kit import DEFAULT_KIT

from ..clock.transport import Clock, State
from ..generation.modes import ModelProperties
from ..looper.loop import Loop, midi_velocity
from ..messages import PlayedLoop, TimestampedMessage

DEMO_BARS = 2 * LOOP_BARS
PERFORMANCE = """
    kick        X.....x.X.......|X.....x.X..x....|X.....x.X.......|X.....x.X..x..x.|
    snare       ....X.......X...|....X.......X...|....X.......X...|....X..x....X.xX|
    closed hat  x.x.x.x.x.x.x.x.|x.x.x.x.x.x.x...|x.x.x.x.x.x.x.x.|x.x.x.x.x.......|
    open hat    ................|..............x.|................|................|
    low tom     ................|................|................|............x...|
    crash       X...............|................|................|................|
"""
"""Four bars of rock as a drum machine plays it: quantized, with three velocities."""


def performance() -> Loop:
    """Returns the built-in performance as a loop."""
    return Loop(0, Grid.from_text(PERFORMANCE), source="performance")


def demo_mode(model: ModelProperties) -> str:
    """Returns the mode of the answer: humanize, or generate where the model cannot humanize."""
    return "humanize" if "humanize" in model.tasks else "generate"


class ScriptedInput:
    """An Input that plays a grid once."""

    def __init__(self, grid: Grid, clock: Clock) -> None:
        self._clock = clock
        self._onsets = sorted(grid.onsets())
        self._next = 0

    def poll(self, now_s: float) -> Sequence[TimestampedMessage]:
        """Returns the notes that are due, with their exact times."""
        arrivals: list[TimestampedMessage] = []
        if self._clock.state is not State.RUNNING:
            return arrivals
        timeline = self._clock.timeline
        while self._next < len(self._onsets) and timeline.time_at(self._onsets[self._next].beat) <= now_s:
            onset = self._onsets[self._next]
            self._next += 1
            message = bytes((NOTE_ON, DEFAULT_KIT.output_notes[onset.voice], midi_velocity(onset.velocity)))
            arrivals.append(TimestampedMessage(timeline.time_at(onset.beat), message))
        return arrivals


class NullOutput:
    """An Output without a port."""

    reconnect_count = 0

    def send(self, message: bytes) -> None: ...


def write_demo(path: Path, played: Sequence[PlayedLoop], bpm: float) -> str:
    """Writes the played loops and returns a sentence about them; raises DataError if the file cannot be written."""
    write_midi(path, [each.loop.grid for each in played], bpm, played[-1].kit, name="drumvae demo")
    sources = (each.loop.source for each in played)
    parts = ", then ".join(f"four bars {'of ' if source == 'performance' else ''}{source}" for source in sources)
    return f"{path.name} holds {parts}, at {bpm:g} bpm."
