"""Detects how a DAW sends its transport: at start, at a position, at a loop wrap, at stop, and while stopped.

DAWs differ in the combination of Start, Continue, Stop and song position that they send; messages in one burst are one command. Pure:
any bytes may come, and unrelated messages are ignored.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from drumvae.midi.constants import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    CLOCK,
    CONTINUE,
    CONTROL_CHANGE,
    NOTE_OFF,
    NOTE_ON,
    SONG_POSITION,
    START,
    STOP,
)

from ..clock.follower import TICKS_PER_POSITION, TRANSPORT_BURST_S
from ..messages import TimestampedMessage
from ..metrics.meters import GAP_S

MAX_JUMP_S = 0.3
"""Nobody stops, locates and plays again within this time: it is a jump whose Continue waits for the next sixteenth, as Ardour's does."""
DUPLICATE_S = 0.01
"""The same message twice within this time arrived by two routes."""
SWEEP_S, SWEEP_SIZE = 0.02, 8
"""A sweep silences all notes: this many controllers or note-offs, each this close to the next. Nobody plays that."""
BEFORE_PLAY_S = 0.5
"""A sweep, or a position, this shortly before Start or Continue belongs to it."""
IDLE_TICKS, IDLE_S = 12, 0.1
"""This many ticks, from this long after Stop on, are a clock that runs while stopped."""
MIN_RATE_POSITIONS = 16
"""A song position reveals the clock's rate from this distance in sixteenths (a bar) on."""
SILENCING = (ALL_SOUND_OFF, ALL_NOTES_OFF)
"""The controllers of MIDI 1.0's channel mode messages that silence notes."""
_LETTERS = {START: "S", CONTINUE: "C", STOP: "X", SONG_POSITION: "P"}


class ClockBehaviour(Enum):
    """One way in which a clock source behaves; the value completes the sentence "The clock source ..."."""

    START = "sends Start when it plays from the beginning"
    POSITION_START = "sends position and Start when it plays from another position"
    POSITION_CONTINUE = "sends position and Continue when it plays from another position"
    CONTINUE_ALONE = "sends Continue with no position"
    PAIR = "sends Start and Continue as a pair"
    WRAP_POSITION = "sends position alone when it jumps or loops while playing"
    WRAP_STOP_START = "sends Stop, position and Start in one burst when it jumps or loops"
    WRAP_STOP_CONTINUE = "sends Stop, position and Continue in one burst when it jumps or loops"
    RESTART = "sends Start again while it plays, with no position"
    STOP = "sends Stop"
    POSITION_AT_STOP = "sends a position right after Stop"
    POSITION_STANDING = "sends positions while stopped"
    IDLE_CLOCK = "keeps its clock running while stopped"
    SWEEP_SOUND_OFF = "sends All Sound Off and All Notes Off (controllers 120 and 123) on many channels"
    SWEEP_NOTES_OFF = "sends All Notes Off (controller 123) on many channels before it plays"
    NOTE_OFFS = "sends many note-offs in one burst"


@dataclass
class ScanResult:
    """The result of a scan of the transport messages."""

    behaviours: set[ClockBehaviour] = field(default_factory=set)
    plays: int = 0
    """Starts and Continues; a pair or a jump counts once."""
    stops: int = 0
    duplicates: int = 0
    """Transport messages that came twice within 10 ms."""
    rates: list[float] = field(default_factory=list)
    """For each distance between two song positions, the received ticks divided by the expected ones; 1 is correct."""


@dataclass(frozen=True)
class _TransportMessage:
    at_s: float
    letter: str
    position: int | None = None  # sixteenths


def scan_behaviours(arrivals: Sequence[TimestampedMessage]) -> ScanResult:
    """Scans a whole stream of messages, in order of arrival.

    >>> arrivals = [TimestampedMessage(0.0, b"\\xfa"), *(TimestampedMessage(0.02 * n, b"\\xf8") for n in range(48))]
    >>> scan_behaviours(arrivals).behaviours == {ClockBehaviour.START}
    True
    """
    messages = [message for arrival in arrivals if (message := _transport_message(arrival))]
    ticks_s = [at_s for at_s, message in arrivals if message[:1] == bytes((CLOCK,))]
    scanner = _Scanner(ticks_s)
    groups = bursts([message.at_s for message in messages], TRANSPORT_BURST_S)
    for burst in _join_jumps([[messages[i] for i in indices] for indices in groups]):
        scanner.add_burst(burst)
    scanner.close()
    stopped = scanner.stopped_periods_s
    if any(bisect_left(ticks_s, until_s) - bisect_left(ticks_s, since_s) >= IDLE_TICKS for since_s, until_s in stopped):
        scanner.result.behaviours.add(ClockBehaviour.IDLE_CLOCK)
    scanner.result.behaviours |= _sweeps(arrivals, [message.at_s for message in messages if message.letter in "SC"])
    return scanner.result


