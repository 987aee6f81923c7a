"""Laws of files with new drums: the drums move and everything else stays, note by note, for two readers."""

from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import mido
import numpy as np
import pretty_midi
import pytest
from helpers import songs
from helpers.songs import (
    BELL,
    COWBELL,
    FOOT,
    RIM,
    TICKS,
    Found,
    drums_by_mido,
    everything_else,
    note,
    notes_by_pretty_midi,
    saved,
    score,
    song,
    step_of,
)

from drumvae.inference.engine import Engine
from drumvae.midi.drum_file import DrumFile
from drumvae.music.grid import Grid
from drumvae.music.kits import kit_named
from drumvae.util.errors import DataError, NoDrumsError


def shifted(grid: Grid, steps: float, louder: float = 1.0) -> Grid:
    """Returns a grid whose hits are later by a part of a step, and louder."""
    return Grid(grid.hits, grid.velocities * louder, grid.offsets + steps)


def replayed(path: Path, grid: Grid, file: DrumFile) -> Path:
    path.write_bytes(file.with_drums(grid))
    return path


@pytest.fixture
def humanized(tmp_path: Path, engine: Engine) -> tuple[Path, Path]:
    """A song, and the same humanized."""
    file = DrumFile.read(saved(tmp_path / "song.mid", song()))
    return tmp_path / "song.mid", replayed(tmp_path / "humanized.mid", engine.humanize(file.grid), file)


def test_humanize_leaves_all_other_messages_where_they_were(humanized: tuple[Path, Path]) -> None:
    before, after = map(everything_else, humanized)
    assert after == before
    kinds = {message.type for messages in after for _, message in messages}
    assert {"marker", "set_tempo", "key_signature", "control_change", "pitchwheel", "sysex", "sequencer_specific"} <= kinds
    assert COWBELL in {message.note for messages in after for _, message in messages if message.type == "note_on" and message.channel == 9}


def test_humanize_keeps_the_score_and_every_note_length(humanized: tuple[Path, Path]) -> None:
    before, after = map(drums_by_mido, humanized)
    assert score(after) == score(before)
    assert {BELL, FOOT, RIM} <= {found.pitch for found in after}

    def by_step(notes: list[Found]) -> list[tuple[int, int, int]]:
        return sorted((step_of(found.tick), found.pitch, found.length) for found in notes)

    assert by_step(after) == by_step(before)
    moved = [new.tick - old.tick for old, new in zip(before, after, strict=True)]
    assert np.count_nonzero(moved) > len(moved) / 2
    assert [found.velocity for found in after] != [found.velocity for found in before]


def test_pretty_midi_reads_the_same_of_a_humanized_file_as_mido(humanized: tuple[Path, Path]) -> None:
    before, after = map(notes_by_pretty_midi, humanized)
    assert before.keys() == after.keys() == {("Keys", False), ("Kit", True)}
    assert after["Keys", False] == before["Keys", False]
    mapped = [found for found in after["Kit", True] if found.pitch != COWBELL]
    assert mapped == drums_by_mido(humanized[1])
    assert [found for found in after["Kit", True] if found.pitch == COWBELL] == [f for f in before["Kit", True] if f.pitch == COWBELL]
    old, new = (pretty_midi.PrettyMIDI(str(path)) for path in humanized)
    for one, other in zip(old.get_tempo_changes(), new.get_tempo_changes(), strict=True):
        assert np.array_equal(one, other)
    assert [(m.numerator, m.denominator, m.time) for m in new.time_signature_changes] == [
        (m.numerator, m.denominator, m.time) for m in old.time_signature_changes
    ]
    assert new.get_end_time() == pytest.approx(old.get_end_time(), abs=0.1)


