"""Laws of the scores of hits, feel and notes."""

import numpy as np
import pytest
from helpers.oracle import random_grooves, random_melodies

from drumvae.music.encoding import grid_to_groove, notes_to_melody
from drumvae.music.grid import Grid, Onset
from drumvae.trainer.evaluation.expression import divergence, expression_metrics, expression_sums, wasserstein
from drumvae.trainer.evaluation.hits import groove_metrics, hit_sums
from drumvae.trainer.evaluation.melody import melody_metrics, melody_sums, note_ends

Figures = dict[str, np.ndarray]


def tensor(*onsets: Onset) -> np.ndarray:
    return grid_to_groove(Grid.from_onsets(onsets))[None]


def step_ms(bpm: float = 120.0, count: int = 1) -> np.ndarray:
    return np.full((count, 1, 1), 15_000 / bpm)


def scored(written: np.ndarray, true: np.ndarray, bpm: float = 120.0, requested: np.ndarray | None = None) -> Figures:
    sums = hit_sums(written, true, step_ms(bpm, len(true)), requested)
    return groove_metrics({name: values.sum(axis=0) for name, values in sums.items()})


def expression_of(played: np.ndarray, true: np.ndarray) -> Figures:
    sums = expression_sums(played, true, step_ms(count=len(true)))
    return expression_metrics({name: values.sum(axis=0) for name, values in sums.items()})


def test_what_is_identical_is_perfect() -> None:
    true = random_grooves(5)
    figures = scored(true, true)
    for name in ("f1", "f1_macro", "precision", "recall", "exact_steps"):
        assert figures[name] == 1
    for name in ("velocity_error", "timing_error_ms", "timing_mse"):
        assert figures[name] == 0


def test_silence_scores_nothing_though_most_cells_are_right() -> None:
    true = random_grooves(5)
    figures = scored(np.zeros_like(true), true)
    assert figures["f1"] == figures["precision"] == figures["recall"] == figures["f1_macro"] == 0
    assert np.isnan(figures["timing_error_ms"])


def test_errors_are_counted_by_hand() -> None:
    true = tensor(Onset(0, 0, 0.5), Onset(1, 1, 0.75), Onset(2, 2, 0.5))
    written = tensor(Onset(0.05, 0, 0.7), Onset(1, 1, 0.75), Onset(3, 2, 0.5), Onset(3, 8, 0.5))
    figures = scored(written, true)
    assert figures["precision"] == pytest.approx(2 / 4)
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["f1"] == pytest.approx(4 / 7)
    assert figures["f1_by_voice"][:3].tolist() == [1, 1, 0]
    assert figures["f1_macro"] == pytest.approx(2 / 3)  # of the three voices that people play, not of the ride
    assert figures["exact_steps"] == pytest.approx(62 / 64)
    assert figures["velocity_error"] == pytest.approx(0.2 / 2)
    assert figures["timing_error_ms"] == pytest.approx(25 / 2, rel=1e-5)  # a twentieth of a beat at 120 bpm is 25 ms
    assert figures["timing_mse"] == pytest.approx(0.2**2 / 2, rel=1e-5)  # and a fifth of a sixteenth


def test_a_late_hit_costs_more_milliseconds_at_a_slow_tempo() -> None:
    true, written = tensor(Onset(0, 0, 0.5)), tensor(Onset(0.05, 0, 0.5))
    assert scored(written, true, bpm=60)["timing_error_ms"] == pytest.approx(50, rel=1e-4)


def test_only_cells_that_are_asked_for_count() -> None:
    true, written = random_grooves(3), random_grooves(3, seed=1)
    written[..., [4, 13, 22]] = true[..., [4, 13, 22]]
    requested = np.broadcast_to(np.arange(9) == 4, (3, 64, 9))
    assert scored(written, true, requested=requested)["f1"] == 1
    assert scored(written, true)["f1"] < 0.5


def test_a_groove_played_as_people_did_has_no_error_and_all_of_its_spread() -> None:
    true = random_grooves(8)
    figures = expression_of(true, true)
    for name in ("timing_error_ms", "velocity_error", "timing_divergence", "velocity_divergence", "timing_distance_ms"):
        assert figures[name] == pytest.approx(0, abs=1e-9)
    assert figures["timing_spread_ratio"] == figures["velocity_spread_ratio"] == pytest.approx(1)


def test_playing_everything_at_the_mean_has_no_spread_and_another_distribution() -> None:
    true = random_grooves(8)
    flat = true.copy()
    flat[..., 9:18], flat[..., 18:] = 0.55 * true[..., :9], 0
    figures = expression_of(flat, true)
    assert figures["timing_spread_ratio"] == pytest.approx(0, abs=1e-6)
    assert figures["velocity_spread_ratio"] == pytest.approx(0, abs=1e-3)
    assert figures["timing_divergence"] > 0.8


def test_spread_and_distance_are_those_of_numpy() -> None:
    true, played = random_grooves(8), random_grooves(8, seed=2)
    played[..., :9] = true[..., :9]
    figures = expression_of(played, true)
    struck = true[..., 3] > 0
    late = [groove[..., 21][struck] / 2 * 125 for groove in (played, true)]
    assert figures["timing_spread_ms_by_voice"][3] == pytest.approx(late[0].std(), rel=1e-4)
    exact = np.abs(np.sort(late[0]) - np.sort(late[1])).mean()
    assert figures["timing_distance_ms_by_voice"][3] == pytest.approx(exact, abs=1.0)  # from bins of 2 ms


def test_hits_that_all_move_by_a_bin_are_a_bin_away() -> None:
    counts = np.array([0.0, 3, 5, 1, 0, 0])
    assert wasserstein(np.roll(counts, 1), counts) == pytest.approx(1)
    assert divergence(counts, counts) == pytest.approx(0)
    assert divergence(np.roll(counts, 3), counts) == pytest.approx(1)  # nothing in common


def test_a_melody_written_exactly_is_perfect_and_silence_is_not() -> None:
    true = random_melodies(6)
    figures = melody_metrics(melody_sums(true, true))
    assert all(figures[name].min() == 1 for name in ("exact_steps", "onset_f1", "rhythm_f1", "note_f1"))
    silent = melody_metrics(melody_sums(np.zeros_like(true), true))
    assert silent["onset_f1"].max() == silent["note_f1"].max() == 0
    assert silent["exact_steps"].min() > 0.5  # which is why the share of exact steps says little


def test_notes_match_by_onset_then_pitch_then_end() -> None:
    true = notes_to_melody([(0, 4, 60), (8, 12, 64), (16, 20, 67)], 64)[None]
    written = notes_to_melody([(0, 4, 60), (8, 10, 64), (16, 20, 69)], 64)[None]
    figures = melody_metrics({name: values.sum() for name, values in melody_sums(written, true).items()})
    assert figures["rhythm_f1"] == 1
    assert figures["onset_f1"] == pytest.approx(2 / 3)
    assert figures["note_f1"] == pytest.approx(1 / 3)
    assert figures["pitch_error_semitones"] == pytest.approx(2 / 3)


def test_a_note_ends_where_the_next_event_is() -> None:
    melody = np.array([[30, 0, 1, 40, 41, 0]])
    assert note_ends(melody)[0, [0, 3, 4]].tolist() == [2, 4, 6]
