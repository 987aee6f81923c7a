"""Features of two sets of loops in, how far apart the sets are out.

n and m loops, F features, R rows of weights: a loop counts as often as its weight says, so that a resample is a row.
"""

from typing import NamedTuple

import numpy as np

from .bootstrap import Values, ratio

GRID = 256
"""Points at which a density is taken."""
_MARGIN = 0.25  # of the largest distance, on both sides: room for what smoothing moves outwards
_FLOOR = 1e-12  # of a density that is divided by


class Density(NamedTuple):
    """Holds densities of distances on one even grid."""

    shares: Values
    """Of each grid point; (R, `GRID`)."""
    top: float
    """The distance that the grid is made for."""


def density(distances: Values, top: float, row_weights: Values, column_weights: Values) -> Density:
    """Returns the densities of distances (n, m), at most `top`, smoothed with Gaussians of Scott's width.

    The weights are (R, n) and (R, m). A distance that is nan is no pair and does not count.
    """
    start, step = -_MARGIN * top, (1 + 2 * _MARGIN) * top / GRID
    known = ~np.isnan(distances)
    bins = np.where(known, (np.nan_to_num(distances) - start) / step, GRID).astype(np.int64).ravel()
    counts = np.array(
        [np.bincount(bins, np.outer(r, c).ravel(), GRID + 1)[:GRID] for r, c in zip(row_weights, column_weights, strict=True)]
    )
    shares = ratio(counts, counts.sum(axis=1, keepdims=True), 1 / GRID)
    places = np.arange(GRID)
    spread = np.sqrt(np.maximum(shares @ places**2 - (shares @ places) ** 2, 0))
    return Density(_smoothed(shares, spread * known.sum() ** -0.2), top)


def _smoothed(shares: Values, width: Values) -> Values:
    """Returns shares (R, `GRID`) after a Gaussian of some width (R,) in grid points: a product of their spectra."""
    frequencies = np.fft.rfftfreq(GRID)
    kernel = np.exp(-2 * (np.pi * frequencies * width[:, None]) ** 2)
    smooth = np.maximum(np.fft.irfft(np.fft.rfft(shares, axis=1) * kernel, GRID, axis=1), 0)
    return np.asarray(smooth / smooth.sum(axis=1, keepdims=True))


def overlap(real: Density, between: Density) -> tuple[Values, Values]:
    """Returns the area under both densities, 0 to 1, and the divergence of the first from the second in nats; each (R,).

    After Yang and Lerch 2018, with the distances within the real set and those between it and another set: where the other set
    is like the real one, the two densities are the same.
    """
    p, q = real.shares, between.shares
    return np.minimum(p, q).sum(axis=1), (p * np.log((p + _FLOOR) / (q + _FLOOR))).sum(axis=1)


def pair_distances(first: Values, second: Values) -> Values:
    """Returns the absolute differences (n, m) of one feature of two sets."""
    return np.asarray(np.abs(first[:, None] - second))


def own_distances(values: Values) -> Values:
    """Returns the absolute differences (n, n) of one feature within a set; nan on the diagonal, which pairs a loop with itself."""
    distances = pair_distances(values, values)
    np.fill_diagonal(distances, np.nan)
    return distances


class Moments(NamedTuple):
    """Holds means and covariances of features."""

    mean: Values
    """(R, F)."""
    covariance: Values
    """(R, F, F)."""


def moments(features: Values, weights: Values) -> Moments:
    """Returns the moments of features (n, F) under rows of weights (R, n)."""
    total = weights.sum(axis=1)
    mean = weights @ features / total[:, None]
    products = (features[:, :, None] * features[:, None, :]).reshape(len(features), -1)
    squares = (weights @ products).reshape(-1, features.shape[1], features.shape[1]) / total[:, None, None]
    return Moments(mean, squares - mean[:, :, None] * mean[:, None, :])


def frechet_distance(first: Moments, second: Moments) -> Values:
    """Returns the squared Frechet distances (R,) of Gaussians with these moments (Dowson and Landau 1982).

    That is |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2).
    """
    root = _root(first.covariance)
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second.covariance @ root), 0)).sum(axis=-1)
    traces = np.trace(first.covariance, axis1=-2, axis2=-1) + np.trace(second.covariance, axis1=-2, axis2=-1)
    return np.asarray(((first.mean - second.mean) ** 2).sum(axis=-1) + traces - 2 * cross)


def _root(matrices: Values) -> Values:
    """Returns the symmetric square roots of covariance matrices (..., F, F)."""
    values, vectors = np.linalg.eigh(matrices)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))[..., None, :]) @ np.swapaxes(vectors, -1, -2))


def weighted_quantiles(values: Values, weights: Values, levels: tuple[float, ...]) -> Values:
    """Returns quantiles (R, levels) of values (n,) under rows of weights (R, n): the least value that so much of the weight reaches."""
    order = np.argsort(values)
    reached = np.cumsum(weights[:, order], axis=1)
    places = np.array([[np.searchsorted(row, level * row[-1]) for level in levels] for row in reached])
    return np.asarray(values[order][np.minimum(places, len(values) - 1)])
