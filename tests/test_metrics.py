import numpy as np
import pytest

from drumvae.grid import Grid, Onset
from drumvae.tensors import grid_to_groove
from drumvae.trainer.baselines import feel_baselines, score_baselines
from drumvae.trainer.metrics import score, voice_f1

BPM = np.array([120.0], np.float32)


def tensor(*onsets: Onset) -> np.ndarray:
    return grid_to_groove(Grid.from_onsets(onsets))[None]


def test_what_is_identical_is_perfect() -> None:
    true = tensor(Onset(0, 0, 0.5), Onset(1.02, 1, 0.75))
    scores = score(true, true, BPM)
    assert (scores.precision, scores.recall, scores.f1, scores.velocity_error, scores.timing_error_ms) == (1, 1, 1, 0, 0)


def test_errors_are_counted_by_hand() -> None:
    true = tensor(Onset(0, 0, 0.5), Onset(1, 1, 0.75), Onset(2, 2, 0.5))
    written = tensor(Onset(0.05, 0, 0.7), Onset(1, 1, 0.75), Onset(3, 2, 0.5), Onset(3, 8, 0.5))
    scores = score(written, true, BPM)
    assert scores.precision == pytest.approx(2 / 4)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.f1 == pytest.approx(4 / 7)
    assert scores.velocity_error == pytest.approx(0.2 / 2)
    assert scores.timing_error_ms == pytest.approx(25 / 2)  # a twentieth of a beat at 120 bpm is 25 ms


def test_a_late_hit_costs_more_milliseconds_at_a_slow_tempo() -> None:
    true, written = tensor(Onset(0, 0, 0.5)), tensor(Onset(0.05, 0, 0.5))
    assert score(written, true, BPM / 2).timing_error_ms == pytest.approx(50, rel=1e-4)


def test_silence_scores_nothing() -> None:
    true = tensor(Onset(0, 0, 0.5))
    assert score(np.zeros_like(true), true, BPM).f1 == 0


def test_voices_are_scored_apart() -> None:
    true, written = tensor(Onset(0, 0, 0.5), Onset(1, 1, 0.5)), tensor(Onset(0, 0, 0.5), Onset(2, 1, 0.5))
    scores = voice_f1(written, true)
    assert scores[:2] == [1.0, 0.0]
    assert np.isnan(scores[2:]).all()


def test_baselines_write_what_their_names_say(groove: Grid) -> None:
    other = Grid(np.roll(groove.hits, 3, axis=0), np.roll(groove.velocities, 3, axis=0), groove.offsets)
    train = np.stack([grid_to_groove(groove), grid_to_groove(groove), grid_to_groove(other)])
    true = train[2:]
    written = {name: baseline(true) for name, baseline in score_baselines(train).items()}
    assert not written["silence"].any()
    assert np.array_equal(written["nearest training window"], true)
    assert np.array_equal(written["first bar repeated"][:, 16:32], true[:, :16])
    assert np.array_equal(written["likeliest hits by step and voice"][0, :, :9], groove.hits)


def test_feel_baselines_keep_the_hits(groove: Grid) -> None:
    late = Grid(groove.hits, groove.velocities, groove.hits * np.float32(0.1))
    train = grid_to_groove(late)[None]
    played = {name: baseline(train) for name, baseline in feel_baselines(train).items()}
    assert all(np.array_equal(p[..., :9], train[..., :9]) for p in played.values())
    assert np.allclose(played["means by step and voice"], train, atol=1e-6)
    assert played["mean offset, mean velocity"][0, 0, 18] == pytest.approx(0.2)
    assert not played["quantised, mean velocity"][..., 18:].any()
