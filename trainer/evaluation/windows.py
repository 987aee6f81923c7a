"""Reads windows of a corpus block by block, so that a corpus may be larger than memory.

n windows, S steps. Loops are groove tensors (n, S, 27) or melody classes (n, S), float32.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from drumvae.music.grid import Array
from drumvae.util.progress import watched

from .bootstrap import FloatArray, IntArray

BLOCK = 1024
"""Windows that are read and compared at once."""


@dataclass(frozen=True)
class Windows:
    """Some windows of a corpus, in its order. An index counts among these windows.

    >>> corpus = np.zeros((100, 64, 27), np.float32)
    >>> windows = Windows(corpus.__getitem__, np.arange(100), np.full(100, 120, np.float32), np.arange(100) // 50, ("rock", "jazz"))
    >>> windows.evenly_spaced(10).loops(slice(0, 2)).shape
    (2, 64, 27)
    """

    read: Callable[[IntArray], Array]
    """Returns loops by their numbers in the corpus."""
    numbers: IntArray
    """The number of each of these windows in the corpus; (n,)."""
    bpm: Array
    """Tempo of each window, beats a minute; (n,)."""
    takes: IntArray
    """The take of each window, counted from 0 among these windows; (n,)."""
    styles: tuple[str, ...]
    """The style of each of these takes; empty if it is unknown."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def take_count(self) -> int:
        return len(self.styles)

    def loops(self, indices: IntArray | slice) -> Array:
        """Returns the loops of some of these windows."""
        return self.read(self.numbers[indices])

    def step_ms(self, indices: IntArray | slice) -> FloatArray:
        """Returns the length of a step in some of these windows, in milliseconds, shaped (n, 1, 1) to broadcast to (n, S, 9)."""
        return 15_000 / self.bpm[indices].astype(np.float64)[:, None, None]  # four steps a beat

    def blocks(self, label: str, size: int = BLOCK) -> Iterator[slice]:
        """Yields the indices of all windows block by block, with a progress bar."""
        blocks = [slice(first, min(first + size, len(self))) for first in range(0, len(self), size)]
        return watched(blocks, label, len(blocks))

    def subset(self, indices: IntArray) -> "Windows":
        """Returns some of these windows; takes are counted anew."""
        kept, takes = np.unique(self.takes[indices], return_inverse=True)
        return Windows(self.read, self.numbers[indices], self.bpm[indices], takes, tuple(self.styles[take] for take in kept))

    def evenly_spaced(self, limit: int) -> "Windows":
        """Returns at most `limit` of the windows, evenly spaced over all of them."""
        count = min(limit, len(self))
        return self.subset(np.arange(count) * len(self) // max(count, 1))