def test_a_flam_moves_as_one_and_its_grace_note_stays_softer(humanized: tuple[Path, Path]) -> None:
    for bar in range(1, 12):
        flam = [found for found in drums_by_mido(humanized[1]) if found.pitch == 38 and step_of(found.tick) == 16 * bar + 4]
        assert len(flam) == 2
        assert flam[1].tick - flam[0].tick == TICKS // 4 // 8
        assert flam[0].velocity < flam[1].velocity


def test_a_file_with_its_own_drums_stays_the_same_message_by_message(tmp_path: Path) -> None:
    file = DrumFile.read(saved(tmp_path / "a.mid", song()))
    replayed(tmp_path / "b.mid", file.grid, file)
    one, other = (mido.MidiFile(tmp_path / name) for name in ("a.mid", "b.mid"))
    assert [list(messages) for messages in one.tracks] == [list(messages) for messages in other.tracks]
    assert (one.ticks_per_beat, one.type) == (other.ticks_per_beat, other.type)


def test_files_of_type_0_become_type_1_and_coarse_ones_get_480_ticks_or_more(tmp_path: Path, engine: Engine) -> None:
    file = DrumFile.read(saved(tmp_path / "a.mid", song(ticks=96, kind=0)))
    after = mido.MidiFile(replayed(tmp_path / "b.mid", engine.humanize(file.grid), file))
    assert (after.type, after.ticks_per_beat, len(after.tracks)) == (1, 480, 1)
    one, other = everything_else(tmp_path / "a.mid"), everything_else(tmp_path / "b.mid")
    assert [[(tick * 5, message) for tick, message in messages] for messages in one] == other
    assert score(drums_by_mido(tmp_path / "b.mid")) == score(drums_by_mido(tmp_path / "a.mid"), 96)


@pytest.mark.parametrize("by", [-0.9, -0.4, 0.4, 0.9])
def test_no_note_leaves_its_step_whatever_the_offset(tmp_path: Path, by: float) -> None:
    file = DrumFile.read(saved(tmp_path / "a.mid", song()))
    after = drums_by_mido(replayed(tmp_path / "b.mid", shifted(file.grid, by), file))
    assert score(after) == score(drums_by_mido(tmp_path / "a.mid"))
    assert min(found.tick for found in after) >= 0


def drums_only(path: Path, notes: list[list[tuple[int, mido.Message]]], beats: float) -> Path:
    whole = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    whole.tracks.append(songs.track([event for events in notes for event in events], round(beats * TICKS)))
    return saved(path, whole)


def test_a_note_that_would_run_into_the_next_of_its_pitch_ends_there(tmp_path: Path) -> None:
    hats = [note(step * 120, 42, 80, 120) for step in range(80)]
    file = DrumFile.read(drums_only(tmp_path / "a.mid", hats, 20))
    late_then_early = np.where(np.arange(80)[:, None] % 2 == 0, 0.3, -0.3) * file.grid.hits
    after = drums_by_mido(replayed(tmp_path / "b.mid", Grid(file.grid.hits, file.grid.velocities, late_then_early), file))
    assert len(after) == 80
    for one, following in pairwise(after):
        assert one.length == min(120, following.tick - one.tick)
    assert notes_by_pretty_midi(tmp_path / "b.mid")["", True] == after


def test_notes_that_overlap_in_the_file_still_overlap(tmp_path: Path) -> None:
    crashes = [note(0, 49, 100, 700), note(480, 49, 90, 700), note(960, 49, 80, 700), note(20 * 480, 36, 80, 10)]
    file = DrumFile.read(drums_only(tmp_path / "a.mid", crashes, 21))
    after = drums_by_mido(replayed(tmp_path / "b.mid", shifted(file.grid, 0.1), file))
    assert [found.length for found in after] == [700, 700, 700, 10]


