"""A model's loops from nothing and real windows in, how far apart the two sets are out, and how far each is from the training windows.

n loops, F features. Three sets stand beside the real split: the model's loops, training windows (as far as real takes are from
each other), and loops in which every cell is drawn by itself (what can be had without any structure).
"""

from dataclasses import dataclass

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import Array
from drumvae.util.progress import watched

from .bootstrap import SEED, Estimate, ManifestEntry, Values, interval, take_weights
from .distances import density, frechet_distance, moments, overlap, own_distances, pair_distances, weighted_quantiles
from .features import drum_feature_table, drum_features
from .melody_features import MELODY_FEATURES, melody_features
from .table import Table, TaskScores
from .windows import Numbers, Windows

MODEL, SAMPLER, TRAIN, REAL = "model", "every cell drawn by itself", "training windows", "real windows"
RESAMPLES = 200
OVERLAP_WINDOWS = 300
"""Loops of each set whose pairs are compared for overlap."""
MOST_WINDOWS = 20_000
"""Most windows of a split whose features are taken, evenly spaced."""

_AT_ONCE = 64  # loops of one seed
_STILL = 1e-6  # a spread below which a feature does not change


@dataclass(frozen=True)
class Set:
    """Holds the features of a set of loops, and what is resampled of it: whole takes, or loops that nothing ties together."""

    features: Values
    """(n, F)."""
    takes: Numbers
    """The take of each loop, counted from 0; (n,)."""

    @property
    def take_count(self) -> int:
        return int(self.takes.max()) + 1

    def weights(self, resamples: int, seed: int) -> Values:
        """Returns a row of ones, for the set as it is, and rows of resamples; (1 + resamples, n)."""
        drawn = take_weights(self.take_count, resamples, seed)[:, self.takes]
        return np.concatenate([np.ones((1, len(self.takes))), drawn])

    def spread(self, most: int) -> "Set":
        """Returns at most so many loops, evenly spaced."""
        chosen = np.arange(min(most, len(self.takes))) * len(self.takes) // min(most, len(self.takes))
        return Set(self.features[chosen], np.unique(self.takes[chosen], return_inverse=True)[1])


def generated(engine: Engine, count: int) -> Array:
    """Returns loops from the prior, (count, S, 27) or (count, S), at the bundle's own temperature, from seeds 0 and up."""
    parts: list[Array] = []
    batches = -(-count // _AT_ONCE)
    for seed in watched(range(batches), "Generating loops", batches):
        size = min(_AT_ONCE, count - seed * _AT_ONCE)
        if engine.encoding == "melody":
            parts.append(engine.generate_melodies(seed, count=size).astype(np.float32))
        else:
            parts.append(np.stack([grid_to_groove(grid) for grid in engine.generate(seed, count=size)]))
    return np.concatenate(parts)


def features_of(loops: Array, step_ms: Values, encoding: str) -> Values:
    """Returns features (n, F) of loops, in the order of `feature_names`."""
    return melody_features(loops) if encoding == "melody" else drum_features(loops, step_ms, feel=encoding == "groove")


def feature_names(encoding: str) -> list[str]:
    """Returns the names of the features that loops of an encoding have; a pattern has none of velocity and timing."""
    return list(MELODY_FEATURES) if encoding == "melody" else list(drum_feature_table(encoding == "groove"))


def set_of_windows(windows: Windows, encoding: str) -> Set:
    """Returns the features of at most `MOST_WINDOWS` windows."""
    some = windows.spread(MOST_WINDOWS)
    parts = [features_of(some.loops(places), some.step_ms(places), encoding) for places in some.blocks("Measuring features")]
    return Set(np.concatenate(parts), some.takes)


def set_of_loops(loops: Array, split: Windows, encoding: str) -> Set:
    """Returns the features of loops from nothing, timed at the tempi of as many windows of the split."""
    some = np.arange(len(loops)) * len(split) // len(loops)
    return Set(features_of(loops, split.step_ms(some), encoding), np.arange(len(loops)))


def score_generation(sets: dict[str, Set], novelty: dict[str, tuple[Array, Numbers]], encoding: str) -> TaskScores:
    """Scores sets of loops, `REAL` among them, by their features; `novelty` holds distances to the nearest training window, and takes."""
    names = feature_names(encoding)
    without = "" if encoding != "pattern" else " A pattern has no velocity and no timing, so their features are left out."
    means, spreads = feature_rows(sets, names)
    areas, nats = overlap_rows(sets, names)
    tables = {
        "features": Table(f"Means over loops.{without}", means),
        "spread of the features": Table("Standard deviations over loops.", spreads),
        "overlap": Table(f"Overlapped area of the features with the {REAL} of the split; 1 is best (Yang and Lerch 2018).", areas),
        "divergence": Table("Kullback-Leibler divergence of the features from the same, in nats; 0 is best.", nats),
        "distance": Table(f"Frechet distance to the {REAL} over the features, scaled by their spread there.", frechet_rows(sets)),
        "novelty": Table(
            "Distance to the nearest training window, in cells (melodies: steps) that differ. What lies far below real windows copies.",
            {name: novelty_row(*found) for name, found in novelty.items()},
        ),
    }
    bootstrap = {"resamples": RESAMPLES, "seed": SEED, "over": "takes of real windows, single generated loops"}
    return TaskScores(tables, {"bootstrap": bootstrap, "overlap_windows": OVERLAP_WINDOWS, "loops": len(sets[MODEL].takes)})


def feature_rows(sets: dict[str, Set], names: list[str]) -> tuple[dict[str, ManifestEntry], dict[str, ManifestEntry]]:
    """Returns means and standard deviations, a row for each feature, a figure for each set."""
    means: dict[str, ManifestEntry] = {name: {} for name in names}
    spreads: dict[str, ManifestEntry] = {name: {} for name in names}
    for system, members in sets.items():
        centre, covariance = moments(members.features, members.weights(RESAMPLES, SEED))
        spread = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0))
        for number, name in enumerate(names):
            means[name][system] = _estimate(centre[:, number], members)
            spreads[name][system] = _estimate(spread[:, number], members)
    return means, spreads


