"""Measures distances between two sets of loops by their features.

n and m loops, F features, R rows of weights. A weight is how often a loop counts, so that a row of weights is a resample.
"""

from typing import NamedTuple

import numpy as np

from .bootstrap import FloatArray, ratio

GRID = 256
"""Points of a density. SciPy's `gaussian_kde` takes no weighted rows: one call for each resample costs over 100 times more."""
_MARGIN = 0.25  # of the largest distance, on both sides: room for the tails that smoothing adds
_FLOOR = 1e-12  # added to densities, against division by 0


class Density(NamedTuple):
    """Holds densities of distances on an even grid."""

    shares: FloatArray
    """The share of each grid point; (R, `GRID`)."""
    top: float
    """The largest distance; it sets the range of the grid."""


def density(distances: FloatArray, top: float, row_weights: FloatArray, column_weights: FloatArray) -> Density:
    """Returns the densities of distances, smoothed with a Gaussian kernel of Scott's bandwidth.

    Args:
        distances: (n, m); nan for a pair that does not count.
        top: The largest distance.
        row_weights: (R, n).
        column_weights: (R, m).
    """
    start, step = -_MARGIN * top, (1 + 2 * _MARGIN) * top / GRID
    valid = ~np.isnan(distances)
    bins = np.where(valid, (np.nan_to_num(distances) - start) / step, GRID).astype(np.int64).ravel()
    counts = np.array(
        [np.bincount(bins, np.outer(r, c).ravel(), GRID + 1)[:GRID] for r, c in zip(row_weights, column_weights, strict=True)]
    )
    shares = ratio(counts, counts.sum(axis=1, keepdims=True), 1 / GRID)
    points = np.arange(GRID)
    std = np.sqrt(np.maximum(shares @ points**2 - (shares @ points) ** 2, 0))
    return Density(_smoothed(shares, std * valid.sum() ** -0.2), top)


def _smoothed(shares: FloatArray, bandwidth: FloatArray) -> FloatArray:
    """Convolves shares (R, `GRID`) with Gaussians of bandwidths (R,) in grid points, as a product of spectra."""
    frequencies = np.fft.rfftfreq(GRID)
    kernel = np.exp(-2 * (np.pi * frequencies * bandwidth[:, None]) ** 2)
    smooth = np.maximum(np.fft.irfft(np.fft.rfft(shares, axis=1) * kernel, GRID, axis=1), 0)
    return np.asarray(smooth / smooth.sum(axis=1, keepdims=True))


def overlap(real: Density, between: Density) -> tuple[FloatArray, FloatArray]:
    """Returns the area under both densities, 0 to 1, and the divergence of the first from the second in nats; each (R,).

    After Yang and Lerch 2018, with the distances within the real set and those between it and another set. The two densities are equal
    if both sets have the same distribution.
    """
    p, q = real.shares, between.shares
    return np.minimum(p, q).sum(axis=1), (p * np.log((p + _FLOOR) / (q + _FLOOR))).sum(axis=1)


def pair_distances(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns the absolute differences (n, m) of one feature of two sets."""
    return np.asarray(np.abs(first[:, None] - second))


def own_distances(values: FloatArray) -> FloatArray:
    """Returns the absolute differences (n, n) of one feature within a set; nan on the diagonal."""
    distances = pair_distances(values, values)
    np.fill_diagonal(distances, np.nan)
    return distances


class Moments(NamedTuple):
    """Holds means and covariances of features."""

    mean: FloatArray
    """(R, F)."""
    covariance: FloatArray
    """(R, F, F)."""


def moments(features: FloatArray, weights: FloatArray) -> Moments:
    """Returns the moments of features (n, F) under rows of weights (R, n)."""
    total = weights.sum(axis=1)
    mean = weights @ features / total[:, None]
    products = (features[:, :, None] * features[:, None, :]).reshape(len(features), -1)
    squares = (weights @ products).reshape(-1, features.shape[1], features.shape[1]) / total[:, None, None]
    return Moments(mean, squares - mean[:, :, None] * mean[:, None, :])


def frechet_distance(first: Moments, second: Moments) -> FloatArray:
    """Returns the squared Frechet distances (R,) of Gaussians with these moments (Dowson and Landau 1982).

    That is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2). The trace of the root is the sum of the roots of the eigenvalues.
    """
    roots = np.sqrt(np.linalg.eigvals(first.covariance @ second.covariance).real.clip(0)).sum(axis=-1)
    traces = np.trace(first.covariance + second.covariance, axis1=-2, axis2=-1)
    return np.asarray(((first.mean - second.mean) ** 2).sum(axis=-1) + traces - 2 * roots)


def weighted_quantiles(values: FloatArray, weights: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Returns the quantiles (R, levels) of values (n,) under rows of weights (R, n), by the inverse of the distribution function."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[:, order], axis=1)
    indices = np.array([[np.searchsorted(row, level * row[-1]) for level in levels] for row in cumulative])
    return np.asarray(values[order][np.minimum(indices, len(values) - 1)])
