"""Cuts grids into windows of a model's length and puts windows back together. B windows, S steps of a window."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..music.encoding import VOICE_COUNT, grid_to_groove, groove_to_grid
from ..music.grid import Array, Grid
from ..music.inputs import TAP_VOICE, tapped_hits
from ..music.windowing import cut_windows, stitch_windows, window_starts


@dataclass(frozen=True)
class Windows:
    """Describes the windows of one call, and shares random numbers among those that overlap."""

    count: int
    size: int
    """Steps in a window."""
    grid_steps: int | None = None
    """Steps of the grid that the windows are cut from; None for independent loops."""

    @classmethod
    def of_grid(cls, steps: int, size: int) -> "Windows":
        """Describes the windows of a grid.

        >>> Windows.of_grid(128, 64).count
        3
        """
        return cls(len(window_starts(steps, size)), size, steps)

    def per_step(self, sample: Callable[..., Array], width: int) -> Array:
        """Returns samples (B, S, width); a step has the same ones in every window that contains it."""
        if self.grid_steps is None:
            return sample((self.count, self.size, width), np.float32)
        length = window_starts(self.grid_steps, self.size)[-1] + self.size
        return cut_windows(sample((length, width), np.float32), self.grid_steps, self.size)

    def per_window(self, sample: Callable[..., Array], width: int) -> Array:
        """Returns samples (B, width), the same ones for all windows of a grid."""
        if self.grid_steps is None:
            return sample((self.count, width), np.float32)
        return np.tile(sample((1, width), np.float32), (self.count, 1))


def grid_to_windows(grid: Grid, size: int) -> Array:
    """Returns a grid as overlapping groove tensors (B, S, 27); the last one is silent after the grid's end."""
    return cut_windows(grid_to_groove(grid), grid.steps, size)


def windows_to_grid(windows: Array, steps: int) -> Grid:
    """Returns the grid that windows (B, S, 27) of a number of steps make."""
    return groove_to_grid(stitch_windows(windows, steps))


def with_taps(grooves: Array, taps: Array) -> Array:
    """Returns grooves (B, S, 27) in which the loudest hit of each tapped step has exactly the tap's velocity and offset."""
    tap = taps[..., TAP_VOICE::VOICE_COUNT]  # (B, S, 3)
    tapped = tapped_hits(grooves) * tap[..., :1] > 0  # (B, S, 9)
    return np.asarray(np.where(np.tile(tapped, 3), np.repeat(tap, VOICE_COUNT, axis=-1), grooves))
