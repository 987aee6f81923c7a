"""Tests augmentation: its distributions, that the input is not changed, and that the generator decides everything.

Means of n draws are within four standard errors, which chance exceeds once in 16,000 runs. The seeds are fixed.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from drumvae.music.grid import Array
from drumvae.trainer.data.augment import draw_left_out, drop_notes, scale_velocities, shift_timing

WINDOWS = 20_000
SOFTEST = np.float32(1 / 127)
Change = Callable[[Array, np.random.Generator], Array]
CHANGES: list[Change] = [
    lambda groove, random: drop_notes(groove, random, 0.8),
    lambda groove, random: scale_velocities(groove, random, 0.3),
    lambda groove, random: shift_timing(groove, random, 0.1),
]
NAMES = ["drop", "scale", "shift"]


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def blocks(groove: Array) -> list[Array]:
    """Returns hits, velocities and offsets of a groove tensor."""
    return np.split(groove, 3, axis=-1)


def grooves(count: int = 64, steps: int = 16) -> Array:
    """Returns random read-only grooves (n, S, 27)."""
    draw = random(5)
    hits = np.asarray(draw.random((count, steps, 9)) > 0.7, np.float32)
    velocities, offsets = draw.uniform(SOFTEST, 1, hits.shape), draw.uniform(-1, 1, hits.shape)
    groove = np.concatenate([hits, hits * velocities, hits * offsets], axis=-1, dtype=np.float32)
    groove.setflags(write=False)
    return groove


def full(count: int, steps: int, velocity: float, offset: float = 0.0) -> Array:
    """Returns grooves (n, S, 27) with the same hit in each cell."""
    return np.repeat(np.array([1, velocity, offset], np.float32), 9) * np.ones((count, steps, 1), np.float32)


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_the_input_is_not_changed(change: Change) -> None:
    target = grooves()
    before = target.copy()
    assert not np.shares_memory(change(target, random()), target)
    assert np.array_equal(target, before)


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_the_generator_decides_everything_and_each_call_draws_again(change: Change) -> None:
    draw = random(1)
    first, second = change(grooves(), draw), change(grooves(), draw)
    assert np.array_equal(first, change(grooves(), random(1)))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_the_result_is_a_valid_groove(change: Change) -> None:
    changed = change(grooves(), random())
    hits, velocities, offsets = blocks(changed)
    assert changed.dtype == np.float32
    assert set(np.unique(hits)) == {0, 1}
    assert not velocities[hits == 0].any()
    assert not offsets[hits == 0].any()
    assert velocities[hits == 1].min() >= SOFTEST
    assert velocities.max() <= 1
    assert offsets.min() >= -1
    assert offsets.max() < 1


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_a_silent_window_stays_silent(change: Change) -> None:
    assert not change(np.zeros((8, 16, 27), np.float32), random()).any()


@pytest.mark.parametrize("change", [drop_notes, scale_velocities, shift_timing])
def test_an_amount_of_0_changes_nothing(change: Callable[[Array, np.random.Generator, float], Array]) -> None:
    assert np.array_equal(change(grooves(), random(), 0.0), grooves())


def test_a_hit_is_dropped_with_its_velocity_and_offset() -> None:
    before, after = blocks(grooves()), blocks(drop_notes(grooves(), random(), 0.8))
    kept = after[0]
    assert 0 < kept.sum() < before[0].sum()
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(new, old * kept)


@pytest.mark.parametrize("velocity", [1 / 127, 0.5, 0.8, 0.9, 1.0])
def test_soft_hits_are_dropped_more_often(velocity: float) -> None:
    most, softness = 0.8, max(0.2, 1 - velocity)
    kept = drop_notes(full(WINDOWS, 1, velocity), random(), most)[..., 0]  # one hit a window, so that the draws are independent
    expected = 1 - most / 2 * softness
    assert abs(kept.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / WINDOWS)


def test_the_drop_probability_is_drawn_for_each_window() -> None:
    windows, cells, most = 2000, 64 * 9, 0.8
    dropped = 1 - blocks(drop_notes(full(windows, 64, 0.0), random(), most))[0].mean(axis=(1, 2))  # with velocity 0 the probability is p
    assert abs(dropped.mean() - most / 2) < 4 * most / np.sqrt(12 * windows)
    assert dropped.std() == pytest.approx(most / np.sqrt(12), rel=0.1)  # a draw for each hit would give less than a tenth of that
    assert dropped.max() < most + 4 * np.sqrt(most * (1 - most) / cells)


def test_all_velocities_of_a_window_have_one_factor() -> None:
    before, after = blocks(full(WINDOWS, 2, 0.5, 0.25)), blocks(scale_velocities(full(WINDOWS, 2, 0.5, 0.25), random(), 0.3))
    factors = (after[1] / before[1]).reshape(WINDOWS, -1)
    assert np.ptp(factors, axis=1).max() == 0
    assert_uniform(factors[:, 0], 0.7, 1.3)
    assert np.array_equal(after[0], before[0])
    assert np.array_equal(after[2], before[2])


def test_scaled_velocities_are_clipped_to_the_midi_range() -> None:
    loud, soft = (scale_velocities(full(100, 1, velocity), random(), 0.9)[..., 9] for velocity in (0.9, 1.1 / 127))
    assert loud.max() == 1
    assert soft.min() == SOFTEST


def test_all_offsets_of_a_window_have_one_shift() -> None:
    before, after = blocks(full(WINDOWS, 2, 0.5, 0.25)), blocks(shift_timing(full(WINDOWS, 2, 0.5, 0.25), random(), 0.1))
    shifts = (after[2] - before[2]).reshape(WINDOWS, -1)
    assert np.ptp(shifts, axis=1).max() == 0
    assert_uniform(shifts[:, 0], -0.2, 0.2)  # a tenth of a step, in half steps
    assert np.array_equal(after[0], before[0])
    assert np.array_equal(after[1], before[1])


def test_shifted_hits_keep_their_step() -> None:
    late, early = (shift_timing(full(100, 1, 0.5, offset), random(), 0.1)[..., 18] for offset in (0.95, -0.95))
    assert late.max() == np.nextafter(np.float32(1), np.float32(0))
    assert early.min() == -1


def assert_uniform(values: NDArray[np.float32], low: float, high: float) -> None:
    """Asserts that the mean and a histogram of ten bins are those of uniform draws, within four standard errors."""
    assert values.min() >= low - 1e-6
    assert values.max() <= high + 1e-6
    assert abs(values.mean() - (low + high) / 2) < 4 * (high - low) / np.sqrt(12 * len(values))
    tenths = np.histogram(values, 10, (low, high))[0]
    assert np.abs(tenths - len(values) / 10).max() < 4 * np.sqrt(len(values) * 0.1 * 0.9)


def test_one_voice_with_a_hit_is_left_out() -> None:
    windows = grooves(200, 2).copy()
    windows[7] = 0
    left_out = draw_left_out(random(), windows)
    active = blocks(windows)[0].max(axis=1) > 0
    assert np.array_equal(left_out.sum(axis=1), active.max(axis=1))
    assert not (left_out > active).any()
    assert not left_out[7].any()


def test_each_voice_with_a_hit_is_equally_likely_to_be_left_out() -> None:
    windows = np.zeros((WINDOWS, 4, 27), np.float32)
    windows[:, 0, [0, 2, 8]] = windows[:, 3, 2] = 1  # the second hit of the hat must not count
    drawn = draw_left_out(random(), windows).sum(axis=0)
    assert drawn[[1, 3, 4, 5, 6, 7]].sum() == 0
    assert np.abs(drawn[[0, 2, 8]] - WINDOWS / 3).max() < 4 * np.sqrt(WINDOWS * 2 / 9)


def test_the_generator_decides_which_voice_is_left_out() -> None:
    draw = random(1)
    first, second = draw_left_out(draw, grooves()), draw_left_out(draw, grooves())
    assert np.array_equal(first, draw_left_out(random(1), grooves()))
    assert not np.array_equal(first, second)
