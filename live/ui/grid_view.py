"""Draws a grid as text: a ruler and nine rows of four bars, with the current step marked."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from drumvae.music.grid import BEATS_PER_BAR, LOOP_BARS, LOOP_BEATS, STEPS_PER_BAR, STEPS_PER_BEAT, Grid
from drumvae.music.kit import VOICES

from ..clock.timeline import phase
from .layout import Line, Priority, StyledText

NAME_WIDTH = 11
BAR_WIDTH = STEPS_PER_BAR + 1
GRID_WIDTH = NAME_WIDTH + LOOP_BARS * BAR_WIDTH
RULER = "".join(f"{bar + 1:<{STEPS_PER_BEAT}}{'.   ' * (BEATS_PER_BAR - 1)}|" for bar in range(LOOP_BARS))
"""The bar numbers of a loop and their beats, as wide as a voice's row."""


class CachedGridRows:
    """Renders a grid as rows of text, and only again when its source has changed."""

    def __init__(self) -> None:
        self._source: object = None
        self._rows: list[tuple[str, bool]] = []

    def rows(self, source: object, make_grid: Callable[[], Grid]) -> list[tuple[str, bool]]:
        """Returns, for each voice, its row of text and whether it has a hit; `make_grid` is called for a new source only."""
        if source != self._source:
            grid = make_grid()
            rows = grid.to_text(range(len(VOICES))).splitlines()
            self._source, self._rows = source, [(row, bool(voice.any())) for row, voice in zip(rows, grid.hits.T, strict=True)]
        return self._rows


class Window(NamedTuple):
    """The visible columns of a grid's row, and the playhead's column among them.

    >>> Window.at(beat=4.25, width=80)
    Window(columns=slice(11, 79, None), playhead=18)
    """

    columns: slice
    playhead: int | None

    @classmethod
    def at(cls, beat: float | None, width: int) -> "Window":
        """Returns the window of all four bars, or of as many as fit, around the current beat if there is one."""
        step = None if beat is None else int(phase(beat, LOOP_BEATS) * STEPS_PER_BEAT)
        bars = min(max((width - NAME_WIDTH) // BAR_WIDTH, 1), LOOP_BARS)
        first = min((step or 0) // STEPS_PER_BAR // bars * bars, LOOP_BARS - bars)
        start = NAME_WIDTH + first * BAR_WIDTH
        playhead = None if step is None else step + step // STEPS_PER_BAR - first * BAR_WIDTH
        return cls(slice(start, start + bars * BAR_WIDTH), playhead)

    def visible_parts(self, row: str, name_style: str, style: str) -> list[StyledText]:
        """Returns a row's name and its visible cells; the cell at the playhead is reversed."""
        name, cells = StyledText(row[:NAME_WIDTH], name_style), row[self.columns]
        if self.playhead is None:
            return [name, StyledText(cells, style)]
        before, current, after = cells[: self.playhead], cells[self.playhead : self.playhead + 1], cells[self.playhead + 1 :]
        return [name, StyledText(before, style), StyledText(current, "reverse"), StyledText(after, style)]


def grid_lines(title: str, priority: Priority, rows: list[tuple[str, bool]], style: str, window: Window) -> Iterator[Line]:
    """Yields the lines of a grid.

    Args:
        title: The name in front of the ruler.
        priority: The priority of the ruler and of voices with hits.
        rows: For each voice, its row of text and whether it has a hit.
        style: The style of voices with hits.
        window: The visible columns.
    """
    yield Line(priority, window.visible_parts(f"{title:<{NAME_WIDTH}}{RULER}", "bold", "dim"))
    for row, has_hits in rows:
        row_style = style if has_hits else "dim"
        yield Line(priority if has_hits else Priority.SILENT, window.visible_parts(row, row_style, row_style))
