"""Compares generated loops with real windows by their features, and measures their distance to the training windows.

n loops, F features. Beside the model's loops, two reference sets are compared with the real windows of the split: training windows (the
distance between takes of people) and loops of independently drawn cells (the result without any structure).
"""

from dataclasses import dataclass

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import Array
from drumvae.util.progress import watched

from .bootstrap import GENERATION_RESAMPLES, SEED, Estimate, FloatArray, IntArray, Metrics, interval, take_weights
from .distances import density, frechet_distance, moments, overlap, own_distances, pair_distances, weighted_quantiles
from .features import EXPRESSION_FEATURES, HIT_FEATURES, drum_features
from .melody_features import MELODY_FEATURES, melody_features
from .table import Table, TaskScores
from .windows import Windows

MODEL, INDEPENDENT, TRAIN, REAL = "model", "every cell drawn by itself", "training windows", "real windows"
OVERLAP_WINDOWS = 300
"""Loops of each set whose pairs are compared for the overlap."""
MAX_WINDOWS = 20_000
"""Windows of a split whose features are computed at most, evenly spaced."""
_BATCH = 64  # loops of one seed
_CONSTANT = 1e-6  # standard deviation of a feature that counts as constant


@dataclass(frozen=True)
class FeatureSet:
    """Holds the features of a set of loops and the units that are resampled: whole takes, or single generated loops."""

    features: FloatArray
    """(n, F)."""
    takes: IntArray
    """The take of each loop, counted from 0; (n,)."""

    @property
    def take_count(self) -> int:
        return int(self.takes.max()) + 1

    def weights(self, seed: int = SEED) -> FloatArray:
        """Returns a row of ones, for the set itself, and a row for each resample; (1 + R, n)."""
        resampled = take_weights(self.take_count, GENERATION_RESAMPLES, seed)[:, self.takes]
        return np.concatenate([np.ones((1, len(self.takes))), resampled])

    def evenly_spaced(self, limit: int) -> "FeatureSet":
        """Returns at most `limit` loops, evenly spaced."""
        count = min(limit, len(self.takes))
        chosen = np.arange(count) * len(self.takes) // count
        return FeatureSet(self.features[chosen], np.unique(self.takes[chosen], return_inverse=True)[1])

    def estimate(self, values: FloatArray, is_distance: bool = False) -> Estimate:
        """Returns an estimate from the values (1 + R,) of a metric under the rows of `weights`."""
        return interval(values[0], values[1:], self.take_count, is_distance)


def generated(engine: Engine, count: int) -> Array:
    """Returns samples of the prior, (count, S, 27) or (count, S), at the bundle's default temperature, with seeds from 0."""
    parts: list[Array] = []
    batches = -(-count // _BATCH)
    for seed in watched(range(batches), "Generating loops", batches):
        size = min(_BATCH, count - seed * _BATCH)
        if engine.encoding == "melody":
            parts.append(engine.generate_melodies(seed, count=size).astype(np.float32))
        else:
            parts.append(np.stack([grid_to_groove(grid) for grid in engine.generate(seed, count=size)]))
    return np.concatenate(parts)


def loop_features(loops: Array, step_ms: FloatArray, encoding: str) -> FloatArray:
    """Returns features (n, F) of loops, in the order of `feature_names`."""
    return melody_features(loops) if encoding == "melody" else drum_features(loops, step_ms, expression=encoding == "groove")


def feature_names(encoding: str) -> list[str]:
    """Returns the names of the features of an encoding; a pattern has none of velocity and timing."""
    names = {"melody": MELODY_FEATURES, "pattern": HIT_FEATURES, "groove": HIT_FEATURES + EXPRESSION_FEATURES}
    return list(names[encoding])


def set_of_windows(windows: Windows, encoding: str) -> FeatureSet:
    """Returns the features of at most `MAX_WINDOWS` windows."""
    some = windows.evenly_spaced(MAX_WINDOWS)
    parts = [loop_features(some.loops(block), some.step_ms(block), encoding) for block in some.blocks("Computing features")]
    return FeatureSet(np.concatenate(parts), some.takes)


def set_of_loops(loops: Array, split: Windows, encoding: str) -> FeatureSet:
    """Returns the features of generated loops, at the tempi of evenly spaced windows of the split."""
    some = np.arange(len(loops)) * len(split) // len(loops)
    return FeatureSet(loop_features(loops, split.step_ms(some), encoding), np.arange(len(loops)))


def score_generation(sets: dict[str, FeatureSet], nearest: dict[str, tuple[Array, IntArray]], encoding: str) -> TaskScores:
    """Compares sets of loops by their features.

    Args:
        sets: Sets by name, `REAL` among them.
        nearest: For each set, the distance of every loop to its nearest training window and its take, each (n,).
        encoding: The encoding of the loops.
    """
    names = feature_names(encoding)
    pattern = " A pattern has no velocity and no timing, so their features are left out." if encoding == "pattern" else ""
    means, stds = feature_rows(sets, names)
    areas, nats = overlap_rows(sets, names)
    tables = {
        "features": Table(f"Means over loops.{pattern}", means),
        "spread of the features": Table("Standard deviations over loops.", stds),
        "overlap": Table(f"Overlapped area of the features with those of the {REAL}; 1 is best (Yang and Lerch 2018).", areas),
        "divergence": Table(f"Kullback-Leibler divergence of the features from those of the {REAL}, in nats; 0 is best.", nats),
        "distance": Table(f"Frechet distance of the features to those of the {REAL}, in units of their std there.", frechet_rows(sets)),
        "novelty": Table(
            "Distance to the nearest training window, in cells (melodies: steps) that differ. A set far below the real windows copies.",
            {name: novelty_row(*each) for name, each in nearest.items()},
        ),
    }
    bootstrap = {"resamples": GENERATION_RESAMPLES, "seed": SEED, "over": "takes of real windows, single generated loops"}
    return TaskScores(tables, {"bootstrap": bootstrap, "overlap_windows": OVERLAP_WINDOWS, "loops": len(sets[MODEL].takes)})


def feature_rows(sets: dict[str, FeatureSet], names: list[str]) -> tuple[dict[str, Metrics], dict[str, Metrics]]:
    """Returns means and standard deviations, a row for each feature and a column for each set."""
    means: dict[str, Metrics] = {name: {} for name in names}
    stds: dict[str, Metrics] = {name: {} for name in names}
    for system, loops in sets.items():
        mean, covariance = moments(loops.features, loops.weights())
        std = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0))
        for number, name in enumerate(names):
            means[name][system] = loops.estimate(mean[:, number])
            stds[name][system] = loops.estimate(std[:, number])
    return means, stds


