"""Follows MIDI clock and returns a tempo estimate, a Timeline and transport events. Pure: nothing here reads a clock.

docs/architecture.md lists what each DAW sends. In short: after Start and Continue the next tick is the beat. Song position may come
while stopped, right before Continue or while playing. A DAW's loop may wrap as Stop, position and Continue in one burst.
"""

import math

from drumvae.midi.constants import CLOCK, CLOCK_PPQN, CONTINUE, SONG_POSITION, START, STOP
from drumvae.music.grid import LOOP_BEATS

from .clock_rate import ClockRateMonitor
from .tick_filter import TickFilter
from .timeline import Timeline
from .transport import State, TransportEvent, TransportKind

TICKS_PER_POSITION = 6
"""Song position counts sixteenths; a sixteenth is six ticks."""
LAST_POSITION = 0x3FFF
"""The largest 14-bit position, a sixteenth before bar 1025 of 4/4. Beyond it a source sends this value, restarts at 0, or sends nothing."""
POSITION_RANGE_TICKS = (LAST_POSITION + 1) * TICKS_PER_POSITION
"""The range of song position: 256 times four bars, so a position that restarted at 0 has the same phase within four bars."""
LOOP_TICKS = LOOP_BEATS * CLOCK_PPQN
TRANSPORT_BURST_S = 0.05
"""Stop, position and Start or Continue within this time are one jump; Start and Continue within it are one start."""
LOST_S = 0.3
"""A playing clock is lost after this long without a tick: at 20 bpm, the slowest tempo followed, two ticks are 0.125 s apart."""
MAX_LOSS_S = 60.0
"""If the clock returns within this time, the song is assumed to have continued; after a longer silence its position is unknown."""
DEFAULT_BPM = 120.0
"""The tempo assumed for the first tick of the first clock."""


