"""Laws of the grid: the rounding of onsets, the sign of offsets, ranges, and text."""

import numpy as np
import pytest

from drumvae.music.grid import Grid, Onset

KICK, SNARE, HAT = 0, 1, 2


def cells(grid: Grid) -> list[tuple[int, int]]:
    return [(int(s), int(v)) for s, v in zip(*np.nonzero(grid.hits), strict=True)]


@pytest.mark.parametrize(
    ("beat", "step", "offset"),
    [(0.0, 0, 0.0), (0.25, 1, 0.0), (0.26, 1, 0.04), (0.24, 1, -0.04), (0.12499, 0, 0.49996), (0.125, 1, -0.5), (15.87, 63, 0.48)],
)
def test_an_onset_lands_on_the_nearest_step_and_half_a_step_rounds_up(beat: float, step: int, offset: float) -> None:
    grid = Grid.from_onsets([Onset(beat, KICK, 0.5)])
    assert cells(grid) == [(step, KICK)]
    assert grid.offsets[step, KICK] == pytest.approx(offset, abs=1e-5)


def test_positive_offsets_are_late() -> None:
    assert Grid.from_onsets([Onset(1.01, KICK, 0.5)]).offsets[4, KICK] > 0


def test_onsets_survive_the_round_trip() -> None:
    onsets = [Onset(0.0, KICK, 0.5), Onset(0.99, SNARE, 0.25), Onset(1.06, HAT, 1.0), Onset(13.4, 8, 0.125)]
    assert [tuple(round(x, 6) for x in o) for o in Grid.from_onsets(onsets).onsets()] == [tuple(o) for o in onsets]


def test_the_louder_of_two_in_one_cell_stays_with_its_own_offset() -> None:
    grid = Grid.from_onsets([Onset(0.0, HAT, 0.4), Onset(0.04, HAT, 0.7), Onset(0.08, HAT, 0.7)])
    assert grid.velocities[0, HAT] == pytest.approx(0.7)
    assert grid.offsets[0, HAT] == pytest.approx(0.16)  # of two equal ones, the first


def test_a_circular_grid_keeps_an_anticipated_downbeat_and_a_plain_one_does_not() -> None:
    early = [Onset(15.95, KICK, 0.8)]
    assert cells(Grid.from_onsets(early, circular=True)) == [(0, KICK)]
    assert Grid.from_onsets(early, circular=True).offsets[0, KICK] == pytest.approx(-0.2)
    assert cells(Grid.from_onsets(early)) == []


def test_an_early_hit_on_the_first_step_has_a_negative_beat() -> None:
    assert Grid.from_onsets([Onset(-0.05, KICK, 0.8)]).onsets()[0].beat == pytest.approx(-0.05)


def test_velocity_and_offset_are_zero_without_a_hit() -> None:
    full = np.ones((16, 9), np.float32)
    silent = Grid(full * 0, full, full * 0.3)
    assert not any(array.any() for array in silent.arrays())


def test_values_are_clipped_into_their_ranges() -> None:
    full = np.ones((16, 9), np.float32)
    grid = Grid(full, full * 3, full * 7)
    assert grid.velocities.max() == 1
    assert grid.offsets.max() < 0.5
    assert Grid(full, full, full * -7).offsets.min() == -0.5


def test_text_survives_the_round_trip(groove: Grid) -> None:
    assert Grid.from_text(groove.to_text()) == groove


@pytest.mark.parametrize("text", ["bongo x...", "kick x...\nsnare x..", "kick x..q"])
def test_invalid_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"voice|steps"):
        Grid.from_text(text)


def test_blending_keeps_the_hits_and_reaches_both_ends(groove: Grid) -> None:
    other = Grid(groove.hits, groove.hits * 0.1, groove.hits * 0.2)
    assert groove.blended(other, 0.0) == groove
    assert groove.blended(other, 1.0) == other
    assert np.array_equal(groove.blended(other, 0.3).hits, groove.hits)


def test_a_window_past_the_end_is_silent(groove: Grid) -> None:
    window = groove.window(48)
    assert window.steps == 64
    assert np.array_equal(window.hits[:16], groove.hits[48:])
    assert not window.hits[16:].any()


def test_a_grid_is_read_only(groove: Grid) -> None:
    with pytest.raises(ValueError, match="read-only"):
        groove.hits[0, 0] = 1


def test_a_wrong_number_of_voices_is_refused() -> None:
    with pytest.raises(ValueError, match="9"):
        Grid(*(np.zeros((16, 8), np.float32) for _ in range(3)))
