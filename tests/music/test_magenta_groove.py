"""Compares the encodings with the tests of GrooVAE's converter (magenta/models/music_vae/data_test.py, GrooveConverter), law by law.

Numbers G1 to G17 and X1 to X5 are those cases; inputs are MIDI files at 120 bpm that the tests write. Expected values are GrooVAE's,
converted: its offsets count half steps *early*, ours half steps *late*, so every sign is reversed. What differs, and why:

| case | GrooVAE | here, and why |
|---|---|---|
| G5 | a tap of fixed velocity has velocity 0 | `TAP_VELOCITY`: MIDI has no note of velocity 0 |
| G6 | a dropped kick keeps its tap | a dropped hit has no tap, whatever its voice |
| G9 | velocity and offset in 32 bins | absent: bins come back within 5 ms, numbers within 1 ms; its decoder of bins loses notes |
| G10, G11, G13, G15 | voices serialised in time, nine rows a step, and a control that counts them | absent: columns are voices |
| G12, G13 | windows on any step | windows on every bar: a loop begins on one |
| G14, G15 | hits as a control that the output may ignore | hits that are given to the decoder and kept |
| G17 | one pitch map for training, another for use | one kit for both; another kit is another argument |
| X1 | a hit that rounds past the end makes a bar or is lost | so it does in a take, which is on; a loop has it on step 0 |
| X3 | velocity may round to 0, time may be negative | velocity is 1 at least, an early first hit sounds at the loop's end |
| X4 | nothing usable gives no tensor, silently | every take left out is counted with its reason; tempo changes and silent last bars stay |
| X5 | a soft kick keeps its tap when it is dropped | kick and snare alike |
"""

from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from drumvae.midi.io import read_midi, write_midi
from drumvae.music.encoding import arrays_to_groove, grid_to_groove, groove_to_grid
from drumvae.music.grid import BEATS_PER_BAR, STEPS_PER_BAR, Array, Grid, Onset
from drumvae.music.inputs import TAP_VELOCITY, TAP_VOICE, to_tap, without_feel, without_voices
from drumvae.music.kit import DEFAULT_KIT, VOICES, Kit
from drumvae.trainer.data.augment import drop_notes
from drumvae.trainer.data.corpus import Corpus, CorpusOptions, load_corpus
from drumvae.util.errors import DataError

K, S, H = 36, 38, 42
KICK, SNARE, CLOSED_HAT, OPEN_HAT = range(4)
STEP_S = 0.125
TICK_S = 0.00005
Note = tuple[int, int, float]  # pitch, velocity, start in seconds

ONE: list[Note] = [
    *[(K, 80, 0), (H, 72, 0), (H, 127, 0.26125), (S, 103, 0.5), (H, 107, 0.5), (H, 80, 0.75)],
    *[(K, 80, 1), (H, 80, 1), (H, 80, 1.25), (S, 82, 1.523), (H, 80, 1.5), (H, 80, 1.75)],
]
TWO_FIRST: list[Note] = [
    *[(K, 80, 0), (H, 72, 0), (H, 127, 0.26), (S, 103, 0.5), (H, 107, 0.5), (H, 80, 0.75)],
    *[(K, 80, 1), (H, 80, 1), (H, 80, 1.25), (S, 80, 1.5), (H, 80, 1.5), (H, 80, 1.75)],
]
TWO_SECOND: list[Note] = [
    *[(K, 80, 2), (H, 72, 2), (H, 127, 2.25), (S, 103, 2.5), (H, 107, 2.5), (H, 80, 2.75)],
    *[(K, 80, 3.06), (H, 109, 3), (H, 80, 3.25), (S, 80, 3.5), (H, 80, 3.5), (H, 90, 3.75)],
]
TWO = TWO_FIRST + TWO_SECOND
TAP_OF_ONE = [(80, 0), (127, 0.26125), (107, 0.5), (80, 0.75), (80, 1), (80, 1.25), (82, 1.523), (80, 1.75)]