def test_an_early_first_hit_of_a_loop_sounds_at_its_end_and_the_loop_stays_as_long(tmp_path: Path) -> None:
    file = DrumFile.read(drums_only(tmp_path / "a.mid", [note(0, 36, 100, 60), note(1920, 38, 90, 60)], 8))
    assert file.is_loop
    after = drums_by_mido(replayed(tmp_path / "b.mid", shifted(file.grid, -0.2), file))
    assert [(found.tick, found.pitch) for found in after] == [(1920 - 24, 38), (8 * TICKS - 24, 36)]
    assert [found.length for found in after] == [60, 24]
    assert sum(message.time for message in mido.MidiFile(tmp_path / "b.mid").tracks[0]) == 8 * TICKS
    assert score(after, steps=32) == score(drums_by_mido(tmp_path / "a.mid"), steps=32)


def test_a_late_last_hit_of_a_loop_is_its_early_first_one(tmp_path: Path) -> None:
    file = DrumFile.read(drums_only(tmp_path / "a.mid", [note(8 * TICKS - 24, 36, 100, 24), note(1920, 38, 90, 60)], 8))
    assert file.grid.hits[0, 0] == 1
    assert file.grid.offsets[0, 0] == pytest.approx(-0.2)
    after = drums_by_mido(replayed(tmp_path / "b.mid", shifted(file.grid, 0.3), file))
    assert [(found.tick, found.pitch) for found in after] == [(12, 36), (1920 + 36, 38)]


def test_the_first_hit_of_a_song_stays_in_it(tmp_path: Path) -> None:
    file = DrumFile.read(saved(tmp_path / "a.mid", song()))
    assert not file.is_loop
    after = drums_by_mido(replayed(tmp_path / "b.mid", shifted(file.grid, -0.2), file))
    assert [found.tick for found in after[:2]] == [0, 0]


def test_removed_hits_remove_notes_and_added_hits_add_notes(tmp_path: Path) -> None:
    file = DrumFile.read(saved(tmp_path / "a.mid", song()))
    hits = np.array(file.grid.hits)
    hits[:, 0] = 0
    hits[5, 6] = 1
    grid = Grid(hits, np.where(file.grid.hits > 0, file.grid.velocities, 0.5), np.where(file.grid.hits > 0, file.grid.offsets, 0.25))
    before, after = drums_by_mido(tmp_path / "a.mid"), drums_by_mido(replayed(tmp_path / "b.mid", grid, file))
    new = Found(5 * 120 + 30, 48, 64, 60)
    assert after == sorted([*(found for found in before if found.pitch != 36), new])
    assert everything_else(tmp_path / "b.mid") == everything_else(tmp_path / "a.mid")


def test_replaced_voices_lose_all_their_notes(tmp_path: Path) -> None:
    file = DrumFile.read(saved(tmp_path / "a.mid", song()))
    (tmp_path / "b.mid").write_bytes(file.with_drums(file.grid, kit_named("ad2"), replaced_voices=[1]))
    before, after = drums_by_mido(tmp_path / "a.mid"), drums_by_mido(tmp_path / "b.mid")
    assert [found for found in after if found.pitch not in (38, RIM)] == [found for found in before if found.pitch not in (38, RIM)]
    assert [found.pitch for found in after if found.pitch in (38, RIM)] == [38] * 24  # the flams and rims are gone


def test_a_file_without_drums_keeps_its_notes_and_gets_a_new_drum_track(tmp_path: Path) -> None:
    whole = song()
    whole.tracks.pop()
    with pytest.raises(NoDrumsError, match=r"a\.mid has no drums"):
        DrumFile.read(saved(tmp_path / "a.mid", whole))
    file = DrumFile.read(tmp_path / "a.mid", every_note=True)
    (tmp_path / "b.mid").write_bytes(file.with_drums(shifted(file.grid, 0.1), replaced_voices=range(9)))
    before, after = mido.MidiFile(tmp_path / "a.mid"), mido.MidiFile(tmp_path / "b.mid")
    assert [list(t) for t in after.tracks[:2]] == [list(t) for t in before.tracks]
    assert after.tracks[2].name == "drumvae"
    assert {message.channel for message in after.tracks[2] if message.type == "note_on"} == {9}


