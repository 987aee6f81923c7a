"""Raw arrivals in, the sender's habits out: what it does at Start, elsewhere, at a wrap, at Stop, and while it stands.

Senders differ in which of Start, Continue, Stop and song position they send together; what lies within a burst is read as one move.
Pure, and indifferent to whatever else the stream holds: any bytes may come.
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

from ..clock.follower import TICKS_PER_POSITION
from ..messages import TimestampedMessage
from ..metrics.meters import GAP_S

BURST_S = 0.05
"""Messages of the transport that follow each other this closely are one move."""
RESUME_S = 0.3
"""Nobody stops, moves and plays again within this time: it is a jump whose Continue waits for the next sixteenth, as Ardour's does."""
TWIN_S = 0.01
"""The same message twice within this time came by two ways."""
SWEEP_S, SWEEP = 0.02, 8
"""So many controllers or note-offs, each this close to the next, silence everything and are nobody's playing."""
BEFORE_PLAY_S = 0.5
"""A sweep, or a position, that comes so shortly before Start or Continue belongs to it."""
IDLE_TICKS, IDLE_S = 12, 0.1
"""So many ticks, from this long after Stop on, are a clock that never rests."""
RATED = 16
"""Sixteenths: what a position says of the clock's rate is worth something from a bar on."""
"""Controllers of MIDI 1.0's channel mode messages."""
SILENCING = (ALL_SOUND_OFF, ALL_NOTES_OFF)
_LETTERS = {START: "S", CONTINUE: "C", STOP: "X", SONG_POSITION: "P"}


class ClockBehaviour(Enum):
    """What a sender does, in words that end the sentence "The sender ..."."""

    START = "sends Start when it plays from the beginning"
    POSITION_START = "sends position and Start when it plays from elsewhere"
    POSITION_CONTINUE = "sends position and Continue when it plays from elsewhere"
    CONTINUE_ALONE = "sends Continue with no position"
    PAIR = "sends Start and Continue as a pair"
    WRAP_POSITION = "sends position alone when it jumps or loops while playing"
    WRAP_STOP_START = "sends Stop, position and Start in one burst when it jumps or loops"
    WRAP_STOP_CONTINUE = "sends Stop, position and Continue in one burst when it jumps or loops"
    RESTART = "sends Start again while it plays, with no position"
    STOP = "sends Stop"
    POSITION_AT_STOP = "sends a position right after Stop"
    POSITION_STANDING = "sends positions while it stands"
    IDLE_CLOCK = "keeps its clock running while stopped"
    SWEEP_SOUND_OFF = "sends All Sound Off and All Notes Off (controllers 120 and 123) on many channels"
    SWEEP_NOTES_OFF = "sends All Notes Off (controller 123) on many channels before it plays"
    NOTE_OFFS = "lets go of many notes in one burst"


@dataclass
class Heard:
    """Gathers what a scan of the transport found."""

    habits: set[ClockBehaviour] = field(default_factory=set)
    plays: int = 0
    """Starts and Continues, a pair or a jump being one."""
    stops: int = 0
    twins: int = 0
    """Messages of the transport that came twice within 10 ms."""
    rates: list[float] = field(default_factory=list)
    """How often the ticks that belong to the way from one position to a later one came on it; 1 is right."""


@dataclass(frozen=True)
class _Move:
    at_s: float
    letter: str
    position: int | None = None  # sixteenths


def scan_behaviours(arrivals: Sequence[TimestampedMessage]) -> Heard:
    """Reads a whole stream, in order of arrival."""
    moves = [move for arrival in arrivals if (move := _move(arrival))]
    ticks_s = [at_s for at_s, message in arrivals if message[:1] == bytes((CLOCK,))]
    scan = _Scan(ticks_s)
    for burst in _joined([[moves[i] for i in places] for places in bursts([move.at_s for move in moves], BURST_S)]):
        scan.take(burst)
    scan.close()
    if any(bisect_left(ticks_s, until_s) - bisect_left(ticks_s, since_s) >= IDLE_TICKS for since_s, until_s in scan.rests):
        scan.heard.habits.add(ClockBehaviour.IDLE_CLOCK)
    scan.heard.habits |= _sweeps(arrivals, [move.at_s for move in moves if move.letter in "SC"])
    return scan.heard