def write_notes(path: Path, notes: Sequence[Note], until_s: float = 0) -> Path:
    """Writes drums at 120 bpm with ticks of 0.05 ms, so that every time of the cases is exact; `until_s` declares how long the file is."""
    midi = pretty_midi.PrettyMIDI(resolution=round(0.5 / TICK_S), initial_tempo=120)
    drums = pretty_midi.Instrument(0, is_drum=True)
    drums.notes = [pretty_midi.Note(velocity, pitch, start, start + STEP_S) for pitch, velocity, start in notes]
    if until_s:  # by an event without sound; a track ends a tick after its last event
        drums.control_changes.append(pretty_midi.ControlChange(0, 0, until_s - TICK_S))
    midi.instruments = [drums]
    path.parent.mkdir(parents=True, exist_ok=True)
    midi.write(str(path))
    return path


def read_notes(path: Path) -> list[tuple[int, int, float, float]]:
    """Every note of a file as pretty_midi reads it: pitch, velocity, start and end in seconds."""
    return [(n.pitch, n.velocity, n.start, n.end) for i in pretty_midi.PrettyMIDI(str(path)).instruments for n in i.notes]


def read_groove(folder: Path, notes: Sequence[Note]) -> Array:
    """The groove tensor of a whole take, to the end of the bar in which it ends."""
    take = read_midi(write_notes(folder / "take.mid", notes))
    bars = int(np.ceil(take.length_beats / BEATS_PER_BAR))
    return grid_to_groove(take.grid(bars * STEPS_PER_BAR))


def read_corpus(folder: Path, bars: int) -> Corpus:
    return load_corpus(folder, CorpusOptions(bars=bars), cache=folder.parent / "cache")


def read_windows(folder: Path, notes: Sequence[Note], bars: int) -> Array:
    """The groove tensors of all windows of a take."""
    write_notes(folder / "takes" / "take.mid", notes)
    corpus = read_corpus(folder / "takes", bars)
    return arrays_to_groove(*corpus.arrays(corpus.windows("train")))


def onset(note: Note, start_s: float = 0) -> Onset:
    voice = DEFAULT_KIT.voice_of(note[0])
    assert voice is not None
    return Onset((note[2] - start_s) * 2, voice, note[1] / 127)


def tap(velocity: float, start_s: float) -> Onset:
    return Onset(start_s * 2, OPEN_HAT, velocity)


def assert_plays(groove: Array, onsets: Sequence[Onset], abs_beats: float = 1e-5) -> None:
    """A groove tensor decodes to exactly these onsets, in order of step and voice, which is the order of the tables."""
    played = groove_to_grid(groove).onsets()
    in_order = sorted(onsets, key=lambda o: (np.floor(o.beat * 4 + 0.5), o.voice))
    assert [o.voice for o in played] == [o.voice for o in in_order]
    assert [o.beat for o in played] == pytest.approx([o.beat for o in in_order], abs=abs_beats)
    assert [o.velocity for o in played] == pytest.approx([o.velocity for o in in_order], abs=1e-6)


def cell(groove: Array, step: int, voice: int) -> list[float]:
    """Hit, velocity, offset in tensor units."""
    return [float(value) for value in groove[step, voice :: len(VOICES)]]


def test_g1_a_bar_is_one_tensor_and_decodes_to_its_notes(tmp_path: Path) -> None:
    groove = read_groove(tmp_path, ONE)
    assert groove.shape == (16, 27)
    assert_plays(groove, [onset(note) for note in ONE])
    assert cell(groove, 2, CLOSED_HAT) == pytest.approx([1, 1.0, 0.18], abs=1e-5)
    assert cell(groove, 12, SNARE) == pytest.approx([1, 0.6457, 0.368], abs=5e-5)
    assert cell(groove, 12, CLOSED_HAT) == pytest.approx([1, 0.6299, 0], abs=5e-5)
    assert cell(groove, 4, SNARE)[1] == pytest.approx(0.811, abs=5e-4)
    assert cell(groove, 4, CLOSED_HAT)[1] == pytest.approx(0.8425, abs=5e-5)


def test_g1_through_a_file_and_back_no_hit_moves_by_more_than_a_tick(tmp_path: Path) -> None:
    write_midi(tmp_path / "out.mid", groove_to_grid(read_groove(tmp_path, ONE)), 120)
    written = sorted((pitch, velocity, start) for pitch, velocity, start, _ in read_notes(tmp_path / "out.mid"))
    assert [note[:2] for note in written] == [note[:2] for note in sorted(ONE)]
    assert [note[2] for note in written] == pytest.approx([note[2] for note in sorted(ONE)], abs=0.5 / 480 + 1e-9)


