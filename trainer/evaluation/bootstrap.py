"""Computes metrics and their 95 % bootstrap intervals from sums by take.

Windows of one take overlap and resemble each other, so takes are resampled instead of windows (a cluster bootstrap; Davison and
Hinkley 1997, section 3.8). Every metric is a function of sums by take; a resample is then a weighted sum of a few rows.

T takes, R resamples. Sums are arrays (T, ...) by name. Metrics are arrays (...): one number, or one for each voice.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
GENERATION_RESAMPLES = 200
"""Resamples of whole sets of loops, whose densities and covariances are costly."""
SEED = 0
LEVEL = 0.95
_BATCH = 50  # resamples in memory at once, since sums may hold histograms

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mask = NDArray[np.bool_]
Sums = dict[str, FloatArray]
"""Sums over windows or takes, by name."""


@dataclass(frozen=True)
class Estimate:
    """Holds a metric, or one for each voice, and the ends of its interval; nan where it is undefined."""

    value: Any
    low: Any
    high: Any


Metrics = dict[str, Estimate]
"""The metrics of one system, by name."""


def without_interval(value: float) -> Estimate:
    """Returns a metric that was measured once and not resampled."""
    return Estimate(np.asarray(value), np.asarray(np.nan), np.asarray(np.nan))


def add_by_take(total: Sums, sums: Sums, takes: IntArray, take_count: int) -> None:
    """Adds sums of windows to totals by take.

    Args:
        total: The totals (T, ...) by name, changed in place; an empty dict at first.
        sums: Sums (n, ...) of windows by name.
        takes: The take of each window, (n,).
        take_count: T.
    """
    for name, values in sums.items():
        if name not in total:
            total[name] = np.zeros((take_count, *values.shape[1:]))
        np.add.at(total[name], takes, values)


def take_weights(takes: int, resamples: int = RESAMPLES, seed: int = SEED) -> FloatArray:
    """Returns how often each take is in each resample, (R, T); a resample draws as many takes as there are, with replacement."""
    return np.random.default_rng(seed).multinomial(takes, np.full(takes, 1 / takes), resamples).astype(np.float64)


def estimate(sums: Sums, metrics: Callable[[Sums], Sums], distances: Collection[str] = ()) -> Metrics:
    """Returns metrics of sums by take (T, ...), with intervals from `RESAMPLES` resamples of the takes, drawn with `SEED`.

    `metrics` takes sums (..., V) with any leading axes and returns metrics with the same axes. `distances` names the metrics that are
    distances between distributions. Their interval is shifted so that its median is the metric: a resample is further from every other
    distribution than the sample from which it was drawn.
    """
    takes = len(next(iter(sums.values())))
    values = metrics({name: each.sum(axis=0) for name, each in sums.items()})
    weights = take_weights(takes)
    parts = [
        metrics({name: np.tensordot(weights[first : first + _BATCH], each, 1) for name, each in sums.items()})
        for first in range(0, RESAMPLES, _BATCH)
    ]
    resampled = {name: np.concatenate([part[name] for part in parts]) for name in values}
    return {name: interval(value, resampled[name], takes, name in distances) for name, value in values.items()}


def interval(value: FloatArray, resampled: FloatArray, units: int, is_distance: bool = False) -> Estimate:
    """Adds the percentile interval of its resamples to a metric.

    Args:
        value: The metric, (...).
        resampled: The metric of each resample, (R, ...).
        units: The number of resampled units (takes or loops). With fewer than two the interval is nan.
        is_distance: Whether to shift the interval, as `estimate` explains.
    """
    value = np.asarray(value, np.float64)
    if units < 2:
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    low, median, high = _quantiles(resampled)
    if is_distance:
        low, high = np.maximum(low - median + value, 0), high - median + value
    return Estimate(value, low, high)


def _quantiles(resampled: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns both ends of the interval and the median over the first axis; leaves out undefined resamples (a voice without a hit)."""
    levels = [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2]
    if not np.isnan(resampled).any():
        low, median, high = np.quantile(resampled, levels, axis=0)
        return low, median, high
    columns = resampled.reshape(len(resampled), -1).T
    defined = [column[~np.isnan(column)] for column in columns]
    rows = np.array([np.quantile(column, levels) if len(column) else np.full(3, np.nan) for column in defined])
    low, median, high = rows.T.reshape(3, *resampled.shape[1:])
    return low, median, high


def ratio(part: FloatArray, whole: FloatArray, empty: float = np.nan) -> FloatArray:
    """Returns part / whole, and `empty` where the whole is 0.

    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    shares = np.full(np.broadcast_shapes(part.shape, whole.shape), empty, np.float64)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
