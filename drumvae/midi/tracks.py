"""Holds the messages of a MIDI file at absolute ticks, pairs note-ons with note-offs, and finds the drums."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..music.kit import DRUM_CHANNEL, Kit
from ..util.errors import NoDrumsError
from .notes import MidiNote

if TYPE_CHECKING:
    from mido import MidiFile, MidiTrack

Event = tuple[int, Any]
"""An absolute tick and the mido message at it."""
_DRUM_WORDS = ("drum", "kit", "perc", "beat")


@dataclass(frozen=True)
class Track:
    """Holds the messages of one track in file order."""

    index: int
    events: tuple[Event, ...]
    """Every message with its tick; end_of_track is left out."""
    length_ticks: int
    """The tick at which the track ends."""

    @classmethod
    def from_messages(cls, index: int, messages: "MidiTrack") -> "Track":
        events, tick = [], 0
        for message in messages:
            tick += message.time
            if message.type != "end_of_track":
                events.append((tick, message))
        return cls(index, tuple(events), tick)

    @cached_property
    def name(self) -> str:
        """The first track name that is not empty."""
        return next((message.name for _, message in self.of_type("track_name") if message.name), "")

    def of_type(self, message_type: str) -> Iterator[Event]:
        """Yields the events with messages of one mido type."""
        return (event for event in self.events if event[1].type == message_type)

    @cached_property
    def notes(self) -> tuple[MidiNote, ...]:
        """The notes in order of their note-ons; a note ends at the first note-off of its pitch after it."""
        return tuple(self._notes(one_to_one=False))

    @cached_property
    def paired_notes(self) -> tuple[MidiNote, ...]:
        """The notes in order of their note-ons, paired so that each note-off belongs to one note: first begun, first ended."""
        return tuple(self._notes(one_to_one=True))

    def _notes(self, one_to_one: bool) -> Iterator[MidiNote]:
        begun: list[tuple[int, int, int, int, int, int]] = []  # tick, channel, pitch, velocity, program, index of each note-on
        ends: dict[int, tuple[int, int]] = {}  # by place in `begun`, tick and index of the note-off
        waiting: dict[tuple[int, int], list[int]] = {}  # by channel and pitch, the places in `begun` without an end
        programs = [0] * 16
        for index, (tick, message) in enumerate(self.events):
            kind = message.type
            if kind == "program_change":
                programs[message.channel] = message.program
            elif kind == "note_on" and message.velocity:
                waiting.setdefault((message.channel, message.note), []).append(len(begun))
                begun.append((tick, message.channel, message.note, message.velocity, programs[message.channel], index))
            elif kind in ("note_on", "note_off") and (places := waiting.get((message.channel, message.note))):
                older = 1 if one_to_one else sum(begun[place][0] < tick for place in places)
                # Where a pitch is repeated, some files write the end of the first note after the second note-on, on the same tick.
                # A note ends on the tick of its own note-on only where no older note waits for its end.
                ended = places[: older or len(places)]
                del places[: len(ended)]
                ends |= dict.fromkeys(ended, (tick, index))
        for place, (tick, channel, pitch, velocity, program, index) in enumerate(begun):
            end_tick, off_index = ends.get(place, (None, None))
            yield MidiNote(tick, end_tick, channel, pitch, velocity, self.index, program, index, off_index)


@dataclass(frozen=True)
class ParsedMidi:
    """Holds a whole MIDI file."""

    kind: int
    """Type 0, 1 or 2 of the standard."""
    ticks_per_beat: int
    """Negative where time is in SMPTE frames."""
    tracks: tuple[Track, ...]

    @classmethod
    def from_mido(cls, file: "MidiFile") -> "ParsedMidi":
        tracks = (Track.from_messages(index, messages) for index, messages in enumerate(file.tracks))
        return cls(file.type, file.ticks_per_beat, tuple(tracks))

    @property
    def notes(self) -> Iterator[MidiNote]:
        """The notes of every track, track by track, in order of their note-ons."""
        return (note for track in self.tracks for note in track.notes)

    def with_resolution(self, least: int) -> "ParsedMidi":
        """Returns the file with its ticks multiplied by a whole number, so that a beat has `least` ticks or more."""
        factor = -(-least // self.ticks_per_beat)
        if factor == 1:
            return self
        tracks = (
            replace(
                track,
                events=tuple((tick * factor, message) for tick, message in track.events),
                length_ticks=track.length_ticks * factor,
            )
            for track in self.tracks
        )
        return replace(self, ticks_per_beat=self.ticks_per_beat * factor, tracks=tuple(tracks))


def drum_channels(file: ParsedMidi, kit: Kit) -> set[tuple[int, int]]:
    """Returns the channels that play drums, as (track, channel).

    Channel 10 plays drums. In a file without notes there, the tracks whose names mention drums do; without those, every track does,
    provided that the kit maps at least half of the notes. Raises NoDrumsError, with a clause, if it maps fewer.
    """
    notes = list(file.notes)
    named = {track.index for track in file.tracks if any(word in track.name.lower() for word in _DRUM_WORDS)}
    by_channel = {(note.track, note.channel) for note in notes if note.channel == DRUM_CHANNEL}
    by_name = {(note.track, note.channel) for note in notes if note.track in named}
    if by_channel or by_name:
        return by_channel or by_name
    mapped = sum(kit.voice_of(note.pitch) is not None for note in notes)
    if mapped * 2 < len(notes):
        raise NoDrumsError(f"nothing is on channel 10 and only {mapped} of {len(notes)} notes have drum pitches; put them on channel 10")
    return {(note.track, note.channel) for note in notes}
