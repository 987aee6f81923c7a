"""Provides a song with every kind of message, and reads files by mido and by pretty_midi for comparison."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import mido
import pretty_midi

from drumvae.music.kit import DEFAULT_KIT

TICKS = 480
BELL, COWBELL, FOOT, RIM = 53, 56, 44, 40


class Found(NamedTuple):
    """A note as a reader finds it, in ticks."""

    tick: int
    pitch: int
    velocity: int
    length: int
    channel: int = 9


def track(events: list[tuple[int, mido.Message | mido.MetaMessage]], end: int) -> mido.MidiTrack:
    """Returns messages at their ticks as a track."""
    ordered = sorted(events, key=lambda event: event[0])
    ticks = [0, *(tick for tick, _ in ordered)]
    whole = [*ordered, (end, mido.MetaMessage("end_of_track"))]
    return mido.MidiTrack(message.copy(time=tick - before) for (tick, message), before in zip(whole, ticks, strict=True))


def note(tick: int, pitch: int, velocity: int, length: int, channel: int = 9) -> list[tuple[int, mido.Message]]:
    on = mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)
    return [(tick, on), (tick + length, mido.Message("note_off", note=pitch, velocity=33, channel=channel))]


def song(bars: int = 12, ticks: int = TICKS, kind: int = 1) -> mido.MidiFile:
    """Returns a song of three tracks: tempo, meters and markers; keys with pedal and bends; drums with flams, bells and pedals."""
    beat, step = ticks, ticks // 4
    end = bars * 4 * beat
    conductor = [
        (0, mido.MetaMessage("set_tempo", tempo=500_000)),
        (0, mido.MetaMessage("time_signature", numerator=4, denominator=4)),
        (0, mido.MetaMessage("key_signature", key="Eb")),
        (0, mido.MetaMessage("marker", text="Verse")),
        (6 * beat + 7, mido.MetaMessage("set_tempo", tempo=555_555)),
        (end // 2, mido.MetaMessage("marker", text="Chorus")),
        (end // 2 + 3, mido.MetaMessage("set_tempo", tempo=480_000)),
    ]
    keys = [(0, mido.MetaMessage("track_name", name="Keys")), (0, mido.Message("program_change", program=4, channel=0))]
    drums = [
        (0, mido.MetaMessage("track_name", name="Kit")),
        (0, mido.Message("program_change", program=8, channel=9)),
        (0, mido.Message("sysex", data=(1, 2, 3))),
        (1, mido.MetaMessage("sequencer_specific", data=(9, 8, 7))),
    ]
    for bar in range(bars):
        start = bar * 4 * beat
        keys += note(start, 60, 70, beat, 0) + note(start + 1, 64, 71, 2 * beat, 0) + note(start + 2 * beat, 36, 72, beat, 0)
        keys += [(start + 11, mido.Message("control_change", control=64, value=127, channel=0))]
        keys += [(start + beat, mido.Message("pitchwheel", pitch=1234, channel=0))]
        for eighth in range(8):
            pitch = BELL if eighth % 4 == 3 else 51
            drums += note(start + eighth * 2 * step, pitch, 60 + 5 * eighth, step // 4 + eighth)
            drums += [(start + eighth * 2 * step, mido.Message("control_change", control=4, value=10 * eighth, channel=9))]
        drums += note(start, 36, 100, step // 2) + note(start + 10 * step, 36, 90, 3)
        drums += note(start + 4 * step - step // 8, 38, 30, 9) + note(start + 4 * step, 38, 110, step // 3)  # a flam
        drums += note(start + 12 * step, 38, 105, 20) + note(start + 12 * step + step // 8, RIM, 50, 20)  # two of a voice on one step
        drums += note(start + 8 * step, FOOT, 40, 30) + note(start + 6 * step, COWBELL, 77, 40)
    whole = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    parts = [conductor, keys, drums]
    whole.tracks += [track(part, end) for part in parts] if kind else [track([event for part in parts for event in part], end)]
    return whole


def saved(path: Path, whole: mido.MidiFile) -> Path:
    whole.save(path)
    return path


def is_drum(message: mido.Message | mido.MetaMessage) -> bool:
    """Returns whether a message is a note-on or note-off that the default kit maps, on channel 10."""
    return message.type in ("note_on", "note_off") and message.channel == 9 and DEFAULT_KIT.voice_of(message.note) is not None


def everything_else(path: Path) -> list[list[tuple[int, mido.Message | mido.MetaMessage]]]:
    """Returns the messages of every track that are not drums, with their ticks, in the order of the file."""
    rest = []
    for messages in mido.MidiFile(path).tracks:
        tick, kept = 0, []
        for message in messages:
            tick += message.time
            if not is_drum(message):
                kept.append((tick, message.copy(time=0)))
        rest.append(kept)
    return rest


def drums_by_mido(path: Path) -> list[Found]:
    """Returns the drums that the default kit maps, in order; of one pitch the first begun is the first ended."""
    found = []
    for messages in mido.MidiFile(path).tracks:
        tick, begun = 0, defaultdict(list)
        for message in messages:
            tick += message.time
            if not is_drum(message):
                continue
            if message.type == "note_on" and message.velocity:
                begun[message.note].append((tick, message.velocity))
            elif begun[message.note]:
                at, velocity = begun[message.note].pop(0)
                found.append(Found(at, message.note, velocity, tick - at))
    return sorted(found)


def notes_by_pretty_midi(path: Path) -> dict[tuple[str, bool], list[Found]]:
    """Returns the notes of every instrument by its name and whether it plays drums."""
    midi = pretty_midi.PrettyMIDI(str(path))
    return {
        (part.name, part.is_drum): sorted(
            Found(midi.time_to_tick(n.start), n.pitch, n.velocity, midi.time_to_tick(n.end) - midi.time_to_tick(n.start), 9 * part.is_drum)
            for n in part.notes
        )
        for part in midi.instruments
    }


def step_of(tick: int, ticks: int = TICKS) -> int:
    """Returns the nearest sixteenth, exact halves to the later one."""
    return (8 * tick + ticks) // (2 * ticks)


def score(notes: list[Found], ticks: int = TICKS, steps: int | None = None) -> list[tuple[int, int]]:
    """Returns the step and the pitch of every note; `steps` is the length of a loop."""
    cells = [(step_of(found.tick, ticks), found.pitch) for found in notes]
    return sorted((step % steps, pitch) if steps else (step, pitch) for step, pitch in cells)
