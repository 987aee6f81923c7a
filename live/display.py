"""A Status in, a screen or lines out: a few times a second on a terminal, lines on changes elsewhere.

Runs on the main thread. A render is short and rare, because every microsecond of it competes with the performer for the interpreter.
"""

import sys
from typing import TYPE_CHECKING, Protocol

from drumvae.grid import BEATS_PER_BAR
from drumvae.kit import VOICES

from .clock import State
from .player import Loop
from .timebase import bar_of, phase
from .values import Status

if TYPE_CHECKING:
    from rich.console import RenderableType


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

    def show(self, status: Status) -> None:
        if status.state is not self._state:
            self._state = status.state
            where = f", bar {bar_of(status.beat)}" if status.state is State.RUNNING else ""
            self.say(f"{status.state.value}{where}")
        if status.state is State.RUNNING and abs(status.bpm - self._bpm) > 1 and status.beat % BEATS_PER_BAR > 1:
            self._bpm = status.bpm
            self.say(f"tempo {status.bpm:.1f} bpm")
        if status.loop is not None and status.loop is not self._loop:
            self._loop = status.loop
            heard = f" ({status.notes - self._notes} notes heard)" if status.notes > self._notes else ""
            self._notes = status.notes
            self.say(f"{loop_title(status)} from bar {status.bar}{heard}\n{status.loop.grid.to_text()}")

    def say(self, sentence: str) -> None:
        print(sentence, flush=True)

    def close(self) -> None: ...


class Screen:
    """Redraws a small block of text at the bottom of a terminal."""

    def __init__(self, title: str, footer: str) -> None:
        from rich.live import Live

        self._title, self._footer = title, footer
        self._last: Status | None = None
        self._live: Live = Live(auto_refresh=False, transient=False)  # Rich's own refresh thread would render at will
        self._live.start()

    def show(self, status: Status) -> None:
        if status != self._last:
            self._last = status
            self._live.update(self._render(status), refresh=True)

    def say(self, sentence: str) -> None:
        self._live.console.print(sentence, markup=False, highlight=False)

    def close(self) -> None:
        self._live.stop()

    def _render(self, status: Status) -> "RenderableType":
        from rich.text import Text

        text = Text(no_wrap=True, overflow="crop")
        text.append(f"{self._title}\n", "dim")
        colour = {State.RUNNING: "bold green", State.LOST: "bold red"}.get(status.state, "bold yellow")
        text.append(f"{status.state.value:<22}", colour)
        text.append(f"{status.bpm:6.1f} bpm   bar {bar_of(status.beat):>3}.{int(phase(status.beat, BEATS_PER_BAR)) + 1}\n\n")
        text.append(f"{loop_title(status)}\n", "bold")
        text.append(status.loop.grid.to_text(range(len(VOICES))) if status.loop else "(silence)")
        text.append(f"\n\nheard  {status.notes} notes" + (f", {status.echoes} echoes of our own dropped" if status.echoes else "") + "\n")
        if status.unheard:
            text.append(f"{unheard_title(status)}\n", "yellow")
        heard = status.heard.grid(status.number)
        text.append(heard.to_text() if heard.hits.any() else "(nothing in these four bars)", "cyan")
        if status.trouble:
            text.append(f"\n{status.trouble}", "bold red")
        text.append(f"\n\n{self._footer}", "dim")
        return text


def unheard_title(status: Status) -> str:
    """Counts and names the pitches that no voice hears."""
    pitches = ", ".join(str(pitch) for pitch in sorted(status.unheard))
    return f"{sum(status.unheard.values())} notes on pitches that no voice hears: {pitches}"


def loop_title(status: Status) -> str:
    """Names the loop that plays."""
    return f"loop {status.loop.index} {status.loop.source}".rstrip() if status.loop else "no loop yet"


def make_display(title: str, footer: str) -> Display:
    """Returns a screen on a terminal, lines elsewhere."""
    return Screen(title, footer) if sys.stdout is not None and sys.stdout.isatty() else Lines()