def test_the_kit_of_a_take_is_detected_and_its_pitches_stay(tmp_path: Path, engine: Engine) -> None:
    ad2 = kit_named("ad2")
    beats = [note(beat * 480, ad2.output_notes[0 if beat % 2 == 0 else 1], 100, 30) for beat in range(64)]
    hats = [note(eighth * 240, ad2.output_notes[2], 70, 30) for eighth in range(128)]
    toms = [note(bar * 1920 + 1680, ad2.output_notes[4 + bar % 3], 90, 30) for bar in range(16)]
    file = DrumFile.read(drums_only(tmp_path / "a.mid", beats + hats + toms, 64))
    assert file.kit.name == "ad2"
    assert file.grid.hits[:, 2].sum() == 128
    (tmp_path / "b.mid").write_bytes(file.with_drums(engine.humanize(file.grid)))
    one, other = (notes_by_pretty_midi(tmp_path / name)["", True] for name in ("a.mid", "b.mid"))
    assert score(other) == score(one)
    assert [found.tick for found in one] != [found.tick for found in other]


def test_keys_are_not_detected_as_another_drum_kit(tmp_path: Path) -> None:
    notes = [note(eighth * 240, pitch, 90, 100, 0) for eighth in range(128) for pitch in (60 + eighth % 3, 67 + eighth % 5, 77)]
    assert DrumFile.read(drums_only(tmp_path / "a.mid", notes, 64), every_note=True).kit.name == "default"


def test_a_meter_without_beats_counts_as_four(tmp_path: Path) -> None:
    meter = [(0, mido.MetaMessage("time_signature", numerator=0, denominator=4))]
    file = DrumFile.read(drums_only(tmp_path / "a.mid", [meter, note(0, 36, 100, 30)], 8))
    assert (file.bars, file.steps) == (2, 32)


def test_an_incomplete_last_bar_counts_where_it_holds_a_drum(tmp_path: Path) -> None:
    lengths = {}
    for beats in (3.9, 4.0, 4.1, 7.99, 8.0, 18.0):
        lengths[beats] = DrumFile.read(drums_only(tmp_path / "a.mid", [note(0, 36, 100, 30), note(480, 38, 100, 30)], beats)).bars
    assert lengths == {3.9: 1, 4.0: 1, 4.1: 1, 7.99: 2, 8.0: 2, 18.0: 4}
    assert DrumFile.read(drums_only(tmp_path / "a.mid", [note(0, 36, 100, 30), note(1930, 38, 100, 30)], 4.2)).bars == 2


def test_a_loop_in_another_meter_repeats_after_its_own_bars(tmp_path: Path) -> None:
    notes = [note(0, 36, 100, 60), note(480, 38, 90, 60), [(0, mido.MetaMessage("time_signature", numerator=3, denominator=4))]]
    file = DrumFile.read(drums_only(tmp_path / "a.mid", notes, 3))
    assert (file.is_loop, file.steps, file.timing.four_four) == (True, 12, False)
    assert file.loop(64).hits[:, 0].nonzero()[0].tolist() == [0, 12, 24, 36, 48, 60]


def test_the_last_bars_end_with_the_file_and_a_short_loop_is_repeated(tmp_path: Path) -> None:
    snares = [note(bar * 1920 + bar * 120, 38, 100, 30) for bar in range(9)]
    long = DrumFile.read(drums_only(tmp_path / "a.mid", snares, 36))
    assert long.loop(64, last=True).hits[:, 1].nonzero()[0].tolist() == [5, 22, 39, 56]
    short = DrumFile.read(drums_only(tmp_path / "b.mid", [note(240, 38, 100, 30), note(1910, 36, 100, 5)], 4))
    assert short.loop(64, last=True).hits[:, 1].nonzero()[0].tolist() == [2, 18, 34, 50]
    assert short.loop(64, last=True).hits[:, 0].nonzero()[0].tolist() == [0, 16, 32, 48]


