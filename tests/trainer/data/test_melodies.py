"""Tests the corpus of melodies: one melody for each pitched instrument, and windows without a silent bar."""

from collections.abc import Iterable
from pathlib import Path

import mido
import numpy as np
import pytest

from drumvae.midi.io import Part, read_notes
from drumvae.music.encoding import MELODY_FIRST_PITCH, MELODY_LOWEST, MELODY_NOTE_OFF, melody_to_notes
from drumvae.trainer.data.corpus import Corpus, CorpusOptions, load_corpus
from drumvae.trainer.data.melodies import drop_orphan_note_offs, part_to_melody, starts_with_onset_in_each_bar
from drumvae.util.errors import DataError

Note = tuple[float, float, int]
"""Start and end of a note in beats, and its pitch."""
BEAT = 480


def track(notes: Iterable[Note], name: str = "", channel: int = 0, program: int = 0) -> mido.MidiTrack:
    """Returns a track whose note-offs precede the note-ons on the same tick."""
    events = [(round(end * BEAT), 0, "note_off", pitch) for _, end, pitch in notes]
    events += [(round(start * BEAT), 1, "note_on", pitch) for start, _, pitch in notes]
    result, now = mido.MidiTrack([mido.MetaMessage("track_name", name=name)] if name else []), 0
    result.append(mido.Message("program_change", channel=channel, program=program))
    for tick, _, kind, pitch in sorted(events):
        result.append(mido.Message(kind, channel=channel, note=pitch, velocity=80, time=tick - now))
        now = tick
    return result


def save(path: Path, *tracks: mido.MidiTrack, meter: tuple[int, int] = (4, 4), bpm: float = 120) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = [mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))]
    head.append(mido.MetaMessage("time_signature", numerator=meter[0], denominator=meter[1]))
    mido.MidiFile(tracks=[mido.MidiTrack(head), *tracks], ticks_per_beat=BEAT).save(path)
    return path


def walk(bars: int, lowest: int = 60) -> list[Note]:
    """Returns a quarter note on each beat, with a new pitch each time."""
    return [(float(beat), beat + 1.0, lowest + beat % 7) for beat in range(bars * 4)]


def load(folder: Path, cache: Path, **options: int) -> Corpus:
    return load_corpus(folder, CorpusOptions(kind="melody", **options), cache)  # type: ignore[arg-type]


def part(notes: Iterable[Note]) -> Part:
    table = np.array(list(notes), np.float64)
    return Part("", table[:, 0], table[:, 1], table[:, 2].astype(np.int64))


def read_part(tmp_path: Path, *messages: mido.Message) -> list[tuple[float, float]]:
    (only,) = read_notes(save(tmp_path / "a.mid", mido.MidiTrack(messages))).parts
    return list(zip(only.beats.tolist(), only.end_beats.tolist(), strict=True))


def on(time: int = 0, pitch: int = 60) -> mido.Message:
    return mido.Message("note_on", note=pitch, velocity=80, time=time)


def off(time: int = 0, pitch: int = 60) -> mido.Message:
    return mido.Message("note_off", note=pitch, time=time)


