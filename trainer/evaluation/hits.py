"""Compares predicted grooves with the true ones: precision, recall and F1 of hits, and errors of velocity and timing.

n windows, S steps, V voices. Cell accuracy is left out on purpose: silence reaches 87 %.
"""

import numpy as np

from drumvae.music.encoding import groove_to_arrays
from drumvae.music.grid import Array

from .bootstrap import FloatArray, Mask, Sums, ratio


def hit_mask(grooves: Array) -> Mask:
    """Returns which cells (n, S, 9) of groove tensors (n, S, 27) have a hit."""
    return groove_to_arrays(grooves)[0] > 0.5


def hit_sums(predicted: Array, true: Array, step_ms: FloatArray, mask: Mask | None = None) -> Sums:
    """Returns the sums of each window for `hit_metrics`: counts of hits and, over matching hits, errors of velocity and timing.

    Args:
        predicted: Groove tensors (n, S, 27).
        true: The grooves that people played, (n, S, 27).
        step_ms: The length of a step in milliseconds, (n, 1, 1).
        mask: The cells that count, broadcastable to (n, S, 9); all by default.
    """
    counted: Mask = np.ones((1, 1, 1), np.bool_) if mask is None else mask
    hits, true_hits = hit_mask(predicted) & counted, hit_mask(true) & counted
    counts = {name: cells.sum(axis=1).astype(np.float64) for name, cells in (("predicted", hits), ("true", true_hits))}
    exact = (hits == true_hits).all(axis=2).sum(axis=1)
    steps = np.full(len(true), float(true.shape[1]))
    errors = expression_error_sums(predicted, true, step_ms, hits & true_hits)
    return counts | errors | {"exact": exact.astype(np.float64), "steps": steps}


def expression_error_sums(predicted: Array, true: Array, step_ms: FloatArray, cells: Mask) -> Sums:
    """Returns for each window and voice (n, 9) the number of cells and the sums of their errors.

    The errors are those of velocity (0 to 1), of timing in milliseconds, and of timing squared in sixteenths squared.

    Args:
        predicted: Groove tensors (n, S, 27).
        true: The grooves that people played, (n, S, 27).
        step_ms: The length of a step in milliseconds, (n, 1, 1).
        cells: The cells that count, (n, S, 9); both grooves have a hit there.
    """
    _, velocities, offsets = groove_to_arrays(predicted)
    _, true_velocities, true_offsets = groove_to_arrays(true)
    late = (offsets - true_offsets).astype(np.float64) * cells
    return {
        "matched": cells.sum(axis=1).astype(np.float64),
        "velocity": (np.abs(velocities - true_velocities).astype(np.float64) * cells).sum(axis=1),
        "timing_ms": (np.abs(late) * step_ms).sum(axis=1),
        "timing_squared": (late**2).sum(axis=1),
    }


def hit_metrics(sums: Sums) -> Sums:
    """Returns precision, recall and F1 of hits over all cells (micro) and by voice, and the share of exact steps.

    Macro F1 is the mean over voices that people play; toms and crash weigh as much as the kick. Empty predictions score 0.
    """
    matched, predicted, true = sums["matched"], sums["predicted"], sums["true"]
    by_voice = ratio(2 * matched, predicted + true)
    return {
        "f1": ratio(2 * matched.sum(-1), (predicted + true).sum(-1), 0.0),
        "f1_macro": weighted_mean(by_voice, np.asarray(true > 0, np.float64)),
        "precision": ratio(matched.sum(-1), predicted.sum(-1), 0.0),
        "recall": ratio(matched.sum(-1), true.sum(-1), 0.0),
        "exact_steps": ratio(sums["exact"], sums["steps"]),
        "f1_by_voice": by_voice,
        "precision_by_voice": ratio(matched, predicted),
        "recall_by_voice": ratio(matched, true),
    }


def expression_error_metrics(sums: Sums) -> Sums:
    """Returns the mean absolute errors of velocity (0 to 1) and timing (ms), and the mean squared error of timing (sixteenths squared).

    The timing errors are those of Gillick et al. 2019: means over hits, in milliseconds at the tempo of each window.
    """
    matched = sums["matched"]
    return {
        "velocity_error": ratio(sums["velocity"].sum(-1), matched.sum(-1)),
        "timing_error_ms": ratio(sums["timing_ms"].sum(-1), matched.sum(-1)),
        "timing_mse": ratio(sums["timing_squared"].sum(-1), matched.sum(-1)),
        "velocity_error_by_voice": ratio(sums["velocity"], matched),
        "timing_error_ms_by_voice": ratio(sums["timing_ms"], matched),
    }


def groove_metrics(sums: Sums) -> Sums:
    """Returns the metrics of hits, and the errors of velocity and timing on matching hits."""
    return hit_metrics(sums) | expression_error_metrics(sums)


def weighted_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Returns weighted means over the last axis; leaves out nan."""
    defined = np.where(np.isnan(values), 0, weights)
    return ratio((np.nan_to_num(values) * defined).sum(-1), defined.sum(-1))
