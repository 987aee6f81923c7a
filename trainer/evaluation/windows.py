"""Windows of a corpus in, read some at a time, so that a corpus may be larger than memory.

n windows, S steps. Loops are groove tensors (n, S, 27) or melody classes (n, S), float32.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumvae.music.grid import Array
from drumvae.util.progress import watched

BLOCK = 1024
"""Windows that are read and compared at once."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Some windows of a corpus, in its order."""

    read: Callable[[Numbers], Array]
    """Returns loops by the corpus's own numbers."""
    numbers: Numbers
    """The corpus's numbers of these windows; (n,)."""
    bpm: Array
    """Tempo of each window, beats a minute; (n,)."""
    takes: Numbers
    """The take each window is cut from, counted from 0 among these windows; (n,)."""
    styles: tuple[str, ...]
    """The style of each of these takes; empty where it is not known."""

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def take_count(self) -> int:
        return len(self.styles)

    def loops(self, places: Numbers | slice) -> Array:
        """Returns the loops at some places among these windows."""
        return self.read(self.numbers[places])

    def step_ms(self, places: Numbers | slice) -> NDArray[np.float64]:
        """Returns how long a step lasts in the windows at some places, in milliseconds, shaped (n, 1, 1) to fit (n, S, 9)."""
        return 15_000 / self.bpm[places].astype(np.float64)[:, None, None]  # four steps a beat

    def blocks(self, what: str, size: int = BLOCK) -> Iterator[slice]:
        """Yields the places of all windows, some at a time, with a progress bar that says what is being done."""
        blocks = [slice(first, min(first + size, len(self))) for first in range(0, len(self), size)]
        return watched(blocks, what, len(blocks))

    def at(self, places: Numbers) -> "Windows":
        """Returns the windows at some places alone."""
        kept, takes = np.unique(self.takes[places], return_inverse=True)
        return Windows(self.read, self.numbers[places], self.bpm[places], takes, tuple(self.styles[take] for take in kept))

    def spread(self, most: int) -> "Windows":
        """Returns at most so many of the windows, evenly spaced over all of them."""
        count = min(most, len(self))
        return self.at(np.arange(count) * len(self) // max(count, 1))