def bursts(times_s: Sequence[float], apart_s: float) -> list[range]:
    """Returns the places of times that follow each other this closely, a range for each burst."""
    cuts = [i for i in range(1, len(times_s)) if times_s[i] - times_s[i - 1] > apart_s]
    return [range(first, last) for first, last in zip([0, *cuts], [*cuts, len(times_s)], strict=True) if last > first]


def _move(arrival: TimestampedMessage) -> _Move | None:
    message = arrival.message
    letter = _LETTERS.get(message[0], "") if message else ""
    if letter != "P":
        return _Move(arrival.at_s, letter) if letter else None
    valid = len(message) == 3 and max(message[1:]) < 0x80
    return _Move(arrival.at_s, letter, message[1] | message[2] << 7) if valid else None


def _joined(cut: Sequence[list[_Move]]) -> list[list[_Move]]:
    """Joins a Stop that told a position with the Start or Continue that follows at once."""
    joined: list[list[_Move]] = []
    for burst in cut:
        before = joined[-1] if joined else []
        stopped = "X" in {move.letter for move in before} and before[-1].letter == "P"
        if stopped and burst[0].letter in "SC" and burst[0].at_s - before[0].at_s < RESUME_S:
            before += burst
        else:
            joined.append(burst)
    return joined


class _Scan:
    """Reads one burst after the other, and knows whether the sender plays."""

    def __init__(self, ticks_s: list[float]) -> None:
        self.heard = Heard()
        self.rests: list[tuple[float, float]] = []  # from when to when it stood
        self._ticks_s = ticks_s
        self._playing: bool | None = None  # None: listening began in the middle of something
        self._stood_s = -math.inf
        self._positions_s: list[float] = []  # when positions came by themselves, since it stands
        self._base: tuple[float, int] | None = None  # the last known position, and since when

    def take(self, burst: Sequence[_Move]) -> None:
        """Takes the moves of one burst, in order."""
        letters = list(dict.fromkeys(move.letter for move in burst))  # what came twice is one message
        positions = [move.position for move in burst if move.position is not None]
        at_s, position = burst[0].at_s, positions[-1] if positions else None
        self._count_twins(burst)
        if not self._ticking(at_s) and self._playing is not False:
            self._playing, self._stood_s = False, at_s  # it never began, or went without a word
        verbs = [letter for letter in letters if letter != "P"]
        if not verbs:
            self._locate(at_s, position or 0)
        elif verbs[-1] == "X":
            self._stop(letters, at_s, position)
        elif self._playing or (self._playing is None and "X" in verbs):
            self._jump(verbs, at_s, position)
        else:
            self._play(verbs, at_s, position)

    def close(self) -> None:
        """Takes that nothing more comes."""
        if self._playing is False:
            self.rests.append((self._stood_s, math.inf))
        if self._positions_s:
            self._add(ClockBehaviour.POSITION_STANDING)

    def _play(self, verbs: list[str], at_s: float, position: int | None) -> None:
        self.heard.plays += 1
        self.rests.append((self._stood_s, at_s))
        if any(at_s - located_s > BEFORE_PLAY_S for located_s in self._positions_s):
            self._add(ClockBehaviour.POSITION_STANDING)
        if "S" in verbs and "C" in verbs:
            self._add(ClockBehaviour.PAIR)
        elif "S" in verbs:
            self._add(ClockBehaviour.POSITION_START if position else ClockBehaviour.START)
        else:
            self._add(ClockBehaviour.CONTINUE_ALONE if position is None and not self._positions_s else ClockBehaviour.POSITION_CONTINUE)
        if "S" in verbs or position is not None:
            self._base = (at_s, position or 0)
        else:
            self._base = (at_s, self._base[1]) if self._base else None
        self._playing, self._positions_s = True, []

    def _stop(self, letters: list[str], at_s: float, position: int | None) -> None:
        self.heard.stops += 1
        self._add(ClockBehaviour.STOP)
        if "P" in letters[letters.index("X") :]:
            self._add(ClockBehaviour.POSITION_AT_STOP)
        self._rate(at_s, position)
        self._playing, self._stood_s, self._positions_s, self._base = False, at_s + IDLE_S, [], None

    def _jump(self, verbs: list[str], at_s: float, position: int | None) -> None:
        if position is None:
            self.heard.habits |= {ClockBehaviour.RESTART} if "S" in verbs else set()
        elif "X" in verbs:
            self._add(ClockBehaviour.WRAP_STOP_START if "S" in verbs else ClockBehaviour.WRAP_STOP_CONTINUE)
        else:
            self._add(ClockBehaviour.WRAP_POSITION)
        self._rate(at_s, position)
        if position is not None or "S" in verbs:
            self._base = (at_s, position or 0)
        self._playing = True

    def _locate(self, at_s: float, position: int) -> None:
        if self._playing is False:
            self._positions_s.append(at_s)
        elif self._playing:
            due = self._base[1] + self._sixteenths(self._base[0], at_s) if self._base else -math.inf
            if abs(position - due) > 1:  # some tell again and again where they are
                self._add(ClockBehaviour.WRAP_POSITION)
            self._rate(at_s, position)
        self._base = (at_s, position)

    def _rate(self, at_s: float, position: int | None) -> None:
        """Compares the ticks that came since the last position with how far the song went."""
        if self._base and position is not None and position - self._base[1] >= RATED:
            came = self._sixteenths(self._base[0], at_s)
            self.heard.rates += [came / (position - self._base[1])] if came >= RATED / 2 else []

    def _count_twins(self, burst: Sequence[_Move]) -> None:
        for letter in "SCX":
            times_s = [move.at_s for move in burst if move.letter == letter]
            self.heard.twins += sum(later - earlier < TWIN_S for earlier, later in pairwise(times_s))

    def _sixteenths(self, since_s: float, until_s: float) -> float:
        return (bisect_left(self._ticks_s, until_s) - bisect_left(self._ticks_s, since_s)) / TICKS_PER_POSITION

    def _ticking(self, at_s: float) -> bool:
        return bisect_left(self._ticks_s, at_s - GAP_S) < bisect_left(self._ticks_s, at_s)

    def _add(self, habit: ClockBehaviour) -> None:
        self.heard.habits.add(habit)


