"""Compares velocity and timing of predicted grooves with human playing of the same hits: errors, distributions, standard deviations.

n windows, S steps, nine voices. A model that plays every hit at the mean has small errors and no variation, which is not human. Errors and
standard deviations are therefore reported together.

Distributions are histograms by voice: timing in bins of 2 ms from -120 to 120 ms, velocity in bins of 1/64 of its range. The outermost
bins hold everything beyond. The divergence uses pairs of bins (4 ms, 1/32), in which rare voices are less sparse.
"""

import numpy as np

from drumvae.music.encoding import VOICE_COUNT, groove_to_arrays
from drumvae.music.grid import Array

from .bootstrap import FloatArray, Mask, Sums, ratio
from .hits import expression_error_metrics, expression_error_sums, hit_mask, weighted_mean

TIMING_RANGE_MS, TIMING_BIN_MS = 120.0, 2.0
VELOCITY_BINS = 64
_TIMING_BINS = int(2 * TIMING_RANGE_MS / TIMING_BIN_MS)
_MERGED = 2  # bins that the divergence joins

EXPRESSION_DISTANCES = frozenset({"timing_divergence", "velocity_divergence", "timing_distance_ms", "velocity_distance"})
"""The metrics that are distances between distributions."""


def expression_sums(predicted: Array, true: Array, step_ms: FloatArray) -> Sums:
    """Returns the sums of each window for `expression_metrics`: errors, moments and histograms over the true hits, by voice."""
    cells = hit_mask(true)
    sums = expression_error_sums(predicted, true, step_ms, cells)
    for source, grooves in (("predicted", predicted), ("true", true)):
        _, velocities, offsets = groove_to_arrays(grooves)
        timing_ms = offsets * step_ms
        sums |= {f"{source}_timing{power}": (timing_ms**power * cells).sum(axis=1) for power in (1, 2)}
        sums |= {f"{source}_velocity{power}": (velocities.astype(np.float64) ** power * cells).sum(axis=1) for power in (1, 2)}
        sums[f"{source}_timing_bins"] = histograms((timing_ms + TIMING_RANGE_MS) / TIMING_BIN_MS, cells, _TIMING_BINS)
        sums[f"{source}_velocity_bins"] = histograms(velocities * VELOCITY_BINS, cells, VELOCITY_BINS)
    return sums


def histograms(values: FloatArray | Array, cells: Mask, bins: int) -> FloatArray:
    """Counts masked cells by window, voice and bin.

    Args:
        values: The value of each cell in units of a bin, (n, S, 9); values out of range count in the outermost bins.
        cells: The cells that count, (n, S, 9).
        bins: The number of bins.

    Returns:
        The counts, (n, 9, bins).
    """
    window, step, voice = np.nonzero(cells)
    chosen = np.clip(values[window, step, voice], 0, bins - 1).astype(np.int64)
    flat = (window * VOICE_COUNT + voice) * bins + chosen
    return np.bincount(flat, minlength=len(cells) * VOICE_COUNT * bins).reshape(len(cells), VOICE_COUNT, bins).astype(np.float64)


def expression_metrics(sums: Sums) -> Sums:
    """Returns errors of velocity and timing, distances of their distributions, and standard deviations, each also by voice.

    A metric over all voices is the mean over voices, weighted by true hits: a model must not hide a stiff hi-hat behind a loose ride.
    Standard deviations (`spread`) are in ms and of velocity (0 to 1); `spread_ratio` is relative to human playing.
    """
    metrics = expression_error_metrics(sums)
    for name, unit, width in (("timing", "_ms", TIMING_BIN_MS), ("velocity", "", 1 / VELOCITY_BINS)):
        predicted, true = (sums[f"{source}_{name}_bins"] for source in ("predicted", "true"))
        spread, human = (std(sums["matched"], sums[f"{source}_{name}1"], sums[f"{source}_{name}2"]) for source in ("predicted", "true"))
        by_voice = {
            f"{name}_divergence": divergence(_merged(predicted), _merged(true)),
            f"{name}_distance{unit}": wasserstein(predicted, true) * width,
            f"{name}_spread{unit}": spread,
            f"{name}_spread_real{unit}": human,
            f"{name}_spread_ratio": ratio(spread, human),
        }
        metrics |= {key: weighted_mean(values, sums["matched"]) for key, values in by_voice.items()}
        metrics |= {f"{key}_by_voice": values for key, values in by_voice.items()}
    return metrics


def divergence(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns Jensen-Shannon divergences (...) of histograms (..., bins) in bits: 0 for equal, 1 for disjoint ones (Lin 1991).

    SciPy's `jensenshannon` is the square root of the same sum, which rounding may turn into nan for nearly equal histograms.
    """
    from scipy.special import rel_entr

    p, q = (ratio(counts, counts.sum(axis=-1, keepdims=True)) for counts in (first, second))
    mixture = (p + q) / 2
    return np.asarray((rel_entr(p, mixture) + rel_entr(q, mixture)).sum(axis=-1) / (2 * np.log(2)))


def wasserstein(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns Wasserstein distances of order 1 (...) between histograms (..., bins), in bins."""
    p, q = (np.cumsum(ratio(counts, counts.sum(axis=-1, keepdims=True)), axis=-1) for counts in (first, second))
    return np.asarray(np.abs(p - q).sum(axis=-1))


def std(count: FloatArray, total: FloatArray, squares: FloatArray) -> FloatArray:
    """Returns standard deviations from counts, sums and sums of squares."""
    mean = ratio(total, count)
    return np.asarray(np.sqrt(np.maximum(ratio(squares, count) - mean**2, 0)))


def _merged(counts: FloatArray) -> FloatArray:
    return np.asarray(counts.reshape(*counts.shape[:-1], -1, _MERGED).sum(axis=-1))
