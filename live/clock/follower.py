"""Clock messages with their arrival times in, a Timeline and transport events out. Pure: nothing here reads a clock.

What each DAW sends is in the table of docs/architecture.md; in short: Start and Continue arm and the next tick is the beat, song
position may come stopped, right before Continue or while running, and a loop may wrap as Stop, position, Continue in one burst.
"""

import math

from drumvae.midi.constants import CLOCK, CLOCK_PPQN, CONTINUE, SONG_POSITION, START, STOP
from drumvae.music.grid import LOOP_BEATS

from .clock_rate import RateWatch
from .internal_clock import InternalClock
from .tick_filter import TickFilter
from .timeline import Timeline
from .transport import Clock, Kind, State, Transport

__all__ = [
    "CLOCK",
    "CONTINUE",
    "LOST_S",
    "RESUME_S",
    "SONG_POSITION",
    "START",
    "STOP",
    "TICKS_PER_POSITION",
    "Clock",
    "Follower",
    "InternalClock",
    "Kind",
    "State",
    "Transport",
]

"""MIDI 1.0 system real time and system common status bytes."""
TICKS_PER_POSITION = 6
"""Song position counts sixteenths; a sixteenth is six ticks."""
LAST_POSITION = 0x3FFF
"""Fourteen bits end a sixteenth before bar 1025 of 4/4. Senders that are further on say this, begin again at 0, or say nothing."""
SONG_TICKS = (LAST_POSITION + 1) * TICKS_PER_POSITION
"""How far position can count: 256 times four bars, so that one that began again at 0 is at the same place of the four."""
FOLD_TICKS = LOOP_BEATS * CLOCK_PPQN
BURST_S = 0.05
"""Stop, position and Start or Continue within this time are one move; so are Start and Continue that come as a pair."""
LOST_S = 0.3
"""A running clock that is silent for so long is gone: at 20 bpm, the slowest clock followed, two ticks are 0.125 s apart."""
RESUME_S = 60.0
"""A clock that is back within this time took the song along; after a longer silence nobody knows where the song is."""
FIRST_BPM = 120.0
"""The tempo assumed for the first tick of a clock that was never heard before."""


