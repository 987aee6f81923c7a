"""A configuration in, a played session out: the wiring of the threads, their start and, above all, their end.

    main thread       opens, shows, watches the ports, takes the signals
    driver's thread   stamps and queues arrivals
    performer         sleeps to deadlines, owns the clock, the player and the output
    generator         minds the process that runs the model          record   writes files

Whatever ends a session, the performer's last act is to silence every note.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from drumvae.music.kit import Kit

from ..controls.mapping import ControlMap
from ..controls.state import ControlState
from ..realtime import PerformerThread, settle
from ..ui.display import Display
from .performer import Performer

DEFAULT_NAME = "drumvae"
SHOW_S = 0.125
WATCH_S = 1.0
Watch = Callable[[], list[str]]


@dataclass(frozen=True)
class LiveConfig:
    """Holds what the command line asked for."""

    input_name: str = DEFAULT_NAME
    """A part of the input port's name."""
    output_name: str = DEFAULT_NAME
    """A part of the output port's name."""
    backend: str = "auto"
    """The MIDI system: auto, alsa, jack, core or windows."""
    internal_bpm: float | None = None
    """The tempo of the internal clock; None follows the DAW."""
    bundle: Path | None = None
    """A folder with another model than the default."""
    provider: str = "auto"
    """Where the model runs: auto, cuda or cpu."""
    seed: int = 0
    """Repeats a session; 0 or above."""
    controls: ControlState = field(default_factory=ControlState)
    """What is turned to at the start, the mode and the kit among it."""
    input_kit: Kit | None = None
    """What is played on; None recognises it."""
    control_map: ControlMap | None = None
    """What moves the controls; None leaves them where they are."""
    shows_controls: bool = True
    """Whether where the controls stand is sent out."""
    report: Path | None = None
    """Where the figures of the run are written."""
    record: Path | None = None
    """Where played loops are written."""
    bars: int | None = None
    """After how many bars to finish; None plays until stopped."""
    offset_s: float = 0.0
    """Added to the time of every note; negative plays earlier."""


def run_session(performer: Performer, display: Display, watch: Watch = list, error: Callable[[], str | None] = str) -> PerformerThread:
    """Plays until the performer finishes or a signal comes, and returns the thread that played; raises what a bug in it raised.

    `watch` is called about once a second and returns sentences to show; `trouble` returns one, or nothing. Called by the main
    thread, which it occupies. The generator must have been started.
    """
    loop = PerformerThread(performer.step, performer.close, lambda: performer.finished)
    settle()
    with _signals() as stopped:
        loop.start()
        try:
            _watch_over(performer, display, loop, watch, error, stopped)
        finally:
            loop.stop()
            performer.generator.close()
    display.show(performer.status)
    if loop.error is not None:
        raise loop.error
    return loop


def _watch_over(
    performer: Performer,
    display: Display,
    loop: PerformerThread,
    watch: Watch,
    error: Callable[[], str | None],
    stopped: list[int],
) -> None:
    said: set[str] = set()
    watched_s = shown_s = 0.0
    while loop.is_alive() and not stopped:
        now_s = time.perf_counter()
        if now_s - watched_s > WATCH_S:
            watched_s = now_s
            for sentence in watch():
                display.say(sentence)
        if now_s - shown_s > SHOW_S:
            shown_s = now_s
            display.show(performer.status)
            for once in {performer.status.error or "", error() or ""} - said - {""}:
                said.add(once)
                display.say(once)
        time.sleep(0.02)  # short, so that a signal is acted upon at once


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT, SIGTERM and, where there is one, SIGHUP, in place of what they would do."""
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    with suppress(ValueError):  # not in the main thread of the interpreter: signals are then someone else's
        for name in names:
            number = getattr(signal, name)
            before[number] = signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
