"""Loops, a Timeline and a look-ahead in, MIDI messages with absolute due times out; every note-off is owned here. Pure.

Beats only grow here (the performer unrolls the song's jumps), and pass n is what sounds from half a step before beat 16 n to
half a step before the next line. A hit's offset is at least -0.5 step, so each hit sounds in exactly one pass, an early first hit
at the end of the pass before by the ear, and in its own by this count. A cursor in beats divides what was sent from what was
not: the tempo may be corrected as it likes, nothing is sent twice or left out. What the player turns counts from the next bar on.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from drumvae.midi.constants import ALL_NOTES_OFF, CONTROL_CHANGE, NOTE_OFF, NOTE_ON
from drumvae.music.grid import BEATS_PER_BAR, LOOP_BARS, STEPS_PER_BAR, STEPS_PER_BEAT, Grid
from drumvae.music.kit import DRUM_CHANNEL

from ..clock.timeline import EARLY_BEATS, Timeline, cycle_start
from ..controls.state import ControlState
from .groove_fx import merged, shaped

GATE_BEATS = 1 / 8
"""How long a note is held, half a step, unless the next hit of its voice comes sooner."""
STALE_S = 0.05
"""A hit that is this late (a suspended machine, a stalled driver) is left out: a burst of them would be worse than none."""
SEATED_BEATS = 1e-6
"""Rounding: a hit on the very beat where playback begins is not before it."""


class ScheduledMessage(NamedTuple):
    """A message and the monotonic time at which it sounds."""

    at_s: float
    message: bytes


@dataclass(frozen=True)
class Loop:
    """Names a grid that is played: the how-manieth of the session, and the seed that repeats it."""

    index: int
    grid: Grid
    seed: int | None = None
    source: str = ""
    """Where it came from, in a word: generated, humanized, performance."""
    draft: bool = False
    """Whether it answers four bars of which the last beat was still to come."""
    remake: bool = False
    """Whether it takes the place of the same loop, which plays already."""
    dry_grid: Grid | None = None
    """The same hits without the model's feel: as they were played; None for a loop that is the model's own."""

    def render(self, controls: ControlState) -> Grid:
        """Returns what is heard of it: with so much of its feel, shaped."""
        grid = self.grid
        if controls.humanize < 1:
            grid = (self.dry_grid or stiffened(grid)).blended(grid, controls.humanize)
        return shaped(grid, controls)


class _Hit(NamedTuple):
    """One hit of one pass: where it sounds, where its step lies (both in beats), its step, voice and velocity (1 to 127)."""

    beat: float
    step_beat: float
    step: int
    voice: int
    velocity: int


@dataclass(frozen=True)
class _Seat:
    """Says where playback began, or went on after a jump, and what had sounded by then."""

    beat: float = -math.inf
    at_s: float = -math.inf
    sounded: Mapping[int, float] = field(default_factory=dict)


@dataclass
class Player:
    """Plays one loop after another on a monotonic count of beats. Called by the performer's thread only."""

    channel: int = DRUM_CHANNEL
    loop: Loop | None = None
    """What plays; None is silence."""
    controls: ControlState = field(default_factory=ControlState)
    """What the player has turned to, heard from the next bar on."""
    call_and_response: bool = False
    """Whether every other pass, from the one where playback began on, is for listening: nothing is played."""
    cycles_started: int = 0
    """How many passes were begun, jumps included."""
    bar: int = 0
    """The bar that the cursor is in; it begins at beat 4 times this."""
    hits_played: int = 0
    """How many hits were given out."""
    hits_dropped: int = 0
    """How many hits were left out because their time had long gone."""
    _cursor_beats: float = 0.0
    _next: Loop | None = None
    _change: Loop | None = None
    _first_pass: int = 0  # where playback began
    _seat: _Seat = field(default_factory=_Seat)
    _heard: ControlState = field(default_factory=ControlState)  # what this bar is played with
    _hits: Sequence[_Hit] = ()
    _done: int = 0
    _renewed: bool = False  # whether this pass has brought in a new loop: it brings in one at most
    _first_step: int = 0  # where this pass began
    _first_voices: set[int] = field(default_factory=set)  # what it has struck there
    _open_beats: float = -math.inf  # up to where it still takes a loop at its beginning
    _offs: dict[int, float] = field(default_factory=dict)  # pitch -> when its note-off is due, in seconds

    @property
    def cycle(self) -> int:
        """The pass that the cursor is in; it begins at beat 16 times this."""
        return self.bar // LOOP_BARS

    @property
    def queued_loop(self) -> Loop | None:
        """The loop that the next line brings in."""
        return self._next

    @property
    def active_notes(self) -> Mapping[int, float]:
        """The pitches that are held, and when each ends."""
        return self._offs

    @property
    def bar_controls(self) -> ControlState:
        """What the bar is played with."""
        return self._heard

    def queue_loop(self, loop: Loop) -> None:
        """Takes the loop that the next line brings in; the last one offered counts.

        Within the half step before a line it still comes in at that line, and within the half step after a wrap at that wrap:
        voices that the old loop has already struck for the first step are not struck again. Into silence it comes at once, at
        the place where the pass has got to.
        """
        self._next = loop
        late = self.loop is not None and self._cursor_beats >= self._open_beats
        if late or not self.cycles_started or self._renewed:
            return
        self._bring_in(self._cursor_beats)
        self._hits = [hit for hit in self._hits if hit.step != self._first_step or hit.voice not in self._first_voices]

    def rests_in(self, number: int) -> bool:
        """Says whether a pass is for listening, where turns are taken."""
        return (number - self._first_pass) % 2 == 0

    def replace_loop(self, loop: Loop) -> None:
        """Takes the loop that the next bar brings in, at its own place in the four; the one that waits goes on waiting."""
        if self.loop is None:
            self.queue_loop(loop)
        else:
            self._change = loop

    def unqueue_loop(self) -> Loop | None:
        """Gives back the loop that waits."""
        loop, self._next = self._next, None
        return loop

    def locate(self, beat: float, at_s: float = -math.inf, sounded: Mapping[int, float] | None = None, wraps: bool = False) -> None:
        """Begins at a beat, mid-pass or on a line, after `silence`.

        A line brings in the loop that waits. Hits of steps before the beat stay out; a hit that would have sounded just before
        it, early on its own step, sounds at once, so that a song that starts on an early kick has its kick. Nothing is due before
        `at_s`, when the beat falls. `sounded` says when each pitch was last struck: a drum that was struck a moment ago, at the
        place that the song has left, is not struck again. A song that `wraps` goes round in a loop of the DAW's: that is the next
        turn, and brings in the loop that waits too, because such a loop may hold no line.
        """
        turn = self.cycle - self._first_pass + 1 if wraps else 0
        self._seat = _Seat(beat, at_s, dict(sounded or {}))
        self._cursor_beats = beat
        self.bar = int((beat + EARLY_BEATS) // BEATS_PER_BAR)
        self._first_pass = self.cycle - turn
        self._begin_pass()
        if wraps:
            self._first_step = round((beat - cycle_start(self.cycle)) * STEPS_PER_BEAT)
            self._open_beats = beat + EARLY_BEATS
        if beat <= cycle_start(self.cycle) + SEATED_BEATS or self.loop is None or wraps:
            self._bring_in(beat)
        else:
            self._turn(beat)

    def advance(self, timeline: Timeline, until_s: float, end_beats: float = float("inf")) -> list[ScheduledMessage]:
        """Returns what is due up to a time and was not given out before, in order; hits from a beat on stay out."""
        until_beats = timeline.beat_at(until_s)
        out: list[ScheduledMessage] = []
        while True:
            close = (self.bar + 1) * BEATS_PER_BAR - EARLY_BEATS
            self._strike(timeline, min(until_beats, close, end_beats - EARLY_BEATS), until_s, out)
            if until_beats < close or end_beats - EARLY_BEATS <= close:
                break
            self.bar += 1
            self._cursor_beats = close
            self._begin_bar(close)
        self._release(until_s, out)
        return sorted(out, key=lambda due: due.at_s)  # stable: a note-off made for a note-on stays before it

    def resume(self, notes: Iterable[ScheduledMessage], timeline: Timeline) -> list[ScheduledMessage]:
        """Takes notes that were given out and not sent, because the song seemed to stop, as given out anew; returns them."""
        notes = list(notes)
        for due in notes:
            self._hold(due.message[1], due.at_s, timeline)
        return notes

    def all_notes_off(self, now_s: float) -> list[ScheduledMessage]:
        """Returns the note-offs of all that sounds, due now, and forgets them."""
        out = [ScheduledMessage(now_s, self._note_off(pitch)) for pitch in self._offs]
        self._offs.clear()
        return out

    def panic(self, now_s: float) -> list[ScheduledMessage]:
        """Returns the note-offs of all that sounds, then All Notes Off on the channel."""
        return [*self.all_notes_off(now_s), ScheduledMessage(now_s, bytes((CONTROL_CHANGE | self.channel, ALL_NOTES_OFF, 0)))]

    def _begin_pass(self) -> None:
        self.cycles_started += 1
        self._first_step, self._first_voices = 0, set()
        self._open_beats = cycle_start(self.cycle)
        self._renewed = False

    def _begin_bar(self, beat: float) -> None:
        if self.bar % LOOP_BARS == 0:
            self._begin_pass()
            self._bring_in(beat)
        elif self._change is not None or self._heard != self.controls:
            self._turn(beat)

    def _turn(self, from_beat: float) -> None:
        """Goes on from a beat with what was changed since the last bar."""
        loop, self._change = self._change or self.loop, None
        self._loop_from(self._keeping(loop), from_beat)

    def _bring_in(self, from_beat: float) -> None:
        """Goes on from a beat, on a line or into silence, with what was changed, else with what waits, else as before."""
        held = self.controls.hold and self.loop is not None
        if self._change and self._next and self.loop and self._change.index == self.loop.index:
            self._change = None  # the same loop made again, too late: its turn is over
        if self._change is None and self._next is not None and not held:
            self._change, self._next, self._renewed = self._next, None, True
        self._turn(from_beat)

    def _keeping(self, loop: Loop | None) -> Loop | None:
        """Returns a loop in which the voices that are locked go on with what they play."""
        if loop is None or self.loop is None or loop is self.loop or not self.controls.locked_voices:
            return loop
        plains = [one.dry_grid or stiffened(one.grid) for one in (self.loop, loop)]
        locked = self.controls.locked_voices
        return replace(loop, grid=merged(self.loop.grid, loop.grid, locked), dry_grid=merged(plains[0], plains[1], locked))

    def _loop_from(self, loop: Loop | None, from_beat: float) -> None:
        self.loop, self._heard = loop, self.controls
        self._done = 0
        rests = self.call_and_response and self.rests_in(self.cycle)
        hits = cycle_hits(loop.render(self.controls), cycle_start(self.cycle)) if loop and not rests else []
        first_step = self.bar % LOOP_BARS * STEPS_PER_BAR  # the last hits of the bar before may be late to within the rounding
        self._hits = [hit for hit in hits if hit.step >= first_step and max(hit.step_beat, hit.beat) >= from_beat - SEATED_BEATS]

    def _strike(self, timeline: Timeline, until_beats: float, until_s: float, out: list[ScheduledMessage]) -> None:
        while self._done < len(self._hits) and self._hits[self._done].beat < until_beats:
            hit = self._hits[self._done]
            self._done += 1
            at_s = max(timeline.time_at(max(hit.beat, self._cursor_beats)), self._seat.at_s)
            if hit.step == self._first_step:
                self._first_voices.add(hit.voice)
            if until_s - at_s > STALE_S:
                self.hits_dropped += 1
                continue
            pitch = self._heard.kit.output_notes[hit.voice]
            if self._sounded_before(hit, pitch, at_s, timeline):
                continue
            if pitch in self._offs:  # still held: let go first, or its note-off would choke this hit
                out.append(ScheduledMessage(min(self._offs[pitch], at_s), self._note_off(pitch)))
            out.append(ScheduledMessage(at_s, bytes((NOTE_ON | self.channel, pitch, hit.velocity))))
            self._hold(pitch, at_s, timeline)
            self.hits_played += 1
        self._cursor_beats = max(self._cursor_beats, until_beats)

    def _hold(self, pitch: int, from_s: float, timeline: Timeline) -> None:
        self._offs[pitch] = from_s + GATE_BEATS * 60 / timeline.bpm

    def _sounded_before(self, hit: _Hit, pitch: int, at_s: float, timeline: Timeline) -> bool:
        """Says whether a hit of the step on which playback was seated was struck a moment before, where the song came from."""
        if hit.step_beat >= self._seat.beat + 1 / STEPS_PER_BEAT:
            return False
        return at_s - self._seat.sounded.get(pitch, -math.inf) < EARLY_BEATS * 60 / timeline.bpm

    def _release(self, until_s: float, out: list[ScheduledMessage]) -> None:
        for pitch in [pitch for pitch, off_s in self._offs.items() if off_s <= until_s]:
            out.append(ScheduledMessage(self._offs.pop(pitch), self._note_off(pitch)))

    def _note_off(self, pitch: int) -> bytes:
        return bytes((NOTE_OFF | self.channel, pitch, 0))


def stiffened(grid: Grid) -> Grid:
    """Returns the same hits exactly on their steps, all of a voice at its mean velocity."""
    count = np.maximum(grid.hits.sum(axis=0), 1)
    return Grid(grid.hits, grid.hits * (grid.velocities.sum(axis=0) / count), np.zeros_like(grid.offsets))


def cycle_hits(grid: Grid, line: float) -> list[_Hit]:
    """Returns the hits of a loop that begins at a beat, in order of sounding; velocity 1 to 127, because 0 would be a note-off."""
    hits = []
    for onset in grid.onsets():
        step = int((onset.beat + EARLY_BEATS) * STEPS_PER_BEAT)
        velocity = min(max(round(onset.velocity * 127), 1), 127)
        hits.append(_Hit(line + onset.beat, line + step / STEPS_PER_BEAT, step, onset.voice, velocity))
    return sorted(hits)