def bursts(times_s: Sequence[float], max_gap_s: float) -> list[range]:
    """Returns the index range of each burst: ascending times with gaps of at most `max_gap_s`."""
    cuts = [i for i in range(1, len(times_s)) if times_s[i] - times_s[i - 1] > max_gap_s]
    return [range(first, last) for first, last in zip([0, *cuts], [*cuts, len(times_s)], strict=True) if last > first]


def _transport_message(arrival: TimestampedMessage) -> _TransportMessage | None:
    message = arrival.message
    letter = _LETTERS.get(message[0], "") if message else ""
    if letter != "P":
        return _TransportMessage(arrival.at_s, letter) if letter else None
    valid = len(message) == 3 and max(message[1:]) < 0x80
    return _TransportMessage(arrival.at_s, letter, message[1] | message[2] << 7) if valid else None


def _join_jumps(groups: Sequence[list[_TransportMessage]]) -> list[list[_TransportMessage]]:
    """Joins a burst of Stop and position with the Start or Continue that follows within MAX_JUMP_S."""
    joined: list[list[_TransportMessage]] = []
    for burst in groups:
        before = joined[-1] if joined else []
        stopped = "X" in {message.letter for message in before} and before[-1].letter == "P"
        if stopped and burst[0].letter in "SC" and burst[0].at_s - before[0].at_s < MAX_JUMP_S:
            before += burst
        else:
            joined.append(burst)
    return joined


