"""Training grooves in, trivial predictions out: what a model must beat to have learned anything.

n windows, S steps, V voices; groove tensors (n, S, 3 V).
"""

from collections.abc import Callable

import numpy as np

from drumvae.grid import STEPS_PER_BAR, Array
from drumvae.tensors import VOICE_COUNT

Baseline = Callable[[Array], Array]
"""Takes the true windows, returns what the baseline writes for them."""


def score_baselines(train: Array) -> dict[str, Baseline]:
    """Returns ways to write a window's hits: nothing, the likeliest hits of the training set, the first bar again, its nearest window."""
    likely = train[..., :VOICE_COUNT].mean(axis=0)  # (S, V)
    marginal = np.concatenate([likely > 0.5, *_mean_feel(train)], axis=-1, dtype=np.float32)
    return {
        "silence": np.zeros_like,
        "likeliest hits by step and voice": lambda true: np.broadcast_to(marginal, true.shape),
        "first bar repeated": _first_bar_repeated,
        "nearest training window": lambda true: train[_nearest(true, train)],
    }


def feel_baselines(train: Array) -> dict[str, Baseline]:
    """Returns ways to play given hits: on the grid at the mean velocity, at the mean offset, at the means of each step and voice."""
    hits = train[..., :VOICE_COUNT] > 0.5
    velocity, offset = (float(part[hits].mean()) for part in (_part(train, 1), _part(train, 2)))
    velocities, offsets = _mean_feel(train)
    shape = velocities.shape
    return {
        "quantised, mean velocity": lambda true: _played(true, np.full(shape, velocity, np.float32), np.zeros(shape, np.float32)),
        "mean offset, mean velocity": lambda true: _played(true, np.full(shape, velocity, np.float32), np.full(shape, offset, np.float32)),
        "means by step and voice": lambda true: _played(true, velocities, offsets),
    }


def _mean_feel(train: Array) -> tuple[Array, Array]:
    """Returns mean velocity and offset of the hits in each cell, each (S, V), in tensor units; 0 where there never is one."""
    count = np.maximum(train[..., :VOICE_COUNT].sum(axis=0), 1)
    return _part(train, 1).sum(axis=0) / count, _part(train, 2).sum(axis=0) / count


def _part(groove: Array, block: int) -> Array:
    return groove[..., block * VOICE_COUNT : (block + 1) * VOICE_COUNT]


def _played(true: Array, velocities: Array, offsets: Array) -> Array:
    hits = _part(true, 0)
    return np.concatenate([hits, hits * velocities, hits * offsets], axis=-1, dtype=np.float32)


def _first_bar_repeated(true: Array) -> Array:
    return np.tile(true[:, :STEPS_PER_BAR], (1, true.shape[1] // STEPS_PER_BAR, 1))


def _nearest(true: Array, train: Array, rows: int = 256) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Returns, for each window, the training window that differs from it in the fewest cells."""
    known = (_part(train, 0) > 0.5).reshape(len(train), -1).astype(np.float32)
    wanted = (_part(true, 0) > 0.5).reshape(len(true), -1).astype(np.float32)
    size = known.sum(axis=1)
    parts = [np.argmin(size - 2 * wanted[i : i + rows] @ known.T, axis=1) for i in range(0, len(wanted), rows)]
    return np.concatenate(parts)
