"""Shows a progress bar on stderr while items are processed."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def watched(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yields items, with a progress bar that is removed at the end; without a terminal no bar is shown."""
    from rich.console import Console
    from rich.progress import track

    screen = Console(stderr=True)
    yield from track(items, what, total=total, transient=True, console=screen, disable=not screen.is_terminal)
