"""Compares the encodings with the tests of MusicVAE's drum and melody converters (magenta/models/music_vae/data_test.py), law by law.

Its drum cases count one step a quarter note at 60 bpm, four a bar; ours are sixteenths, so every fourth of our steps is one of
theirs, and the three between are silent. The files are MIDI files that the tests write. What differs, and why:

| case | MusicVAE | here, and why |
|---|---|---|
| C1 labels | silence of a bar ends a track, and the next begins with its bar | a take is one piece, with its silences |
| C1 end token | a 513th class says where a track ends | absent: loops are of one length, which the array has |
| C2 windows | of equal windows one is kept, and of those a random five at most | all: frequent music has more weight |
| C3 decoding | a note lasts its whole step | half a sixteenth, so that it never cuts the next hit of its voice |
| C4 rolls | a tenth column for silence; an end column | absent: silence is nine zeros |
| C5 melody | several random windows of each instrument | all that have an onset in every bar |
| C6 augmentation | transposes all but drums, stretches tempo | absent: voices have no pitch, steps have no tempo |
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from numpy.typing import NDArray

from drumvae.midi.io import read_midi, write_midi
from drumvae.music.encoding import (
    MELODY_FIRST_PITCH,
    MELODY_NO_EVENT,
    MELODY_NOTE_OFF,
    PATTERN_CLASSES,
    arrays_to_groove,
    groove_to_grid,
    grooves_to_patterns,
    melody_to_notes,
    patterns_to_grooves,
)
from drumvae.music.grid import Array
from drumvae.music.kit import Kit
from drumvae.trainer.data.augment import drop_notes, scale_velocities, shift_timing
from drumvae.trainer.data.corpus import Corpus, CorpusOptions, load_corpus

Note = tuple[int, float]  # pitch, start in seconds
FIRST_TRACK: list[Note] = [(35, 0), (44, 1), (40, 4), (35, 9), (40, 13), (55, 16), (60, 16), (53, 19)]
SECOND_TRACK: list[Note] = [(35, 1), (40, 25), (55, 28), (60, 28), (53, 31)]
PIANO: list[Note] = [(38, 2), (51, 3), (36, 22)]

FIRST_LABELS = [1, 5, 0, 0, 2, 0, 0, 0]
SECOND_LABELS = [0, 1, 0, 0, 0, 2, 0, 0, 160, 0, 0, 256]
THIRD_LABELS = [0, 2, 0, 0, 160, 0, 0, 256]
WHOLE_LABELS = FIRST_LABELS + SECOND_LABELS + [0, 0, 0, 0] + THIRD_LABELS

MUSICVAE_KIT = Kit(
    "MusicVAE",
    input_notes=(
        (36, 35),
        (38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85),
        (42, 44, 54, 68, 69, 70, 71, 73, 78, 80, 22),
        (46, 67, 72, 74, 79, 81, 26),
        (45, 29, 41, 43, 61, 64, 84),
        (48, 47, 60, 63, 77, 86, 87),
        (50, 30, 62, 76, 83),
        (49, 52, 55, 57, 58),
        (51, 53, 59, 82),
    ),
    output_notes=(36, 38, 42, 46, 45, 48, 50, 49, 51),
)
MID_TOM = 32  # its part of a label: pitch 60, a bongo, which the default kit does not map


def write_drums(path: Path, *tracks: Sequence[Note], bpm: float = 60, piano: Sequence[Note] = ()) -> Path:
    """Writes a track of drums for each list of notes, and one of piano; times are seconds at 60 bpm, and stay beats at any other."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=bpm)
    for is_drum, notes in [*((True, track) for track in tracks), (False, piano)]:
        instrument = pretty_midi.Instrument(0, is_drum=is_drum)
        times = [(pitch, start * 60 / bpm) for pitch, start in notes]
        instrument.notes = [pretty_midi.Note(100, pitch, start, start + 0.1) for pitch, start in times]
        midi.instruments.append(instrument)
    path.parent.mkdir(parents=True, exist_ok=True)
    midi.write(str(path))
    return path


def read_corpus(folder: Path, bars: int) -> Corpus:
    return load_corpus(folder, CorpusOptions(bars=bars), cache=folder.parent / "cache")


