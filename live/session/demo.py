"""Nothing in but a tempo, eight bars out: a written performance, played as if by a person, and its answer."""

from collections.abc import Sequence
from pathlib import Path

from drumvae.midi.constants import NOTE_ON
from drumvae.midi.io import write_midi
from drumvae.music.grid import LOOP_BARS, Grid
from drumvae.music.kit import DEFAULT_KIT

from ..clock.follower import Clock, State
from ..generation.modes import ModelProperties
from ..looper.player import Loop
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
"""Four bars of rock as a drum machine plays it: three loudnesses, and every hit exactly on its step."""


def performance() -> Loop:
    """Returns the built-in performance as a loop that can be played."""
    return Loop(0, Grid.from_text(PERFORMANCE), source="performance")


def demo_mode(facts: ModelProperties) -> str:
    """Returns how the demo answers: by humanizing, or by a loop of its own where the model cannot humanize."""
    return "humanize" if "humanize" in facts.tasks else "generate"


class Script:
    """Plays a grid once into the performer, as a person on a pad would; an Input with nobody behind it."""

    def __init__(self, grid: Grid, clock: Clock) -> None:
        self._clock = clock
        self._onsets = sorted(grid.onsets())
        self._done = 0

    def poll(self, now_s: float) -> Sequence[TimestampedMessage]:
        """Returns the notes that are due, stamped with their exact times."""
        arrivals: list[TimestampedMessage] = []
        if self._clock.state is not State.RUNNING:
            return arrivals
        timeline = self._clock.timeline
        while self._done < len(self._onsets) and timeline.time_at(self._onsets[self._done].beat) <= now_s:
            onset = self._onsets[self._done]
            self._done += 1
            message = bytes((NOTE_ON, DEFAULT_KIT.output_notes[onset.voice], max(round(onset.velocity * 127), 1)))
            arrivals.append(TimestampedMessage(timeline.time_at(onset.beat), message))
        return arrivals


class Silence:
    """Takes every message and sends none."""

    reconnect_count = 0

    def send(self, message: bytes) -> None: ...


def write_demo(path: Path, played: Sequence[PlayedLoop], bpm: float) -> str:
    """Writes what sounded and says what that was, in a sentence; raises DataError where the file cannot be written."""
    write_midi(path, [p.loop.grid for p in played], bpm, played[-1].kit, name="drumvae demo")
    parts = ", then ".join(f"four bars {p.loop.source}" if p.loop.source != "performance" else "four bars of performance" for p in played)
    return f"{path.name} holds {parts}, at {bpm:g} bpm."
