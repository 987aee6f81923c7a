"""Clock messages with their arrival times in, a Timeline and transport events out. Pure: nothing here reads a clock.

What each DAW sends is in the table of docs/architecture.md; in short: Start and Continue arm and the next tick is the beat, song
position may come stopped, right before Continue or while running, and a loop may wrap as Stop, position, Continue in one burst.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from .dll import TICKS_PER_BEAT, TickFilter
from .timebase import Timeline

TICK, START, CONTINUE, STOP, POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
"""MIDI 1.0 system real time and system common status bytes."""
TICKS_PER_POSITION = 6
"""Song position counts sixteenths; a sixteenth is six ticks."""
BURST_S = 0.05
"""Stop, position and Start or Continue within this time are one move; so are Start and Continue that come as a pair."""
LOST_S = 0.3
"""A running clock that is silent for so long is gone: at 20 bpm, the slowest clock followed, two ticks are 0.125 s apart."""
REPHASED_S = 0.003
"""The first tick after Start may begin a new phase; below this error the old one is kept, because it is the steadier guess."""
FIRST_BPM = 120.0
"""The tempo assumed for the first tick of a clock that was never heard before."""


class Kind(Enum):
    """What can happen to the transport."""

    HALTED = auto()
    """Stop arrived: no note may begin from now on, but it may turn out to be the first half of a jump."""
    SEATED = auto()
    """Playback runs from `beat` on: after Start or Continue, after a jump, after a wrap."""
    STOPPED = auto()
    """The stop was one: nothing followed it."""
    LOST = auto()
    """The clock ran dry while playing."""


@dataclass(frozen=True)
class Transport:
    """Says that the transport changed at a time (monotonic seconds), and where the song stood (beats)."""

    kind: Kind
    at_s: float
    beat: float


class State(Enum):
    """Where a follower stands; the words that the display shows."""

    WAITING = "waiting for the clock"
    STOPPED = "stopped"
    ARMED = "starting"
    RUNNING = "playing"
    HALTED = "stopping"
    LOST = "clock lost"


class Clock(Protocol):
    """What drives a session: a follower of MIDI clock or a clock of its own. Called by the performer's thread only."""

    state: State

    @property
    def timeline(self) -> Timeline: ...

    def feed(self, arrival_s: float, message: bytes) -> list[Transport]:
        """Takes a system message; messages come in order of arrival."""

    def check(self, now_s: float) -> list[Transport]:
        """Takes the passing of time."""