def labels_of(patterns: NDArray[np.int64]) -> list[int]:
    """Every fourth class, which is one of MusicVAE's steps; between them is nothing."""
    assert not patterns.reshape(-1, 4)[:, 1:].any()
    return [int(label) for label in patterns[::4]]


def patterns_of(labels: Sequence[int]) -> NDArray[np.int64]:
    """The classes of sixteenths that `labels_of` reads."""
    return np.array([[label, 0, 0, 0] for label in labels]).reshape(-1)


def default_kit_labels(labels: Sequence[int]) -> tuple[int, ...]:
    """Labels without the hits that the default kit does not map."""
    return tuple(label & ~MID_TOM for label in labels)


def test_c1_labels_are_sums_of_voices_over_all_drum_tracks(tmp_path: Path) -> None:
    write_drums(tmp_path / "take.mid", FIRST_TRACK, SECOND_TRACK)
    take = read_midi(tmp_path / "take.mid", MUSICVAE_KIT)
    assert labels_of(grooves_to_patterns(take.grid(steps=128).hits)) == WHOLE_LABELS


def test_c1_other_instruments_are_ignored(tmp_path: Path) -> None:
    alone = read_midi(write_drums(tmp_path / "alone.mid", FIRST_TRACK, SECOND_TRACK))
    beside = read_midi(write_drums(tmp_path / "beside.mid", FIRST_TRACK, SECOND_TRACK, piano=PIANO))
    assert alone.grid(steps=128) == beside.grid(steps=128)


def test_c1_an_unmapped_pitch_is_counted(tmp_path: Path) -> None:
    take = read_midi(write_drums(tmp_path / "take.mid", FIRST_TRACK, SECOND_TRACK))
    assert take.dropped == {"pitch 60": 2}
    assert labels_of(grooves_to_patterns(take.grid(steps=128).hits)) == list(default_kit_labels(WHOLE_LABELS))


def test_c1_there_are_512_classes_and_none_of_them_ends_a_loop() -> None:
    patterns = np.arange(PATTERN_CLASSES)
    assert PATTERN_CLASSES == 2**9
    assert np.array_equal(grooves_to_patterns(patterns_to_grooves(patterns)), patterns)
    assert len(patterns_to_grooves(patterns)) == len(patterns)


def window_labels(folder: Path, bars: int) -> list[tuple[int, ...]]:
    write_drums(folder / "takes" / "take.mid", FIRST_TRACK, SECOND_TRACK)
    corpus = read_corpus(folder / "takes", bars)
    hits = corpus.arrays(corpus.windows("train"))[0]
    return [tuple(labels_of(patterns)) for patterns in grooves_to_patterns(hits)]


def test_c2_windows_of_two_bars_begin_on_every_bar(tmp_path: Path) -> None:
    windows = window_labels(tmp_path, bars=2)
    assert windows == [default_kit_labels(WHOLE_LABELS[first : first + 8]) for first in range(0, 25, 4)]
    assert {default_kit_labels(labels) for labels in (FIRST_LABELS, SECOND_LABELS[:8], THIRD_LABELS)} <= set(windows)


def test_c2_a_repeated_phrase_is_in_two_windows(tmp_path: Path) -> None:
    # MusicVAE keeps one of the two; which files a split has is decided by take, so equal windows cannot leak into another.
    assert window_labels(tmp_path, bars=2).count(default_kit_labels(THIRD_LABELS)) == 2


def test_c2_every_window_is_used(tmp_path: Path) -> None:
    windows = window_labels(tmp_path, bars=1)
    silence = (0, 0, 0, 0)
    assert len(windows) == 8
    assert len(set(windows) - {silence}) == 5  # MusicVAE's five, of which it may draw two or three
    assert windows.count(silence) == 1  # a rest is music


def test_c3_classes_decode_to_the_kits_pitches_at_velocity_80(tmp_path: Path) -> None:
    write_midi(tmp_path / "loop.mid", groove_to_grid(patterns_to_grooves(patterns_of(THIRD_LABELS))), 120, MUSICVAE_KIT)
    (drums,) = pretty_midi.PrettyMIDI(str(tmp_path / "loop.mid")).instruments
    assert drums.is_drum
    assert sorted((note.start, note.pitch) for note in drums.notes) == [(0.5, 38), (2, 48), (2, 49), (3.5, 51)]
    assert {note.velocity for note in drums.notes} == {80}
    assert [note.duration for note in drums.notes] == pytest.approx([0.125 / 2] * 4)  # half a sixteenth