def overlap_rows(sets: dict[str, Set], names: list[str]) -> tuple[dict[str, ManifestEntry], dict[str, ManifestEntry]]:
    """Returns overlap and divergence with the real set, a row for each feature, a figure for every other set."""
    some = {system: members.spread(OVERLAP_WINDOWS) for system, members in sets.items()}
    weights = {system: members.weights(RESAMPLES, SEED + (system != REAL)) for system, members in some.items()}
    areas: dict[str, ManifestEntry] = {name: {} for name in names}
    nats: dict[str, ManifestEntry] = {name: {} for name in names}
    for number, name in enumerate(watched(names, "Comparing features", len(names))):
        values = {system: members.features[:, number] for system, members in some.items()}
        top = max(float(pair_distances(values[REAL], other).max()) for other in values.values()) or 1.0
        real = density(own_distances(values[REAL]), top, weights[REAL], weights[REAL])
        for system in (system for system in sets if system != REAL):
            latent_morph = density(pair_distances(values[REAL], values[system]), top, weights[REAL], weights[system])
            area, divergence = overlap(real, latent_morph)
            found = _estimate(area, sets[REAL], is_distance=True)
            areas[name][system] = Estimate(found.value, found.low, np.minimum(found.high, 1))
            nats[name][system] = _estimate(divergence, sets[REAL], is_distance=True)
    return areas, nats


def frechet_rows(sets: dict[str, Set]) -> dict[str, ManifestEntry]:
    """Returns the Frechet distance of every set to the real one over features in units of their spread there.

    A feature that never changes in the real set is taken in its own unit.
    """
    real = sets[REAL]
    spread = real.features.std(axis=0)
    scale = np.where(spread > _STILL, spread, 1)
    ours = {name: moments(members.features / scale, members.weights(RESAMPLES, SEED + (name != REAL))) for name, members in sets.items()}
    distances = {name: frechet_distance(found, ours[REAL]) for name, found in ours.items() if name != REAL}
    return {name: {"frechet": _estimate(values, real, is_distance=True)} for name, values in distances.items()}


def novelty_row(distances: Array, takes: Numbers) -> ManifestEntry:
    """Returns median, 5th and 95th percentile of distances (n,), and the share of copies, with intervals over takes (n,)."""
    members = Set(np.zeros((len(takes), 0)), takes)
    weights = members.weights(RESAMPLES, SEED)
    found = weighted_quantiles(np.round(distances).astype(np.float64), weights, (0.5, 0.05, 0.95))
    copies = weights @ (distances < 0.5) / weights.sum(axis=1)
    columns = (*found.T, copies)
    return {name: _estimate(v, members) for name, v in zip(("nearest_median", "nearest_p5", "nearest_p95", "copies"), columns, strict=True)}


def _estimate(values: Values, resampled: Set, is_distance: bool = False) -> Estimate:
    """Returns an estimate from a figure, the first of the values (1 + R,), and its resamples."""
    return interval(values[0], values[1:], resampled.take_count, is_distance)