class Follower:
    """Follows MIDI clock, 24 ticks a beat."""

    def __init__(self, bpm: float = FIRST_BPM) -> None:
        self.state = State.WAITING
        self._filter = TickFilter(60 / bpm / TICKS_PER_BEAT)
        self._next_tick = 0  # the number, from the start of the song, that the coming tick will have
        self._tick_s = -math.inf
        self._armed_s = -math.inf
        self._halted_s = -math.inf
        self._position_s = -math.inf
        self._moved = False
        self._timeline = Timeline(bpm, 0.0, 0.0)

    @property
    def timeline(self) -> Timeline:
        """Song beats and times as of the last tick; only its tempo means something until the transport is seated."""
        return self._timeline

    @property
    def locked(self) -> bool:
        """Whether the tempo has been followed long enough to be trusted to a tenth of a bpm."""
        return self._filter.locked

    def feed(self, arrival_s: float, message: bytes) -> list[Transport]:
        """Takes a system message (any other is ignored) and says what it changed."""
        status = message[0]
        if status == TICK:
            return self._tick(arrival_s)
        if status == START:
            return self._start(arrival_s)
        if status == CONTINUE:
            return self._continue(arrival_s)
        if status == STOP:
            return self._stop(arrival_s)
        if status == POSITION and len(message) == 3:
            self._locate(arrival_s, (message[1] | message[2] << 7) * TICKS_PER_POSITION)
        return []

    def check(self, now_s: float) -> list[Transport]:
        """Says whether a stop has proved to be one, or the clock has run dry."""
        if self.state is State.HALTED and now_s - self._halted_s > BURST_S:
            return self._settle(State.STOPPED, Kind.STOPPED, now_s)
        if self.state is State.RUNNING and now_s - self._tick_s > LOST_S:
            return self._settle(State.LOST, Kind.LOST, now_s)
        return []

    def _settle(self, state: State, kind: Kind, now_s: float) -> list[Transport]:
        self.state = state
        return [Transport(kind, now_s, self._next_tick / TICKS_PER_BEAT)]

    def _tick(self, arrival_s: float) -> list[Transport]:
        silent = arrival_s - self._tick_s > LOST_S
        self._tick_s = arrival_s
        if silent or self._rephases(arrival_s):
            self._filter.restart(arrival_s)
        else:
            self._filter.tick(arrival_s)
        if self.state is State.WAITING:
            self.state = State.STOPPED
        beat = self._next_tick / TICKS_PER_BEAT
        seated = self.state is State.ARMED or self._moved
        if self.state in (State.ARMED, State.RUNNING):  # ticks while stopped keep the tempo; they do not move the song
            self._next_tick += 1
            self.state, self._moved = State.RUNNING, False
        self._timeline = Timeline(self._filter.bpm, self._next_tick / TICKS_PER_BEAT, self._filter.next_s)
        return [Transport(Kind.SEATED, arrival_s, beat)] if seated else []

    def _rephases(self, arrival_s: float) -> bool:
        """Says whether the first tick after Start or Continue begins ticks of another phase, as senders with a free-running clock do."""
        return self.state is State.ARMED and abs(arrival_s - self._filter.next_s) > REPHASED_S

    def _start(self, arrival_s: float) -> list[Transport]:
        if arrival_s - self._armed_s < BURST_S and self._next_tick <= 2:
            return []  # the second of a pair, e.g. Continue and Start 5 ms apart (zynthian), or a doubled Start
        if arrival_s - self._position_s > BURST_S:
            self._next_tick = 0  # else the position just sent says where: Bitwig starts anywhere with position and Start
        self._moved = self.state is State.RUNNING
        return self._arm(arrival_s)

    def _continue(self, arrival_s: float) -> list[Transport]:
        # Running, it says nothing new: the second of a pair (Start and Continue), or the tail of a jump that position announced.
        return [] if self.state in (State.RUNNING, State.ARMED) else self._arm(arrival_s)

    def _arm(self, arrival_s: float) -> list[Transport]:
        self._armed_s = arrival_s
        if self.state is not State.RUNNING:
            # The stop may be older than a burst and not yet settled, where nobody called `check` in between.
            late = self.state is State.HALTED and arrival_s - self._halted_s > BURST_S
            events = self._settle(State.STOPPED, Kind.STOPPED, arrival_s) if late else []
            self.state = State.ARMED  # the next tick is the beat
            return events
        return []

    def _stop(self, arrival_s: float) -> list[Transport]:
        if self.state is State.RUNNING:
            self._halted_s = arrival_s
            return self._settle(State.HALTED, Kind.HALTED, arrival_s)
        if self.state in (State.ARMED, State.LOST):
            return self._settle(State.STOPPED, Kind.STOPPED, arrival_s)
        return []

    def _locate(self, arrival_s: float, tick: int) -> None:
        self._position_s = arrival_s
        self._moved = self.state is State.RUNNING and (self._moved or tick != self._next_tick)
        self._next_tick = tick  # many may come while stopped: the last one counts


class InternalClock:
    """Keeps a tempo of its own: the same Timeline and events as a follower, without a DAW."""

    def __init__(self, bpm: float, lead_s: float = 0.2) -> None:
        self.state = State.WAITING
        self._timeline = Timeline(bpm, 0.0, 0.0)
        self._lead_s = lead_s

    @property
    def timeline(self) -> Timeline:
        return self._timeline

    def feed(self, arrival_s: float, message: bytes) -> list[Transport]:  # it follows nobody
        return []

    def check(self, now_s: float) -> list[Transport]:
        """Begins a moment after the first call."""
        if self.state is State.WAITING:
            self.state = State.ARMED
            self._timeline = Timeline(self._timeline.bpm, 0.0, now_s + self._lead_s)
        if self.state is not State.ARMED or now_s < self._timeline.origin_s:
            return []
        self.state = State.RUNNING
        return [Transport(Kind.SEATED, self._timeline.origin_s, 0.0)]
