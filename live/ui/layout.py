"""Fits text into rows of terminal columns. Widths are in columns: some letters take two columns, some none."""

from collections.abc import Iterable, Sequence
from enum import IntEnum, auto
from typing import NamedTuple


class Priority(IntEnum):
    """The importance of a line, the most important first; where rows are short, the last are left out."""

    TRANSPORT = auto()
    MODE = auto()
    MESSAGE = auto()
    PLAYING = auto()
    CONTROLS = auto()
    RECORDED = auto()
    TITLE = auto()
    CONTINUATION = auto()
    """Further rows of a message."""
    FOOTER = auto()
    SILENT = auto()
    """A voice without a hit."""
    BLANK = auto()


class StyledText(NamedTuple):
    """Text in one style of Rich's; the text is literal, without markup."""

    text: str
    style: str = ""


class Line(NamedTuple):
    """One row of the screen."""

    priority: Priority
    parts: Sequence[StyledText] = ()


def truncated(text: str, width: int) -> str:
    """Returns text in at most `width` columns; where it was cut it ends with "..."."""
    from rich.cells import cell_len, set_cell_size

    text = printable(text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 3) + "..." if width > 3 else set_cell_size(text, max(width, 0))


def wrapped(text: str, width: int) -> list[str]:
    """Returns text as rows of at most `width` columns, broken between words; no rows for an empty text.

    >>> wrapped("The port is back", 9)
    ['The port', 'is back']
    """
    return joined_rows(map(printable, text.split()), width, " ")


def joined_rows(parts: Iterable[str], width: int, gap: str) -> list[str]:
    """Returns parts joined by a gap in as few rows as possible; a part wider than a row is broken."""
    from rich.cells import cell_len, chop_cells

    rows: list[str] = []
    for part in parts:
        if rows and cell_len(rows[-1]) + len(gap) + cell_len(part) <= width:
            rows[-1] += gap + part
        else:
            rows += chop_cells(part, width)
    return rows


def printable(text: str) -> str:
    """Returns text with a question mark for every unprintable character, e.g. an escape that would move the cursor.

    >>> printable("a\\tb")
    'a?b'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)