def test_g2_two_bars_are_one_tensor_and_decode_to_their_notes(tmp_path: Path) -> None:
    groove = read_groove(tmp_path, TWO)
    assert groove.shape == (32, 27)
    assert_plays(groove, [onset(note) for note in TWO])
    assert cell(groove, 2, CLOSED_HAT)[2] == pytest.approx(0.16, abs=1e-5)
    assert cell(groove, 24, KICK)[2] == pytest.approx(0.96, abs=1e-5)


@pytest.mark.parametrize(("notes", "bars"), [(ONE, [ONE]), (TWO, [TWO_FIRST, TWO_SECOND])], ids=["one", "two"])
def test_g3_a_window_of_a_bar_begins_at_its_own_beat_0(tmp_path: Path, notes: list[Note], bars: list[list[Note]]) -> None:
    windows = read_windows(tmp_path, notes, bars=1)
    assert windows.shape == (len(bars), 16, 27)
    for number, (window, bar) in enumerate(zip(windows, bars, strict=True)):
        assert_plays(window, [onset(note, start_s=2.0 * number) for note in bar], abs_beats=1e-3)


def test_g4_a_tap_is_the_loudest_hit_of_each_step_with_its_timing(tmp_path: Path) -> None:
    whole = read_groove(tmp_path, ONE)
    target = whole.copy()
    assert_plays(to_tap(whole), [tap(velocity / 127, start) for velocity, start in TAP_OF_ONE])
    assert np.array_equal(whole, target)


def test_g5_a_tap_of_fixed_velocity_keeps_times_and_can_be_a_midi_note(tmp_path: Path) -> None:
    # GrooVAE's has velocity 0, which is what an empty cell has, and a note-off in a file.
    taps = to_tap(read_groove(tmp_path, ONE), velocities=False)
    assert_plays(taps, [tap(TAP_VELOCITY, start) for _, start in TAP_OF_ONE])
    assert round(TAP_VELOCITY * 127) >= 1


def test_g6_dropped_hits_leave_fewer_taps_and_the_target_whole(tmp_path: Path) -> None:
    whole = read_groove(tmp_path, ONE)
    target = np.repeat(whole[None], 100, axis=0)
    counts = to_tap(drop_notes(target, np.random.default_rng(0), 0.8), velocities=False)[..., TAP_VOICE].sum(axis=-1)
    assert counts.max() <= len(TAP_OF_ONE)
    assert counts.min() < len(TAP_OF_ONE)
    assert np.array_equal(target, np.repeat(whole[None], 100, axis=0))


def test_g7_the_input_of_humanize_is_hits_on_the_grid(tmp_path: Path) -> None:
    whole = read_groove(tmp_path, ONE)
    on_grid = [onset(note)._replace(beat=round(note[2] / STEP_S) / 4, velocity=0) for note in ONE]
    assert_plays(without_feel(whole), on_grid)
    assert_plays(whole, [onset(note) for note in ONE])


def test_g8_a_voice_to_fill_in_is_silent_in_the_input(tmp_path: Path) -> None:
    whole = read_groove(tmp_path, ONE)
    no_hats = [(K, 80, 0), (S, 103, 0.5), (K, 80, 1), (S, 82, 1.523)]
    assert_plays(without_voices(whole, np.eye(9)[CLOSED_HAT]), [onset(note) for note in no_hats])
    assert_plays(without_voices(whole, np.eye(9)[SNARE]), [onset(note) for note in ONE if note[0] != S])
    assert_plays(whole, [onset(note) for note in ONE])


def test_g9_continuous_values_come_back_within_what_bins_would_lose(tmp_path: Path) -> None:
    # Bins come back within 5 ms and 4 velocity units, and without serialised voices only 2 of these 12 notes come back at all.
    write_midi(tmp_path / "out.mid", groove_to_grid(read_groove(tmp_path, ONE)), 120)
    written = sorted(read_notes(tmp_path / "out.mid"))
    assert len(written) == len(ONE)
    for (pitch, velocity, start, _), expected in zip(written, sorted(ONE), strict=True):
        assert (pitch, velocity) == expected[:2]
        assert start == pytest.approx(expected[2], abs=0.001)


def test_g10_each_voice_has_its_own_columns() -> None:
    for voice in range(len(VOICES)):
        groove = grid_to_groove(Grid.from_onsets([Onset(0.05, voice, 0.5)], steps=16))
        assert (np.flatnonzero(groove[0]) % len(VOICES) == voice).all()
        assert cell(groove, 0, voice) == pytest.approx([1, 0.5, 0.4])


