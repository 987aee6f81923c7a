"""Two latents in, a path between them out. Z latent size."""

import numpy as np
from numpy.typing import ArrayLike

from ..music.grid import Array

_STRAIGHT = 1e-4  # sine of the angle below which a sphere's arc cannot be told from its chord, or has no one direction


def slerp_path(first: Array, last: Array, count: int) -> Array:
    """Returns `count` latents (count, Z), the two ends (Z,) included, at even angles about the origin, as `slerp`."""
    return slerp(first, last, np.linspace(0, 1, count))


def slerp(first: Array, last: Array, shares: ArrayLike) -> Array:
    """Returns latents (n, Z) at shares (n,), 0 to 1, of the angle from one (Z,) to another (slerp, Shoemake 1985).

    A straight line between two draws from a Gaussian passes nearer to the origin than any draw lies; the arc does not. Between
    parallel or opposite latents, and from or to zero, where there is no one arc, the path is the straight line.
    """
    ends = np.stack([first, last]).astype(np.float64)
    sizes = np.linalg.norm(ends, axis=1)
    share = np.asarray(shares, np.float64)
    weights = np.stack([1 - share, share], axis=1)  # (n, 2)
    if sizes.min() > 0:
        angle = np.arccos(np.clip(ends[0] @ ends[1] / sizes.prod(), -1, 1))
        if np.sin(angle) > _STRAIGHT:
            weights = np.sin(weights * angle) / np.sin(angle)
    return np.asarray(weights @ ends, np.float32)
