"""A MIDI file's messages in, the same with some notes moved, gone or added out. Nothing else in it changes its place or its content.

Messages that fall on one tick keep the order of the file. What mido does not know it keeps as it is.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from ..music.kit import DRUM_CHANNEL
from .constants import FILE_PPQN

if TYPE_CHECKING:
    from mido import MidiFile, MidiTrack

_NEW = 10**9  # the place of added messages: after all others on their tick


@dataclass(frozen=True)
class Stroke:
    """A note of a file, or one to be added to it."""

    track: int
    channel: int
    pitch: int
    velocity: int
    """1 to 127."""
    tick: int
    length_ticks: int
    on: int = _NEW
    """The place of its beginning among its track's messages."""
    off: int | None = _NEW
    """The place of its end; None where it never ends."""


_Event = tuple[int, float, Any]  # its tick, its place among those on it, its message
_Pair = tuple[Stroke | None, Stroke]  # what the file has, and what takes its place


@dataclass(frozen=True)
class Tracks:
    """Holds the messages of a file, each with its tick."""

    ticks_per_beat: int
    tracks: tuple[tuple[tuple[int, Any], ...], ...]
    """Of every track the messages as (tick, message), without its end."""
    end_ticks: tuple[int, ...]
    """Where each track ends."""

    @classmethod
    def of(cls, messages: "MidiFile") -> "Tracks":
        """Takes a file's messages; a resolution below TICKS_PER_BEAT is multiplied, so that a beat has as many ticks or more."""
        factor = -(-FILE_PPQN // messages.ticks_per_beat)
        tracks, ends = [], []
        for track in messages.tracks:
            tick, timed = 0, []
            for message in track:
                tick += message.time * factor
                timed.append((tick, message))
            tracks.append(tuple((tick, message) for tick, message in timed if message.type != "end_of_track"))
            ends.append(tick)
        return cls(messages.ticks_per_beat * factor, tuple(tracks), tuple(ends))

    @property
    def own_place(self) -> tuple[int, int]:
        """Track and channel of drums that get a track of their own, after all others."""
        return len(self.tracks), DRUM_CHANNEL

    def strokes(self, channels: Collection[tuple[int, int]]) -> Iterator[Stroke]:
        """Yields the notes on some channels of some tracks, (track, channel); the first to begin on a pitch is the first to end."""
        for number, track in enumerate(self.tracks):
            begun: dict[tuple[int, int], list[Stroke]] = {}
            for place, (tick, message) in enumerate(track):
                if message.type not in ("note_on", "note_off") or (number, message.channel) not in channels:
                    continue
                waiting = begun.setdefault((message.channel, message.note), [])
                if message.type == "note_on" and message.velocity:
                    waiting.append(Stroke(number, message.channel, message.note, message.velocity, tick, 0, place, None))
                elif waiting:
                    stroke = waiting.pop(0)
                    yield replace(stroke, length_ticks=tick - stroke.tick, off=place)
            for rest in begun.values():
                yield from rest

    def to_bytes(self, changed: Mapping[Stroke, Stroke | None], added: Sequence[Stroke], end_tick: int | None = None) -> bytes:
        """Returns a Type 1 file in which some notes are others, or gone (None), and some are new.

        A note keeps its length unless it would newly run into the next stroke of its pitch, or over the end of a loop at `end_tick`.
        """
        import mido

        song = mido.MidiFile(type=1, ticks_per_beat=self.ticks_per_beat)
        for number in range(max([len(self.tracks), *(stroke.track + 1 for stroke in added)])):
            known = number < len(self.tracks)
            timed = self.tracks[number] if known else ((0, mido.MetaMessage("track_name", name="drumvae")),)
            end = self.end_ticks[number] if known else max(self.end_ticks)
            here = [(old, new) for old, new in changed.items() if old.track == number]
            pairs = [(old, new) for old, new in here if new] + [(None, stroke) for stroke in added if stroke.track == number]
            touched = {place for old, _ in here for place in (old.on, old.off)}
            events: list[_Event] = [(tick, place, message) for place, (tick, message) in enumerate(timed) if place not in touched]
            events += _events(pairs, timed, None if end_tick is None else max(end_tick, end))
            song.tracks.append(_track(events, end))
        whole = BytesIO()
        song.save(file=whole)
        return whole.getvalue()


def _track(events: list[_Event], end: int) -> "MidiTrack":
    """Returns events as a track that ends on a tick, or with its last event."""
    import mido

    events.sort(key=lambda event: event[:2])
    last = max(end, events[-1][0] if events else 0)
    track, before = mido.MidiTrack(), 0
    for tick, _, message in [*events, (last, 0, mido.MetaMessage("end_of_track"))]:
        message.time, before = tick - before, tick
        track.append(message)
    return track


def _events(pairs: Sequence[_Pair], timed: Sequence[tuple[int, Any]], limit: int | None) -> Iterator[_Event]:
    """Yields the beginnings and ends of notes, those of a pitch one after the other."""
    by_pitch: dict[tuple[int, int], list[_Pair]] = {}
    for pair in pairs:
        by_pitch.setdefault((pair[1].channel, pair[1].pitch), []).append(pair)
    for notes in by_pitch.values():
        notes.sort(key=lambda pair: (pair[1].tick, pair[1].on))
        for pair, following in zip_longest(notes, notes[1:]):
            yield from _note(pair, following, timed, limit)


def _note(pair: _Pair, following: _Pair | None, timed: Sequence[tuple[int, Any]], limit: int | None) -> Iterator[_Event]:
    """Yields the beginning of a note and, where it has one, its end."""
    import mido

    old, new = pair
    given = {"channel": new.channel, "note": new.pitch}
    begin = timed[old.on][1] if old else mido.Message("note_on", **given)
    yield new.tick, new.on, begin if begin.velocity == new.velocity else begin.copy(velocity=new.velocity)
    if new.off is None:
        return
    end, place = new.tick + new.length_ticks, float(new.off)
    if limit is not None:
        end = min(end, max(limit, new.tick + 1))
    if following and end >= following[1].tick and not _met(old, following[0], end > following[1].tick):
        end, place = following[1].tick, following[1].on - 0.5  # before the beginning of the next one, or it would cut that off
    yield end, place, timed[new.off][1] if old else mido.Message("note_off", **given)


def _met(one: Stroke | None, following: Stroke | None, over: bool) -> bool:
    """Says whether a note sounded, in the file, until the one that follows it began, or over it: such notes may do so again."""
    if not (one and following) or following.tick < one.tick:  # new ones, and round a loop's end
        return False
    end = one.tick + one.length_ticks
    return following.tick < end if over else following.tick <= end
