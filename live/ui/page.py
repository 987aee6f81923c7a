"""A Status and a terminal's size in, rows of styled text that fit it out; where room is short, what matters least is left out."""

from collections.abc import Iterator, Sequence
from itertools import chain

from drumvae.music.grid import BEATS_PER_BAR, Grid
from drumvae.music.kit import VOICES

from ..clock.follower import State
from ..clock.timeline import bar_of, phase
from ..controls.state import ControlState, fills_title
from ..generation.modes import MODES
from ..messages import Status
from .grid_view import PICTURE_WIDTH, GridText, Window, picture
from .layout import Line, Priority, StyledText, filled, fitted, wrapped

STEADY_MS, LOOSE_MS = 0.5, 2.0
"""Ticks no further off are steady, and loose; what is further off than that can be heard."""
_GAP = "  "
_AMOUNTS = ("temperature", "humanize", "drift", "morph", "density", "swing")
_DEFAULTS = ControlState()


class Page:
    """What is shown of a session: two lines that stay, the last message, and whatever a status says."""

    def __init__(self, title: str, footer: str) -> None:
        self.title, self.footer = title, footer
        self.sentence = ""
        """The last message, in words."""
        self._playing, self._heard = GridText(), GridText()

    def lines(self, status: Status, width: int, height: int) -> list[Sequence[StyledText]]:
        """Returns at most `height` rows; rows of names and sentences are cut or broken to the width, rows of grids to whole bars."""
        lines = [*self._lines(status, max(width, 1))]
        kept = sorted(sorted(range(len(lines)), key=lambda row: (lines[row].rank, row))[: max(height, 0)])
        return [lines[row].spans for row in kept]

    def _lines(self, status: Status, width: int) -> Iterator[Line]:
        yield Line(Priority.TITLE, [StyledText(fitted(self.title, width), "dim")])
        yield Line(Priority.TRANSPORT, _transport(status, width))
        for number, row in enumerate(filled([*_mode(status), *_turned(status)], width, "   ")):
            yield Line(Priority.TURNED if number else Priority.MODE, [StyledText(row)])
        yield Line(Priority.BLANK)
        yield from self._grids(status, width)
        yield Line(Priority.BLANK)
        unmapped = unmapped_title(status) if status.unmapped else ""
        news = self.sentence if self.sentence != status.error else ""
        for text, style in ((status.error or "", "bold red"), (unmapped, "yellow"), (news, "")):
            for number, row in enumerate(wrapped(text, width)):
                yield Line(Priority.REST if number else Priority.SENTENCE, [StyledText(row, style)])
        yield Line(Priority.FOOTER, [StyledText(fitted(self.footer, width), "dim")])

    def _grids(self, status: Status, width: int) -> Iterator[Line]:
        """Yields both grids, as they are played and were heard, side by side where the terminal is wide enough."""
        loop, controls, heard, number = status.loop, status.controls, status.recording, status.cycle
        window = Window.at(status.beat if status.state is State.RUNNING else None, width)
        rows = self._playing.rows((loop, controls), lambda: loop.render(controls) if loop else Grid.empty())
        left = picture("playing", Priority.PLAYING, rows, "", window)
        right = picture("heard", Priority.HEARD, self._heard.rows((heard, number), lambda: heard.grid(number)), "cyan", window)
        if width >= 2 * PICTURE_WIDTH + len(_GAP):
            yield from (Line(min(a.rank, b.rank), [*a.spans, StyledText(_GAP), *b.spans]) for a, b in zip(left, right, strict=True))
        else:
            yield from chain(left, [Line(Priority.BLANK)], right)


def unmapped_title(status: Status) -> str:
    """Counts and names the pitches that no voice hears."""
    pitches = ", ".join(str(pitch) for pitch in sorted(status.unmapped))
    return f"{sum(status.unmapped.values())} notes on pitches that no voice hears: {pitches}"


def loop_title(status: Status) -> str:
    """Names the loop that plays."""
    return f"loop {status.loop.index} {status.loop.source}".rstrip() if status.loop else "no loop yet"


def lock_quality(status: Status) -> str:
    """Says how well the clock is followed; nothing where there is none."""
    if status.state in (State.WAITING, State.LOST):
        return ""
    if not status.synced:
        return "finding the tempo"
    word = "steady" if status.jitter_ms <= STEADY_MS else "a loose clock" if status.jitter_ms <= LOOSE_MS else "a rough clock"
    return f"locked, {word} (ticks {status.jitter_ms:.1f} ms off)"


def _transport(status: Status, width: int) -> list[StyledText]:
    colour = {State.RUNNING: "bold green", State.LOST: "bold red"}.get(status.state, "bold yellow")
    place = f"{status.bpm:6.1f} bpm   bar {bar_of(status.beat):>3}.{int(phase(status.beat, BEATS_PER_BAR)) + 1}   {lock_quality(status)}"
    state = f"{status.state.value}   "
    return [StyledText(fitted(state, width), colour), StyledText(fitted(place, width - len(state)))]


def _mode(status: Status) -> list[str]:
    """Names the mode, the loop, the amounts that matter to the mode, and those that were turned."""
    main = ("humanize", *MODES[status.controls.mode].amounts)
    turned = [name for name in _AMOUNTS if name in main or getattr(status.controls, name) != getattr(_DEFAULTS, name)]
    since = f"{loop_title(status)} from bar {status.bar}" if status.loop else loop_title(status)
    return [status.controls.mode, since, *(f"{name} {_amount(getattr(status.controls, name))}" for name in turned)]


def _amount(value: float | None) -> str:
    return "the model's own" if value is None else f"{value:.2f}"


def _turned(status: Status) -> list[str]:
    """Names switches that are on, voices that are muted or locked, slots that are taken, and what was heard."""
    controls = status.controls
    velocities = (controls.velocity_low, controls.velocity_high)
    parts = {
        "half time": controls.speed < 1,
        "double time": controls.speed > 1,
        f"style {controls.style}": controls.style,
        f"complexity {controls.complexity:+.2f}": controls.complexity,
        fills_title(controls.fill_every): controls.fill_every,
        "a fill comes": status.fill_pending,
        f"kit {controls.kit.name}": controls.kit != _DEFAULTS.kit,
        "hold": controls.hold,
        "overdub": controls.overdub,
        f"velocity {velocities[0]:.2f} to {velocities[1]:.2f}": velocities != (_DEFAULTS.velocity_low, _DEFAULTS.velocity_high),
        f"kept {' '.join(map(str, sorted(status.filled_slots)))}": status.filled_slots,
        f"muted {_voices(controls.muted_voices)}": controls.muted_voices,
        f"locked {_voices(controls.locked_voices)}": controls.locked_voices,
        f"{status.notes_received} notes heard": True,
        f"{status.echoes} echoes of our own dropped": status.echoes,
    }
    return [part for part, shown in parts.items() if shown]


def _voices(voices: frozenset[int]) -> str:
    return ", ".join(VOICES[voice] for voice in sorted(voices))
