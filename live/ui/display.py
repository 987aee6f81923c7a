"""Shows a Status on a terminal a few times a second, or prints a line per change where the output is not a terminal.

It runs on the main thread. Rendering is short and rare, because it competes with the performer's thread for the interpreter lock.
"""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, Protocol

from drumvae.music.grid import BEATS_PER_BAR

from ..clock.timeline import bar_of
from ..clock.transport import State
from ..looper.loop import Loop
from ..messages import Status
from .layout import StyledText
from .page import Page, loop_title, unmapped_title

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

__all__ = ["Display", "Lines", "Screen", "make_display", "unmapped_title"]

MAX_MESSAGES = 100
"""This many of the last messages are printed again when the screen closes."""
MIN_TEMPO_CHANGE_BPM = 1.0
"""Lines prints a tempo that differs by more than this from the last one."""


class Display(Protocol):
    """Shows a session. Called by the main thread.

    Thread-safe: no.
    Realtime-safe: no.
    """

    def show(self, status: Status) -> None:
        """Shows the current status; called a few times a second."""

    def show_message(self, sentence: str) -> None:
        """Shows a sentence, which stays readable after the session."""

    def close(self) -> None: ...


class Lines:
    """Prints a line for each change of the transport, the loop and the tempo, and for each message."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._loop: Loop | None = None
        self._bpm = 0.0
        self._notes_received = 0
        self._last_message = ""

    def show(self, status: Status) -> None:
        if status.last_message and status.last_message != self._last_message:
            self._last_message = status.last_message
            self.show_message(status.last_message)
        if status.state is not self._state:
            self._state = status.state
            bar = f", bar {bar_of(status.beat)}" if status.state is State.RUNNING else ""
            self.show_message(f"{status.state.value}{bar}")
        tempo_changed = abs(status.bpm - self._bpm) > MIN_TEMPO_CHANGE_BPM
        if status.state is State.RUNNING and tempo_changed and status.beat % BEATS_PER_BAR > 1:
            self._bpm = status.bpm
            self.show_message(f"tempo {status.bpm:.1f} bpm")
        if status.loop is not None and status.loop is not self._loop:
            self._loop = status.loop
            received = status.notes_received - self._notes_received
            notes = f" ({received} notes received)" if received > 0 else ""
            self._notes_received = status.notes_received
            self.show_message(f"{loop_title(status)} from bar {status.bar}{notes}\n{status.loop.grid.to_text()}")

    def show_message(self, sentence: str) -> None:
        print(sentence, flush=True)

    def close(self) -> None: ...


class Screen:
    """Redraws the whole terminal. On closing it restores the terminal and prints the last messages."""

    def __init__(self, title: str, footer: str, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console()
        self._page = Page(title, footer)
        self._status = Status()
        self._drawn: object = None
        self._messages: deque[str] = deque(maxlen=MAX_MESSAGES)
        # Rich's own refresh thread would render at any time; its redirection would lose output of others, even with 2> file
        self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def show(self, status: Status) -> None:
        if status.last_message and status.last_message != self._status.last_message:
            self._page.last_message = status.last_message
        self._status = status
        self._draw()

    def show_message(self, sentence: str) -> None:
        self._messages.append(sentence)
        self._page.last_message = sentence
        self._draw()

    def close(self) -> None:
        self._live.stop()
        for sentence in self._messages:
            self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)
        self._messages.clear()

    def _draw(self) -> None:
        """Draws, unless the content is already on the screen."""
        size = self._console.size
        content = (self._page.last_message, self._status, size)
        if content != self._drawn:
            self._drawn = content
            self._live.update(_Rows(self._page.lines(self._status, size.width, size.height)), refresh=True)


class _Rows:
    """Rows of styled text as a Rich renderable; Rich's Text would take longer to lay out."""

    def __init__(self, rows: Sequence[Sequence[StyledText]]) -> None:
        self._rows = rows

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Segment]":
        from rich.segment import Segment

        for row in self._rows:
            for part in row:
                yield Segment(part.text, console.get_style(part.style) if part.style else None)
            yield Segment.line()


def make_display(title: str, footer: str) -> Display:
    """Returns a Screen on a terminal; Lines elsewhere, and on a terminal that cannot move its cursor."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a port's name in letters that the terminal lacks must not end the session
    if sys.stdout is None or not sys.stdout.isatty():
        return Lines()
    from rich.console import Console

    console = Console()
    return Screen(title, footer, console) if console.is_interactive else Lines()
