"""Groove effects: each amount and switch changes its part of a loop and leaves the others alone."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.fakes import random_grid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drumvae.live.controls.state import ControlState
from drumvae.live.looper.groove_fx import (
    apply_controls,
    apply_swing,
    change_speed,
    fit_velocity_range,
    importance,
    merge_voices,
    mute_voices,
    thin,
)
from drumvae.music.grid import LOOP_BEATS, Grid, Onset

KICK, SNARE, HAT = 0, 1, 2
grids = st.builds(random_grid, st.integers(0, 10_000), st.sampled_from((0.0, 0.02, 0.2, 0.6, 1.0)))
parts = st.floats(0, 1)
voices = st.frozensets(st.integers(0, 8))
controls = st.builds(
    lambda density, low, span, swing, speed, silent: ControlState(
        density=density, velocity_low=low, velocity_high=low + (1 - low) * span, swing=swing, speed=speed, muted_voices=silent
    ),
    st.floats(0, 2),
    parts,
    parts,
    parts,
    st.sampled_from((0.5, 1.0, 2.0)),
    voices,
)
law = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no defect


def cells(grid: Grid) -> set[tuple[int, int]]:
    return {(int(step), int(voice)) for step, voice in np.argwhere(grid.hits)}


def beats(grid: Grid, voice: int) -> list[float]:
    return [round(onset.beat, 6) for onset in grid.onsets() if onset.voice == voice]


def grid_of(*onsets: tuple[float, int, float]) -> Grid:
    return Grid.from_onsets([Onset(*onset) for onset in onsets], circular=True)


@law
@given(grids)
def test_default_control_values_return_the_same_object(grid: Grid) -> None:
    assert apply_controls(grid, ControlState()) is grid
    assert apply_controls(grid, ControlState(mode="vary", temperature=0.2, density=2.0, locked_voices=frozenset({1}), hold=True)) is grid


@law
@given(grids, controls)
def test_groove_effects_keep_the_length_of_a_loop(grid: Grid, controls: ControlState) -> None:
    out = apply_controls(grid, controls)
    assert out.hits.shape == grid.hits.shape
    assert set(np.unique(out.hits)) <= {0.0, 1.0}
    silent = out.hits == 0
    assert not out.velocities[silent].any()
    assert not out.offsets[silent].any()
    assert out.offsets.min() >= -0.5
    assert out.offsets.max() < 0.5
    assert not out.hits[:, sorted(controls.muted_voices)].any()
    velocities = out.velocities[~silent]
    assert ((velocities >= controls.velocity_low - 1e-6) & (velocities <= controls.velocity_high + 1e-6)).all()


# density


@law
@given(grids, parts, parts)
def test_a_lower_density_is_a_part_of_a_higher_one(grid: Grid, one: float, other: float) -> None:
    low, high = thin(grid, min(one, other)), thin(grid, max(one, other))
    assert cells(low) <= cells(high) <= cells(grid)


@law
@given(grids, parts)
def test_density_is_the_share_of_hits_that_stay_unchanged(grid: Grid, density: float) -> None:
    left = thin(grid, density)
    assert abs(left.hits.sum() - density * grid.hits.sum()) <= 0.5
    assert np.array_equal(left.velocities, grid.velocities * left.hits)
    assert np.array_equal(left.offsets, grid.offsets * left.hits)


@law
@given(grids, parts)
def test_removed_hits_are_not_more_important_than_the_others(grid: Grid, density: float) -> None:
    weights, left = importance(grid), thin(grid, density).hits > 0
    gone = (grid.hits > 0) & ~left
    assert not gone.any() or not left.any() or weights[gone].max() <= weights[left].min()


def test_a_density_of_zero_leaves_no_hits() -> None:
    assert thin(random_grid(1), 0.0) == Grid.empty()


def test_softer_hits_go_first_and_then_hits_on_weaker_steps() -> None:
    steps = grid_of(*((step / 4, HAT, 0.5) for step in range(32)))
    order = [step for count in range(1, 33) for step, _ in cells(thin(steps, count / 32)) - cells(thin(steps, (count - 1) / 32))]
    assert order == [0, 16, 8, 24, 4, 12, 20, 28, *range(2, 32, 4), *range(1, 32, 2)]
    assert cells(thin(grid_of((1, KICK, 0.3), (3, KICK, 0.4)), 0.5)) == {(12, KICK)}


def test_a_lower_density_keeps_a_backbeat_longer_than_ghost_notes() -> None:
    groove = grid_of((0, KICK, 0.9), (1, SNARE, 0.9), (1.75, SNARE, 0.2), (2.25, SNARE, 0.2), (3, SNARE, 0.9), (3.75, SNARE, 0.25))
    assert cells(thin(groove, 0.5)) == {(0, KICK), (4, SNARE), (12, SNARE)}


# velocity


@law
@given(grids, parts, parts)
def test_the_velocity_range_keeps_hits_timing_and_the_order_of_loudness(grid: Grid, low: float, span: float) -> None:
    high = low + (1 - low) * span
    out = fit_velocity_range(grid, low, high)
    assert np.array_equal(out.hits, grid.hits)
    assert np.array_equal(out.offsets, grid.offsets)
    assert out.velocities[grid.hits > 0] == pytest.approx(low + (high - low) * grid.velocities[grid.hits > 0], abs=1e-6)


# swing


@law
@given(grids, parts)
def test_swing_delays_every_second_sixteenth_and_nothing_else(grid: Grid, amount: float) -> None:
    out = apply_swing(grid, amount)
    assert np.array_equal(out.hits, grid.hits)
    assert np.array_equal(out.velocities, grid.velocities)
    assert np.array_equal(out.offsets[0::2], grid.offsets[0::2])
    late = np.minimum(grid.offsets[1::2] + amount / 3, 0.5)
    assert out.offsets[1::2] == pytest.approx(np.where(grid.hits[1::2], late, 0), abs=1e-6)


def test_full_swing_is_the_last_third_of_an_eighth() -> None:
    assert beats(apply_swing(grid_of((0, HAT, 0.5), (0.25, HAT, 0.5), (0.5, HAT, 0.5)), 1.0), HAT) == pytest.approx(
        [0, 1 / 3, 0.5], abs=1e-6
    )


def test_swing_adds_to_the_timing_of_the_loop() -> None:
    assert beats(apply_swing(grid_of((0.25 - 0.02, HAT, 0.5)), 0.5), HAT) == pytest.approx([0.25 - 0.02 + 0.25 / 6], abs=1e-6)


# speed


def test_half_time_stretches_the_first_two_bars_with_their_timing() -> None:
    groove = grid_of((0, KICK, 0.9), (1.03, SNARE, 0.8), (7.75, HAT, 0.5), (8, KICK, 0.9), (12, SNARE, 0.3))
    out = change_speed(groove, 0.5)
    assert (beats(out, KICK), beats(out, SNARE), beats(out, HAT)) == ([0], pytest.approx([2.06]), [15.5])


def test_double_time_plays_the_loop_twice_with_its_timing() -> None:
    groove = grid_of((0, KICK, 0.9), (3.02, SNARE, 0.8), (0.25, HAT, 0.5))
    out = change_speed(groove, 2.0)
    assert (beats(out, KICK), beats(out, SNARE), beats(out, HAT)) == ([0, 8], pytest.approx([1.51, 9.51]), [0.125, 8.125])


def test_at_any_speed_an_early_first_hit_stays_early() -> None:
    groove = grid_of((-0.1, KICK, 0.9))
    assert beats(change_speed(groove, 0.5), KICK) == pytest.approx([LOOP_BEATS - 0.2])
    assert beats(change_speed(groove, 2.0), KICK) == pytest.approx([-0.05, 7.95])


def test_of_two_equal_hits_that_merge_in_double_time_the_one_on_the_eighth_stays() -> None:
    sixteenths = grid_of(*((step / 4, HAT, 0.5) for step in range(64)))
    assert beats(change_speed(sixteenths, 2.0), HAT) == [step / 4 for step in range(64)]


def test_of_two_hits_that_merge_in_double_time_the_louder_stays() -> None:
    assert beats(change_speed(grid_of((0.25, HAT, 0.9), (0.5, HAT, 0.5)), 2.0), HAT) == [0.125, 8.125]


@law
@given(grids, st.sampled_from((0.5, 2.0)))
def test_a_speed_change_moves_each_hit_and_adds_none(grid: Grid, speed: float) -> None:
    cycles = (0, 1) if speed == 2 else (0,)
    origins = [((onset.beat + at * LOOP_BEATS) / speed, *onset[1:]) for onset in grid.onsets() for at in cycles]
    for beat, voice, velocity in change_speed(grid, speed).onsets():
        apart = [(beat - origin + LOOP_BEATS / 2) % LOOP_BEATS - LOOP_BEATS / 2 for origin, *hit in origins if hit == [voice, velocity]]
        assert min(map(abs, apart)) < 1e-6


@law
@given(st.integers(0, 10_000))
def test_half_speed_of_double_speed_is_the_loop_where_no_hits_merged(seed: int) -> None:
    grid = random_grid(seed)
    even = Grid(np.where(np.arange(64)[:, None] % 2 == 0, grid.hits, 0), grid.velocities, grid.offsets)
    back = change_speed(change_speed(even, 2.0), 0.5)
    assert np.array_equal(back.hits, even.hits)
    assert np.array_equal(back.velocities, even.velocities)
    assert back.offsets == pytest.approx(even.offsets, abs=1e-6)


# voices


@law
@given(grids, voices)
def test_a_muted_voice_is_silent_and_the_others_play_as_before(grid: Grid, silent: frozenset[int]) -> None:
    out = mute_voices(grid, silent)
    others = [voice for voice in range(9) if voice not in silent]
    assert not out.hits[:, sorted(silent)].any()
    assert all(np.array_equal(a[:, others], b[:, others]) for a, b in zip(out.arrays(), grid.arrays(), strict=True))


def test_a_muted_voice_counts_for_the_density() -> None:
    assert (
        apply_controls(grid_of((0, KICK, 0.9), (0.25, HAT, 0.2)), ControlState(density=0.5, muted_voices=frozenset({KICK}))) == Grid.empty()
    )


@law
@given(grids, parts, voices)
def test_muting_a_voice_adds_no_hit_of_another(grid: Grid, density: float, silent: frozenset[int]) -> None:
    sparse = ControlState(density=density)
    assert apply_controls(grid, replace(sparse, muted_voices=silent)) == mute_voices(apply_controls(grid, sparse), silent)


@law
@given(grids, grids, voices)
def test_locked_voices_come_from_the_old_loop_and_the_rest_from_the_new(old: Grid, new: Grid, locked: frozenset[int]) -> None:
    out = merge_voices(old, new, locked)
    for voice in range(9):
        source = old if voice in locked else new
        assert all(np.array_equal(a[:, voice], b[:, voice]) for a, b in zip(out.arrays(), source.arrays(), strict=True))
