"""Writes MIDI messages at absolute ticks as the bytes of a Type 1 file; the only place where mido writes one."""

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

from ..music.kit import DRUM_CHANNEL
from ..util.files import write_atomic
from .constants import FILE_PPQN
from .notes import MidiNote
from .tracks import Event

GATE_BEATS = 1 / 8
"""Length of a written note, half a step, so that no note runs into the next hit of its voice."""


def midi_bytes(tracks: Iterable[tuple[Sequence[Event], int]], ticks_per_beat: int = FILE_PPQN) -> bytes:
    """Returns a Type 1 file.

    Args:
        tracks: For each track its events, in order of ticks, and the tick at which it ends. A track never ends before its last event.
            The attribute `time` of every message is overwritten.
        ticks_per_beat: The resolution.
    """
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat)
    for events, end_tick in tracks:
        last_tick = max(end_tick, events[-1][0] if events else 0)
        track, previous = mido.MidiTrack(), 0
        for tick, message in [*events, (last_tick, mido.MetaMessage("end_of_track"))]:
            message.time, previous = tick - previous, tick
            track.append(message)
        file.tracks.append(track)
    data = BytesIO()
    file.save(file=data)
    return data.getvalue()


def timing_track(tempo_us: int, end_tick: int) -> tuple[Sequence[Event], int]:
    """Returns the first track of a file: one tempo, in microseconds a beat, and 4/4."""
    import mido

    meter = mido.MetaMessage("time_signature", numerator=4, denominator=4)
    return [(0, mido.MetaMessage("set_tempo", tempo=tempo_us)), (0, meter)], end_tick


def instrument_header(name: str, channel: int) -> list[Event]:
    """Returns the first events of an instrument's track: its name, unless it is empty, and program 0 on a channel."""
    import mido

    names = [mido.MetaMessage("track_name", name=name)] if name else []
    return [(0, message) for message in (*names, mido.Message("program_change", program=0, channel=channel))]


def write_hits(
    path: Path,
    hits: Sequence[tuple[float, int, int]],
    bpm: float,
    length_beats: float,
    name: str = "drumvae",
    ticks_per_beat: int = FILE_PPQN,
) -> None:
    """Writes drum notes into a Type 1 file; each ends before the next one of its pitch.

    Args:
        path: The file; missing folders are made.
        hits: (beat, pitch, velocity 1 to 127), in any order; no beat is negative.
        bpm: The tempo.
        length_beats: The length of the file.
        name: The name of the track.
        ticks_per_beat: The resolution of the file.

    Raises:
        DataError: The file cannot be written.
    """
    tick_s = 60 / (bpm * ticks_per_beat)

    def to_tick(beat: float) -> int:
        return round(beat * (60 / bpm) / tick_s)  # through seconds, so that halves of a tick round as they always have

    notes = [
        MidiNote(to_tick(beat), to_tick(end), DRUM_CHANNEL, pitch, velocity)
        for beat, end, pitch, velocity in _gated(hits, length_beats, 1 / ticks_per_beat)
    ]
    tempo_us = int(6e7 / (60 / (tick_s * ticks_per_beat)))  # rounded down
    end_tick = round(length_beats * ticks_per_beat)
    drums = instrument_header(name, DRUM_CHANNEL) + _note_events(notes)
    write_atomic(path, midi_bytes([timing_track(tempo_us, end_tick), (drums, end_tick)], ticks_per_beat))


def _gated(hits: Sequence[tuple[float, int, int]], length_beats: float, shortest: float) -> Iterator[tuple[float, float, int, int]]:
    """Yields (beat, end beat, pitch, velocity), the last hit first; a late last note does not lengthen the file."""
    next_beats: dict[int, float] = {}
    for beat, pitch, velocity in sorted(hits, reverse=True):
        end = min(beat + GATE_BEATS, next_beats.get(pitch, length_beats), length_beats)
        next_beats[pitch] = beat
        yield beat, max(end, beat + shortest), pitch, velocity


def _note_events(notes: Sequence[MidiNote]) -> list[Event]:
    """Returns note-ons and note-offs by tick, pitch and velocity; a note-off is a note-on of velocity 0, so that running status applies."""
    import mido

    ends = [(note.end_tick, note.pitch, 0, note.channel) for note in notes if note.end_tick is not None]
    rows = sorted([(note.tick, note.pitch, note.velocity, note.channel) for note in notes] + ends)
    return [(tick, mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)) for tick, pitch, velocity, channel in rows]
