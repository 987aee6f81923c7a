"""A long array of steps in, windows of a model's length out; and what was made of the windows in, one long array out. Pure.

Windows begin on bars of 4/4, half a window apart, the last one where it ends with the last bar. What was made of them is put together
bar by bar: each bar is taken from the window in whose middle it lies nearest, so that a model hears what comes before and after it,
and no two windows meet where either of them begins or ends.
"""

import numpy as np
from numpy.typing import NDArray

from .grid import STEPS_PER_BAR, Array


def window_starts(steps: int, size: int) -> list[int]:
    """Returns where windows of a size begin that cover a number of steps; one window where they fit in it."""
    last = max(-(-steps // STEPS_PER_BAR) * STEPS_PER_BAR - size, 0)
    hop = size // 2 // STEPS_PER_BAR * STEPS_PER_BAR or size  # a window of a bar has no bars to share
    return sorted({*range(0, last, hop), last})


def cut_windows(array: Array, steps: int, size: int) -> Array:
    """Returns the windows (B, size, ...) of the steps of an array (S, ...); what is missing at its end is 0."""
    starts = window_starts(steps, size)
    padded = np.pad(array, [(0, max(starts[-1] + size - len(array), 0)), *[(0, 0)] * (array.ndim - 1)])
    return np.stack([padded[start : start + size] for start in starts])


def stitch_windows(windows: Array, steps: int) -> Array:
    """Returns the steps (S, ...) that windows (B, size, ...) of them make."""
    size = windows.shape[1]
    starts = np.array(window_starts(steps, size))
    step = np.arange(steps)
    owner = _owners(step // STEPS_PER_BAR, starts, size)
    return np.asarray(windows[owner, step - starts[owner]])


def _owners(bars: NDArray[np.int64], starts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Returns the window in whose middle each bar lies nearest, the first of equals."""
    middles = (bars + 0.5) * STEPS_PER_BAR
    return np.asarray(np.abs(middles[:, None] - (starts + size / 2)).argmin(axis=1))
