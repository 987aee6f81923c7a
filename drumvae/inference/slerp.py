"""Computes paths between latents by spherical linear interpolation. Z latent size."""

import numpy as np
from numpy.typing import ArrayLike

from ..music.grid import Array

_MIN_SINE = 1e-4  # of the angle between two latents; below it the arc equals its chord, or has no unique direction


def slerp_path(first: Array, last: Array, count: int) -> Array:
    """Returns `count` latents (count, Z) at even angles from one (Z,) to another, both ends included."""
    return slerp(first, last, np.linspace(0, 1, count))


def slerp_pairs(first: Array, last: Array, position: float) -> Array:
    """Returns latents (B, Z), each at a position, 0 to 1, of the arc from a latent of `first` (B, Z) to its partner in `last` (B, Z)."""
    return np.concatenate([slerp(*pair, [position]) for pair in zip(first, last, strict=True)])


def slerp(first: Array, last: Array, positions: ArrayLike) -> Array:
    """Returns latents (n, Z) at positions (n,), 0 to 1, of the angle from one (Z,) to another (Shoemake 1985).

    A straight line between two Gaussian draws passes nearer to the origin than the draws themselves; the arc does not. The path is
    a straight line where there is no unique arc: between parallel or opposite latents, and from or to zero.
    """
    ends = np.stack([first, last]).astype(np.float64)
    norms = np.linalg.norm(ends, axis=1)
    position = np.asarray(positions, np.float64)
    weights = np.stack([1 - position, position], axis=1)  # (n, 2)
    if norms.min() > 0:
        angle = np.arccos(np.clip(ends[0] @ ends[1] / norms.prod(), -1, 1))
        if np.sin(angle) > _MIN_SINE:
            weights = np.sin(weights * angle) / np.sin(angle)
    return np.asarray(weights @ ends, np.float32)