def _sweeps(arrivals: Sequence[TimestampedMessage], plays_s: Sequence[float]) -> set[ClockBehaviour]:
    found: set[ClockBehaviour] = set()
    sweeping = [(at_s, m[1]) for at_s, m in arrivals if len(m) == 3 and m[0] & 0xF0 == CONTROL_CHANGE and m[1] in SILENCING]
    for burst in bursts([at_s for at_s, _ in sweeping], SWEEP_S):
        if len(burst) < SWEEP:
            continue
        last_s = sweeping[burst[-1]][0]
        if any(sweeping[i][1] == ALL_SOUND_OFF for i in burst):
            found.add(ClockBehaviour.SWEEP_SOUND_OFF)
        elif any(0 <= play_s - last_s < BEFORE_PLAY_S for play_s in plays_s):
            found.add(ClockBehaviour.SWEEP_NOTES_OFF)
        else:
            found.add(ClockBehaviour.NOTE_OFFS)
    offs_s = [at_s for at_s, m in arrivals if len(m) == 3 and (m[0] & 0xF0 == NOTE_OFF or (m[0] & 0xF0 == NOTE_ON and m[2] == 0))]
    if any(len(burst) >= SWEEP for burst in bursts(offs_s, SWEEP_S)):
        found.add(ClockBehaviour.NOTE_OFFS)
    return found