def test_notes_keep_their_true_ends(tmp_path: Path) -> None:
    assert read_part(tmp_path, on(), off(BEAT), on(BEAT), off(BEAT // 2)) == [(0, 1), (2, 2.5)]


def test_a_repeated_pitch_is_two_notes_in_either_order_of_note_off_and_note_on(tmp_path: Path) -> None:
    assert read_part(tmp_path, on(), off(BEAT), on(), off(BEAT)) == [(0, 1), (1, 2)]
    assert read_part(tmp_path, on(), on(BEAT), off(), off(BEAT)) == [(0, 1), (1, 2)]


def test_a_note_without_note_off_lasts_to_the_end_of_its_track(tmp_path: Path) -> None:
    assert read_part(tmp_path, on(), on(BEAT, 62), off(3 * BEAT, 62)) == [(0, 4), (1, 4)]


def test_a_note_that_ends_where_it_begins_is_kept(tmp_path: Path) -> None:
    assert read_part(tmp_path, on(BEAT), off(), on(BEAT, 62), off(BEAT, 62)) == [(1, 1), (2, 3)]


def test_each_pitched_instrument_is_a_part_and_drums_are_not(tmp_path: Path) -> None:
    both = track(walk(1), channel=3)
    both += [mido.Message("program_change", channel=3, program=5), *track(walk(1), channel=3, program=5)]
    song = read_notes(save(tmp_path / "a.mid", track(walk(1), "Bass", 1), track(walk(1), "Drums", 9), both))
    assert [found.name for found in song.parts] == ["Bass", "", ""]
    assert [len(found.pitches) for found in song.parts] == [4, 4, 4]


def test_an_onset_is_on_the_nearest_step_and_a_short_note_lasts_one_step(tmp_path: Path) -> None:
    melody = part_to_melody(part([(0.124, 0.13, 60), (1.125, 1.2, 62), (2.0, 3.0, 64)]))
    assert melody_to_notes(melody)[:2] == [(0, 1, 60), (5, 6, 62)]
    assert len(melody) == 16


def test_the_highest_note_of_a_chord_is_kept_and_a_new_note_ends_the_previous_one() -> None:
    melody = part_to_melody(part([(0, 4, 48), (0, 4, 60), (0, 4, 55), (1, 2, 50)]))
    assert melody_to_notes(melody) == [(0, 4, 60), (4, 8, 50)]


def test_a_window_without_an_onset_in_one_of_its_bars_is_left_out_and_counted(tmp_path: Path) -> None:
    notes = [note for note in walk(12) if not 20 <= note[0] < 24]  # bar 5 is silent
    save(tmp_path / "one" / "a.mid", track(notes))
    corpus = load(tmp_path / "one", tmp_path / "cache")
    assert (corpus.first_steps // 16).tolist() == [0, 1, 6, 7, 8]
    assert corpus.left_out == {"a bar without an onset": 4}


def test_a_bar_with_only_a_sustained_note_is_silent() -> None:
    melody = part_to_melody(part([(0, 9, 60), (12, 13, 60)]))
    assert starts_with_onset_in_each_bar(melody, 2).tolist() == []
    assert starts_with_onset_in_each_bar(melody, 1).tolist() == [0, 3]


def test_a_window_has_no_note_off_of_an_earlier_note(tmp_path: Path) -> None:
    notes = [(0.0, 1.0, 60), (3.0, 4.5, 62), (5.0, 6.0, 64), (8.0, 9.0, 65)]
    save(tmp_path / "one" / "a.mid", track(notes))
    corpus = load(tmp_path / "one", tmp_path / "cache", bars=2)
    first, second = corpus.melodies(np.arange(2))
    assert first[18] == MELODY_NOTE_OFF
    assert melody_to_notes(second)[0] == (4, 8, 64)
    assert not second[:4].any()


def test_note_offs_after_the_first_onset_are_kept() -> None:
    windows = np.array([[1, 0, 5, 1, 1], [0, 1, 1, 0, 1]])
    assert drop_orphan_note_offs(windows).tolist() == [[0, 0, 5, 1, 1], [0, 0, 0, 0, 0]]


def test_windows_hold_the_notes_of_the_file(tmp_path: Path) -> None:
    save(tmp_path / "one" / "a.mid", track(walk(4)))
    corpus = load(tmp_path / "one", tmp_path / "cache")
    windows = corpus.melodies(np.array([0]))
    assert windows.shape == (1, 64)
    assert melody_to_notes(windows[0]) == [(int(start * 4), int(end * 4), pitch) for start, end, pitch in walk(4)]
    loops = corpus.loops(np.array([0]))
    assert loops.dtype == np.float32
    assert np.array_equal(loops, windows)
    assert corpus.window_bpm[0] == pytest.approx(120)


def test_a_take_is_named_after_its_file_its_number_and_its_instrument(tmp_path: Path) -> None:
    save(tmp_path / "all" / "deep" / "a.mid", track(walk(4), "Lead"), track(walk(4), "", 2))
    corpus = load(tmp_path / "all", tmp_path / "cache")
    assert [take.name for take in corpus.takes] == ["deep/a.mid#1 Lead", "deep/a.mid#2"]
    assert {take.file for take in corpus.takes} == {"deep/a.mid"}


def test_all_instruments_of_a_file_are_in_one_split(tmp_path: Path) -> None:
    for number in range(10):
        save(tmp_path / "all" / f"{number}.mid", *(track(walk(4, 50 + number + voice), f"v{voice}", voice) for voice in range(3)))
    takes = load(tmp_path / "all", tmp_path / "cache").takes
    splits = {take.file: {other.split for other in takes if other.file == take.file} for take in takes}
    assert all(len(found) == 1 for found in splits.values())
    assert sorted(found.pop() for found in splits.values()) == ["test"] + ["train"] * 8 + ["validation"]


def test_takes_left_out_are_counted_by_reason(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    save(folder / "good.mid", track(walk(4)))
    save(folder / "drums.mid", track(walk(4), "", 9))
    save(folder / "waltz.mid", track(walk(4)), meter=(3, 4))
    save(folder / "short.mid", track(walk(3)))
    save(folder / "holes.mid", track([(0, 1, 60), (18, 19, 60)]))
    save(folder / "low.mid", track(walk(4, 5)))
    (folder / "broken.mid").write_bytes(b"MThd")
    assert load(folder, tmp_path / "cache").rejected == {
        "no pitched notes": 1,
        "meter not 4/4": 1,
        "shorter than 4 bars": 1,
        "a silent bar in every window of 4 bars": 1,
        "no pitch from 21 to 108": 1,
        "not a whole MIDI file": 1,
    }


def test_pitches_outside_the_melody_classes_are_counted_by_pitch(tmp_path: Path) -> None:
    save(tmp_path / "one" / "a.mid", track([*walk(4), (1.5, 2, MELODY_LOWEST - 1), (2.5, 3, 120)]))
    corpus = load(tmp_path / "one", tmp_path / "cache")
    assert corpus.dropped == {"pitch 20": 1, "pitch 120": 1}
    assert corpus.melody[corpus.melody >= MELODY_FIRST_PITCH].min() == MELODY_FIRST_PITCH + 60 - MELODY_LOWEST


def test_a_corpus_holds_either_melodies_or_drums(tmp_path: Path, midi_folder: Path) -> None:
    save(tmp_path / "one" / "a.mid", track(walk(4)))
    with pytest.raises(DataError, match="holds melody, not drums"):
        load(tmp_path / "one", tmp_path / "cache").grooves(np.array([0]))
    with pytest.raises(DataError, match="holds drums, not melody"):
        load_corpus(midi_folder, cache=tmp_path / "cache").melodies(np.array([0]))


def test_a_cached_corpus_of_another_kind_or_length_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "one" / "a.mid", track(walk(4)))
    load(tmp_path / "one", tmp_path / "cache")
    home = next((tmp_path / "cache").iterdir())
    assert load(home, tmp_path / "cache").options.kind == "melody"
    with pytest.raises(DataError, match="holds windows of 4 bars of melody, not of 4 bars of drums"):
        load_corpus(home)
    with pytest.raises(DataError, match="not of 2 bars of melody"):
        load(home, tmp_path / "cache", bars=2)


def test_the_error_for_an_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match="no corpus kind 'drum'; did you mean drums"):
        CorpusOptions(kind="drum")
