"""Laws of the scores of hits, of velocity and timing, and of notes."""

import numpy as np
import pytest
from helpers.oracle import random_grooves, random_melodies

from drumvae.music.encoding import grid_to_groove, notes_to_melody
from drumvae.music.grid import Grid, Onset
from drumvae.trainer.evaluation.expression import divergence, expression_metrics, expression_sums, wasserstein
from drumvae.trainer.evaluation.hits import groove_metrics, hit_sums
from drumvae.trainer.evaluation.melody import melody_metrics, melody_sums, note_ends

Metrics = dict[str, np.ndarray]


def tensor(*onsets: Onset) -> np.ndarray:
    return grid_to_groove(Grid.from_onsets(onsets))[None]


def step_ms(bpm: float = 120.0, count: int = 1) -> np.ndarray:
    return np.full((count, 1, 1), 15_000 / bpm)


def scored(predicted: np.ndarray, true: np.ndarray, bpm: float = 120.0, mask: np.ndarray | None = None) -> Metrics:
    sums = hit_sums(predicted, true, step_ms(bpm, len(true)), mask)
    return groove_metrics({name: values.sum(axis=0) for name, values in sums.items()})


def expression_of(predicted: np.ndarray, true: np.ndarray) -> Metrics:
    pytest.importorskip("scipy")
    sums = expression_sums(predicted, true, step_ms(count=len(true)))
    return expression_metrics({name: values.sum(axis=0) for name, values in sums.items()})


def test_an_identical_prediction_is_perfect() -> None:
    true = random_grooves(5)
    metrics = scored(true, true)
    for name in ("f1", "f1_macro", "precision", "recall", "exact_steps"):
        assert metrics[name] == 1
    for name in ("velocity_error", "timing_error_ms", "timing_mse"):
        assert metrics[name] == 0


def test_silence_scores_zero_though_most_cells_are_right() -> None:
    true = random_grooves(5)
    metrics = scored(np.zeros_like(true), true)
    assert metrics["f1"] == metrics["precision"] == metrics["recall"] == metrics["f1_macro"] == 0
    assert np.isnan(metrics["timing_error_ms"])


def test_errors_equal_counts_by_hand() -> None:
    true = tensor(Onset(0, 0, 0.5), Onset(1, 1, 0.75), Onset(2, 2, 0.5))
    predicted = tensor(Onset(0.05, 0, 0.7), Onset(1, 1, 0.75), Onset(3, 2, 0.5), Onset(3, 8, 0.5))
    metrics = scored(predicted, true)
    assert metrics["precision"] == pytest.approx(2 / 4)
    assert metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["f1"] == pytest.approx(4 / 7)
    assert metrics["f1_by_voice"][:3].tolist() == [1, 1, 0]
    assert metrics["f1_macro"] == pytest.approx(2 / 3)  # of the three voices that people play, not of the ride
    assert metrics["exact_steps"] == pytest.approx(62 / 64)
    assert metrics["velocity_error"] == pytest.approx(0.2 / 2)
    assert metrics["timing_error_ms"] == pytest.approx(25 / 2, rel=1e-5)  # a twentieth of a beat at 120 bpm is 25 ms
    assert metrics["timing_mse"] == pytest.approx(0.2**2 / 2, rel=1e-5)  # and a fifth of a sixteenth


def test_a_late_hit_costs_more_milliseconds_at_a_slow_tempo() -> None:
    true, predicted = tensor(Onset(0, 0, 0.5)), tensor(Onset(0.05, 0, 0.5))
    assert scored(predicted, true, bpm=60)["timing_error_ms"] == pytest.approx(50, rel=1e-4)


def test_only_masked_cells_count() -> None:
    true, predicted = random_grooves(3), random_grooves(3, seed=1)
    predicted[..., [4, 13, 22]] = true[..., [4, 13, 22]]
    mask = np.broadcast_to(np.arange(9) == 4, (3, 64, 9))
    assert scored(predicted, true, mask=mask)["f1"] == 1
    assert scored(predicted, true)["f1"] < 0.5


