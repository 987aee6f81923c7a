"""A Status in, a screen or lines out: a few times a second on a terminal, lines on changes elsewhere.

Runs on the main thread. A render is short and rare, because every microsecond of it competes with the performer for the interpreter.
"""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, Protocol

from drumvae.music.grid import BEATS_PER_BAR

from ..clock.follower import State
from ..clock.timeline import bar_of
from ..looper.player import Loop
from ..messages import Status
from .layout import StyledText
from .page import Page, loop_title, unmapped_title

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

__all__ = ["Display", "Lines", "Screen", "make_display", "unmapped_title"]

SAID_COUNT = 100
"""How many of the last sentences are printed again when the screen closes."""


class Display(Protocol):
    """What a session shows itself on."""

    def show(self, status: Status) -> None:
        """Takes the state of things; called a few times a second."""

    def say(self, sentence: str) -> None:
        """Shows a sentence once, for good."""

    def close(self) -> None: ...


class Lines:
    """Prints a line where something changed: the transport, the loop, the tempo by more than a jitter, what was heard."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._loop: Loop | None = None
        self._bpm = 0.0
        self._notes = 0
        self._said = ""

    def show(self, status: Status) -> None:
        if status.last_message and status.last_message != self._said:
            self._said = status.last_message
            self.say(status.last_message)
        if status.state is not self._state:
            self._state = status.state
            where = f", bar {bar_of(status.beat)}" if status.state is State.RUNNING else ""
            self.say(f"{status.state.value}{where}")
        if status.state is State.RUNNING and abs(status.bpm - self._bpm) > 1 and status.beat % BEATS_PER_BAR > 1:
            self._bpm = status.bpm
            self.say(f"tempo {status.bpm:.1f} bpm")
        if status.loop is not None and status.loop is not self._loop:
            self._loop = status.loop
            heard = f" ({status.notes_received - self._notes} notes heard)" if status.notes_received > self._notes else ""
            self._notes = status.notes_received
            self.say(f"{loop_title(status)} from bar {status.bar}{heard}\n{status.loop.grid.to_text()}")

    def say(self, sentence: str) -> None:
        print(sentence, flush=True)

    def close(self) -> None: ...


class Screen:
    """Redraws the whole of a terminal, which comes back as it was when this closes, followed by what was said."""

    def __init__(self, title: str, footer: str, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console()
        self._page = Page(title, footer)
        self._status = Status()
        self._drawn: object = None
        self._said: deque[str] = deque(maxlen=SAID_COUNT)
        # Rich's own refresh thread would render at will; its redirection would lose what others write, even  2> file
        self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def show(self, status: Status) -> None:
        if status.last_message and status.last_message != self._status.last_message:
            self._page.sentence = status.last_message
        self._status = status
        self._draw()

    def say(self, sentence: str) -> None:
        self._said.append(sentence)
        self._page.sentence = sentence
        self._draw()

    def close(self) -> None:
        self._live.stop()
        for sentence in self._said:
            self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)
        self._said.clear()

    def _draw(self) -> None:
        """Draws unless the screen shows just that already."""
        size = self._console.size
        drawn = (self._page.sentence, self._status, size)
        if drawn != self._drawn:
            self._drawn = drawn
            self._live.update(_Rows(self._page.lines(self._status, size.width, size.height)), refresh=True)


class _Rows:
    """Rows of spans as Rich prints them: ready made, because to lay them out as Rich's Text takes longer."""

    def __init__(self, rows: Sequence[Sequence[StyledText]]) -> None:
        self._rows = rows

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Segment]":
        from rich.segment import Segment

        for row in self._rows:
            for span in row:
                yield Segment(span.text, console.get_style(span.style) if span.style else None)
            yield Segment.line()


def make_display(title: str, footer: str) -> Display:
    """Returns a screen on a terminal, lines elsewhere and on a terminal that cannot move its cursor."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a port's name in letters that a terminal lacks must not stop the music
    if sys.stdout is None or not sys.stdout.isatty():
        return Lines()
    from rich.console import Console

    console = Console()
    return Screen(title, footer, console) if console.is_interactive else Lines()