def test_g10_a_step_is_one_row_and_all_its_voices_come_back(tmp_path: Path) -> None:
    groove = read_groove(tmp_path, ONE)
    assert len(groove) == 16  # serialised: 144
    assert groove.reshape(16, 3, 9).swapaxes(1, 2).reshape(144, 3).sum(axis=0)[0] == len(ONE)  # and it would be the same numbers
    assert_plays(groove, [onset(note) for note in ONE])


def test_g11_a_voice_is_three_numbers_finer_than_32_bins(tmp_path: Path) -> None:
    groove = read_groove(tmp_path, ONE)
    assert groove.size == 144 * 3  # with bins: 144 * 65
    assert cell(groove, 12, SNARE) == pytest.approx([1, 82 / 127, 0.368], abs=1e-5)  # bins are 1/32 and 2/32 wide


def test_g12_windows_begin_on_bars(tmp_path: Path) -> None:
    # GrooVAE's hop of 4 steps gives (32 - 16) / 4 + 1 = 5 windows, three of which begin within a bar.
    assert read_windows(tmp_path, TWO, bars=1).shape == ((32 - 16) // 16 + 1, 16, 27)
    assert read_windows(tmp_path, TWO, bars=2).shape == (1, 32, 27)


def test_g13_the_first_window_is_the_first_bar(tmp_path: Path) -> None:
    first = read_windows(tmp_path, TWO, bars=1)[0]
    assert_plays(first, [onset(note) for note in TWO_FIRST], abs_beats=1e-3)
    assert groove_to_grid(first).onsets()[-1].beat == pytest.approx(1.75 * 2, abs=1e-3)


def test_g14_the_hits_of_the_input_are_those_of_the_target(tmp_path: Path) -> None:
    whole = read_groove(tmp_path, ONE)
    given = without_feel(whole)[:, :9]
    assert given.shape == (16, 9)
    assert np.array_equal(given, whole[:, :9])
    assert np.array_equal(given, groove_to_grid(whole).hits)  # what the engine locks to humanize; the engine's tests hold it to that
    assert given.sum() == len(ONE)


def test_g15_the_hits_of_two_bars_are_as_many_cells_as_a_serialised_control(tmp_path: Path) -> None:
    whole = read_groove(tmp_path, TWO)
    assert whole[:, :9].size == 288
    cells = {round(note[2] / STEP_S) * 9 + onset(note).voice for note in TWO}
    assert set(np.flatnonzero(whole[:, :9]).tolist()) == cells


FOUR_VOICES = Kit(
    "four voices",
    input_notes=((36,), (38, 37, 40, 43, 58, 47, 45, 50, 48), (42, 22, 44, 51, 53, 59), (46, 26, 49, 52, 55, 57), *[()] * 5),
    output_notes=(36, 38, 42, 46, *DEFAULT_KIT.output_notes[4:]),
)


def test_g16_a_kit_of_four_merged_voices_loses_nothing(tmp_path: Path) -> None:
    write_notes(tmp_path / "take.mid", ONE)
    groove = grid_to_groove(read_midi(tmp_path / "take.mid", FOUR_VOICES).grid(16))
    assert_plays(groove, [onset(note) for note in ONE])
    assert not groove.reshape(16, 3, 9)[..., 4:].any()  # twelve columns are used; the shape stays that of nine voices


def test_g16_merged_voices_are_read_as_one(tmp_path: Path) -> None:
    write_notes(tmp_path / "take.mid", [(47, 80, 0), (51, 80, 0.5), (49, 80, 1)])
    assert read_midi(tmp_path / "take.mid", FOUR_VOICES).voices.tolist() == [SNARE, CLOSED_HAT, OPEN_HAT]


UNUSED = [()] * 7
TRAINING_KIT = Kit("training", input_notes=((0, 1), (2, 3), *UNUSED), output_notes=(0, 2, *DEFAULT_KIT.output_notes[2:]))
INFERENCE_KIT = Kit("inference", input_notes=((1, 2), (3, 0), *UNUSED), output_notes=(1, 3, *DEFAULT_KIT.output_notes[2:]))


@pytest.mark.parametrize(("kit", "expected"), [(TRAINING_KIT, [0, 0, 2, 2]), (INFERENCE_KIT, [3, 1, 1, 3])], ids=["training", "inference"])
def test_g17_a_kit_maps_pitches_in_and_out(tmp_path: Path, kit: Kit, expected: list[int]) -> None:
    notes = [(0, 50, 0.0), (1, 60, 0.25), (2, 70, 0.5), (3, 80, 0.75)]
    take = read_midi(write_notes(tmp_path / "take.mid", notes), kit)
    write_midi(tmp_path / "out.mid", take.grid(16), 120, kit)
    assert [note[0] for note in read_notes(tmp_path / "out.mid")] == expected
    assert [note[1] for note in read_notes(tmp_path / "out.mid")] == [50, 60, 70, 80]


def test_g17_output_notes_are_input_notes_so_training_and_use_agree() -> None:
    # In GrooVAE pitches 45, 48 and 58 are other drums in use than they were in training.
    assert [DEFAULT_KIT.voice_of(pitch) for pitch in DEFAULT_KIT.output_notes] == list(range(len(VOICES)))
    assert [VOICES[DEFAULT_KIT.voice_of(pitch) or 0] for pitch in (45, 48, 58)] == ["mid tom", "high tom", "low tom"]


@pytest.mark.parametrize(
    ("start_s", "step", "offset"),
    [(0.0624, 0, 0.9984), (0.0625, 1, -1.0), (1.9374, 15, 0.9984), (1.9375, 16, -1.0), (1.99, 16, -0.16)],
)
def test_x1_an_onset_half_a_step_late_belongs_to_the_next_step(tmp_path: Path, start_s: float, step: int, offset: float) -> None:
    bars = read_windows(tmp_path, [(K, 100, start_s)], bars=1)
    assert len(bars) == (1 if step < 16 else 2)
    take = np.concatenate(bars)
    assert np.flatnonzero(take[:, KICK]).tolist() == [step]
    assert cell(take, step, KICK)[2] == pytest.approx(offset, abs=1e-3)


@pytest.mark.parametrize(("start_s", "offset"), [(1.9375, -1.0), (1.99, -0.16)])
def test_x1_in_a_loop_a_hit_just_before_the_end_is_early_on_step_0(tmp_path: Path, start_s: float, offset: float) -> None:
    loop = grid_to_groove(Grid.from_onsets([onset((K, 100, start_s))], steps=16, circular=True))
    assert np.flatnonzero(loop[:, KICK]).tolist() == [0]
    assert cell(loop, 0, KICK)[2] == pytest.approx(offset, abs=1e-5)
    write_midi(tmp_path / "loop.mid", groove_to_grid(loop), 120)
    assert read_notes(tmp_path / "loop.mid")[0][2] == pytest.approx(start_s, abs=0.5 / 480 + 1e-9)


def test_x2_of_a_voice_in_a_step_the_louder_stays_and_of_equals_the_first(tmp_path: Path) -> None:
    groove = read_groove(tmp_path, [(42, 60, 0), (44, 90, 0.02), (22, 90, 0.04)])
    assert groove[:, :9].sum() == 1
    assert cell(groove, 0, CLOSED_HAT) == pytest.approx([1, 90 / 127, 0.32], abs=1e-5)


def written_note(folder: Path, step: int, hit: float, velocity: float, offset: float) -> tuple[int, int, float, float]:
    """The one note that a model's cell becomes in a file of one bar at 120 bpm."""
    groove = np.zeros((16, 27), np.float32)
    groove[step, [0, 9, 18]] = [hit, velocity, offset]
    write_midi(folder / "loop.mid", groove_to_grid(groove), 120)
    (note,) = read_notes(folder / "loop.mid")
    return note


def test_x3_values_out_of_range_are_clipped_and_an_early_first_hit_sounds_at_the_loops_end(tmp_path: Path) -> None:
    # GrooVAE's note starts at -0.0625 s, before the file does.
    pitch, velocity, start, end = written_note(tmp_path, 0, hit=1, velocity=1.2, offset=-1.5)
    assert (pitch, velocity) == (K, 127)
    assert start == pytest.approx(2 - 0.0625, abs=1 / 480)
    assert end - start <= STEP_S / 2 + 1 / 480  # half a step, where a whole one would cut the next hit of the voice


def test_x3_a_late_hit_stays_within_its_half_step(tmp_path: Path) -> None:
    assert written_note(tmp_path, 0, hit=1, velocity=1.2, offset=1.5)[2] == pytest.approx(0.0625, abs=1 / 480)


def test_x3_a_hit_of_exactly_one_half_is_none() -> None:
    groove = np.zeros((16, 27), np.float32)
    groove[3, [0, 9]] = [0.5, 1]
    assert not groove_to_grid(groove).hits.any()


def test_x3_the_softest_hit_is_still_a_note(tmp_path: Path) -> None:
    # GrooVAE's has velocity 0, which ends a note instead of beginning one.
    pitch, velocity, start, _ = written_note(tmp_path, 2, hit=0.51, velocity=0.003, offset=1.0)
    assert (pitch, velocity) == (K, 1)
    assert start == pytest.approx(0.3125, abs=1 / 480)


def test_x4_a_file_without_notes_is_refused_and_counted(tmp_path: Path) -> None:
    write_notes(tmp_path / "takes" / "empty.mid", [])
    write_notes(tmp_path / "takes" / "one.mid", ONE)
    with pytest.raises(DataError, match=r"empty\.mid has no drums"):
        read_midi(tmp_path / "takes" / "empty.mid")
    corpus = read_corpus(tmp_path / "takes", bars=1)
    assert corpus.rejected == {"no drums": 1}
    assert len(corpus.first_steps) == 1


def test_x4_a_tempo_change_leaves_the_beats_where_they_are(tmp_path: Path) -> None:
    path = write_notes(tmp_path / "takes" / "take.mid", [(K, 100, 0), (S, 100, 0.5), (K, 100, 1), (S, 100, 1.5)])
    song = mido.MidiFile(path)
    song.tracks[0].insert(-1, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(60), time=2 * song.ticks_per_beat))
    song.save(path)
    assert [start for _, _, start, _ in read_notes(path)] == pytest.approx([0, 0.5, 1, 2])  # slower from beat 2 on
    corpus = read_corpus(tmp_path / "takes", bars=1)
    (window,) = arrays_to_groove(*corpus.arrays(corpus.windows("train")))
    assert_plays(window, [Onset(beat, voice, 100 / 127) for beat, voice in enumerate([KICK, SNARE, KICK, SNARE])], abs_beats=1e-3)