class Follower:
    """Follows MIDI clock at 24 ticks per beat.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> follower = Follower()
    >>> follower.feed(0.0, bytes([START]))
    []
    >>> [event.kind.name for n in range(96) for event in follower.feed(0.02 * n, bytes([CLOCK]))]
    ['LOCATED']
    >>> round(follower.timeline.bpm), round(follower.timeline.beat_at(1.92), 6)
    (125, 4.0)
    """

    def __init__(self, bpm: float = DEFAULT_BPM) -> None:
        """Sets the tempo that is assumed until the first ticks have arrived."""
        self.state = State.WAITING
        self._filter = TickFilter(60 / bpm / CLOCK_PPQN)
        self._rate = ClockRateMonitor()
        self._next_tick = 0  # the number of the next tick, from the start of the song, plus the offset
        self._offset_ticks = 0  # added to the source's count by `align`, below four bars
        self._last_fed_s = self._last_tick_s = -math.inf
        self._armed_s = -math.inf
        self._stop_s = -math.inf
        self._position_s = -math.inf
        self._has_jumped = False  # whether the next tick begins at a new song position
        self._has_transport = False  # whether Start, Continue or Stop was ever received
        self._position_known = False  # whether the song position was ever received, or set by `align`
        self._lost_too_long = False  # whether the clock was silent for longer than MAX_LOSS_S while it should have played
        self._timeline = Timeline(bpm, 0.0, 0.0)

    @property
    def timeline(self) -> Timeline:
        """Song beats and times as of the last tick; only its tempo is valid until the transport is located."""
        return self._timeline

    @property
    def synced(self) -> bool:
        """Whether ticks arrive, and the tempo has been followed long enough to be accurate to a tenth of a bpm."""
        return self._filter.synced and self.state is not State.LOST

    @property
    def jitter_ms(self) -> float:
        """The median distance between the last beat's ticks and their expected times."""
        return self._filter.jitter_s * 1000

    @property
    def warning(self) -> str | None:
        """A sentence on a wrong setting or an unknown position, with the remedy; None if there is no problem."""
        if self._lost_too_long:
            return "The clock was lost for too long, so the song position is unknown: stop and start the DAW once."
        if self.state is State.RUNNING and not self._position_known:
            return (
                "The song continued without a song position, so bars are counted from 1: "
                "stop and start the DAW, or press align on a downbeat."
            )
        return self._rate.warning

    def feed(self, arrival_s: float, message: bytes) -> list[TransportEvent]:
        """Processes a system message and returns the transport events; ignores any other and any incomplete message."""
        if arrival_s < self._last_fed_s - TRANSPORT_BURST_S:  # time has jumped back: a burst from before it is over
            self._armed_s = self._stop_s = self._position_s = -math.inf
        self._last_fed_s = arrival_s
        status = message[0] if message else 0
        if status == CLOCK:
            return self._tick(arrival_s)
        if status in (START, CONTINUE, STOP):
            self._has_transport, self._lost_too_long = True, False
        if status == START:
            return self._start(arrival_s)
        if status == CONTINUE:
            return self._continue(arrival_s)
        if status == STOP:
            return self._stop(arrival_s)
        if status == SONG_POSITION and len(message) == 3 and max(message[1:]) < 0x80:
            self._receive_position(arrival_s, message[1] | message[2] << 7)
        return []

    def check(self, now_s: float) -> list[TransportEvent]:
        """Returns STOPPED once a pending stop is confirmed, and LOST once no tick has arrived for LOST_S."""
        if self.state is State.STOP_PENDING and now_s - self._stop_s > TRANSPORT_BURST_S:
            return self._change_state(State.STOPPED, TransportKind.STOPPED, now_s)
        if self.state is State.RUNNING and now_s - self._last_tick_s > LOST_S:
            return self._change_state(State.LOST, TransportKind.LOST, now_s)
        return []

    def align(self, now_s: float) -> list[TransportEvent]:
        """Makes the beat nearest to `now_s` the first of four bars, at the user's command; the tempo stays.

        The offset also applies to every later song position, until the song starts from the beginning. A source that sends only
        ticks, and never Start or Stop, starts to play here: only its user knows which tick is the beat.
        """
        if self._sends_only_ticks(now_s):
            self._next_tick = round((self._filter.next_s - now_s) / self._filter.period_s)
            self.state, self._position_known = State.RUNNING, True
            return self._locate_at(0)
        if self.state is not State.RUNNING:
            return []
        beat = round(self._timeline.beat_at(now_s))
        offset_ticks = (self._offset_ticks - beat * CLOCK_PPQN) % LOOP_TICKS
        added_ticks = offset_ticks - self._offset_ticks
        self._offset_ticks, self._position_known = offset_ticks, True
        self._next_tick += added_ticks
        return self._locate_at(beat + added_ticks // CLOCK_PPQN) if added_ticks else []

    def _sends_only_ticks(self, now_s: float) -> bool:
        return self.state is State.STOPPED and not self._has_transport and now_s - self._last_tick_s < LOST_S

    def _locate_at(self, beat: int) -> list[TransportEvent]:
        self._update_timeline()
        return [TransportEvent(TransportKind.LOCATED, self._timeline.time_at(beat), float(beat))]

    def _update_timeline(self) -> None:
        self._timeline = Timeline(self._filter.bpm, self._next_tick / CLOCK_PPQN, self._filter.next_s)

    def _change_state(self, state: State, kind: TransportKind, now_s: float) -> list[TransportEvent]:
        self.state, self._has_jumped = state, False
        return [TransportEvent(kind, now_s, self._next_tick / CLOCK_PPQN)]

    def _tick(self, arrival_s: float) -> list[TransportEvent]:
        silence_s = abs(arrival_s - self._last_tick_s)  # a jump back in time is treated as a silence
        self._last_tick_s = arrival_s
        self._rate.add_arrival(arrival_s)
        if self.state is State.WAITING:
            self.state = State.STOPPED
        events = self._resume_after_silence(arrival_s, silence_s) if silence_s > LOST_S else []
        returned = self.state is State.LOST and silence_s <= LOST_S
        locates = self.state is State.ARMED or self._has_jumped
        count = self._count(arrival_s, silence_s)
        if self.state in (State.ARMED, State.RUNNING, State.LOST):  # ticks while stopped update the tempo, not the song position
            if (locates or returned) and count > 0:
                events.append(TransportEvent(TransportKind.LOCATED, arrival_s, self._next_tick / CLOCK_PPQN))
                self.state, self._has_jumped = State.RUNNING, False
            self._next_tick += count
            self._rate.add_ticks(count)
        self._update_timeline()
        return events

    def _count(self, arrival_s: float, silence_s: float) -> int:
        """Passes a tick to the filter and returns how many ticks it counts as: more than 1 after missed ticks."""
        if silence_s > LOST_S:
            self._filter.restart(arrival_s)
            return 1
        if self.state is State.ARMED or self._has_jumped:
            self._filter.locate(arrival_s, may_change_phase=self.state is State.ARMED)
            return 1
        return self._filter.tick(arrival_s)

    def _resume_after_silence(self, arrival_s: float, silence_s: float) -> list[TransportEvent]:
        """Handles the first tick after a silence: a playing song played on meanwhile, as when a cable is unplugged.

        The tick after this one locates it. After too long a silence the song is stopped until Start or Continue.
        """
        events = self._change_state(State.LOST, TransportKind.LOST, arrival_s) if self.state is State.RUNNING else []
        if self.state is not State.LOST:
            return events
        if silence_s > MAX_LOSS_S:
            self._lost_too_long = True
            return events + self._change_state(State.STOPPED, TransportKind.STOPPED, arrival_s)
        self._next_tick += self._filter.ticks_since(arrival_s)
        return events

    def _start(self, arrival_s: float) -> list[TransportEvent]:
        self._position_known = True
        if arrival_s - self._armed_s < TRANSPORT_BURST_S and self._next_tick <= 2:
            return []  # the second of a pair, e.g. Continue and Start 5 ms apart (zynthian), or a doubled Start
        if arrival_s - self._position_s > TRANSPORT_BURST_S:
            self._next_tick = self._offset_ticks = 0  # otherwise the position just received applies: Bitwig starts anywhere like that
            self._rate.add_position(0)
        self._has_jumped = self.state is State.RUNNING
        return self._arm(arrival_s)

    def _continue(self, arrival_s: float) -> list[TransportEvent]:
        # While running it changes nothing: it is the second of a pair (Start and Continue), or the end of a jump after a position.
        return [] if self.state in (State.RUNNING, State.ARMED) else self._arm(arrival_s)

    def _arm(self, arrival_s: float) -> list[TransportEvent]:
        self._armed_s = arrival_s
        if self.state is State.RUNNING:
            return []
        # The stop may be older than a burst and not yet confirmed, if `check` was not called in between.
        late = self.state is State.STOP_PENDING and arrival_s - self._stop_s > TRANSPORT_BURST_S
        events = self._change_state(State.STOPPED, TransportKind.STOPPED, arrival_s) if late else []
        self.state = State.ARMED  # the next tick is the beat
        return events

    def _stop(self, arrival_s: float) -> list[TransportEvent]:
        if self.state is State.RUNNING:
            self._stop_s = arrival_s
            return self._change_state(State.STOP_PENDING, TransportKind.STOP_PENDING, arrival_s)
        if self.state in (State.ARMED, State.LOST):
            return self._change_state(State.STOPPED, TransportKind.STOPPED, arrival_s)
        return []

    def _receive_position(self, arrival_s: float, position: int) -> None:
        self._position_s, self._position_known = arrival_s, True
        tick = self._position_to_tick(position) + self._offset_ticks
        self._has_jumped = self.state is State.RUNNING and (self._has_jumped or tick != self._next_tick)
        self._next_tick = tick  # many may come while stopped: the last one counts
        if self.state is State.LOST:
            self._filter.expect(arrival_s)

    def _position_to_tick(self, position: int) -> int:
        """Returns the tick that a song position means, also in songs longer than fourteen bits can count.

        LAST_POSITION means "here or anywhere later". If the song was counted beyond it, the count stays. Otherwise the position is taken
        as the next loop boundary, bar 1025, because users locate to bars and not to a sixteenth before one.
        """
        tick, counted = position * TICKS_PER_POSITION, self._next_tick - self._offset_ticks
        if position == LAST_POSITION:
            return counted if counted >= tick else POSITION_RANGE_TICKS
        self._rate.add_position(tick)
        return counted if (tick - counted) % POSITION_RANGE_TICKS == 0 else tick
