"""Runs a session: starts the threads, shows the status, and ends with all notes off.

    main thread       opens the ports and watches them, shows the status, receives signals
    driver's thread   timestamps and queues messages
    performer         sleeps to deadlines; owns the clock, the player and the output
    generator         supervises the process that runs the model
    model replies     reads finished loops from that process
    record            writes MIDI files

However a session ends, the performer ends every note last.
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
from ..realtime import PerformerThread, steady_interpreter
from ..ui.display import Display
from .performer import Performer

DEFAULT_NAME = "drumvae"
SHOW_S = 0.125
"""The period of the display."""
WATCH_S = 1.0
"""The period of the port watch."""
Watch = Callable[[], list[str]]


@dataclass(frozen=True)
class LiveConfig:
    """The options of the command line."""

    input_name: str = DEFAULT_NAME
    """A part of the input port's name."""
    output_name: str = DEFAULT_NAME
    """A part of the output port's name."""
    backend: str = "auto"
    """The MIDI system: auto, alsa, jack, core or windows."""
    internal_bpm: float | None = None
    """The tempo of the internal clock; None follows the DAW."""
    bundle: Path | None = None
    """The folder of another model than the default."""
    provider: str = "auto"
    """Where the model runs: a name of `drumvae.inference.providers.PROVIDERS`."""
    seed: int = 0
    """Repeats a session; 0 or above."""
    controls: ControlState = field(default_factory=ControlState)
    """The control values at the start, with the mode and the kit."""
    input_kit: Kit | None = None
    """The kit that the input is played on; None detects it."""
    control_map: ControlMap | None = None
    """The bindings of controls; None leaves the control values as they are."""
    sends_feedback: bool = True
    """Whether the control values are sent to MIDI controllers."""
    report: Path | None = None
    """The JSON file for the figures of the run."""
    record: Path | None = None
    """The folder for played loops."""
    bars: int | None = None
    """The length of the session; None plays until stopped."""
    offset_s: float = 0.0
    """Added to the time of every note; negative plays earlier."""


def run_session(performer: Performer, display: Display, watch: Watch = list, error: Callable[[], str | None] = str) -> PerformerThread:
    """Plays until the performer finishes or a signal arrives. Called by the main thread; blocks it.

    Args:
        performer: Its generator must have been started; it is closed here.
        display: Shows the status eight times a second.
        watch: Called once a second; returns sentences to show.
        error: Returns an error to show once, or nothing.

    Returns:
        The thread that played.

    Raises:
        BaseException: Any exception of the performer's thread.
    """
    thread = PerformerThread(performer.step, performer.close, lambda: performer.finished)
    steady_interpreter()
    with _signals() as stopped:
        thread.start()
        try:
            _show_until_stopped(performer, display, thread, watch, error, stopped)
        finally:
            thread.stop()
            performer.generator.close()
    display.show(performer.status)
    if thread.error is not None:
        raise thread.error
    return thread


def _show_until_stopped(
    performer: Performer,
    display: Display,
    thread: PerformerThread,
    watch: Watch,
    error: Callable[[], str | None],
    stopped: list[int],
) -> None:
    shown: set[str] = set()
    watched_s = shown_s = 0.0
    while thread.is_alive() and not stopped:
        now_s = time.perf_counter()
        if now_s - watched_s > WATCH_S:
            watched_s = now_s
            for sentence in watch():
                display.show_message(sentence)
        if now_s - shown_s > SHOW_S:
            shown_s = now_s
            display.show(performer.status)
            for sentence in {performer.status.error or "", error() or ""} - shown - {""}:
                shown.add(sentence)
                display.show_message(sentence)
        time.sleep(0.02)  # short, so that a signal is acted upon at once


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT, SIGTERM and, on POSIX, SIGHUP, instead of their default actions."""
    received: list[int] = []

    def collect(number: int, _: FrameType | None) -> None:
        received.append(number)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    with suppress(ValueError):  # not in the main thread of the interpreter: the embedding program handles signals
        for name in names:
            number = getattr(signal, name)
            before[number] = signal.signal(number, collect)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
