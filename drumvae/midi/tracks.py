"""The bytes of a Standard MIDI File in, what is played on each of its tracks out: notes, names, tempi and meters, in ticks.

The messages are read by mido. pretty_midi, which builds a song of them, takes as long again over a corpus, and loses notes that end
where they begin or never end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from ..music.kit import DRUM_CHANNEL, Kit
from ..util.errors import NoDrumsError

if TYPE_CHECKING:
    from mido import MidiFile, MidiTrack

_DRUM_WORDS = ("drum", "kit", "perc", "beat")
_NOTE_OFF, _NOTE_ON, _PROGRAM = 0x8, 0x9, 0xC


class Strike(NamedTuple):
    """A note-on with a velocity above 0."""

    tick: int
    channel: int
    pitch: int
    velocity: int


@dataclass
class Note:
    """A note with its end; the program is that of its channel when it begins."""

    tick: int
    end_tick: int
    channel: int
    program: int
    pitch: int


@dataclass
class Track:
    """Holds what one track plays, in the order of the file."""

    name: str = ""
    """The first that it gives itself."""
    length_ticks: int = 0
    messages: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Note-ons, note-offs and program changes, as (tick, status byte, data, data)."""
    tempi: list[tuple[int, int]] = field(default_factory=list)
    """(tick, microseconds a beat)."""
    meters: list[tuple[int, int, int]] = field(default_factory=list)
    """(tick, numerator, denominator)."""

    def strikes(self) -> Iterator[Strike]:
        """Yields the beginnings of notes."""
        for tick, status, pitch, velocity in self.messages:
            if status >> 4 == _NOTE_ON and velocity:
                yield Strike(tick, status & 0xF, pitch, velocity)

    def notes(self) -> list[Note]:
        """Returns the notes in the order in which they begin; one that is never ended lasts as long as the track."""
        notes: list[Note] = []
        sounding: dict[tuple[int, int], list[Note]] = {}
        programs = [0] * 16
        for tick, status, data, velocity in self.messages:
            kind, channel = status >> 4, status & 0xF
            if kind == _PROGRAM:
                programs[channel] = data
            elif kind == _NOTE_ON and velocity:
                notes.append(Note(tick, self.length_ticks, channel, programs[channel], data))
                sounding.setdefault((channel, data), []).append(notes[-1])
            else:
                sounding[channel, data] = _ended(sounding.get((channel, data), []), tick)
        return notes


def _ended(notes: list[Note], tick: int) -> list[Note]:
    """Ends notes of one pitch, and returns those that sound on.

    Where a pitch is struck again, files write the end of the note before it on the same tick, some of them after the new
    beginning: a note ends on the tick of its beginning only where no older one waits for an end.
    """
    older = [note for note in notes if note.tick < tick]
    for note in older or notes:
        note.end_tick = tick
    return notes[len(older) :] if older else []


@dataclass(frozen=True)
class MidiBytes:
    """Holds a whole file."""

    kind: int
    """0, 1 or 2, by the standard."""
    ticks_per_beat: int
    """Negative where time is in frames."""
    tracks: tuple[Track, ...]


def open_midi(data: bytes) -> "MidiFile":
    """Returns a whole file's messages; raises ValueError, with a clause that says what is wrong, where it is none."""
    import mido

    try:
        return mido.MidiFile(file=BytesIO(data), clip=True)
    except Exception as error:  # mido has a different exception for every way in which a file can be broken
        raise ValueError(str(error) or type(error).__name__) from None


def read_tracks(messages: "MidiFile") -> MidiBytes:
    """Returns what a file's messages play."""
    return MidiBytes(messages.type, messages.ticks_per_beat, tuple(map(_read_track, messages.tracks)))


def drum_channels(song: MidiBytes, kit: Kit) -> set[tuple[int, int]]:
    """Returns which channels of which tracks play drums, as (track, channel).

    Those are what is on channel 10; in a file that has nothing there, the tracks named after drums, else every track, so long as
    at least half of its notes fall on pitches that the kit hears. Raises NoDrumsError, with a clause, where they do not.
    """
    played = [(number, strike) for number, track in enumerate(song.tracks) for strike in track.strikes()]
    named = {number for number, track in enumerate(song.tracks) if any(word in track.name.lower() for word in _DRUM_WORDS)}
    by_channel = {(number, strike.channel) for number, strike in played if strike.channel == DRUM_CHANNEL}
    by_name = {(number, strike.channel) for number, strike in played if number in named}
    if by_channel or by_name:
        return by_channel or by_name
    known = sum(kit.voice_of(strike.pitch) is not None for _, strike in played)
    if known * 2 < len(played):
        raise NoDrumsError(f"nothing is on channel 10 and only {known} of {len(played)} notes lie on drum pitches; put them on channel 10")
    return {(number, strike.channel) for number, strike in played}


def _read_track(messages: "MidiTrack") -> Track:
    track, tick = Track(), 0
    for message in messages:
        tick += message.time
        kind = message.type
        if kind in ("note_on", "note_off"):
            status = (_NOTE_ON if kind == "note_on" else _NOTE_OFF) << 4 | message.channel
            track.messages.append((tick, status, message.note, message.velocity))
        elif kind == "program_change":
            track.messages.append((tick, _PROGRAM << 4 | message.channel, message.program, 0))
        elif kind == "track_name":
            track.name = track.name or message.name
        elif kind == "set_tempo":
            track.tempi.append((tick, message.tempo))
        elif kind == "time_signature":
            track.meters.append((tick, message.numerator, message.denominator))
    track.length_ticks = tick
    return track