def test_c3_decoded_loops_are_read_as_the_same_classes(tmp_path: Path) -> None:
    write_midi(tmp_path / "loop.mid", groove_to_grid(patterns_to_grooves(patterns_of(THIRD_LABELS))), 120, MUSICVAE_KIT)
    assert labels_of(grooves_to_patterns(read_midi(tmp_path / "loop.mid", MUSICVAE_KIT).grid(steps=32).hits)) == THIRD_LABELS


def test_c4_a_class_is_read_as_its_nine_hits_and_silence_as_nine_zeros() -> None:
    rolls = patterns_to_grooves(WHOLE_LABELS)[:, :9]
    assert rolls.shape == (32, 9)
    assert [int(bits @ (1 << np.arange(9))) for bits in rolls] == WHOLE_LABELS
    assert np.array_equal(~rolls.any(axis=1), np.array(WHOLE_LABELS) == 0)  # the tenth column, derived from the nine


MELODY_NOTES = [(32, 2, 4), (33, 6, 11), (34, 11, 13)]  # pitch, first step, end step
MELODY_EVENTS = [None, None, 11, None, "off", None, 12, None, None, None, None, 13, None, "off", None, None]


def read_melodies(folder: Path, notes: Sequence[tuple[int, int, int]]) -> NDArray[np.int64]:
    """The windows of a bar, as melody classes, of a file of one piano at 120 bpm."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    piano = pretty_midi.Instrument(0)
    piano.notes = [pretty_midi.Note(100, pitch, first * 0.125, end * 0.125) for pitch, first, end in notes]
    midi.instruments = [piano]
    (folder / "songs").mkdir()
    midi.write(str(folder / "songs" / "song.mid"))
    corpus = load_corpus(folder / "songs", CorpusOptions(bars=1, kind="melody"), cache=folder / "cache")
    melodies: NDArray[np.int64] = corpus.melodies(corpus.windows("train"))
    return melodies


def test_c5_a_melody_is_pitches_from_21_shifted_by_two_classes_for_nothing_and_the_end(tmp_path: Path) -> None:
    classes = {None: MELODY_NO_EVENT, "off": MELODY_NOTE_OFF} | {pitch: pitch + 2 for pitch in range(88)}
    assert (MELODY_NO_EVENT, MELODY_NOTE_OFF, MELODY_FIRST_PITCH) == (0, 1, 2)
    assert read_melodies(tmp_path, MELODY_NOTES).tolist() == [[classes[event] for event in MELODY_EVENTS]]


def test_c5_melody_classes_decode_to_the_same_notes(tmp_path: Path) -> None:
    (melody,) = read_melodies(tmp_path, MELODY_NOTES)
    assert [(pitch, first, end) for first, end, pitch in melody_to_notes(melody)] == MELODY_NOTES


def first_windows(folder: Path, bpm: float) -> tuple[Array, float]:
    """The groove tensors of a take played at a tempo, and the tempo that was read."""
    write_drums(folder / f"{bpm:g}" / "take.mid", FIRST_TRACK, SECOND_TRACK, bpm=bpm)
    corpus = read_corpus(folder / f"{bpm:g}", bars=4)
    return arrays_to_groove(*corpus.arrays(corpus.windows("train"))), float(corpus.window_bpm[0])


def test_c6_a_stretched_take_is_the_same_loop_at_another_tempo(tmp_path: Path) -> None:
    (slow, slow_bpm), (fast, fast_bpm) = first_windows(tmp_path, 60), first_windows(tmp_path, 120)
    assert np.array_equal(slow, fast)
    assert [slow_bpm, fast_bpm] == pytest.approx([60, 120])


def test_c6_no_augmentation_moves_a_drum(tmp_path: Path) -> None:
    whole, random = first_windows(tmp_path, 60)[0], np.random.default_rng(0)
    for changed in (scale_velocities(whole, random, 0.3), shift_timing(whole, random, 0.1)):
        assert np.array_equal(changed[..., :9], whole[..., :9])
    assert not (drop_notes(whole, random, 0.8)[..., :9] > whole[..., :9]).any()
