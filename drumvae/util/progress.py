"""Anything to go through in, the same out, with a bar on stderr where someone watches."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def watched(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yields items beside a bar that says what is done and how far; it is gone when they are, and absent from pipes and logs."""
    from rich.console import Console
    from rich.progress import track

    screen = Console(stderr=True)
    yield from track(items, what, total=total, transient=True, console=screen, disable=not screen.is_terminal)