def overlap_rows(sets: dict[str, FeatureSet], names: list[str]) -> tuple[dict[str, Metrics], dict[str, Metrics]]:
    """Returns overlap and divergence with the real set, a row for each feature and a column for every other set."""
    some = {system: loops.evenly_spaced(OVERLAP_WINDOWS) for system, loops in sets.items()}
    weights = {system: loops.weights(SEED + (system != REAL)) for system, loops in some.items()}
    areas: dict[str, Metrics] = {name: {} for name in names}
    nats: dict[str, Metrics] = {name: {} for name in names}
    for number, name in enumerate(watched(names, "Comparing features", len(names))):
        values = {system: loops.features[:, number] for system, loops in some.items()}
        top = max(float(pair_distances(values[REAL], other).max()) for other in values.values()) or 1.0
        within = density(own_distances(values[REAL]), top, weights[REAL], weights[REAL])
        for system in (system for system in sets if system != REAL):
            between = density(pair_distances(values[REAL], values[system]), top, weights[REAL], weights[system])
            area, divergence = overlap(within, between)
            estimate = sets[REAL].estimate(area, is_distance=True)
            areas[name][system] = Estimate(estimate.value, estimate.low, np.minimum(estimate.high, 1))
            nats[name][system] = sets[REAL].estimate(divergence, is_distance=True)
    return areas, nats


def frechet_rows(sets: dict[str, FeatureSet]) -> dict[str, Metrics]:
    """Returns the Frechet distance of every set to the real one, over features in units of their standard deviation there.

    A feature that is constant in the real set keeps its own unit.
    """
    real = sets[REAL]
    std = real.features.std(axis=0)
    scale = np.where(std > _CONSTANT, std, 1)
    fitted = {name: moments(loops.features / scale, loops.weights(SEED + (name != REAL))) for name, loops in sets.items()}
    distances = {name: frechet_distance(each, fitted[REAL]) for name, each in fitted.items() if name != REAL}
    return {name: {"frechet": real.estimate(values, is_distance=True)} for name, values in distances.items()}


def novelty_row(distances: Array, takes: IntArray) -> Metrics:
    """Returns median, 5th and 95th percentile of distances (n,), and the share of copies, with intervals over takes (n,)."""
    loops = FeatureSet(np.zeros((len(takes), 0)), takes)
    weights = loops.weights()
    quantiles = weighted_quantiles(np.round(distances).astype(np.float64), weights, (0.5, 0.05, 0.95))
    copies = weights @ (distances < 0.5) / weights.sum(axis=1)
    names = ("nearest_median", "nearest_p5", "nearest_p95", "copies")
    return {name: loops.estimate(values) for name, values in zip(names, (*quantiles.T, copies), strict=True)}
