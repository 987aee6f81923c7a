"""Moves, removes and adds notes of a MIDI file, and leaves every other message where it was.

Messages on one tick keep their order. Messages that mido does not know are kept as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from .notes import MidiNote
from .tracks import Event, ParsedMidi
from .writer import midi_bytes

_ADDED = 10**9  # the index of added messages: after all others on their tick

_Indexed = tuple[int, float, Any]  # tick, index among the track's messages, message
_Change = tuple[MidiNote | None, MidiNote]  # the note in the file, None for an added one; and the note to be written


def edited_bytes(
    file: ParsedMidi, changed: Mapping[MidiNote, MidiNote | None], added: Sequence[MidiNote], loop_end_tick: int | None = None
) -> bytes:
    """Returns a Type 1 file with some notes changed.

    A note keeps its length, with two exceptions: it is cut where it would run into the next note of its pitch and did not before, and
    at the end of a loop.

    Args:
        file: The file to edit.
        changed: For each note to change, one of `Track.paired_notes`, the note that replaces it; None removes it.
        added: New notes; a track index after the last one makes a new track named drumvae.
        loop_end_tick: The end of the loop that the file is; None if it is not a loop.
    """
    count = max([len(file.tracks), *(note.track + 1 for note in added)])
    return midi_bytes((_edited_track(file, index, changed, added, loop_end_tick) for index in range(count)), file.ticks_per_beat)


def _edited_track(
    file: ParsedMidi, index: int, changed: Mapping[MidiNote, MidiNote | None], added: Sequence[MidiNote], loop_end_tick: int | None
) -> tuple[list[Event], int]:
    """Returns the events of one track and the tick at which it ends."""
    import mido

    exists = index < len(file.tracks)
    events = file.tracks[index].events if exists else ((0, mido.MetaMessage("track_name", name="drumvae")),)
    end_tick = file.tracks[index].length_ticks if exists else max(track.length_ticks for track in file.tracks)
    here = [(old, new) for old, new in changed.items() if old.track == index]
    changes: list[_Change] = [(old, new) for old, new in here if new] + [(None, note) for note in added if note.track == index]
    replaced = {place for old, _ in here for place in (old.on_index, old.off_index)}
    kept = [(tick, place, message) for place, (tick, message) in enumerate(events) if place not in replaced]
    limit = None if loop_end_tick is None else max(loop_end_tick, end_tick)
    ordered = sorted([*kept, *_note_events(changes, events, limit)], key=lambda event: event[:2])
    return [(tick, message) for tick, _, message in ordered], end_tick


def _note_events(changes: Sequence[_Change], events: Sequence[Event], limit: int | None) -> Iterator[_Indexed]:
    """Yields note-ons and note-offs, those of one pitch after another."""
    by_pitch: dict[tuple[int, int], list[_Change]] = {}
    for change in changes:
        by_pitch.setdefault((change[1].channel, change[1].pitch), []).append(change)
    for notes in by_pitch.values():
        notes.sort(key=lambda change: (change[1].tick, _order(change[1].on_index)))
        for change, following in zip_longest(notes, notes[1:]):
            yield from _on_and_off(change, following, events, limit)


def _on_and_off(change: _Change, following: _Change | None, events: Sequence[Event], limit: int | None) -> Iterator[_Indexed]:
    """Yields the note-on of a note and, where it has one, its note-off."""
    import mido

    old, new = change
    fields = {"channel": new.channel, "note": new.pitch}
    note_on = mido.Message("note_on", **fields) if new.on_index is None else events[new.on_index][1]
    yield new.tick, _order(new.on_index), note_on if note_on.velocity == new.velocity else note_on.copy(velocity=new.velocity)
    if new.end_tick is None:
        return
    end_tick, order = new.end_tick, _order(new.off_index)
    if limit is not None:
        end_tick = min(end_tick, max(limit, new.tick + 1))
    if following and end_tick >= following[1].tick and not _overlapped(old, following[0], end_tick > following[1].tick):
        end_tick, order = following[1].tick, _order(following[1].on_index) - 0.5  # before the next note-on, or it would end that note
    yield end_tick, order, mido.Message("note_off", **fields) if new.off_index is None else events[new.off_index][1]


def _order(index: int | None) -> float:
    return _ADDED if index is None else index


def _overlapped(note: MidiNote | None, following: MidiNote | None, beyond: bool) -> bool:
    """Returns whether a note of the file sounded until its next note began, or `beyond` that: such notes may do so again."""
    if not (note and following) or following.tick < note.tick:  # added notes, and notes across a loop's end
        return False
    end_tick = note.tick if note.end_tick is None else note.end_tick
    return following.tick < end_tick if beyond else following.tick <= end_tick
