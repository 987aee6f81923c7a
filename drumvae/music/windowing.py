"""Cuts a long array of steps into overlapping windows of a model's length, and stitches the model's output together again.

Windows begin on bars of 4/4, half a window apart; the last one ends with the last bar. Each bar of the output is taken from the window
whose middle is nearest, so that the model reads context before and after it.
"""

import numpy as np
from numpy.typing import NDArray

from .grid import STEPS_PER_BAR, Array


def window_starts(steps: int, size: int) -> list[int]:
    """Returns the first steps of windows of `size` steps that cover a number of steps.

    >>> window_starts(steps=160, size=64)
    [0, 32, 64, 96]
    """
    last = max(-(-steps // STEPS_PER_BAR) * STEPS_PER_BAR - size, 0)
    hop = size // 2 // STEPS_PER_BAR * STEPS_PER_BAR or size  # windows of one bar do not overlap
    return sorted({*range(0, last, hop), last})


def cut_windows(array: Array, steps: int, size: int) -> Array:
    """Returns the windows (B, size, ...) of an array (S, ...), padded with zeros at its end to `steps` whole bars."""
    starts = window_starts(steps, size)
    padded = np.pad(array, [(0, max(starts[-1] + size - len(array), 0)), *[(0, 0)] * (array.ndim - 1)])
    return np.stack([padded[start : start + size] for start in starts])


def stitch_windows(windows: Array, steps: int) -> Array:
    """Returns the array (S, ...) of the windows (B, size, ...) of `cut_windows`."""
    size = windows.shape[1]
    starts = np.array(window_starts(steps, size))
    step = np.arange(steps)
    owner = _owners(step // STEPS_PER_BAR, starts, size)
    return np.asarray(windows[owner, step - starts[owner]])


def _owners(bars: NDArray[np.int64], starts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Returns, for each bar, the index of the window whose middle is nearest, the first of equals."""
    middles = (bars + 0.5) * STEPS_PER_BAR
    return np.asarray(np.abs(middles[:, None] - (starts + size / 2)).argmin(axis=1))
