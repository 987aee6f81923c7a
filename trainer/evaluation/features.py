"""Computes the features by which sets of drum loops are compared. Patterns have the features of hits, but not those of velocity and timing.

n loops, S steps. A loop without the hits that a feature needs gets 0. Generated loops have no tempo and are measured at tempi of real
windows. The selection follows the drum features of GrooveEvaluator (Haki et al. 2022) and Yang and Lerch 2018.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from drumvae.music.encoding import groove_to_arrays
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.kit import VOICES

from .bootstrap import FloatArray, Mask, ratio
from .hits import hit_mask


@dataclass(frozen=True)
class Drums:
    """Holds drum loops in the form that their features need."""

    hits: Mask
    """(n, S, 9)."""
    velocities: Array
    """0 to 1; (n, S, 9)."""
    offsets: Array
    """In steps, positive late; (n, S, 9)."""
    step_ms: FloatArray
    """(n, 1, 1)."""

    @property
    def bars(self) -> int:
        return int(self.hits.shape[1]) // STEPS_PER_BAR


def hits_per_bar(drums: Drums) -> FloatArray:
    """Returns the number of hits in a bar."""
    return np.asarray(drums.hits.sum(axis=(1, 2)) / drums.bars)


def voices_used(drums: Drums) -> FloatArray:
    """Returns the number of voices with a hit, 0 to 9."""
    return np.asarray(drums.hits.any(axis=1).sum(axis=1), np.float64)


def voice_per_bar(*names: str) -> Callable[[Drums], FloatArray]:
    """Returns a feature: the number of hits of some voices in a bar."""
    voices = [VOICES.index(name) for name in names]
    return lambda drums: np.asarray(drums.hits[..., voices].sum(axis=(1, 2)) / drums.bars)


def hits_per_active_step(drums: Drums) -> FloatArray:
    """Returns the mean number of hits on the steps that have one."""
    return ratio(drums.hits.sum(axis=(1, 2)).astype(np.float64), drums.hits.any(axis=2).sum(axis=1).astype(np.float64), 0.0)


def bar_self_similarity(drums: Drums) -> FloatArray:
    """Returns the mean Jaccard index of the hits of all pairs of bars; 1 for two empty bars."""
    return bar_similarity(drums.hits.reshape(len(drums.hits), drums.bars, -1))


def bar_similarity(bars: Mask) -> FloatArray:
    """Returns the mean Jaccard index of all pairs of bars (n, bars, cells); 1 for a single bar."""
    pairs = list(combinations(range(bars.shape[1]), 2))
    if not pairs:
        return np.ones(len(bars))
    indices = [_jaccard(bars[:, a], bars[:, b]) for a, b in pairs]
    return np.asarray(np.mean(indices, axis=0))


def _jaccard(first: Mask, second: Mask) -> FloatArray:
    return ratio((first & second).sum(axis=1).astype(np.float64), (first | second).sum(axis=1).astype(np.float64), 1.0)


_METRIC_WEIGHTS = np.array([0, -4, -3, -4, -2, -4, -3, -4, -1, -4, -3, -4, -2, -4, -3, -4], np.float64)


def syncopation_per_bar(drums: Drums) -> FloatArray:
    """Returns the syncopation of kick and snare in a bar, with both as one rhythm that repeats.

    After Longuet-Higgins and Lee 1984: a hit counts if a step of higher metric weight follows before the next hit. It counts the
    difference to the highest such weight. Weights of the sixteenths of a bar are 0 on the first beat, -1 on the third, -2 on beats 2 and
    4, -3 on the other eighths, -4 on the rest.
    """
    rhythm: Mask = drums.hits[..., [VOICES.index("kick"), VOICES.index("snare")]].max(axis=2)
    weights = np.tile(_METRIC_WEIGHTS, drums.bars)
    steps = len(weights)
    total, highest = np.zeros(len(rhythm)), np.full(len(rhythm), -np.inf)  # of the rests between a step and the next hit
    for step in reversed(range(2 * steps)):  # twice, because the start of the loop follows its last hit
        hit, weight = rhythm[:, step % steps], weights[step % steps]
        if step < steps:
            total += np.where(hit, np.maximum(highest - weight, 0), 0)
        highest = np.where(hit, -np.inf, np.maximum(highest, weight))
    return total / drums.bars


def velocity_mean(drums: Drums) -> FloatArray:
    """Returns the mean velocity of the hits, 0 to 1."""
    return _mean(drums.velocities, drums.hits)


def velocity_std(drums: Drums) -> FloatArray:
    """Returns the standard deviation of the hits' velocities, 0 to 1."""
    return _std(drums.velocities, drums.hits)


def offset_mean_ms(drums: Drums) -> FloatArray:
    """Returns the mean offset of the hits in milliseconds, positive late."""
    return _mean(drums.offsets * drums.step_ms, drums.hits)


def offset_std_ms(drums: Drums) -> FloatArray:
    """Returns the standard deviation of the hits' offsets in milliseconds."""
    return _std(drums.offsets * drums.step_ms, drums.hits)


def odd_offset_steps(drums: Drums) -> FloatArray:
    """Returns the mean offset (swing) of the hits on the second and fourth sixteenth of each beat, in sixteenths."""
    return _mean(drums.offsets[:, 1::2], drums.hits[:, 1::2])


def _mean(values: Array | FloatArray, cells: Mask) -> FloatArray:
    total = (values.astype(np.float64) * cells).sum(axis=(1, 2))
    return ratio(total, cells.sum(axis=(1, 2)).astype(np.float64), 0.0)


def _std(values: Array | FloatArray, cells: Mask) -> FloatArray:
    squares = _mean(values.astype(np.float64) ** 2, cells)
    return np.asarray(np.sqrt(np.maximum(squares - _mean(values, cells) ** 2, 0)))


HIT_FEATURES: dict[str, Callable[[Drums], FloatArray]] = {
    "hits per bar": hits_per_bar,
    "voices used": voices_used,
    "kick per bar": voice_per_bar("kick"),
    "snare per bar": voice_per_bar("snare"),
    "toms and crash per bar": voice_per_bar("low tom", "mid tom", "high tom", "crash"),
    "ride per bar": voice_per_bar("ride"),
    "hits per sounding step": hits_per_active_step,
    "bar self-similarity": bar_self_similarity,
    "syncopation per bar": syncopation_per_bar,
}
EXPRESSION_FEATURES: dict[str, Callable[[Drums], FloatArray]] = {
    "velocity mean": velocity_mean,
    "velocity sd": velocity_std,
    "offset mean (ms)": offset_mean_ms,
    "offset sd (ms)": offset_std_ms,
    "odd-16th offset (16ths)": odd_offset_steps,
}


def drum_features(grooves: Array, step_ms: FloatArray, expression: bool = True) -> FloatArray:
    """Returns the features (n, F) of groove tensors (n, S, 27): nine of hits and, with `expression`, five of velocity and timing.

    `step_ms` is the length of a step in milliseconds, (n, 1, 1).
    """
    _, velocities, offsets = groove_to_arrays(grooves)
    drums = Drums(hit_mask(grooves), velocities, offsets, step_ms)
    return np.stack([feature(drums) for feature in drum_feature_table(expression).values()], axis=1)


def drum_feature_table(expression: bool) -> dict[str, Callable[[Drums], FloatArray]]:
    """Returns the features of drums by name, in order."""
    return HIT_FEATURES | (EXPRESSION_FEATURES if expression else {})
