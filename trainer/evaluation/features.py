"""Computes the features by which sets of drum loops are compared. Patterns have the features of hits, but not those of velocity and timing.

n loops, S steps. A loop without the hits that a feature needs gets 0. Generated loops have no tempo and are measured at tempi of real
windows. The selection follows the drum features of GrooveEvaluator (Haki et al. 2022) and Yang and Lerch 2018.
"""

from itertools import combinations

import numpy as np

from drumvae.music.encoding import groove_to_arrays
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.kit import VOICES

from .bootstrap import FloatArray, Mask, ratio
from .hits import hit_mask

HIT_FEATURES = (
    "hits per bar",
    "voices used",
    "kick per bar",
    "snare per bar",
    "toms and crash per bar",
    "ride per bar",
    "hits per sounding step",
    "bar self-similarity",
    "syncopation per bar",
)
EXPRESSION_FEATURES = ("velocity mean", "velocity sd", "offset mean (ms)", "offset sd (ms)", "odd-16th offset (16ths)")
"""Velocities are 0 to 1. Offsets are positive late; the last feature, swing, is the mean on the second and fourth 16th of each beat."""


def drum_features(grooves: Array, step_ms: FloatArray, expression: bool = True) -> FloatArray:
    """Returns the features (n, F) of groove tensors (n, S, 27): `HIT_FEATURES` and, with `expression`, `EXPRESSION_FEATURES`.

    `step_ms` is the length of a step in milliseconds, (n, 1, 1).
    """
    hits = hit_mask(grooves)
    columns = _hit_features(hits)
    if expression:
        _, velocities, offsets = groove_to_arrays(grooves)
        offsets_ms = offsets * step_ms
        columns += [_mean(velocities, hits), _std(velocities, hits), _mean(offsets_ms, hits), _std(offsets_ms, hits)]
        columns.append(_mean(offsets[:, 1::2], hits[:, 1::2]))
    return np.stack(columns, axis=1)


def _hit_features(hits: Mask) -> list[FloatArray]:
    """Returns the features (n,) of hits (n, S, 9) in the order of `HIT_FEATURES`."""
    bars = hits.shape[1] // STEPS_PER_BAR
    counts = hits.sum(axis=1)  # (n, 9)
    voices = [["kick"], ["snare"], ["low tom", "mid tom", "high tom", "crash"], ["ride"]]
    active_steps = hits.any(axis=2).sum(axis=1)
    return [
        counts.sum(axis=1) / bars,
        (counts > 0).sum(axis=1).astype(np.float64),
        *(counts[:, [VOICES.index(name) for name in names]].sum(axis=1) / bars for names in voices),
        ratio(counts.sum(axis=1).astype(np.float64), active_steps.astype(np.float64), 0.0),
        bar_similarity(hits.reshape(len(hits), bars, -1)),
        _syncopation(hits[..., [VOICES.index("kick"), VOICES.index("snare")]].max(axis=2)) / bars,
    ]


def bar_similarity(bars: Mask) -> FloatArray:
    """Returns the mean Jaccard index of all pairs of bars (n, bars, cells); 1 for a single bar and for two empty bars."""
    pairs = list(combinations(range(bars.shape[1]), 2))
    if not pairs:
        return np.ones(len(bars))
    indices = [_jaccard(bars[:, a], bars[:, b]) for a, b in pairs]
    return np.asarray(np.mean(indices, axis=0))


def _jaccard(first: Mask, second: Mask) -> FloatArray:
    return ratio((first & second).sum(axis=1).astype(np.float64), (first | second).sum(axis=1).astype(np.float64), 1.0)


_METRIC_WEIGHTS = np.array([0, -4, -3, -4, -2, -4, -3, -4, -1, -4, -3, -4, -2, -4, -3, -4], np.float64)


def _syncopation(rhythm: Mask) -> FloatArray:
    """Returns the syncopation (n,) of rhythms (n, S) that repeat.

    After Longuet-Higgins and Lee 1984: a hit counts if a step of higher metric weight follows before the next hit. It counts the
    difference to the highest such weight. The weights of a bar are 0 on beat 1, -1 on beat 3, -2 on beats 2 and 4,
    -3 on the other eighths, and -4 on the other sixteenths.
    """
    steps = rhythm.shape[1]
    weights = np.tile(_METRIC_WEIGHTS, steps // STEPS_PER_BAR)
    total, highest = np.zeros(len(rhythm)), np.full(len(rhythm), -np.inf)  # of the rests between a step and the next hit
    for step in reversed(range(2 * steps)):  # twice, because the start of the loop follows its last hit
        hit, weight = rhythm[:, step % steps], weights[step % steps]
        if step < steps:
            total += np.where(hit, np.maximum(highest - weight, 0), 0)
        highest = np.where(hit, -np.inf, np.maximum(highest, weight))
    return total


def _mean(values: Array | FloatArray, cells: Mask) -> FloatArray:
    total = (values.astype(np.float64) * cells).sum(axis=(1, 2))
    return ratio(total, cells.sum(axis=(1, 2)).astype(np.float64), 0.0)


def _std(values: Array | FloatArray, cells: Mask) -> FloatArray:
    squares = _mean(values.astype(np.float64) ** 2, cells)
    return np.asarray(np.sqrt(np.maximum(squares - _mean(values, cells) ** 2, 0)))
