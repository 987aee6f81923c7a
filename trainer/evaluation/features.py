"""Loops in, a row of features each out, by which sets of loops are compared. The features of hits need no feel, so patterns have them too.

n loops, S steps. A loop without the hits that a feature looks at gets 0. Loops from nothing have no tempo: they are measured at
tempi of real windows. The choice follows the drum features of GrooveEvaluator (Haki et al. 2022) and Yang and Lerch 2018.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from drumvae.music.encoding import groove_to_arrays
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.kit import VOICES

from .bootstrap import Values, ratio
from .hits import Cells, hit_cells


@dataclass(frozen=True)
class Drums:
    """Holds loops of drums as their features need them."""

    hits: Cells
    """(n, S, 9)."""
    velocities: Array
    """0 to 1; (n, S, 9)."""
    offsets: Array
    """In steps, positive late; (n, S, 9)."""
    step_ms: Values
    """(n, 1, 1)."""

    @property
    def bars(self) -> int:
        return int(self.hits.shape[1]) // STEPS_PER_BAR


def hits_per_bar(drums: Drums) -> Values:
    """Returns the hits in a bar."""
    return np.asarray(drums.hits.sum(axis=(1, 2)) / drums.bars)


def voices_used(drums: Drums) -> Values:
    """Returns how many voices sound, 0 to 9."""
    return np.asarray(drums.hits.any(axis=1).sum(axis=1), np.float64)


def voice_per_bar(*names: str) -> Callable[[Drums], Values]:
    """Returns a feature: the hits of some voices in a bar."""
    voices = [VOICES.index(name) for name in names]
    return lambda drums: np.asarray(drums.hits[..., voices].sum(axis=(1, 2)) / drums.bars)


def hits_per_sounding_step(drums: Drums) -> Values:
    """Returns how many voices sound together on the steps that have a hit."""
    return ratio(drums.hits.sum(axis=(1, 2)).astype(np.float64), drums.hits.any(axis=2).sum(axis=1).astype(np.float64), 0.0)


def bar_self_similarity(drums: Drums) -> Values:
    """Returns the mean over all pairs of bars of the hits that both have over the hits that either has (Jaccard); 1 of two empty bars."""
    return pairs_of_bars(drums.hits.reshape(len(drums.hits), drums.bars, -1))


def pairs_of_bars(bars: Cells) -> Values:
    """Returns the mean Jaccard index of all pairs of bars (n, bars, cells); 1 where there is one bar."""
    pairs = list(combinations(range(bars.shape[1]), 2))
    if not pairs:
        return np.ones(len(bars))
    indices = [_jaccard(bars[:, a], bars[:, b]) for a, b in pairs]
    return np.asarray(np.mean(indices, axis=0))


def _jaccard(first: Cells, second: Cells) -> Values:
    return ratio((first & second).sum(axis=1).astype(np.float64), (first | second).sum(axis=1).astype(np.float64), 1.0)


_METRIC_WEIGHTS = np.array([0, -4, -3, -4, -2, -4, -3, -4, -1, -4, -3, -4, -2, -4, -3, -4], np.float64)


def syncopation_per_bar(drums: Drums) -> Values:
    """Returns the syncopation of kick and snare, taken as one rhythm that repeats, in a bar.

    After Longuet-Higgins and Lee 1984: every hit that is followed, before the next one, by a step of higher metric weight
    counts the difference to the highest such weight. Weights of the sixteenths of a bar are 0 on the first, -1 on the third
    beat, -2 on beats 2 and 4, -3 on the other eighths, -4 on the rest.
    """
    rhythm: Cells = drums.hits[..., [VOICES.index("kick"), VOICES.index("snare")]].max(axis=2)
    weights = np.tile(_METRIC_WEIGHTS, drums.bars)
    steps = len(weights)
    total, highest = np.zeros(len(rhythm)), np.full(len(rhythm), -np.inf)  # of the rests between a step and the next hit
    for step in reversed(range(2 * steps)):  # twice, for what follows the last hit is the loop's beginning
        struck, weight = rhythm[:, step % steps], weights[step % steps]
        if step < steps:
            total += np.where(struck, np.maximum(highest - weight, 0), 0)
        highest = np.where(struck, -np.inf, np.maximum(highest, weight))
    return total / drums.bars


def velocity_mean(drums: Drums) -> Values:
    """Returns the mean velocity of the hits, 0 to 1."""
    return _mean(drums.velocities, drums.hits)


def velocity_sd(drums: Drums) -> Values:
    """Returns the standard deviation of the hits' velocities, 0 to 1."""
    return _deviation(drums.velocities, drums.hits)


def offset_mean_ms(drums: Drums) -> Values:
    """Returns the mean offset of the hits in milliseconds, positive late."""
    return _mean(drums.offsets * drums.step_ms, drums.hits)


def offset_sd_ms(drums: Drums) -> Values:
    """Returns the standard deviation of the hits' offsets in milliseconds."""
    return _deviation(drums.offsets * drums.step_ms, drums.hits)


def odd_offset_steps(drums: Drums) -> Values:
    """Returns the mean offset in sixteenths of the hits on the second and fourth sixteenth of each beat: swing."""
    return _mean(drums.offsets[:, 1::2], drums.hits[:, 1::2])


def _mean(values: Array | Values, cells: Cells) -> Values:
    total = (values.astype(np.float64) * cells).sum(axis=(1, 2))
    return ratio(total, cells.sum(axis=(1, 2)).astype(np.float64), 0.0)


def _deviation(values: Array | Values, cells: Cells) -> Values:
    squares = _mean(values.astype(np.float64) ** 2, cells)
    return np.asarray(np.sqrt(np.maximum(squares - _mean(values, cells) ** 2, 0)))


HIT_FEATURES: dict[str, Callable[[Drums], Values]] = {
    "hits per bar": hits_per_bar,
    "voices used": voices_used,
    "kick per bar": voice_per_bar("kick"),
    "snare per bar": voice_per_bar("snare"),
    "toms and crash per bar": voice_per_bar("low tom", "mid tom", "high tom", "crash"),
    "ride per bar": voice_per_bar("ride"),
    "hits per sounding step": hits_per_sounding_step,
    "bar self-similarity": bar_self_similarity,
    "syncopation per bar": syncopation_per_bar,
}
FEEL_FEATURES: dict[str, Callable[[Drums], Values]] = {
    "velocity mean": velocity_mean,
    "velocity sd": velocity_sd,
    "offset mean (ms)": offset_mean_ms,
    "offset sd (ms)": offset_sd_ms,
    "odd-16th offset (16ths)": odd_offset_steps,
}


def drum_features(grooves: Array, step_ms: Values, feel: bool = True) -> Values:
    """Returns the features (n, F) of groove tensors (n, S, 27): nine of hits and, with `feel`, five of velocity and timing."""
    _, velocities, offsets = groove_to_arrays(grooves)
    drums = Drums(hit_cells(grooves), velocities, offsets, step_ms)
    return np.stack([feature(drums) for feature in drum_feature_table(feel).values()], axis=1)


def drum_feature_table(feel: bool) -> dict[str, Callable[[Drums], Values]]:
    """Returns the features of drums by name, in order."""
    return HIT_FEATURES | (FEEL_FEATURES if feel else {})
