"""Sums by take in, figures with their 95 % intervals out.

Windows of one take overlap and resemble each other, so takes are resampled and not windows (a cluster bootstrap; Davison and
Hinkley 1997, section 3.8). What every figure needs is kept as sums by take; a resample is then a weighted sum of a few rows.

T takes, R resamples. Sums are arrays (T, ...) by name, figures arrays (...) of numbers or of one number for each voice.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
SEED = 0
LEVEL = 0.95
_AT_ONCE = 50  # resamples in memory at once, where sums hold whole histograms

Values = NDArray[np.float64]
Sums = dict[str, Values]
"""Sums over windows, then over takes, by name."""


@dataclass(frozen=True)
class Estimate:
    """A figure, or one for each voice, and the ends of its interval; nan where it cannot be known."""

    value: Any
    low: Any
    high: Any


ManifestEntry = dict[str, Estimate]
"""The figures of one system, by name."""


def add_by_take(total: Sums, sums: Sums, takes: NDArray[np.int64], take_count: int) -> None:
    """Adds the sums (n, ...) of windows, cut from takes (n,), to the totals (T, ...), which begin as an empty dict."""
    for name, values in sums.items():
        if name not in total:
            total[name] = np.zeros((take_count, *values.shape[1:]))
        np.add.at(total[name], takes, values)


def take_weights(takes: int, resamples: int = RESAMPLES, seed: int = SEED) -> Values:
    """Returns how often each take is drawn, (R, T), when as many takes as there are are drawn with replacement."""
    return np.random.default_rng(seed).multinomial(takes, np.full(takes, 1 / takes), resamples).astype(np.float64)


def estimate(sums: Sums, figures: Callable[[Sums], Sums], distances: Collection[str] = ()) -> ManifestEntry:
    """Returns figures of sums by take (T, ...), with intervals from `RESAMPLES` resamples of the takes, drawn from `SEED`.

    `figures` takes sums (..., V) with any leading axes and returns figures with the same. Of `distances` between distributions the
    interval is moved so that its middle is the figure: a resample is further from everything than what it was drawn from.
    """
    takes = len(next(iter(sums.values())))
    found = figures({name: values.sum(axis=0) for name, values in sums.items()})
    weights = take_weights(takes)
    parts = [
        figures({name: np.tensordot(weights[first : first + _AT_ONCE], values, 1) for name, values in sums.items()})
        for first in range(0, RESAMPLES, _AT_ONCE)
    ]
    drawn = {name: np.concatenate([part[name] for part in parts]) for name in found}
    return {name: interval(value, drawn[name], takes, name in distances) for name, value in found.items()}


def interval(value: Values, drawn: Values, units: int, is_distance: bool = False) -> Estimate:
    """Returns a figure (...) with the percentiles of its resamples (R, ...); of less than two units nothing can be said."""
    value = np.asarray(value, np.float64)
    if units < 2:
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    low, middle, high = _quantiles(drawn)
    if is_distance:
        low, high = np.maximum(low - middle + value, 0), high - middle + value
    return Estimate(value, low, high)


def _quantiles(drawn: Values) -> tuple[Values, Values, Values]:
    """Returns both ends and the middle over the first axis; resamples without a value (no hit of a voice) are left out."""
    levels = [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2]
    if not np.isnan(drawn).any():
        low, middle, high = np.quantile(drawn, levels, axis=0)
        return low, middle, high
    columns = drawn.reshape(len(drawn), -1).T
    known = [column[~np.isnan(column)] for column in columns]
    rows = np.array([np.quantile(column, levels) if len(column) else np.full(3, np.nan) for column in known])
    low, middle, high = rows.T.reshape(3, *drawn.shape[1:])
    return low, middle, high


def ratio(part: Values, whole: Values, empty: float = np.nan) -> Values:
    """Returns part / whole, and `empty` where the whole is nothing."""
    shares = np.full(np.broadcast_shapes(part.shape, whole.shape), empty, np.float64)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
