"""Laws of reading and writing MIDI files: broken or empty files, files without drums, both types, any channel."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from drumvae.midi.io import Performance, read_midi, write_midi
from drumvae.music.grid import LOOP_BEATS, Grid, Onset
from drumvae.music.kit import VOICES
from drumvae.util.errors import DataError

TICKS = 480
KICK, SNARE, HAT = 36, 38, 42
END = b"\x00\xff\x2f\x00"
TEMPO_60 = b"\x00\xff\x51\x03\x0f\x42\x40"


def delta(ticks: int) -> bytes:
    """A variable-length quantity of at most two bytes."""
    return bytes([0x80 | ticks >> 7, ticks & 0x7F]) if ticks > 0x7F else bytes([ticks])


def note(pitch: int, velocity: int = 100, channel: int = 9, wait: int = 0, length: int = 120) -> bytes:
    on = delta(wait) + bytes([0x90 | channel, pitch, velocity])
    return on + delta(length) + bytes([0x80 | channel, pitch, 0])


def named(name: bytes) -> bytes:
    return b"\x00\xff\x03" + bytes([len(name)]) + name


def song(*tracks: bytes, kind: int = 1, division: int = TICKS) -> bytes:
    header = b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), division)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(t + END)) + t + END for t in tracks)


def read(folder: Path, content: bytes) -> Performance:
    path = folder / "take.mid"
    path.write_bytes(content)
    return read_midi(path)


def onsets(take: Performance) -> list[tuple[float, str]]:
    return [(float(beat), VOICES[voice]) for beat, voice in zip(take.beats, take.voices, strict=True)]


BEAT = note(KICK) + note(SNARE, wait=360)
WHOLE = song(BEAT)


@pytest.mark.parametrize(
    "content",
    [b"", b"MThd", b"RIFF" + bytes(60), b"no MIDI at all", WHOLE[:10], WHOLE[:18], WHOLE[:-6], WHOLE[:30], bytes(200)],
    ids=["empty", "four bytes", "another format", "text", "half a header", "half a track header", "cut end", "cut note", "zeros"],
)
def test_a_broken_file_is_one_sentence_that_names_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"take\.mid .*export it again|take\.mid has no drums") as caught:
        read(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_the_error_names_a_missing_file_or_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.mid", tmp_path):
        with pytest.raises(DataError, match=path.name):
            read_midi(path)


@pytest.mark.parametrize("content", [song(BEAT, kind=2), song(BEAT, division=0xE728)], ids=["type 2", "frames a second"])
def test_a_file_without_beats_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="types 0 and 1"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "track",
    [b"", TEMPO_60, b"".join(note(p, channel=0) for p in (60, 64, 67, 72)), note(3) + note(100)],
    ids=["nothing", "a tempo", "a chord", "unknown pitches"],
)
def test_a_file_without_drums_is_refused(tmp_path: Path, track: bytes) -> None:
    with pytest.raises(DataError, match=r"take\.mid has no drums"):
        read(tmp_path, song(track))


def test_type_0_and_type_1_are_the_same_performance(tmp_path: Path) -> None:
    one = read(tmp_path, song(TEMPO_60 + BEAT, kind=0))
    two = read(tmp_path, song(TEMPO_60, BEAT))
    assert onsets(one) == onsets(two) == [(0.0, "kick"), (1.0, "snare")]
    assert one.bpm == two.bpm == 60


@pytest.mark.parametrize("channel", range(16))
@pytest.mark.parametrize("name", [b"Drum Kit", b""], ids=["named", "unnamed"])
def test_drums_are_found_on_any_channel(tmp_path: Path, channel: int, name: bytes) -> None:
    track = named(name) + note(KICK, channel=channel) + note(SNARE, channel=channel, wait=360)
    assert onsets(read(tmp_path, song(track))) == [(0.0, "kick"), (1.0, "snare")]


def test_channel_10_takes_precedence(tmp_path: Path) -> None:
    bass = named(b"Drum bass") + note(HAT, channel=1)
    assert onsets(read(tmp_path, song(BEAT, bass))) == [(0.0, "kick"), (1.0, "snare")]


def test_a_track_named_after_drums_takes_precedence(tmp_path: Path) -> None:
    drums = named(b"my DRUMS") + note(KICK, channel=3)
    assert onsets(read(tmp_path, song(drums, named(b"Keys") + note(60, channel=0)))) == [(0.0, "kick")]


def test_running_status_and_velocity_0_are_the_same_notes(tmp_path: Path) -> None:
    plain = read(tmp_path, song(note(KICK) + note(SNARE, wait=360)))
    running = b"\x00\x99" + bytes([KICK, 100, 120, KICK, 0]) + delta(360) + bytes([SNARE, 100, 120, SNARE, 0])
    short = read(tmp_path, song(running))
    assert onsets(short) == onsets(plain)
    assert short.velocities.tolist() == plain.velocities.tolist()


def test_a_note_of_length_0_is_kept(tmp_path: Path) -> None:
    assert onsets(read(tmp_path, song(note(KICK, length=0) + note(SNARE, wait=TICKS)))) == [(0.0, "kick"), (1.0, "snare")]


def test_a_note_without_an_end_is_kept_or_counted(tmp_path: Path) -> None:
    take = read(tmp_path, song(BEAT + b"\x00\x99" + bytes([HAT, 100])))
    assert len(take.beats) + take.dropped.get("notes that never end", 0) == 3


def test_a_roll_on_one_pitch_keeps_every_note(tmp_path: Path) -> None:
    note_ons = b"".join(delta(60 if i else 0) + bytes([0x99, SNARE, 90]) for i in range(4))
    ends = delta(60) + bytes([0x89, SNARE, 0]) + bytes([0, 0x89, SNARE, 0]) * 3
    assert [beat for beat, _ in onsets(read(tmp_path, song(note_ons + ends)))] == [0.0, 0.125, 0.25, 0.375]


def test_unmapped_pitches_are_counted_by_pitch(tmp_path: Path) -> None:
    take = read(tmp_path, song(BEAT + note(3) + note(3) + note(100)))
    assert onsets(take) == [(0.0, "kick"), (1.0, "snare")]
    assert take.dropped == {"pitch 3": 2, "pitch 100": 1}


def test_tempo_changes_change_seconds_and_not_beats(tmp_path: Path) -> None:
    faster = delta(TICKS) + b"\xff\x51\x03\x07\xa1\x20"  # 120 bpm from beat 1
    take = read(tmp_path, song(TEMPO_60 + faster, note(KICK) + note(SNARE, wait=360) + note(HAT, wait=360)))
    assert [beat for beat, _ in onsets(take)] == pytest.approx([0, 1, 2])
    assert take.seconds(np.array([0.0, 1.0, 2.0])).tolist() == pytest.approx([0, 1, 1.5])
    assert take.bpm == pytest.approx(60)


@pytest.mark.parametrize(("early", "tick"), [(-0.49, 0), (-0.51, 7679), (-1.2, 7679), (-1e-6, 0), (-59.9, 7620)])
@pytest.mark.parametrize("bpm", [60, 117.3, 174])
def test_a_hit_early_by_less_than_half_a_tick_is_on_tick_0_and_no_loop_grows(tmp_path: Path, early: float, tick: int, bpm: float) -> None:
    write_midi(tmp_path / "loop.mid", Grid.from_onsets([Onset(early / 480, 0, 0.8), Onset(4.0, 1, 0.8)]), bpm)
    read = read_midi(tmp_path / "loop.mid")
    assert read.length_beats == 16
    assert sorted(round(beat * 480) for beat in read.beats) == sorted([tick, 4 * 480])


def test_an_early_first_hit_is_written_at_the_end_of_the_loop(tmp_path: Path) -> None:
    early = Onset(-0.1, 0, 0.8)
    write_midi(tmp_path / "loop.mid", Grid.from_onsets([early, Onset(4.0, 1, 0.8)]), 120)
    take = read_midi(tmp_path / "loop.mid")
    assert [beat for beat, _ in onsets(take)] == pytest.approx([4.0, LOOP_BEATS - 0.1], abs=1 / TICKS)


def test_a_loop_file_is_exactly_as_long_as_its_loop(tmp_path: Path) -> None:
    write_midi(tmp_path / "loop.mid", Grid.from_onsets([Onset(LOOP_BEATS - 0.1, 0, 0.8)], circular=True), 120)
    assert read_midi(tmp_path / "loop.mid").length_beats == pytest.approx(LOOP_BEATS)


def test_a_note_ends_at_the_next_note_of_its_pitch(tmp_path: Path) -> None:
    write_midi(tmp_path / "loop.mid", Grid.from_onsets([Onset(1.12, 1, 0.8), Onset(1.13, 1, 0.8)]), 120)
    (part,) = pretty_midi.PrettyMIDI(str(tmp_path / "loop.mid")).instruments
    assert [(round(n.start * 2, 2), round(n.end * 2, 2)) for n in part.notes] == [(1.12, 1.13), (1.13, 1.25)]


def test_written_loops_are_read_back(tmp_path: Path) -> None:
    loops: Sequence[Grid] = [Grid.from_text("kick X...x...X...x...|\nsnare ....X.......X-..|")] * 2
    write_midi(tmp_path / "a" / "loops.mid", loops, 97.5)
    take = read_midi(tmp_path / "a" / "loops.mid")
    assert take.grid().to_text() == "\n".join(f"{line}{line.split()[1]}" for line in loops[0].to_text().splitlines())
    assert take.bpm == pytest.approx(97.5, abs=1e-3)


def test_a_path_that_cannot_be_written_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        write_midi(tmp_path / "file" / "loop.mid", Grid.empty(), 120)


def test_running_status_outlasts_meta_events_and_ends_with_system_messages(tmp_path: Path) -> None:
    first, meta, second = b"\x00\x99" + bytes([KICK, 100]), b"\x00\xff\x01\x02ab", delta(TICKS) + bytes([SNARE, 100])
    assert onsets(read(tmp_path, song(first + meta + second))) == [(0.0, "kick"), (1.0, "snare")]
    sysex = b"\x00\xf0\x03\x01\x02\xf7"
    assert onsets(read(tmp_path, song(sysex + first + b"\x00\xb9\x04\x7f" + b"\x00\x99" + second[2:]))) == [(0.0, "kick"), (0.0, "snare")]


def test_a_message_longer_than_its_track_is_refused(tmp_path: Path) -> None:
    whole = song(BEAT)
    shortened = whole[:18] + struct.pack(">I", len(BEAT) + len(END) - 2) + whole[22:]
    with pytest.raises(DataError, match="is not a whole MIDI file"):
        read(tmp_path, shortened)


def test_a_beat_of_no_length_and_a_file_of_days_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a beat lasts 0 microseconds"):
        read(tmp_path, song(b"\x00\xff\x51\x03\x00\x00\x00" + BEAT))
    with pytest.raises(DataError, match="it ends on tick 268436055"):
        read(tmp_path, song(BEAT + b"\xff\xff\xff\x7f\xff\x01\x00"))


def test_pitches_are_those_of_the_mapped_notes(tmp_path: Path) -> None:
    take = read(tmp_path, song(note(37) + note(3) + note(38)))
    assert take.pitches.tolist() == [37, 38]
    assert take.voices.tolist() == [1, 1]