class _Scanner:
    """Processes one burst after the other, and keeps the transport state."""

    def __init__(self, ticks_s: list[float]) -> None:
        self.result = ScanResult()
        self.stopped_periods_s: list[tuple[float, float]] = []
        self._ticks_s = ticks_s
        self._playing: bool | None = None  # None: the state is unknown where listening began in the middle of a song
        self._stopped_since_s = -math.inf
        self._positions_s: list[float] = []  # times of positions without another message, since it stopped
        self._last_position: tuple[float, int] | None = None  # time and position, in sixteenths

    def add_burst(self, burst: Sequence[_TransportMessage]) -> None:
        """Processes the messages of one burst, in order."""
        letters = list(dict.fromkeys(message.letter for message in burst))  # a duplicate is one message
        positions = [message.position for message in burst if message.position is not None]
        at_s, position = burst[0].at_s, positions[-1] if positions else None
        self._count_duplicates(burst)
        if not self._is_ticking(at_s) and self._playing is not False:
            self._playing, self._stopped_since_s = False, at_s  # it never started, or its clock ended without Stop
        commands = [letter for letter in letters if letter != "P"]
        if not commands:
            self._locate(at_s, position or 0)
        elif commands[-1] == "X":
            self._stop(letters, at_s, position)
        elif self._playing or (self._playing is None and "X" in commands):
            self._jump(commands, at_s, position)
        else:
            self._play(commands, at_s, position)

    def close(self) -> None:
        """Processes the end of the stream."""
        if self._playing is False:
            self.stopped_periods_s.append((self._stopped_since_s, math.inf))
        if self._positions_s:
            self._add(ClockBehaviour.POSITION_STANDING)

    def _play(self, commands: list[str], at_s: float, position: int | None) -> None:
        self.result.plays += 1
        self.stopped_periods_s.append((self._stopped_since_s, at_s))
        if any(at_s - located_s > BEFORE_PLAY_S for located_s in self._positions_s):
            self._add(ClockBehaviour.POSITION_STANDING)
        if "S" in commands and "C" in commands:
            self._add(ClockBehaviour.PAIR)
        elif "S" in commands:
            self._add(ClockBehaviour.POSITION_START if position else ClockBehaviour.START)
        else:
            self._add(ClockBehaviour.CONTINUE_ALONE if position is None and not self._positions_s else ClockBehaviour.POSITION_CONTINUE)
        if "S" in commands or position is not None:
            self._last_position = (at_s, position or 0)
        else:
            self._last_position = (at_s, self._last_position[1]) if self._last_position else None
        self._playing, self._positions_s = True, []

    def _stop(self, letters: list[str], at_s: float, position: int | None) -> None:
        self.result.stops += 1
        self._add(ClockBehaviour.STOP)
        if "P" in letters[letters.index("X") :]:
            self._add(ClockBehaviour.POSITION_AT_STOP)
        self._measure_rate(at_s, position)
        self._playing, self._stopped_since_s, self._positions_s, self._last_position = False, at_s + IDLE_S, [], None

    def _jump(self, commands: list[str], at_s: float, position: int | None) -> None:
        if position is None:
            self.result.behaviours |= {ClockBehaviour.RESTART} if "S" in commands else set()
        elif "X" in commands:
            self._add(ClockBehaviour.WRAP_STOP_START if "S" in commands else ClockBehaviour.WRAP_STOP_CONTINUE)
        else:
            self._add(ClockBehaviour.WRAP_POSITION)
        self._measure_rate(at_s, position)
        if position is not None or "S" in commands:
            self._last_position = (at_s, position or 0)
        self._playing = True

    def _locate(self, at_s: float, position: int) -> None:
        if self._playing is False:
            self._positions_s.append(at_s)
        elif self._playing:
            last = self._last_position
            expected = last[1] + self._sixteenths_between(last[0], at_s) if last else -math.inf
            if abs(position - expected) > 1:  # some sources send their position repeatedly
                self._add(ClockBehaviour.WRAP_POSITION)
            self._measure_rate(at_s, position)
        self._last_position = (at_s, position)

    def _measure_rate(self, at_s: float, position: int | None) -> None:
        """Compares the ticks since the last position with the distance between the positions."""
        if self._last_position and position is not None and position - self._last_position[1] >= MIN_RATE_POSITIONS:
            received = self._sixteenths_between(self._last_position[0], at_s)
            self.result.rates += [received / (position - self._last_position[1])] if received >= MIN_RATE_POSITIONS / 2 else []

    def _count_duplicates(self, burst: Sequence[_TransportMessage]) -> None:
        for letter in "SCX":
            times_s = [message.at_s for message in burst if message.letter == letter]
            self.result.duplicates += sum(later - earlier < DUPLICATE_S for earlier, later in pairwise(times_s))

    def _sixteenths_between(self, since_s: float, until_s: float) -> float:
        return (bisect_left(self._ticks_s, until_s) - bisect_left(self._ticks_s, since_s)) / TICKS_PER_POSITION

    def _is_ticking(self, at_s: float) -> bool:
        return bisect_left(self._ticks_s, at_s - GAP_S) < bisect_left(self._ticks_s, at_s)

    def _add(self, behaviour: ClockBehaviour) -> None:
        self.result.behaviours.add(behaviour)


def _sweeps(arrivals: Sequence[TimestampedMessage], plays_s: Sequence[float]) -> set[ClockBehaviour]:
    found: set[ClockBehaviour] = set()
    silencing = [(at_s, m[1]) for at_s, m in arrivals if len(m) == 3 and m[0] & 0xF0 == CONTROL_CHANGE and m[1] in SILENCING]
    for burst in bursts([at_s for at_s, _ in silencing], SWEEP_S):
        if len(burst) < SWEEP_SIZE:
            continue
        last_s = silencing[burst[-1]][0]
        if any(silencing[i][1] == ALL_SOUND_OFF for i in burst):
            found.add(ClockBehaviour.SWEEP_SOUND_OFF)
        elif any(0 <= play_s - last_s < BEFORE_PLAY_S for play_s in plays_s):
            found.add(ClockBehaviour.SWEEP_NOTES_OFF)
        else:
            found.add(ClockBehaviour.NOTE_OFFS)
    offs_s = [at_s for at_s, m in arrivals if len(m) == 3 and (m[0] & 0xF0 == NOTE_OFF or (m[0] & 0xF0 == NOTE_ON and m[2] == 0))]
    if any(len(burst) >= SWEEP_SIZE for burst in bursts(offs_s, SWEEP_S)):
        found.add(ClockBehaviour.NOTE_OFFS)
    return found
