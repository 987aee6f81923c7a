"""Training windows in, once through; what is likeliest at each step of each voice out: what trivial predictions are made of.

S steps, nine voices. Offsets are in tensor units, half steps.
"""

from dataclasses import dataclass, field

import numpy as np

from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.music.inputs import tapped_hits

from .bootstrap import Values, ratio
from .feel import histograms
from .windows import Windows

DRAWN_BINS = 128
"""Bins that velocities (0 to 1) and offsets (-1 to 1) are drawn from."""


@dataclass
class Marginals:
    """Holds sums over training windows of drums."""

    steps: int
    windows: int = 0
    hits: Values = field(init=False)
    """Windows with a hit in each cell; (S, 9)."""
    tapped: Values = field(init=False)
    """Windows whose tap is taken from each cell; (S, 9). Summed over voices: windows with a hit on the step."""
    sounding: Values = field(init=False)
    """Windows in which each voice sounds; (9,)."""
    velocities: tuple[Values, Values] = field(init=False)
    """Sums of the hits' velocities and of their squares; each (S, 9)."""
    offsets: tuple[Values, Values] = field(init=False)
    """Sums of the hits' offsets and of their squares; each (S, 9)."""
    velocity_bins: Values = field(init=False)
    """Hits of each voice by velocity; (9, bins)."""
    offset_bins: Values = field(init=False)
    """Hits of each voice by offset; (9, bins)."""

    def __post_init__(self) -> None:
        self.hits, self.tapped = (np.zeros((self.steps, VOICE_COUNT)) for _ in range(2))
        self.sounding = np.zeros(VOICE_COUNT)
        self.velocities, self.offsets = ((np.zeros_like(self.hits), np.zeros_like(self.hits)) for _ in range(2))
        self.velocity_bins, self.offset_bins = (np.zeros((VOICE_COUNT, DRAWN_BINS)) for _ in range(2))

    def add(self, grooves: Array) -> None:
        """Counts groove tensors (n, S, 27)."""
        hits, velocities, offsets = np.split(grooves, 3, axis=-1)
        cells = hits > 0.5
        self.windows += len(grooves)
        self.hits += cells.sum(axis=0)
        self.tapped += tapped_hits(grooves).sum(axis=0)
        self.sounding += cells.any(axis=1).sum(axis=0)
        for sums, values in ((self.velocities, velocities), (self.offsets, offsets)):
            for power, total in enumerate(sums, start=1):
                total += (values**power * cells).sum(axis=0, dtype=np.float64)
        self.velocity_bins += histograms(velocities * DRAWN_BINS, cells, DRAWN_BINS).sum(axis=0)
        self.offset_bins += histograms((offsets + 1) / 2 * DRAWN_BINS, cells, DRAWN_BINS).sum(axis=0)

    @property
    def chances(self) -> Values:
        """How likely a hit is in each cell; (S, 9)."""
        return self.hits / max(self.windows, 1)

    def mean_feel(self) -> tuple[Array, Array]:
        """Returns mean velocity and offset of the hits in each cell, each (S, 9), 0 where there never is one."""
        return tuple(ratio(sums[0], self.hits, 0.0).astype(np.float32) for sums in (self.velocities, self.offsets))  # type: ignore[return-value]

    def mean_hit(self) -> tuple[float, float]:
        """Returns mean velocity and offset of all hits."""
        total = max(self.hits.sum(), 1)
        return float(self.velocities[0].sum() / total), float(self.offsets[0].sum() / total)


def count_marginals(train: Windows, steps: int) -> Marginals:
    """Goes through the training windows once."""
    marginals = Marginals(steps)
    for places in train.blocks("Counting training hits"):
        marginals.add(train.loops(places))
    return marginals


def likeliest(chances: Values, asked: Values | None = None) -> Array:
    """Returns the cells, 1 or 0, that give the best F1 to expect when each holds a hit with such a chance; in the shape of `chances`.

    `asked` says how often each cell is asked for, always by default. With cells in order of their chances p, the F1 of writing the
    first k is 2 sum(p) / (k + all p); the best k is taken, from training windows, so that it favours none that is scored.
    """
    weights = np.ones_like(chances) if asked is None else np.broadcast_to(asked, chances.shape)
    order = np.argsort(-chances, axis=None)
    p, weight = chances.ravel()[order], weights.ravel()[order]
    expected = 2 * np.cumsum(p * weight) / np.maximum(np.cumsum(weight) + (p * weight).sum(), 1e-9)
    return np.asarray((chances >= p[expected.argmax()]) & (chances > 0), np.float32)


def cell_spread(marginals: Marginals) -> tuple[Array, Array]:
    """Returns the standard deviations of velocity and offset of the hits in each cell, each (S, 9)."""
    means = marginals.mean_feel()
    squares = (ratio(sums[1], marginals.hits, 0.0) for sums in (marginals.velocities, marginals.offsets))
    return tuple(np.sqrt(np.maximum(s - m**2, 0)).astype(np.float32) for s, m in zip(squares, means, strict=True))  # type: ignore[return-value]
