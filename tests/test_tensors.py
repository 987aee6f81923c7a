import numpy as np
import pytest

from drumvae.grid import Grid, Onset
from drumvae.tensors import (
    grid_to_groove,
    grid_to_pattern,
    groove_to_grid,
    melody_to_notes,
    notes_to_melody,
    pattern_to_grid,
)


def test_a_groove_tensor_is_three_blocks_with_doubled_late_positive_offsets() -> None:
    groove = grid_to_groove(Grid.from_onsets([Onset(1.05, 2, 0.75)]))
    assert groove.shape == (64, 27)
    assert groove.dtype == np.float32
    assert groove[4, [2, 11, 20]] == pytest.approx([1.0, 0.75, 0.4])
    assert np.count_nonzero(groove) == 3


def test_grooves_come_back_as_they_went_in(groove: Grid) -> None:
    late = Grid(groove.hits, groove.velocities, groove.hits * np.float32(0.25))
    assert groove_to_grid(grid_to_groove(late)) == late


def test_pattern_classes_are_sums_of_powers_of_two() -> None:
    both = Grid.from_onsets([Onset(0, 0, 1.0), Onset(0, 2, 1.0), Onset(0.25, 8, 1.0)])
    assert grid_to_pattern(both)[:3].tolist() == [5, 256, 0]


def test_patterns_come_back_with_their_hits(groove: Grid) -> None:
    assert np.array_equal(pattern_to_grid(grid_to_pattern(groove)).hits, groove.hits)


def test_all_512_patterns_come_back() -> None:
    assert np.array_equal(grid_to_pattern(pattern_to_grid(np.arange(512))), np.arange(512))


def test_a_melody_has_onsets_ends_and_nothing_between() -> None:
    melody = notes_to_melody([(2, 4, 32), (6, 11, 33), (11, 13, 34)], 16)
    assert melody.tolist() == [0, 0, 13, 0, 1, 0, 14, 0, 0, 0, 0, 15, 0, 1, 0, 0]


def test_of_notes_that_begin_together_the_highest_stays() -> None:
    assert melody_to_notes(notes_to_melody([(0, 4, 60), (0, 4, 67), (8, 9, 10)], 16)) == [(0, 4, 67)]


def test_melodies_come_back_as_they_went_in() -> None:
    notes = [(0, 3, 60), (3, 5, 62), (8, 16, 64)]
    assert melody_to_notes(notes_to_melody(notes, 16)) == notes
