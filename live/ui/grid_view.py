"""A grid in, a ruler and nine rows out, with the step that sounds marked: a picture of four bars."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from drumvae.music.grid import BEATS_PER_BAR, LOOP_BARS, LOOP_BEATS, STEPS_PER_BAR, STEPS_PER_BEAT, Grid
from drumvae.music.kit import VOICES

from ..clock.timeline import phase
from .layout import Line, Priority, StyledText

NAME_WIDTH = 11
BAR_WIDTH = STEPS_PER_BAR + 1
PICTURE_WIDTH = NAME_WIDTH + LOOP_BARS * BAR_WIDTH
RULER = "".join(f"{bar + 1:<{STEPS_PER_BEAT}}{'.   ' * (BEATS_PER_BAR - 1)}|" for bar in range(LOOP_BARS))
"""The bars of a loop by number and their beats, as wide as a voice's row."""


class GridText:
    """A grid as rows of text, made anew only where what it is made from has changed."""

    def __init__(self) -> None:
        self._source: object = None
        self._rows: list[tuple[str, bool]] = []

    def rows(self, source: object, grid: Callable[[], Grid]) -> list[tuple[str, bool]]:
        """Returns for each voice its row and whether there is a hit in it."""
        if source != self._source:
            made = grid()
            rows = made.to_text(range(len(VOICES))).splitlines()
            self._source, self._rows = source, [(row, bool(voice.any())) for row, voice in zip(rows, made.hits.T, strict=True)]
        return self._rows


class Window(NamedTuple):
    """Which columns of a grid's row are shown, and at which of them the playhead stands."""

    columns: slice
    playhead: int | None

    @classmethod
    def at(cls, beat: float | None, width: int) -> "Window":
        """Returns all four bars, or as many as there is room for, those around the beat that sounds, if one does."""
        step = None if beat is None else int(phase(beat, LOOP_BEATS) * STEPS_PER_BEAT)
        bars = min(max((width - NAME_WIDTH) // BAR_WIDTH, 1), LOOP_BARS)
        first = min((step or 0) // STEPS_PER_BAR // bars * bars, LOOP_BARS - bars)
        start = NAME_WIDTH + first * BAR_WIDTH
        playhead = None if step is None else step + step // STEPS_PER_BAR - first * BAR_WIDTH
        return cls(slice(start, start + bars * BAR_WIDTH), playhead)

    def spans(self, row: str, name_style: str, style: str) -> list[StyledText]:
        """Returns a row's name and what is shown of its cells; the one that sounds stands out."""
        name, cells = StyledText(row[:NAME_WIDTH], name_style), row[self.columns]
        if self.playhead is None:
            return [name, StyledText(cells, style)]
        before, here, after = cells[: self.playhead], cells[self.playhead : self.playhead + 1], cells[self.playhead + 1 :]
        return [name, StyledText(before, style), StyledText(here, "reverse"), StyledText(after, style)]


def picture(title: str, rank: Priority, rows: list[tuple[str, bool]], style: str, window: Window) -> Iterator[Line]:
    """Yields a ruler and the nine voices."""
    yield Line(rank, window.spans(f"{title:<{NAME_WIDTH}}{RULER}", "bold", "dim"))
    for row, struck in rows:
        look = style if struck else "dim"
        yield Line(rank if struck else Priority.SILENT, window.spans(row, look, look))
