"""Grooves that were played beside the true ones, the same hits in both, in; errors, distributions and spread of feel out.

n windows, S steps, nine voices. A model that plays every hit at the mean has small errors and no spread: that is not human, so both
are shown.

Distributions are histograms for each voice: timing in bins of 2 ms from -120 to 120 ms, velocity in bins of 1/64 of its range; what
lies outside is in the last bin. Divergence is taken over pairs of bins (4 ms, 1/32), where rare voices are less empty.
"""

import numpy as np

from drumvae.music.encoding import VOICE_COUNT, groove_to_arrays
from drumvae.music.grid import Array

from .bootstrap import Sums, Values, ratio
from .hits import Cells, feel_error_sums, feel_figures, hit_cells

TIMING_REACH_MS, TIMING_BIN_MS = 120.0, 2.0
VELOCITY_BINS = 64
_TIMING_BINS = int(2 * TIMING_REACH_MS / TIMING_BIN_MS)
_MERGED = 2  # bins that are one for the divergence

FEEL_DISTANCES = frozenset({"timing_divergence", "velocity_divergence", "timing_distance_ms", "velocity_distance"})
"""The figures that are distances between distributions."""


def feel_sums(played: Array, true: Array, step_ms: Values) -> Sums:
    """Returns what `spread_figures` needs of each window; errors, moments and histograms over the true hits, by voice."""
    cells = hit_cells(true)
    sums = feel_error_sums(played, true, step_ms, cells)
    for who, grooves in (("played", played), ("true", true)):
        _, velocities, offsets = groove_to_arrays(grooves)
        timing_ms = offsets * step_ms
        sums |= {f"{who}_timing{power}": (timing_ms**power * cells).sum(axis=1) for power in (1, 2)}
        sums |= {f"{who}_velocity{power}": (velocities.astype(np.float64) ** power * cells).sum(axis=1) for power in (1, 2)}
        sums[f"{who}_timing_bins"] = histograms((timing_ms + TIMING_REACH_MS) / TIMING_BIN_MS, cells, _TIMING_BINS)
        sums[f"{who}_velocity_bins"] = histograms(velocities * VELOCITY_BINS, cells, VELOCITY_BINS)
    return sums


def histograms(places: Values | Array, cells: Cells, bins: int) -> Values:
    """Returns how many cells of each window and voice fall into each bin, (n, 9, bins); `places` (n, S, 9) counts in bins."""
    window, step, voice = np.nonzero(cells)
    chosen = np.clip(places[window, step, voice], 0, bins - 1).astype(np.int64)
    flat = (window * VOICE_COUNT + voice) * bins + chosen
    return np.bincount(flat, minlength=len(cells) * VOICE_COUNT * bins).reshape(len(cells), VOICE_COUNT, bins).astype(np.float64)


def spread_figures(sums: Sums) -> Sums:
    """Returns errors of feel, distances of its distributions and its spread, each also by voice.

    A figure over all voices is the mean of the voices', weighted by their true hits: a model is not to hide a stiff hi-hat behind a
    loose ride. Spreads are standard deviations, in ms and of velocity (0 to 1), and their ratio to the real one.
    """
    figures = feel_figures(sums)
    for name, unit, width in (("timing", "_ms", TIMING_BIN_MS), ("velocity", "", 1 / VELOCITY_BINS)):
        played, true = (sums[f"{who}_{name}_bins"] for who in ("played", "true"))
        spread, real = (std(sums["matched"], sums[f"{who}_{name}1"], sums[f"{who}_{name}2"]) for who in ("played", "true"))
        by_voice = {
            f"{name}_divergence": divergence(_merged(played), _merged(true)),
            f"{name}_distance{unit}": wasserstein(played, true) * width,
            f"{name}_spread{unit}": spread,
            f"{name}_spread_real{unit}": real,
            f"{name}_spread_ratio": ratio(spread, real),
        }
        figures |= {key: weighted_mean(values, sums["matched"]) for key, values in by_voice.items()}
        figures |= {f"{key}_by_voice": values for key, values in by_voice.items()}
    return figures


def divergence(first: Values, second: Values) -> Values:
    """Returns Jensen-Shannon divergences (...) of histograms (..., bins) in bits: 0 the same, 1 nothing in common (Lin 1991)."""
    p, q = (ratio(counts, counts.sum(axis=-1, keepdims=True)) for counts in (first, second))
    middle = (p + q) / 2
    return np.asarray((_entropy_terms(p, middle) + _entropy_terms(q, middle)) / 2)


def _entropy_terms(p: Values, q: Values) -> Values:
    """Returns the divergence of p from q over the last axis, in bits; nan where p is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p == 0, 0.0, p * np.log2(p / q))
    return np.asarray(terms.sum(axis=-1))


def wasserstein(first: Values, second: Values) -> Values:
    """Returns how far hits must be moved on average to make one histogram (..., bins) the other, in bins (Wasserstein, order 1)."""
    p, q = (np.cumsum(ratio(counts, counts.sum(axis=-1, keepdims=True)), axis=-1) for counts in (first, second))
    return np.asarray(np.abs(p - q).sum(axis=-1))


def std(count: Values, total: Values, squares: Values) -> Values:
    """Returns standard deviations from sums."""
    mean = ratio(total, count)
    return np.asarray(np.sqrt(np.maximum(ratio(squares, count) - mean**2, 0)))


def weighted_mean(values: Values, weights: Values) -> Values:
    """Returns means over the last axis, without nan."""
    known = np.where(np.isnan(values), 0, weights)
    return ratio((np.nan_to_num(values) * known).sum(-1), known.sum(-1))


def _merged(counts: Values) -> Values:
    return np.asarray(counts.reshape(*counts.shape[:-1], -1, _MERGED).sum(axis=-1))
