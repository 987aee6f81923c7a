"""Laws of the encodings: grooves, patterns and melodies survive the round trip."""

import numpy as np
import pytest

from drumvae.music.encoding import (
    MELODY_CLASSES,
    PATTERN_VELOCITY,
    MelodyNote,
    arrays_to_groove,
    grid_to_groove,
    groove_to_arrays,
    groove_to_grid,
    grooves_to_patterns,
    melody_to_notes,
    notes_to_melody,
    patterns_to_grooves,
)
from drumvae.music.grid import Grid, Onset


def random_grids(count: int = 3, steps: int = 16) -> list[Grid]:
    """Grids of random hits, velocities and offsets."""
    draw = np.random.default_rng(0)
    shape = (count, steps, 9)
    parts = zip(draw.random(shape, np.float32) > 0.7, draw.random(shape, np.float32), draw.random(shape, np.float32) - 0.5, strict=True)
    return [Grid(np.asarray(hits, np.float32), velocities, offsets) for hits, velocities, offsets in parts]


def test_a_groove_tensor_is_three_blocks_with_doubled_late_positive_offsets() -> None:
    groove = grid_to_groove(Grid.from_onsets([Onset(1.05, 2, 0.75)]))
    assert groove.shape == (64, 27)
    assert groove.dtype == np.float32
    assert groove[4, [2, 11, 20]] == pytest.approx([1.0, 0.75, 0.4])
    assert np.count_nonzero(groove) == 3


def test_grooves_survive_the_round_trip() -> None:
    for grid in random_grids():
        assert groove_to_grid(grid_to_groove(grid)) == grid


def test_a_batch_of_arrays_equals_its_grids_and_survives_the_round_trip() -> None:
    grids = random_grids()
    arrays = tuple(np.stack(parts) for parts in zip(*(grid.arrays() for grid in grids), strict=True))
    grooves = arrays_to_groove(*arrays)
    assert np.array_equal(grooves, np.stack([grid_to_groove(grid) for grid in grids]))
    for array, back in zip(arrays, groove_to_arrays(grooves), strict=True):
        assert np.array_equal(array, back)


def test_decoded_values_are_clipped_to_their_ranges() -> None:
    written = np.zeros((2, 27), np.float32)
    written[0, [0, 9, 18]] = [0.6, 1.5, 3.0]
    written[1, [0, 9, 18]] = [0.5, 0.7, 0.7]  # no hit
    (onset,) = groove_to_grid(written).onsets()
    assert tuple(onset) == pytest.approx((0.125, 0, 1.0), abs=1e-6)


def test_pattern_classes_are_sums_of_powers_of_two() -> None:
    both = Grid.from_onsets([Onset(0, 0, 1.0), Onset(0, 2, 1.0), Onset(0.25, 8, 1.0)])
    assert grooves_to_patterns(grid_to_groove(both))[:3].tolist() == [5, 256, 0]


def test_patterns_keep_the_hits(groove: Grid) -> None:
    patterns = grooves_to_patterns(grid_to_groove(groove))
    assert np.array_equal(groove_to_grid(patterns_to_grooves(patterns)).hits, groove.hits)


def test_a_batch_of_patterns_is_the_pattern_of_each_groove() -> None:
    grids = random_grids()
    patterns = grooves_to_patterns(np.stack([grid_to_groove(grid) for grid in grids]))
    assert patterns.dtype == np.int64
    assert np.array_equal(patterns, np.stack([grooves_to_patterns(grid_to_groove(grid)) for grid in grids]))


def test_patterns_decode_to_one_velocity_exactly_on_the_grid() -> None:
    patterns = np.arange(512).reshape(8, 64)
    grooves = patterns_to_grooves(patterns)
    assert grooves.shape == (8, 64, 27)
    assert grooves.dtype == np.float32
    assert np.array_equal(grooves_to_patterns(grooves), patterns)
    assert np.array_equal(grooves[..., 9:18], grooves[..., :9] * np.float32(PATTERN_VELOCITY))
    assert not grooves[..., 18:].any()


def test_a_melody_has_onsets_ends_and_nothing_between() -> None:
    melody = notes_to_melody([(2, 4, 32), (6, 11, 33), (11, 13, 34)], 16)
    assert melody.tolist() == [0, 0, 13, 0, 1, 0, 14, 0, 0, 0, 0, 15, 0, 1, 0, 0]


def test_every_pitch_of_a_piano_is_a_class_of_its_own() -> None:
    classes = [int(notes_to_melody([(0, 1, pitch)], 1)[0]) for pitch in range(21, 109)]
    assert classes == list(range(2, MELODY_CLASSES))


def test_of_notes_that_begin_together_the_highest_stays() -> None:
    assert melody_to_notes(notes_to_melody([(0, 4, 60), (0, 4, 67), (8, 9, 10)], 16)) == [(0, 4, 67)]


def test_a_new_note_ends_the_one_before() -> None:
    assert melody_to_notes(notes_to_melody([(0, 16, 72), (3, 5, 60)], 16)) == [(0, 3, 72), (3, 5, 60)]


def test_a_note_lasts_a_step_at_least() -> None:
    assert melody_to_notes(notes_to_melody([(2, 2, 60)], 16)) == [(2, 3, 60)]


@pytest.mark.parametrize("note", [(-2, 3, 60), (16, 18, 60), (4, 5, 20), (4, 5, 109)], ids=["before", "after", "below", "above"])
def test_a_note_out_of_time_or_range_leaves_nothing_in_a_melody(note: MelodyNote) -> None:
    assert not notes_to_melody([note], 16).any()


def test_a_note_that_lasts_past_the_end_is_cut() -> None:
    assert melody_to_notes(notes_to_melody([(12, 40, 60)], 16)) == [(12, 16, 60)]


@pytest.mark.parametrize("notes", [[(0, 3, 60), (3, 5, 62), (8, 16, 64)], [], [(15, 16, 108), (0, 1, 21)]])
def test_melodies_survive_the_round_trip(notes: list[MelodyNote]) -> None:
    assert melody_to_notes(notes_to_melody(notes, 16)) == sorted(notes)