def test_an_identical_groove_has_no_error_and_a_std_ratio_of_1() -> None:
    true = random_grooves(8)
    metrics = expression_of(true, true)
    for name in ("timing_error_ms", "velocity_error", "timing_divergence", "velocity_divergence", "timing_distance_ms"):
        assert metrics[name] == pytest.approx(0, abs=1e-9)
    assert metrics["timing_spread_ratio"] == metrics["velocity_spread_ratio"] == pytest.approx(1)


def test_playing_every_hit_at_the_mean_has_no_std_and_another_distribution() -> None:
    true = random_grooves(8)
    flat = true.copy()
    flat[..., 9:18], flat[..., 18:] = 0.55 * true[..., :9], 0
    metrics = expression_of(flat, true)
    assert metrics["timing_spread_ratio"] == pytest.approx(0, abs=1e-6)
    assert metrics["velocity_spread_ratio"] == pytest.approx(0, abs=1e-3)
    assert metrics["timing_divergence"] > 0.8


def test_std_and_wasserstein_distance_equal_those_of_the_hits() -> None:
    true, predicted = random_grooves(8), random_grooves(8, seed=2)
    predicted[..., :9] = true[..., :9]
    metrics = expression_of(predicted, true)
    hits = true[..., 3] > 0
    late = [groove[..., 21][hits] / 2 * 125 for groove in (predicted, true)]
    assert metrics["timing_spread_ms_by_voice"][3] == pytest.approx(late[0].std(), rel=1e-4)
    exact = np.abs(np.sort(late[0]) - np.sort(late[1])).mean()
    assert metrics["timing_distance_ms_by_voice"][3] == pytest.approx(exact, abs=1.0)  # from bins of 2 ms


def test_distances_of_histograms_equal_those_of_scipy() -> None:
    jensenshannon = pytest.importorskip("scipy.spatial.distance").jensenshannon
    wasserstein_distance = pytest.importorskip("scipy.stats").wasserstein_distance
    first, second = np.random.default_rng(0).integers(0, 9, (2, 12)).astype(float)
    assert divergence(first, second) == pytest.approx(jensenshannon(first, second, base=2) ** 2)
    assert wasserstein(first, second) == pytest.approx(wasserstein_distance(range(12), range(12), first, second))


def test_histograms_shifted_by_a_bin_are_a_bin_apart() -> None:
    pytest.importorskip("scipy")
    counts = np.array([0.0, 3, 5, 1, 0, 0])
    assert wasserstein(np.roll(counts, 1), counts) == pytest.approx(1)
    assert divergence(counts, counts) == pytest.approx(0)
    assert divergence(np.roll(counts, 3), counts) == pytest.approx(1)  # disjoint


def test_an_identical_melody_is_perfect_and_silence_is_not() -> None:
    true = random_melodies(6)
    metrics = melody_metrics(melody_sums(true, true))
    assert all(metrics[name].min() == 1 for name in ("exact_steps", "onset_f1", "rhythm_f1", "note_f1"))
    silent = melody_metrics(melody_sums(np.zeros_like(true), true))
    assert silent["onset_f1"].max() == silent["note_f1"].max() == 0
    assert silent["exact_steps"].min() > 0.5  # exact steps alone say little


def test_notes_match_by_onset_then_pitch_then_end() -> None:
    true = notes_to_melody([(0, 4, 60), (8, 12, 64), (16, 20, 67)], 64)[None]
    predicted = notes_to_melody([(0, 4, 60), (8, 10, 64), (16, 20, 69)], 64)[None]
    metrics = melody_metrics({name: values.sum() for name, values in melody_sums(predicted, true).items()})
    assert metrics["rhythm_f1"] == 1
    assert metrics["onset_f1"] == pytest.approx(2 / 3)
    assert metrics["note_f1"] == pytest.approx(1 / 3)
    assert metrics["pitch_error_semitones"] == pytest.approx(2 / 3)


def test_a_note_ends_at_the_next_event() -> None:
    melody = np.array([[30, 0, 1, 40, 41, 0]])
    assert note_ends(melody)[0, [0, 3, 4]].tolist() == [2, 4, 6]
