"""Plays loops on a Timeline: returns MIDI messages with their absolute due times.

Beats only grow here; `session.song` unrolls the jumps of the song. Cycle n covers the sixteen beats from 16 n on, shifted early by
half a step. An offset is at least -0.5 step, so each hit belongs to exactly one cycle. An early first hit is due before its cycle's
first beat. A cursor in beats separates scheduled hits from those to come: a tempo correction neither repeats nor skips one. Control
changes take effect at the next bar.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from drumvae.midi.constants import ALL_NOTES_OFF, CONTROL_CHANGE, NOTE_OFF, NOTE_ON
from drumvae.music.grid import BEATS_PER_BAR, LOOP_BARS, STEPS_PER_BAR, STEPS_PER_BEAT, Onset
from drumvae.music.kit import DRUM_CHANNEL

from ..clock.timeline import EARLY_BEATS, Timeline, cycle_start
from ..controls.control_panel import ControlPanel
from ..controls.state import ControlState
from .groove_fx import merge_voices
from .loop import Loop, cycle_onsets, midi_velocity, quantized, step_of

GATE_BEATS = 1 / 8
"""The length of a note, half a step, unless the next hit of its pitch comes sooner."""
STALE_S = 0.05
"""A hit that is later than this is dropped: after a suspend or a stalled driver a burst of hits would be worse than none."""
ROUNDING_BEATS = 1e-6
"""A hit on the beat where playback begins is not before it."""


class ScheduledMessage(NamedTuple):
    """A MIDI message and the monotonic time at which it is due, in seconds."""

    at_s: float
    message: bytes


@dataclass(frozen=True)
class _PlaybackStart:
    """Where playback began or went on after a jump, and when each pitch was last played before that."""

    beat: float = -math.inf
    at_s: float = -math.inf
    note_on_s: Mapping[int, float] = field(default_factory=dict)


@dataclass
class Player:
    """Plays one loop after another on a growing count of beats.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> from drumvae.music.grid import Grid
    >>> player = Player()
    >>> player.queue_loop(Loop(0, Grid.from_text("kick X..............." + "|................" * 3)))
    >>> player.locate(0.0)
    >>> [message.hex() for _, message in player.advance(Timeline(120, 0, 0.0), 0.05)]
    ['992472']
    """

    panel: ControlPanel = field(default_factory=ControlPanel)
    channel: int = DRUM_CHANNEL
    loop: Loop | None = None
    """The loop that plays; None is silence."""
    call_and_response: bool = False
    """Whether every other cycle is a rest, beginning with the one in which playback began."""
    cycles_started: int = 0
    """How many cycles have started, including those after jumps."""
    bar: int = 0
    """The bar of the cursor; it begins at beat 4 times this."""
    hits_played: int = 0
    hits_dropped: int = 0
    """Hits that were dropped because their due time had passed."""
    bar_controls: ControlState = field(default_factory=ControlState)
    """The control values that this bar is played with."""
    _cursor_beats: float = 0.0
    _queued: Loop | None = None
    _replacement: Loop | None = None
    _first_cycle: int = 0  # where playback began
    _start: _PlaybackStart = field(default_factory=_PlaybackStart)
    _onsets: Sequence[Onset] = ()  # of this cycle, from this bar on
    _next_onset: int = 0
    _changed_loop: bool = False  # whether a queued loop has started in this cycle; at most one does
    _first_step: int = 0  # the step at which this cycle began
    _first_voices: set[int] = field(default_factory=set)  # the voices played on that step
    _accepts_until_beat: float = -math.inf  # until this beat, a queued loop still starts in this cycle
    _note_offs_s: dict[int, float] = field(default_factory=dict)  # due time of the note-off, by pitch

    @property
    def controls(self) -> ControlState:
        return self.panel.state

    @property
    def cycle(self) -> int:
        """The cycle of the cursor; it begins at beat 16 times this."""
        return self.bar // LOOP_BARS

    @property
    def queued_loop(self) -> Loop | None:
        """The loop that starts with the next cycle."""
        return self._queued

    @property
    def active_notes(self) -> Mapping[int, float]:
        """The sounding pitches and the due times of their note-offs."""
        return self._note_offs_s

    def queue_loop(self, loop: Loop) -> None:
        """Queues the loop that starts with the next cycle; it replaces a queued one.

        Within half a step before a cycle, or half a step after a wrap, the loop still starts at that boundary. Voices that the old
        loop has already played on the first step are not repeated. If nothing plays, the loop starts at once, at the cursor.
        """
        self._queued = loop
        late = self.loop is not None and self._cursor_beats >= self._accepts_until_beat
        if late or not self.cycles_started or self._changed_loop:
            return
        self._begin_loop(self._cursor_beats)
        self._onsets = [onset for onset in self._onsets if self._step(onset) != self._first_step or onset.voice not in self._first_voices]

    def rests_in(self, cycle: int) -> bool:
        """Returns whether a cycle is a rest in call and response."""
        return (cycle - self._first_cycle) % 2 == 0

    def replace_loop(self, loop: Loop) -> None:
        """Replaces the loop from the next bar on, at the same bar of the new loop; a queued loop stays queued."""
        if self.loop is None:
            self.queue_loop(loop)
        else:
            self._replacement = loop

    def unqueue_loop(self) -> Loop | None:
        """Removes the queued loop and returns it."""
        loop, self._queued = self._queued, None
        return loop

    def locate(self, beat: float, at_s: float = -math.inf, note_on_s: Mapping[int, float] | None = None, wraps: bool = False) -> None:
        """Begins at a beat, within a cycle or at its start. Called after `all_notes_off`.

        Hits of earlier steps are skipped. A hit that is early on the step of this beat is due at once, so that a song that starts
        with an early kick has its kick. A pitch that was played just before the jump is not repeated.

        Args:
            beat: The first beat, in unrolled beats.
            at_s: The monotonic time of that beat, in seconds; nothing is due before it.
            note_on_s: When each pitch was last played, in seconds.
            wraps: Whether the DAW's loop wraps here. Such a loop may have no cycle boundary, so the queued loop starts at the wrap.
        """
        cycles_since_start = self.cycle - self._first_cycle + 1 if wraps else 0
        self._start = _PlaybackStart(beat, at_s, dict(note_on_s or {}))
        self._cursor_beats = beat
        self.bar = int((beat + EARLY_BEATS) // BEATS_PER_BAR)
        self._first_cycle = self.cycle - cycles_since_start
        self._begin_cycle()
        if wraps:
            self._first_step = round((beat - cycle_start(self.cycle)) * STEPS_PER_BEAT)
            self._accepts_until_beat = beat + EARLY_BEATS
        if beat <= cycle_start(self.cycle) + ROUNDING_BEATS or self.loop is None or wraps:
            self._begin_loop(beat)
        else:
            self._apply_changes(beat)

    def advance(self, timeline: Timeline, until_s: float, end_beats: float = math.inf) -> list[ScheduledMessage]:
        """Returns the messages that are due up to a time and were not returned before, in time order, without hits from `end_beats` on."""
        until_beats = timeline.beat_at(until_s)
        out: list[ScheduledMessage] = []
        while True:
            bar_end = (self.bar + 1) * BEATS_PER_BAR - EARLY_BEATS
            self._play_onsets(timeline, min(until_beats, bar_end, end_beats - EARLY_BEATS), until_s, out)
            if until_beats < bar_end or end_beats - EARLY_BEATS <= bar_end:
                break
            self.bar += 1
            self._cursor_beats = bar_end
            self._begin_bar(bar_end)
        self._end_notes(until_s, out)
        return sorted(out, key=lambda scheduled: scheduled.at_s)  # stable: a note-off made for a note-on stays before it

    def resume(self, notes: Iterable[ScheduledMessage], timeline: Timeline) -> list[ScheduledMessage]:
        """Returns note-ons that a pending stop has cancelled, and schedules their note-offs again."""
        notes = list(notes)
        for note in notes:
            self._schedule_note_off(note.message[1], note.at_s, timeline)
        return notes

    def all_notes_off(self, now_s: float) -> list[ScheduledMessage]:
        """Returns the note-offs of all active notes, due now."""
        out = [ScheduledMessage(now_s, self._note_off(pitch)) for pitch in self._note_offs_s]
        self._note_offs_s.clear()
        return out

    def panic(self, now_s: float) -> list[ScheduledMessage]:
        """Returns the note-offs of all active notes, then All Notes Off for the channel."""
        return [*self.all_notes_off(now_s), ScheduledMessage(now_s, bytes((CONTROL_CHANGE | self.channel, ALL_NOTES_OFF, 0)))]

    # bars and cycles

    def _begin_cycle(self) -> None:
        self.cycles_started += 1
        self._first_step, self._first_voices = 0, set()
        self._accepts_until_beat = cycle_start(self.cycle)
        self._changed_loop = False

    def _begin_bar(self, beat: float) -> None:
        if self.bar % LOOP_BARS == 0:
            self._begin_cycle()
            self._begin_loop(beat)
        elif self._replacement is not None or self.bar_controls != self.controls:
            self._apply_changes(beat)

    def _begin_loop(self, from_beat: float) -> None:
        """Continues with the replacement, else with the queued loop, else with the same loop."""
        holds = self.controls.hold and self.loop is not None
        if self._replacement and self._queued and self.loop and self._replacement.index == self.loop.index:
            self._replacement = None  # a remake of the old loop that came too late
        if self._replacement is None and self._queued is not None and not holds:
            self._replacement, self._queued, self._changed_loop = self._queued, None, True
        self._apply_changes(from_beat)

    def _apply_changes(self, from_beat: float) -> None:
        """Lists the onsets from a beat on again, with the replacement and the current control values."""
        loop, self._replacement = self._replacement or self.loop, None
        self.loop, self.bar_controls = self._with_locked_voices(loop), self.controls
        rests = self.call_and_response and self.rests_in(self.cycle)
        grid = self.loop.render(self.bar_controls) if self.loop and not rests else None
        first_step = self.bar % LOOP_BARS * STEPS_PER_BAR  # the last hits of the bar before may be late to within the rounding
        self._next_onset = 0
        self._onsets = [
            onset
            for onset in (cycle_onsets(grid, cycle_start(self.cycle)) if grid else ())
            if self._step(onset) >= first_step and max(self._step_beat(onset), onset.beat) >= from_beat - ROUNDING_BEATS
        ]

    def _with_locked_voices(self, loop: Loop | None) -> Loop | None:
        """Returns a loop in which the locked voices keep the hits of the loop that plays."""
        locked = self.controls.locked_voices
        if loop is None or self.loop is None or loop is self.loop or not locked:
            return loop
        old, new = (each.dry_grid or quantized(each.grid) for each in (self.loop, loop))
        return replace(loop, grid=merge_voices(self.loop.grid, loop.grid, locked), dry_grid=merge_voices(old, new, locked))

    def _step(self, onset: Onset) -> int:
        return step_of(onset.beat - cycle_start(self.cycle))

    def _step_beat(self, onset: Onset) -> float:
        return cycle_start(self.cycle) + self._step(onset) / STEPS_PER_BEAT

    # notes

    def _play_onsets(self, timeline: Timeline, until_beats: float, until_s: float, out: list[ScheduledMessage]) -> None:
        while self._next_onset < len(self._onsets) and self._onsets[self._next_onset].beat < until_beats:
            onset = self._onsets[self._next_onset]
            self._next_onset += 1
            at_s = max(timeline.time_at(max(onset.beat, self._cursor_beats)), self._start.at_s)
            if self._step(onset) == self._first_step:
                self._first_voices.add(onset.voice)
            if until_s - at_s > STALE_S:
                self.hits_dropped += 1
                continue
            pitch = self.bar_controls.kit.output_notes[onset.voice]
            if self._played_before_jump(onset, pitch, at_s, timeline):
                continue
            if pitch in self._note_offs_s:  # end it first, or its note-off would choke this hit
                out.append(ScheduledMessage(min(self._note_offs_s[pitch], at_s), self._note_off(pitch)))
            out.append(ScheduledMessage(at_s, bytes((NOTE_ON | self.channel, pitch, midi_velocity(onset.velocity)))))
            self._schedule_note_off(pitch, at_s, timeline)
            self.hits_played += 1
        self._cursor_beats = max(self._cursor_beats, until_beats)

    def _played_before_jump(self, onset: Onset, pitch: int, at_s: float, timeline: Timeline) -> bool:
        """Says whether a hit on the first step after a jump was played a moment ago, at the place that the song has left."""
        if self._step_beat(onset) >= self._start.beat + 1 / STEPS_PER_BEAT:
            return False
        return at_s - self._start.note_on_s.get(pitch, -math.inf) < EARLY_BEATS * 60 / timeline.bpm

    def _schedule_note_off(self, pitch: int, note_on_s: float, timeline: Timeline) -> None:
        self._note_offs_s[pitch] = note_on_s + GATE_BEATS * 60 / timeline.bpm

    def _end_notes(self, until_s: float, out: list[ScheduledMessage]) -> None:
        for pitch in [pitch for pitch, off_s in self._note_offs_s.items() if off_s <= until_s]:
            out.append(ScheduledMessage(self._note_offs_s.pop(pitch), self._note_off(pitch)))

    def _note_off(self, pitch: int) -> bytes:
        return bytes((NOTE_OFF | self.channel, pitch, 0))