class Follower:
    """Follows MIDI clock, 24 ticks a beat."""

    def __init__(self, bpm: float = FIRST_BPM) -> None:
        self.state = State.WAITING
        self._filter = TickFilter(60 / bpm / CLOCK_PPQN)
        self._rate = RateWatch()
        self._next_tick = 0  # the number that the coming tick will have, from the start of the song, plus the offset
        self._offset_ticks = 0  # what `align` has added to the sender's count, below four bars
        self._fed_s = self._tick_s = -math.inf
        self._armed_s = -math.inf
        self._halted_s = -math.inf
        self._position_s = -math.inf
        self._moved = False
        self._commanded = False  # whether Start, Continue or Stop was ever heard
        self._placed = False  # whether the sender, or the player, ever said where the song is
        self._gone = False  # whether the clock was silent for longer than RESUME_S while it should have played
        self._timeline = Timeline(bpm, 0.0, 0.0)

    @property
    def timeline(self) -> Timeline:
        """Song beats and times as of the last tick; only its tempo means something until the transport is seated."""
        return self._timeline

    @property
    def locked(self) -> bool:
        """Whether ticks come, and the tempo has been followed long enough to be trusted to a tenth of a bpm."""
        return self._filter.locked and self.state is not State.LOST

    @property
    def jitter_ms(self) -> float:
        """The median distance of the last beat's ticks from where they were expected."""
        return self._filter.jitter_s * 1000

    @property
    def advice(self) -> str | None:
        """One sentence on what is set up wrongly or cannot be known, and what to do; None where all is well."""
        if self._gone:
            return "The clock was away for too long to know where the song is: stop and start the DAW once."
        if self.state is State.RUNNING and not self._placed:
            return "The song went on without saying where, so it counts from bar 1: stop and start the DAW, or align on a first beat."
        return self._rate.advice

    def feed(self, arrival_s: float, message: bytes) -> list[Transport]:
        """Takes a system message (any other, and any that is unfinished, is ignored) and says what it changed."""
        if arrival_s < self._fed_s - BURST_S:  # time has jumped back: no burst from before it goes on
            self._armed_s = self._halted_s = self._position_s = -math.inf
        self._fed_s = arrival_s
        status = message[0] if message else 0
        if status == CLOCK:
            return self._tick(arrival_s)
        if status in (START, CONTINUE, STOP):
            self._commanded, self._gone = True, False
        if status == START:
            return self._start(arrival_s)
        if status == CONTINUE:
            return self._continue(arrival_s)
        if status == STOP:
            return self._stop(arrival_s)
        if status == SONG_POSITION and len(message) == 3 and max(message[1:]) < 0x80:
            self._locate(arrival_s, message[1] | message[2] << 7)
        return []

    def check(self, now_s: float) -> list[Transport]:
        """Says whether a stop has proved to be one, or the clock has run dry."""
        if self.state is State.STOP_PENDING and now_s - self._halted_s > BURST_S:
            return self._settle(State.STOPPED, Kind.STOPPED, now_s)
        if self.state is State.RUNNING and now_s - self._tick_s > LOST_S:
            return self._settle(State.LOST, Kind.LOST, now_s)
        return []

    def align(self, now_s: float) -> list[Transport]:
        """Takes a player's word that the nearest beat is the first of four bars, and seats the song there; the tempo stays.

        It holds for every position that the sender tells from now on, until it starts from the top. A sender of mere ticks,
        which never told Start or Stop, begins to play here: only its player knows where the beat is.
        """
        if self._only_ticks(now_s):
            self._next_tick = round((self._filter.next_s - now_s) / self._filter.period_s)
            self.state, self._placed = State.RUNNING, True
            return self._seat_beat(0)
        if self.state is not State.RUNNING:
            return []
        beat = round(self._timeline.beat_at(now_s))
        offset_ticks = (self._offset_ticks - beat * CLOCK_PPQN) % FOLD_TICKS
        added_ticks = offset_ticks - self._offset_ticks
        self._offset_ticks, self._placed = offset_ticks, True
        self._next_tick += added_ticks
        return self._seat_beat(beat + added_ticks // CLOCK_PPQN) if added_ticks else []

    def _only_ticks(self, now_s: float) -> bool:
        return self.state is State.STOPPED and not self._commanded and now_s - self._tick_s < LOST_S

    def _seat_beat(self, beat: int) -> list[Transport]:
        self._retime()
        return [Transport(Kind.LOCATED, self._timeline.time_at(beat), float(beat))]

    def _retime(self) -> None:
        self._timeline = Timeline(self._filter.bpm, self._next_tick / CLOCK_PPQN, self._filter.next_s)

    def _settle(self, state: State, kind: Kind, now_s: float) -> list[Transport]:
        self.state, self._moved = state, False
        return [Transport(kind, now_s, self._next_tick / CLOCK_PPQN)]

    def _tick(self, arrival_s: float) -> list[Transport]:
        silent_s = abs(arrival_s - self._tick_s)  # time that jumps back is as good as a silence
        self._tick_s = arrival_s
        self._rate.heard(arrival_s)
        if self.state is State.WAITING:
            self.state = State.STOPPED
        events = self._bridge(arrival_s, silent_s) if silent_s > LOST_S else []
        returned = self.state is State.LOST and silent_s <= LOST_S
        seats = self.state is State.ARMED or self._moved
        count = self._count(arrival_s, silent_s)
        if self.state in (State.ARMED, State.RUNNING, State.LOST):  # ticks while stopped keep the tempo; they do not move the song
            if (seats or returned) and count > 0:
                events.append(Transport(Kind.LOCATED, arrival_s, self._next_tick / CLOCK_PPQN))
                self.state, self._moved = State.RUNNING, False
            self._next_tick += count
            self._rate.played(count)
        self._retime()
        return events

    def _count(self, arrival_s: float, silent_s: float) -> int:
        """Gives a tick to the filter and returns for how many it counts."""
        if silent_s > LOST_S:
            self._filter.restart(arrival_s)
            return 1
        if self.state is State.ARMED or self._moved:
            self._filter.seat(arrival_s, rephases=self.state is State.ARMED)
            return 1
        return self._filter.tick(arrival_s)

    def _bridge(self, arrival_s: float, silent_s: float) -> list[Transport]:
        """Takes the first tick after a silence: a song that was playing went on meanwhile, as it does when a cable is pulled.

        The tick after this one seats it. After too long a silence it is a stop, and Start or Continue is waited for.
        """
        events = self._settle(State.LOST, Kind.LOST, arrival_s) if self.state is State.RUNNING else []
        if self.state is not State.LOST:
            return events
        if silent_s > RESUME_S:
            self._gone = True
            return events + self._settle(State.STOPPED, Kind.STOPPED, arrival_s)
        self._next_tick += self._filter.ticks_since(arrival_s)
        return events

    def _start(self, arrival_s: float) -> list[Transport]:
        self._placed = True
        if arrival_s - self._armed_s < BURST_S and self._next_tick <= 2:
            return []  # the second of a pair, e.g. Continue and Start 5 ms apart (zynthian), or a doubled Start
        if arrival_s - self._position_s > BURST_S:
            self._next_tick = self._offset_ticks = 0  # else the position just sent says where: Bitwig starts anywhere like that
            self._rate.told(0)
        self._moved = self.state is State.RUNNING
        return self._arm(arrival_s)

    def _continue(self, arrival_s: float) -> list[Transport]:
        # Running, it says nothing new: the second of a pair (Start and Continue), or the tail of a jump that position announced.
        return [] if self.state in (State.RUNNING, State.ARMED) else self._arm(arrival_s)

    def _arm(self, arrival_s: float) -> list[Transport]:
        self._armed_s = arrival_s
        if self.state is State.RUNNING:
            return []
        # The stop may be older than a burst and not yet settled, where nobody called `check` in between.
        late = self.state is State.STOP_PENDING and arrival_s - self._halted_s > BURST_S
        events = self._settle(State.STOPPED, Kind.STOPPED, arrival_s) if late else []
        self.state = State.ARMED  # the next tick is the beat
        return events

    def _stop(self, arrival_s: float) -> list[Transport]:
        if self.state is State.RUNNING:
            self._halted_s = arrival_s
            return self._settle(State.STOP_PENDING, Kind.STOP_PENDING, arrival_s)
        if self.state in (State.ARMED, State.LOST):
            return self._settle(State.STOPPED, Kind.STOPPED, arrival_s)
        return []

    def _locate(self, arrival_s: float, position: int) -> None:
        self._position_s, self._placed = arrival_s, True
        tick = self._placed_tick(position) + self._offset_ticks
        self._moved = self.state is State.RUNNING and (self._moved or tick != self._next_tick)
        self._next_tick = tick  # many may come while stopped: the last one counts
        if self.state is State.LOST:
            self._filter.expect(arrival_s)

    def _placed_tick(self, position: int) -> int:
        """Returns the tick that a position means: as it says, but for songs that have outgrown fourteen bits.

        The last position says "here or anywhere after". A song that was counted beyond it is where it was counted; any other is
        taken to be on the line that follows, since nobody cues a sixteenth before bar 1025 and everybody cues bars.
        """
        tick, counted = position * TICKS_PER_POSITION, self._next_tick - self._offset_ticks
        if position == LAST_POSITION:
            return counted if counted >= tick else SONG_TICKS
        self._rate.told(tick)
        return counted if (tick - counted) % SONG_TICKS == 0 else tick
