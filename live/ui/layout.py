"""Text from anywhere in, rows of spans that fit a terminal out. Widths are in columns: some letters take two, some none."""

from collections.abc import Iterable, Sequence
from enum import IntEnum, auto
from typing import NamedTuple


class Priority(IntEnum):
    """How much a line matters, the first the most: where there are too few rows, the last are left out."""

    TRANSPORT = auto()
    MODE = auto()
    SENTENCE = auto()
    PLAYING = auto()
    TURNED = auto()
    HEARD = auto()
    TITLE = auto()
    REST = auto()
    """What a sentence needs of further rows."""
    FOOTER = auto()
    SILENT = auto()
    """A voice without a hit."""
    BLANK = auto()


class StyledText(NamedTuple):
    """Text in one style, in Rich's words; the text is to be shown as it is."""

    text: str
    style: str = ""


class Line(NamedTuple):
    """One row of the screen."""

    rank: Priority
    spans: Sequence[StyledText] = ()


def fitted(text: str, width: int) -> str:
    """Returns text in at most so many columns, with an end that says so where it was cut."""
    from rich.cells import cell_len, set_cell_size

    text = printable(text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 3) + "..." if width > 3 else set_cell_size(text, max(width, 0))


def wrapped(text: str, width: int) -> list[str]:
    """Returns text broken between words; nothing for nothing."""
    return filled(map(printable, text.split()), width, " ")


def filled(parts: Iterable[str], width: int, gap: str) -> list[str]:
    """Returns parts joined by a gap into as few rows as they need; a part that is wider than a row is broken within."""
    from rich.cells import cell_len, chop_cells

    rows: list[str] = []
    for part in parts:
        if rows and cell_len(rows[-1]) + len(gap) + cell_len(part) <= width:
            rows[-1] += gap + part
        else:
            rows += chop_cells(part, width)
    return rows


def printable(text: str) -> str:
    """Returns text in which what is no character to look at, such as an escape that would move the cursor, is a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