def test_x4_a_take_shorter_than_the_window_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_notes(tmp_path / "takes" / "two.mid", TWO)
    with pytest.raises(DataError, match="no usable window of 4 bars: 1 shorter than 4 bars"):
        read_corpus(tmp_path / "takes", bars=4)


SILENT_LAST_BAR: list[Note] = [(K, 100, 0), (K, 100, 5.9)]


def test_x4_a_silent_last_bar_that_the_file_declares_is_a_bar(tmp_path: Path) -> None:
    write_notes(tmp_path / "takes" / "loop.mid", SILENT_LAST_BAR, until_s=8.0)
    corpus = read_corpus(tmp_path / "takes", bars=4)
    (window,) = arrays_to_groove(*corpus.arrays(corpus.windows("train")))
    assert window.shape == (64, 27)
    assert_plays(window, [onset(note) for note in SILENT_LAST_BAR], abs_beats=1e-3)


def test_x4_a_recording_that_stops_after_its_last_hit_ends_with_that_bar(tmp_path: Path) -> None:
    assert len(read_windows(tmp_path, SILENT_LAST_BAR, bars=1)) == 3


@pytest.mark.parametrize(("velocity", "survives"), [(10, 0.63), (80, 0.85)])
@pytest.mark.parametrize("pitch", [K, S], ids=["kick", "snare"])
def test_x5_a_dropped_hit_loses_its_tap_whatever_its_voice(tmp_path: Path, pitch: int, velocity: int, survives: float) -> None:
    # 1 - 0.4 max(0.2, 1 - v / 127) of all. In GrooVAE so many of the snares' taps survive, but all of the kicks'.
    count = 10_000
    windows = np.repeat(read_groove(tmp_path, [(pitch, velocity, 0.02)])[None], count, axis=0)
    taps = to_tap(drop_notes(windows, np.random.default_rng(0), 0.8))
    kept = taps[:, 0, TAP_VOICE] == 1
    assert kept.mean() == pytest.approx(survives, abs=4 * np.sqrt(0.25 / count) + 0.005)
    assert not taps[~kept].any()
