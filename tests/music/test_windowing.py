"""Laws of overlapping windows: they cover every step, meet on bars, and give each bar its context."""

import numpy as np
import pytest
from helpers.former import STAGE
from hypothesis import given, settings
from hypothesis import strategies as st

from drumvae.inference.engine import Engine
from drumvae.music.grid import Grid
from drumvae.music.windowing import cut_windows, stitch_windows, window_starts


@given(st.integers(1, 2000), st.sampled_from([16, 32, 48, 64, 256]))
@settings(deadline=None)
def test_cut_windows_are_stitched_to_the_same_array(steps: int, size: int) -> None:
    array = np.random.default_rng(steps).random((steps, 3)).astype(np.float32)
    windows = cut_windows(array, steps, size)
    assert windows.shape[1:] == (size, 3)
    assert np.array_equal(stitch_windows(windows, steps), array)


@given(st.integers(65, 2000))
@settings(deadline=None)
def test_windows_meet_on_bars_and_inner_bars_are_not_at_an_end_of_their_window(steps: int) -> None:
    starts = np.array(window_starts(steps, 64))
    assert not (starts % 16).any()
    owner = stitch_windows(np.broadcast_to(np.arange(len(starts))[:, None], (len(starts), 64)), steps)
    place = np.arange(steps) - starts[owner]
    changes = np.flatnonzero(np.diff(owner)) + 1
    assert not (changes % 16).any()
    inner = slice(16, (steps - 1) // 16 * 16)
    assert place[inner].min() >= 16
    assert place[inner].max() < 48


@pytest.mark.parametrize(
    ("steps", "starts"), [(1, [0]), (64, [0]), (65, [0, 16]), (96, [0, 32]), (160, [0, 32, 64, 96]), (144, [0, 32, 64, 80])]
)
def test_windows_begin_half_a_window_apart_and_the_last_one_ends_with_the_last_bar(steps: int, starts: list[int]) -> None:
    assert window_starts(steps, 64) == starts


def repeated(groove: Grid, times: int) -> Grid:
    return Grid(*(np.tile(array, (times, 1)) for array in groove.arrays()))


def test_a_bar_depends_on_the_bars_before_and_after_it_across_every_fourth_bar_line(engine: Engine, groove: Grid) -> None:
    long = repeated(groove, 3)
    for bar, changed in ((4, 3), (3, 4), (8, 7), (7, 8)):  # on either side of a bar line at which loops would be cut
        hits = np.array(long.hits)
        hits[16 * changed : 16 * changed + 16] = 0
        there, here = engine.humanize(long), engine.humanize(Grid(hits, long.velocities, long.offsets))
        steps = slice(16 * bar, 16 * bar + 16)
        assert np.abs(there.velocities[steps] - here.velocities[steps]).max() > 0.005


def test_a_repeated_groove_is_played_the_same_in_every_inner_cycle(engine: Engine, groove: Grid) -> None:
    played = engine.humanize(repeated(groove, 5))
    second, third = (played.window(64 * cycle) for cycle in (1, 2))
    assert np.allclose(second.velocities, third.velocities, atol=1e-5)
    assert np.allclose(second.offsets, third.offsets, atol=1e-5)


def test_a_sample_above_temperature_0_applies_to_a_whole_file(groove: Grid) -> None:
    """In the family that samples one latent; a drummer samples every hit."""
    engine = Engine.load(STAGE, "cpu")
    played = engine.humanize(repeated(groove, 5), seed=4, temperature=1.0)
    second, third = (played.window(64 * cycle) for cycle in (1, 2))
    assert np.allclose(second.velocities, third.velocities, atol=1e-5)
    assert played != engine.humanize(repeated(groove, 5), seed=5, temperature=1.0)


def test_a_loop_alone_is_played_as_in_a_longer_grid(engine: Engine, groove: Grid) -> None:
    padded = Grid(*(np.pad(array, ((0, 64), (0, 0))) for array in groove.arrays()))
    alone, followed = engine.humanize(groove), engine.humanize(padded)
    assert np.allclose(alone.velocities[:48], followed.velocities[:48], atol=1e-5)  # bar 4 depends on the next bar


@pytest.mark.parametrize("bars", [5, 6, 9])
def test_long_grids_are_varied_in_every_bar_and_morph_into_others(engine: Engine, groove: Grid, bars: int) -> None:
    long = repeated(groove, 3).window(0, bars * 16)
    varied = engine.vary(long, 0.5, seed=3)
    assert varied.steps == long.steps
    changed = (varied.hits != long.hits).reshape(bars, -1).sum(axis=1)
    assert (changed > 0).all()
    other = engine.vary(long, 1.0, seed=9)
    assert [engine.morph(long, other, position) for position in (0.0, 1.0)] == [long, other]