def test_a_file_of_too_many_bars_is_refused(tmp_path: Path) -> None:
    whole = mido.MidiFile(type=1, ticks_per_beat=1)
    whole.tracks.append(songs.track([*note(0, 36, 100, 1), *note(9_000_000, 36, 100, 1)], 9_000_010))
    with pytest.raises(DataError, match=r"a\.mid has 2250002 bars; up to 4096 can be played"):
        DrumFile.read(saved(tmp_path / "a.mid", whole))


def test_a_million_notes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    notes = (b"\x10" + bytes([36, 100]) + b"\x10" + bytes([36, 0])) * 1_000_000
    body = b"\x00\x99" + bytes([36, 100]) + notes + b"\x00\xff\x2f\x00"
    header = b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0" + b"MTrk" + len(body).to_bytes(4, "big")
    (tmp_path / "a.mid").write_bytes(header + body)
    with pytest.raises(DataError, match=r"a\.mid has 6\.0 MB, hundreds of thousands of notes; up to 2 MB are read") as caught:
        DrumFile.read(tmp_path / "a.mid")
    assert "\n" not in str(caught.value)


def real_takes(where: Path, folder: Path) -> list[Path]:
    """Returns some takes of the data set, of which a zip is unpacked."""
    if where.is_dir():
        return sorted(where.rglob("*.mid"))[::60]
    with ZipFile(where) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".mid"))[::60]
        return [Path(archive.extract(name, folder)) for name in names]


def without_ends(tracks: list[list[tuple[int, mido.MetaMessage]]]) -> list[list[tuple[int, mido.MetaMessage]]]:
    return [[event for event in messages if event[1].type != "end_of_track"] for messages in tracks]


def overlapping(notes: list[Found]) -> set[tuple[int, int]]:
    """Returns tick and pitch of notes that overlap the next note of their pitch, and of those next notes."""
    over = set()
    for pitch in {found.pitch for found in notes}:
        for one, following in pairwise([found for found in notes if found.pitch == pitch]):
            if one.tick + one.length > following.tick:
                over |= {(one.tick, pitch), (following.tick, pitch)}
    return over


@pytest.mark.gmd
def test_real_takes_keep_their_score_and_lengths_note_by_note(gmd: Path, tmp_path: Path, engine: Engine) -> None:
    takes = real_takes(gmd, tmp_path)
    assert len(takes) > 10
    compared = shortened = 0
    for take in takes:
        file = DrumFile.read(take)
        after = replayed(tmp_path / "after.mid", engine.humanize(file.grid), file)
        one, other = drums_by_mido(take), drums_by_mido(after)
        ticks, steps = file.midi.ticks_per_beat, file.steps if file.is_loop else None
        assert score(other, ticks, steps) == score(one, ticks, steps)
        assert without_ends(everything_else(after)) == without_ends(everything_else(take))
        (before_it,), (after_it,) = (notes_by_pretty_midi(path).values() for path in (take, after))
        assert score(after_it, ticks, steps) == score(before_it, ticks, steps)
        if file.is_loop:
            continue
        begun, over = {(found.tick, found.pitch) for found in other}, overlapping(one)
        pairs = zip(*(sorted((step_of(f.tick, ticks), f.pitch, f.tick, f.length) for f in notes) for notes in (one, other)), strict=True)
        for old, new in pairs:
            assert old[:2] == new[:2]
            if (old[2], old[1]) in over:  # readers pair these note-offs differently
                continue
            assert new[3] == old[3] or (new[3] < old[3] and (new[2] + new[3], new[1]) in begun)  # cut by the next of its pitch
            compared, shortened = compared + 1, shortened + (new[3] != old[3])
    assert compared > 1000
    assert shortened < 0.1 * compared
