"""Laws of the comparison of sets of loops: features, overlap, Frechet distance, nearest training window."""

import numpy as np
import pytest
from helpers.oracle import random_grooves, random_melodies, windows

from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import Grid
from drumvae.trainer.evaluation.distances import (
    density,
    frechet_distance,
    moments,
    overlap,
    own_distances,
    pair_distances,
    weighted_quantiles,
)
from drumvae.trainer.evaluation.features import EXPRESSION_FEATURES, HIT_FEATURES, drum_features
from drumvae.trainer.evaluation.melody_features import MELODY_FEATURES, melody_features
from drumvae.trainer.evaluation.nearest import NearestQuery, find_nearest, hits_key, melody_key, others_key, tap_key

ONES = np.ones((1, 1, 1))


def features(*lines: str, ms: float = 100.0) -> dict[str, float]:
    groove = grid_to_groove(Grid.from_text("\n".join(lines)))[None]
    return dict(zip([*HIT_FEATURES, *EXPRESSION_FEATURES], drum_features(groove, ms * ONES)[0], strict=True))


def test_features_equal_counts_by_hand() -> None:
    found = features(
        "kick X.......x.......|X...............", "snare ....X.......X...|....X..........-", "ride x.x.x.x.x.x.x.x.|................"
    )
    assert found["hits per bar"] == (3 + 4 + 8) / 2
    assert found["kick per bar"] == 1.5
    assert found["snare per bar"] == 2
    assert found["ride per bar"] == 4
    assert found["toms and crash per bar"] == 0
    assert found["voices used"] == 3
    assert found["hits per sounding step"] == pytest.approx(15 / 11)
    assert found["velocity sd"] > 0
    assert found["offset sd (ms)"] == 0


def test_repeated_bars_are_similar_and_disjoint_bars_are_not() -> None:
    assert features("kick X...x...x...x...|X...x...x...x...")["bar self-similarity"] == 1
    assert features("kick X...x...x...x...|.x...x...x...x..")["bar self-similarity"] == 0
    assert features("kick X...x...........|X.......x.......")["bar self-similarity"] == pytest.approx(1 / 3)


def test_a_hit_before_a_silent_strong_beat_is_syncopated_and_one_on_it_is_not() -> None:
    assert features("kick X...x...x...x...")["syncopation per bar"] == 0
    assert features("kick X......x........")["syncopation per bar"] == 3  # the last eighth before beat 3: -1 against -4
    assert features("kick ...............x")["syncopation per bar"] == 4  # the first beat of the loop follows


def test_offsets_are_measured_at_the_tempo() -> None:
    groove = np.zeros((1, 16, 27), np.float32)
    groove[0, [0, 4], 0], groove[0, [0, 4], 18] = 1, [0.2, 0.6]  # a tenth and three tenths of a step
    found = dict(zip([*HIT_FEATURES, *EXPRESSION_FEATURES], drum_features(groove, 100 * ONES)[0], strict=True))
    assert found["offset mean (ms)"] == pytest.approx(20, rel=1e-5)
    assert found["offset sd (ms)"] == pytest.approx(10, rel=1e-5)
    assert found["odd-16th offset (16ths)"] == 0


def test_the_features_of_silence_are_finite() -> None:
    assert np.isfinite(drum_features(np.zeros((2, 64, 27), np.float32), 100 * ONES)).all()
    assert np.isfinite(melody_features(np.zeros((2, 64), np.float32))).all()


def test_patterns_have_no_features_of_velocity_and_timing() -> None:
    grooves = random_grooves(3)
    assert drum_features(grooves, 100 * ONES, expression=False).shape == (3, len(HIT_FEATURES))


def test_melody_features_equal_counts_by_hand() -> None:
    melody = np.zeros((1, 32), np.float32)
    melody[0, [0, 4, 8, 16]] = [41, 43, 1, 41]  # a note, another two semitones above that ends after four steps, the first again
    found = dict(zip(MELODY_FEATURES, melody_features(melody)[0], strict=True))
    assert found["onsets per bar"] == 1.5
    assert found["pitches used"] == 2
    assert found["interval mean (semitones)"] == 2
    assert found["note length mean (steps)"] == pytest.approx((4 + 4 + 16) / 3)
    assert found["note-offs per bar"] == 0.5
    assert found["bar self-similarity"] == pytest.approx(1 / 2)


