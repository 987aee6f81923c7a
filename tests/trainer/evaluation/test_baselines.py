"""Laws of the baselines and of the training statistics behind them."""

import numpy as np
import pytest
from helpers.oracle import random_grooves, windows

from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import Grid
from drumvae.music.inputs import TAP_VOICE, tapped_hits, to_tap
from drumvae.trainer.evaluation.baselines import (
    copied_tap,
    expression_baselines,
    first_bar_repeated,
    independent_cells,
    silence,
    tap_on_commonest_voice,
    template,
    template_at_taps,
    true_bar_before,
)
from drumvae.trainer.evaluation.marginals import count_marginals, most_likely
from drumvae.trainer.evaluation.melody import class_probabilities, independent_steps

INDICES = np.arange(1)


def test_silence_and_repetitions_predict_as_named(groove: Grid) -> None:
    true = grid_to_groove(groove)[None]
    assert not silence(true, INDICES).any()
    before = true_bar_before(true, INDICES)
    assert not before[:, :16].any()
    assert np.array_equal(before[:, 16:], true[:, :48])
    repeated = first_bar_repeated(true, INDICES)
    assert repeated.shape == true.shape
    assert all(np.array_equal(repeated[:, bar : bar + 16], true[:, :16]) for bar in range(0, 64, 16))


def test_marginals_are_the_means_of_the_training_windows() -> None:
    train = random_grooves(40, density=0.3)
    marginals = count_marginals(windows(train), 64)
    assert np.allclose(marginals.probabilities, train[..., :9].mean(axis=0))
    velocity, offset = marginals.mean_hit()
    hits = train[..., :9] > 0
    assert velocity == pytest.approx(train[..., 9:18][hits].mean(), rel=1e-5)
    assert offset == pytest.approx(train[..., 18:][hits].mean(), abs=1e-5)
    assert np.array_equal(marginals.tapped, tapped_hits(train).sum(axis=0))
    assert marginals.velocity_bins.sum() == marginals.offset_bins.sum() == hits.sum()


def test_expression_baselines_keep_the_hits_and_set_velocity_and_timing(groove: Grid) -> None:
    late = Grid(groove.hits, groove.velocities, groove.hits * np.float32(0.1))
    true = grid_to_groove(late)[None]
    predicted = {name: baseline(true, INDICES) for name, baseline in expression_baselines(count_marginals(windows(true), 64)).items()}
    assert all(np.array_equal(p[..., :9], true[..., :9]) for p in predicted.values())
    assert np.allclose(predicted["means by step and voice"], true, atol=1e-6)
    assert predicted["mean offset, mean velocity"][0, 0, 18] == pytest.approx(0.2)
    assert not predicted["quantised, mean velocity"][..., 18:].any()


def test_expression_drawn_from_training_hits_has_their_mean_and_std() -> None:
    train = random_grooves(200)
    train[..., 9:18] *= np.linspace(0.2, 1, 9)  # a different mean for every voice
    baseline = expression_baselines(count_marginals(windows(train), 64))["drawn from the voice's training hits"]
    predicted = baseline(train, np.arange(200))
    for voice in (0, 8):
        hits = train[..., voice] > 0
        for block in (9, 18):
            assert predicted[..., block + voice][hits].mean() == pytest.approx(train[..., block + voice][hits].mean(), abs=0.02)
            assert predicted[..., block + voice][hits].std() == pytest.approx(train[..., block + voice][hits].std(), abs=0.02)


def test_the_most_likely_cells_have_the_best_expected_f1() -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        probabilities, weights = draw.random(7) ** 2, draw.random(7)

        def f1(cells: np.ndarray, p: np.ndarray = probabilities, weights: np.ndarray = weights) -> float:
            return float(2 * (cells * p * weights).sum() / ((cells * weights).sum() + (p * weights).sum()))

        subsets = [np.array([number >> bit & 1 for bit in range(7)]) for number in range(1, 2**7)]
        assert f1(most_likely(probabilities, weights)) == pytest.approx(max(map(f1, subsets)))


def test_cells_without_training_hits_are_never_predicted() -> None:
    assert not most_likely(np.zeros((4, 9))).any()


def test_a_copied_tap_gives_every_hit_of_a_step_the_velocity_and_timing_of_the_tap() -> None:
    true = random_grooves(3)
    copied = copied_tap(true, true[..., :9])
    tap = to_tap(true)
    assert np.array_equal(copied[..., :9], true[..., :9])
    hits = true[..., :9] > 0
    velocities = np.broadcast_to(tap[..., 9 + TAP_VOICE, None], hits.shape)
    assert np.allclose(copied[..., 9:18][hits], velocities[hits])
    assert np.allclose((copied - true)[np.tile(tapped_hits(true) > 0, 3)], 0)


def test_a_tap_on_its_commonest_voice_is_one_hit_a_tapped_step() -> None:
    train = random_grooves(60)
    train[:, :, [1, 10, 19]] = np.stack([np.ones((60, 64)), np.full((60, 64), 1.0), np.zeros((60, 64))], axis=-1)  # the snare, loudest
    marginals = count_marginals(windows(train), 64)
    true = random_grooves(4, seed=5)
    predicted = tap_on_commonest_voice(marginals)(true, INDICES)
    assert np.array_equal(predicted[..., 1] > 0, true[..., :9].any(axis=-1))
    assert not predicted[..., [0, *range(2, 9)]].any()


def test_untapped_steps_get_no_hit() -> None:
    marginals = count_marginals(windows(random_grooves(60, density=0.4)), 64)
    true = random_grooves(4, seed=5, density=0.05)
    predicted = template_at_taps(marginals)(true, INDICES)
    untapped = ~(true[..., :9] > 0).any(axis=-1)
    assert not predicted[untapped].any()
    assert predicted[~untapped].any()


def test_a_template_has_the_mean_velocity_and_timing_of_its_cells(groove: Grid) -> None:
    true = grid_to_groove(groove)[None]
    marginals = count_marginals(windows(true), 64)
    assert np.allclose(template(most_likely(marginals.probabilities), marginals), true[0], atol=1e-6)


def test_independent_cells_are_as_dense_as_the_training_windows() -> None:
    train = random_grooves(100, density=0.2)
    train[:, 32:, :9] = 0
    drawn = independent_cells(count_marginals(windows(train), 64), 300, np.random.default_rng(0))
    assert drawn[:, :32, :9].mean() == pytest.approx(0.2, abs=0.01)
    assert not drawn[:, 32:].any()
    assert not drawn[..., 9:][np.tile(drawn[..., :9] == 0, 2)].any()


def test_independent_melody_steps_have_the_training_probabilities() -> None:
    train = np.tile(np.array([[2, 0, 50, 0], [2, 0, 60, 1]], np.float32), (50, 1))
    drawn = independent_steps(class_probabilities(windows(train), 4), 2000, np.random.default_rng(0))
    assert set(np.unique(drawn[:, 0])) == {2}
    assert set(np.unique(drawn[:, 2])) == {50, 60}
    assert (drawn[:, 3] == 1).mean() == pytest.approx(0.5, abs=0.05)
