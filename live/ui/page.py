"""Lays out a Status as rows of styled text for a terminal's size; where rows are short, the least important are left out."""

from collections.abc import Iterator, Sequence
from itertools import chain

from drumvae.music.grid import BEATS_PER_BAR, Grid
from drumvae.music.kit import VOICES

from ..clock.timeline import bar_of, phase
from ..clock.transport import State
from ..controls.state import ControlState, fills_title
from ..generation.modes import MODES
from ..messages import Status
from .grid_view import GRID_WIDTH, CachedGridRows, Window, grid_lines
from .layout import Line, Priority, StyledText, joined_rows, truncated, wrapped

STEADY_MS, UNEVEN_MS = 0.5, 2.0
"""Up to the first jitter a clock is steady, up to the second uneven; a larger one is audible."""
_GAP = "  "
_AMOUNTS = ("temperature", "humanize", "drift", "morph", "density", "swing")
_DEFAULTS = ControlState()


class Page:
    """The content of the screen: a title and a footer, the last message, and the status.

    Thread-safe: no.
    Realtime-safe: no.
    """

    def __init__(self, title: str, footer: str) -> None:
        self.title, self.footer = title, footer
        self.last_message = ""
        self._playing_rows, self._recorded_rows = CachedGridRows(), CachedGridRows()

    def lines(self, status: Status, width: int, height: int) -> list[Sequence[StyledText]]:
        """Returns at most `height` rows; names are cut and sentences wrapped to the width, grids are cut to whole bars."""
        lines = [*self._all_lines(status, max(width, 1))]
        visible = sorted(sorted(range(len(lines)), key=lambda row: (lines[row].priority, row))[: max(height, 0)])
        return [lines[row].parts for row in visible]

    def _all_lines(self, status: Status, width: int) -> Iterator[Line]:
        yield Line(Priority.TITLE, [StyledText(truncated(self.title, width), "dim")])
        yield Line(Priority.TRANSPORT, _transport(status, width))
        for number, row in enumerate(joined_rows([*_mode(status), *_changed_controls(status)], width, "   ")):
            yield Line(Priority.CONTROLS if number else Priority.MODE, [StyledText(row)])
        yield Line(Priority.BLANK)
        yield from self._grids(status, width)
        yield Line(Priority.BLANK)
        unmapped = unmapped_title(status) if status.unmapped else ""
        message = self.last_message if self.last_message != status.error else ""
        for text, style in ((status.error or "", "bold red"), (unmapped, "yellow"), (message, "")):
            for number, row in enumerate(wrapped(text, width)):
                yield Line(Priority.CONTINUATION if number else Priority.MESSAGE, [StyledText(row, style)])
        yield Line(Priority.FOOTER, [StyledText(truncated(self.footer, width), "dim")])

    def _grids(self, status: Status, width: int) -> Iterator[Line]:
        """Yields the playing and the recorded grid, side by side where the terminal is wide enough."""
        loop, controls, recording, cycle = status.loop, status.controls, status.recording, status.cycle
        window = Window.at(status.beat if status.state is State.RUNNING else None, width)
        playing_rows = self._playing_rows.rows((loop, controls), lambda: loop.render(controls) if loop else Grid.empty())
        recorded_rows = self._recorded_rows.rows((recording, cycle), lambda: recording.grid(cycle))
        playing = grid_lines("playing", Priority.PLAYING, playing_rows, "", window)
        recorded = grid_lines("recorded", Priority.RECORDED, recorded_rows, "cyan", window)
        if width >= 2 * GRID_WIDTH + len(_GAP):
            pairs = zip(playing, recorded, strict=True)
            yield from (Line(min(left.priority, right.priority), [*left.parts, StyledText(_GAP), *right.parts]) for left, right in pairs)
        else:
            yield from chain(playing, [Line(Priority.BLANK)], recorded)


def unmapped_title(status: Status) -> str:
    """Returns a sentence on the received pitches that the kit maps to no voice, and their number."""
    pitches = ", ".join(str(pitch) for pitch in sorted(status.unmapped))
    return f"{sum(status.unmapped.values())} notes on unmapped pitches: {pitches}"


def loop_title(status: Status) -> str:
    """Returns the name of the current loop."""
    return f"loop {status.loop.index} {status.loop.source}".rstrip() if status.loop else "no loop yet"


def sync_title(status: Status) -> str:
    """Returns how accurately the clock is followed; empty without a clock."""
    if status.state in (State.WAITING, State.LOST):
        return ""
    if not status.synced:
        return "finding the tempo"
    word = "steady" if status.jitter_ms <= STEADY_MS else "uneven clock" if status.jitter_ms <= UNEVEN_MS else "rough clock"
    return f"in sync, {word} (jitter {status.jitter_ms:.1f} ms)"


def _transport(status: Status, width: int) -> list[StyledText]:
    colour = {State.RUNNING: "bold green", State.LOST: "bold red"}.get(status.state, "bold yellow")
    place = f"{status.bpm:6.1f} bpm   bar {bar_of(status.beat):>3}.{int(phase(status.beat, BEATS_PER_BAR)) + 1}   {sync_title(status)}"
    state = f"{status.state.value}   "
    return [StyledText(truncated(state, width), colour), StyledText(truncated(place, width - len(state)))]


def _mode(status: Status) -> list[str]:
    """Returns the mode, the loop, the amounts that apply to the mode, and those that were changed."""
    of_mode = ("humanize", *MODES[status.controls.mode].amounts)
    shown = [name for name in _AMOUNTS if name in of_mode or getattr(status.controls, name) != getattr(_DEFAULTS, name)]
    loop = f"{loop_title(status)} from bar {status.bar}" if status.loop else loop_title(status)
    return [status.controls.mode, loop, *(f"{name} {_amount(getattr(status.controls, name))}" for name in shown)]


def _amount(value: float | None) -> str:
    return "the model's own" if value is None else f"{value:.2f}"


def _changed_controls(status: Status) -> list[str]:
    """Returns the switches that are on, muted and locked voices, filled slots, and the counts of received notes."""
    controls = status.controls
    velocities = (controls.velocity_low, controls.velocity_high)
    parts = {
        "half time": controls.speed < 1,
        "double time": controls.speed > 1,
        f"style {controls.style}": controls.style,
        f"complexity {controls.complexity:+.2f}": controls.complexity,
        fills_title(controls.fill_every): controls.fill_every,
        "fill pending": status.fill_pending,
        f"kit {controls.kit.name}": controls.kit != _DEFAULTS.kit,
        "hold": controls.hold,
        "overdub": controls.overdub,
        f"velocity {velocities[0]:.2f} to {velocities[1]:.2f}": velocities != (_DEFAULTS.velocity_low, _DEFAULTS.velocity_high),
        f"slots {' '.join(map(str, sorted(status.filled_slots)))}": status.filled_slots,
        f"muted {_voices(controls.muted_voices)}": controls.muted_voices,
        f"locked {_voices(controls.locked_voices)}": controls.locked_voices,
        f"{status.notes_received} notes received": True,
        f"{status.echoes} echoes dropped": status.echoes,
    }
    return [part for part, shown in parts.items() if shown]


def _voices(voices: frozenset[int]) -> str:
    return ", ".join(VOICES[voice] for voice in sorted(voices))
