"""Counts hits, velocities and offsets by step and voice over the training windows: the statistics behind trivial predictions.

S steps, nine voices. Offsets are in tensor units, half steps.
"""

from dataclasses import dataclass

import numpy as np

from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.music.inputs import tapped_hits

from .bootstrap import FloatArray, ratio
from .expression import histograms
from .windows import Windows

BINS = 128
"""Bins of the histograms of velocities (0 to 1) and offsets (-1 to 1)."""


@dataclass(frozen=True)
class Marginals:
    """Holds sums over training windows of drums."""

    windows: int
    hits: FloatArray
    """Windows with a hit in each cell; (S, 9)."""
    tapped: FloatArray
    """Windows whose tap is the hit in each cell; (S, 9). The sum over voices counts windows with a hit on the step."""
    active: FloatArray
    """Windows in which each voice has a hit; (9,)."""
    velocities: FloatArray
    """Sums of the hits' velocities and of their squares; (2, S, 9)."""
    offsets: FloatArray
    """Sums of the hits' offsets and of their squares; (2, S, 9)."""
    velocity_bins: FloatArray
    """Hits of each voice by velocity; (9, bins)."""
    offset_bins: FloatArray
    """Hits of each voice by offset; (9, bins)."""

    @property
    def probabilities(self) -> FloatArray:
        """The share of windows with a hit in each cell; (S, 9)."""
        return self.hits / max(self.windows, 1)

    def cell_means(self) -> tuple[Array, Array]:
        """Returns mean velocity and mean offset of the hits in each cell, each (S, 9), 0 where there is none."""
        velocities, offsets = (ratio(sums[0], self.hits, 0.0).astype(np.float32) for sums in (self.velocities, self.offsets))
        return velocities, offsets

    def cell_stds(self) -> tuple[Array, Array]:
        """Returns the standard deviations of velocity and offset of the hits in each cell, each (S, 9)."""
        squares = (ratio(sums[1], self.hits, 0.0) for sums in (self.velocities, self.offsets))
        velocities, offsets = (
            np.sqrt(np.maximum(square - mean**2, 0)).astype(np.float32) for square, mean in zip(squares, self.cell_means(), strict=True)
        )
        return velocities, offsets

    def mean_hit(self) -> tuple[float, float]:
        """Returns mean velocity and mean offset of all hits."""
        total = max(self.hits.sum(), 1)
        return float(self.velocities[0].sum() / total), float(self.offsets[0].sum() / total)


def count_marginals(train: Windows, steps: int) -> Marginals:
    """Returns the sums over all training windows, in one pass."""
    total = _count(np.zeros((0, steps, 3 * VOICE_COUNT), np.float32))
    for block in train.blocks("Counting training hits"):
        part = _count(train.loops(block))
        total = Marginals(*(ours + new for ours, new in zip(vars(total).values(), vars(part).values(), strict=True)))
    return total


def _count(grooves: Array) -> Marginals:
    hits, velocities, offsets = np.split(grooves, 3, axis=-1)
    cells = hits > 0.5
    powers = [np.stack([(values**p * cells).sum(axis=0, dtype=np.float64) for p in (1, 2)]) for values in (velocities, offsets)]
    bins = [histograms(values * BINS, cells, BINS).sum(axis=0) for values in (velocities, (offsets + 1) / 2)]
    counts = (np.asarray(each, np.float64) for each in (cells.sum(axis=0), tapped_hits(grooves).sum(axis=0), cells.any(axis=1).sum(axis=0)))
    return Marginals(len(grooves), *counts, *powers, *bins)


def most_likely(probabilities: FloatArray, weights: FloatArray | None = None) -> Array:
    """Returns the cells, 1 or 0, with the best expected F1 if each cell has a hit with its probability.

    With cells in order of their probability p, the F1 of predicting the first k is 2 sum(p of these) / (k + sum(all p)). The best k is
    chosen on training windows and therefore favours none of the scored ones.

    Args:
        probabilities: The probability of a hit in each cell, any shape.
        weights: How often each cell occurs, broadcastable to that shape; always by default.
    """
    weights = np.ones_like(probabilities) if weights is None else np.broadcast_to(weights, probabilities.shape)
    order = np.argsort(-probabilities, axis=None)
    p, weight = probabilities.ravel()[order], weights.ravel()[order]
    expected = 2 * np.cumsum(p * weight) / np.maximum(np.cumsum(weight) + (p * weight).sum(), 1e-9)
    return np.asarray((probabilities >= p[expected.argmax()]) & (probabilities > 0), np.float32)
