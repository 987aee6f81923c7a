"""Grooves that were written beside the true ones in, sums and scores of hits and of their feel out.

n windows, S steps, V voices. Cell accuracy is left out on purpose: silence gets 87 % of it.
"""

import numpy as np
from numpy.typing import NDArray

from drumvae.music.encoding import groove_to_arrays
from drumvae.music.grid import Array

from .bootstrap import Sums, Values, ratio

Cells = NDArray[np.bool_]
"""True in the cells that count; (n, S, 9)."""


def hit_cells(grooves: Array) -> Cells:
    """Returns where groove tensors (n, S, 27) have a hit."""
    return groove_to_arrays(grooves)[0] > 0.5


def hit_sums(written: Array, true: Array, step_ms: Values, asked: Cells | None = None) -> Sums:
    """Returns what `hit_figures` needs of each window: counts of hits and, over those that match, errors of feel.

    `step_ms` is (n, 1, 1). Where `asked` is given, only its cells count.
    """
    counted: Cells = np.ones((1, 1, 1), np.bool_) if asked is None else asked
    hits, true_hits = hit_cells(written) & counted, hit_cells(true) & counted
    counts = {name: cells.sum(axis=1).astype(np.float64) for name, cells in (("written", hits), ("true", true_hits))}
    exact = (hits == true_hits).all(axis=2).sum(axis=1)
    steps = np.full(len(true), float(true.shape[1]))
    return counts | feel_error_sums(written, true, step_ms, hits & true_hits) | {"exact": exact.astype(np.float64), "steps": steps}


def feel_error_sums(written: Array, true: Array, step_ms: Values, cells: Cells) -> Sums:
    """Returns, for each window and voice (n, 9), the number of the cells and sums of their errors.

    Those are of velocity (0 to 1), of timing in milliseconds, and of timing squared in sixteenths squared.
    """
    _, velocities, offsets = groove_to_arrays(written)
    _, true_velocities, true_offsets = groove_to_arrays(true)
    off = (offsets - true_offsets).astype(np.float64) * cells
    return {
        "matched": cells.sum(axis=1).astype(np.float64),
        "velocity": (np.abs(velocities - true_velocities).astype(np.float64) * cells).sum(axis=1),
        "timing_ms": (np.abs(off) * step_ms).sum(axis=1),
        "timing_squared": (off**2).sum(axis=1),
    }


def hit_figures(sums: Sums) -> Sums:
    """Returns precision, recall and F1 of the hits, of all cells at once (micro) and by voice, and the share of exact steps.

    Macro F1 is the mean over voices that people play; toms and crash weigh there as much as the kick. 0 where nothing is written.
    """
    matched, written, true = sums["matched"], sums["written"], sums["true"]
    by_voice = ratio(2 * matched, written + true)
    return {
        "f1": ratio(2 * matched.sum(-1), (written + true).sum(-1), 0.0),
        "f1_macro": mean_known(np.where(true > 0, by_voice, np.nan)),
        "precision": ratio(matched.sum(-1), written.sum(-1), 0.0),
        "recall": ratio(matched.sum(-1), true.sum(-1), 0.0),
        "exact_steps": ratio(sums["exact"], sums["steps"]),
        "f1_by_voice": by_voice,
        "precision_by_voice": ratio(matched, written),
        "recall_by_voice": ratio(matched, true),
    }


def feel_figures(sums: Sums) -> Sums:
    """Returns mean absolute errors of the velocity (0 to 1) and of the timing (ms), and the mean squared one (sixteenths squared).

    The timing errors are those of Gillick et al. 2019: means over hits, milliseconds at the tempo of each window.
    """
    matched = sums["matched"]
    return {
        "velocity_error": ratio(sums["velocity"].sum(-1), matched.sum(-1)),
        "timing_error_ms": ratio(sums["timing_ms"].sum(-1), matched.sum(-1)),
        "timing_mse": ratio(sums["timing_squared"].sum(-1), matched.sum(-1)),
        "velocity_error_by_voice": ratio(sums["velocity"], matched),
        "timing_error_ms_by_voice": ratio(sums["timing_ms"], matched),
    }


def hit_and_feel_figures(sums: Sums) -> Sums:
    """Returns the figures of hits and those of feel on hits that match."""
    return hit_figures(sums) | feel_figures(sums)


def mean_known(values: Values) -> Values:
    """Returns means over the last axis, without nan; nan where nothing is left."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0).sum(-1), known.sum(-1).astype(np.float64))