def compared(real: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    rows = [np.ones((1, len(values))) for values in (real, other)]
    top = max(float(np.abs(a[:, None] - real).max()) for a in (real, other))
    area, nats = overlap(density(own_distances(real), top, rows[0], rows[0]), density(pair_distances(real, other), top, rows[0], rows[1]))
    return float(area[0]), float(nats[0])


def test_sets_from_one_distribution_overlap_and_others_do_not() -> None:
    draw = np.random.default_rng(0)
    real, same, far = draw.normal(0, 1, 200), draw.normal(0, 1, 200), draw.normal(6, 1, 200)
    area, nats = compared(real, same)
    assert area > 0.95
    assert nats < 0.01
    area, nats = compared(real, far)
    assert area < 0.1
    assert nats > 2


def test_a_constant_feature_overlaps_completely() -> None:
    constant = np.full(20, 3.0)
    rows = np.ones((1, 20))
    found = overlap(density(own_distances(constant), 1, rows, rows), density(pair_distances(constant, constant), 1, rows, rows))
    assert found[0][0] == pytest.approx(1)
    assert found[1][0] == pytest.approx(0, abs=1e-9)


def test_a_density_equals_that_of_scipy() -> None:
    kde = pytest.importorskip("scipy.stats").gaussian_kde
    distances = np.abs(np.random.default_rng(1).normal(0, 1, (60, 60)))
    ones = np.ones((1, 60))
    shares = density(distances, 4.0, ones, ones).shares[0]
    points, step = np.linspace(-1, 5, 256, endpoint=False, retstep=True)  # a quarter of the top on either side
    assert shares.sum() == pytest.approx(1)
    assert np.allclose(shares / step, kde(distances.ravel())(points + step / 2), atol=0.01)


def test_the_frechet_distance_of_a_set_to_itself_is_zero() -> None:
    points = moments(np.random.default_rng(0).normal(size=(300, 5)), np.ones((1, 300)))
    assert frechet_distance(points, points)[0] == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_of_two_gaussians_has_its_closed_form() -> None:
    draw = np.random.default_rng(0)
    points = draw.normal(size=(500, 3))
    points = (points - points.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T, bias=True))).T  # exactly white
    ones = np.ones((1, 500))
    moved = frechet_distance(moments(points, ones), moments(points * [1, 2, 3] + [5, 0, 0], ones))
    assert moved[0] == pytest.approx(25 + (2 - 1) ** 2 + (3 - 1) ** 2)


def test_a_weight_repeats_a_loop() -> None:
    points, weights = np.random.default_rng(0).normal(size=(4, 2)), np.array([[2.0, 0, 1, 1]])
    repeated = points[[0, 0, 2, 3]]
    for ours, theirs in zip(moments(points, weights), moments(repeated, np.ones((1, 4))), strict=True):
        assert np.allclose(ours, theirs)
    assert weighted_quantiles(np.array([5.0, 1, 9, 7]), weights, (0.5, 1.0)).tolist() == [[5, 9]]


def test_a_copy_is_found_at_distance_zero() -> None:
    train = random_grooves(50)
    (found,) = find_nearest(windows(train), [NearestQuery(hits_key, hits_key(train[[7, 31]]))])
    assert found.indices.tolist() == [7, 31]
    assert found.distances.tolist() == [0, 0]


def test_the_distance_counts_differing_cells_and_the_minimum_is_global() -> None:
    train, queries = random_grooves(2500), random_grooves(20, seed=1)  # more than two blocks
    (found,) = find_nearest(windows(train), [NearestQuery(hits_key, hits_key(queries))])
    differing = ((train[None, ..., :9] > 0) != (queries[:, None, ..., :9] > 0)).sum(axis=(2, 3))
    assert found.distances.tolist() == differing.min(axis=1).tolist()
    assert found.indices.tolist() == differing.argmin(axis=1).tolist()


def test_several_searches_run_at_once_and_one_may_be_empty() -> None:
    train = random_grooves(30)
    searches = [
        NearestQuery(tap_key, tap_key(train[[3]])),
        NearestQuery(hits_key, np.zeros((0, 576), np.float32)),
        NearestQuery(others_key(2), others_key(2)(train[[9]])),
    ]
    tap, empty, others = find_nearest(windows(train), searches)
    assert tap.indices.tolist() == [3]
    assert not len(empty.indices)
    assert others.indices.tolist() == [9]


def test_keys_ignore_the_left_out_voice_and_the_voice_of_a_tap() -> None:
    groove = random_grooves(1)
    other = groove.copy()
    other[..., [2, 11, 20]] = 0
    assert np.array_equal(others_key(2)(groove), others_key(2)(other))
    assert not np.array_equal(others_key(3)(groove), others_key(3)(other))
    one, another = np.zeros((1, 4, 27), np.float32), np.zeros((1, 4, 27), np.float32)
    one[0, 1, [0, 9]], another[0, 1, [5, 14]] = [1, 0.5], [1, 0.5]
    assert np.array_equal(tap_key(one), tap_key(another))


def test_melodies_are_compared_step_by_step() -> None:
    train = random_melodies(40)
    query = train[[11]].copy()
    query[0, :3] = 60 + np.arange(3)
    (found,) = find_nearest(windows(train), [NearestQuery(melody_key, melody_key(query))])
    assert found.indices.tolist() == [11]
    assert found.distances[0] == pytest.approx(3, abs=1e-3)
