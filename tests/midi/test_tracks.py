"""Laws of notes in tracks: how note-offs are paired with note-ons, and what a finer resolution changes."""

import mido
import pytest

from drumvae.midi.notes import MidiNote
from drumvae.midi.tracks import ParsedMidi, Track


def on(tick: int, pitch: int = 38, velocity: int = 90) -> tuple[int, mido.Message]:
    return tick, mido.Message("note_on", note=pitch, velocity=velocity, channel=9)


def off(tick: int, pitch: int = 38) -> tuple[int, mido.Message]:
    return tick, mido.Message("note_off", note=pitch, channel=9)


def ends(notes: tuple[MidiNote, ...]) -> list[tuple[int, int | None]]:
    return [(note.tick, note.end_tick) for note in notes]


def test_a_note_ends_at_the_first_note_off_after_it() -> None:
    assert ends(Track(0, (on(0), off(5), on(7), on(9, velocity=0)), 20).notes) == [(0, 5), (7, 9)]


def test_one_note_off_ends_all_older_notes_of_its_pitch() -> None:
    assert ends(Track(0, (on(0), on(4), off(8), off(9)), 20).notes) == [(0, 8), (4, 8)]


def test_paired_notes_have_one_note_off_each_and_the_first_begun_is_the_first_ended() -> None:
    notes = Track(0, (on(0), on(4), off(8), off(9)), 20).paired_notes
    assert ends(notes) == [(0, 8), (4, 9)]
    assert [(note.on_index, note.off_index) for note in notes] == [(0, 2), (1, 3)]


def test_a_note_without_a_note_off_has_no_end() -> None:
    track = Track(0, (on(0), on(4), off(8)), 20)
    assert ends(track.paired_notes) == [(0, 8), (4, None)]


def test_a_note_off_without_a_note_is_ignored() -> None:
    assert ends(Track(0, (off(0), on(4), off(6), off(7)), 20).notes) == [(4, 6)]


def test_a_note_has_the_program_of_its_channel_at_its_note_on() -> None:
    program = (5, mido.Message("program_change", program=7, channel=9))
    assert [note.program for note in Track(0, (on(0), program, on(6)), 20).notes] == [0, 7]


@pytest.mark.parametrize(("resolution", "factor"), [(96, 5), (220, 3), (480, 1), (960, 1)])
def test_a_finer_resolution_multiplies_every_tick(resolution: int, factor: int) -> None:
    file = ParsedMidi(1, resolution, (Track(0, (on(3), off(5)), 20),)).with_resolution(480)
    assert file.ticks_per_beat == resolution * factor
    assert ends(file.tracks[0].notes) == [(3 * factor, 5 * factor)]
    assert file.tracks[0].length_ticks == 20 * factor
