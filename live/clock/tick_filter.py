"""Arrival times of clock ticks in, a steady tick period and phase out, and how many ticks each arrival stands for.

A second-order loop (F. Adriaensen, "Using a DLL to filter time", 2005; FFmpeg's timefilter.h has the same gains): with a bandwidth
of `o` radians a tick, phase gain sqrt(2) o, period gain o^2. It begins with the gains of a straight line through all ticks so far, which
need no time to settle, and narrows with every tick until the loop's own gains are the larger ones. Errors that keep one sign widen it
(the tracking signal of Trigg and Leach, 1967), so that it is slow in noise and quick on a ramp. Tempo is kept as a period throughout.
"""

import math
from collections import deque
from itertools import pairwise

from drumvae.midi.constants import CLOCK_PPQN

NARROW = 0.03
"""Radians a tick in noise: 0.20 ms out for 1 ms of white jitter in, at any tempo (simulated; 0.23 Hz at 120 bpm)."""
WIDE = 0.2
"""Radians a tick on a ramp: 120 to 140 bpm in eight bars lags by 0.8 ms (simulated; narrow it would be 3 ms)."""
MEMORY_TICKS = 12
"""Over how many ticks the errors' mean and mean size are taken; their ratio is 1 on a ramp and about 0.2 in noise."""
UNHEARD_S = 0.0002
"""Errors that are far smaller than this never widen the loop, whatever their sign."""
STRAY_S = 0.005
"""An error that, said by several ticks running, is a change of tempo or a lost tick; said by one, it is a late tick."""
STRAY_JITTERS = 4
"""A jittered clock's ticks stray only beyond so many times their usual error (its median: 4 are 2.7 standard deviations)."""
STRAYS = 3
"""So many stray ticks running make a change of tempo."""
SLIP_STRAYS = 6
"""So many make a lost or a doubled tick, of which the music hears nothing meanwhile."""
ASTRAY_TICKS = 24
"""After so many ticks of which none fits, whatever it was, the fit begins anew."""
OPEN_TICKS = 8
"""The first ticks of a clock of unknown tempo are all believed."""
YOUNG_TICKS = 24
"""Until then it takes more than a few milliseconds for a tick not to be believed."""
SAME_TICK_S = 0.0003
"""Before the tempo is known, two ticks so close are one that came twice."""
REPHASED_S = 0.003
"""The first tick after Start may begin a new phase; below this error the old one is kept, because it is the steadier guess."""
LOCKED_TICKS = 48
SLOWEST_S = 60 / 20 / CLOCK_PPQN
"""20 bpm: no tick lasts longer."""
FASTEST_S = 60 / 400 / CLOCK_PPQN
"""400 bpm: no tick lasts less. Ticks that come closer were held up somewhere and arrive in a heap."""


class TickFilter:
    """Follows one stream of ticks. Called by the performer's thread only; times are monotonic seconds passed in, growing."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.next_s = math.nan  # when the tick after the last one is expected
        self._age = 0  # ticks since the fit began
        self._known = False  # whether the period was known when it began
        self._arrivals: deque[float] = deque(maxlen=STRAYS + 1)
        self._misses_s: deque[float] = deque(maxlen=CLOCK_PPQN)  # sizes of the last beat's errors, whole ticks left out
        self._heard_s = math.nan  # when the last tick came, whatever it counted for
        self._strays_s: list[float] = []  # errors of the stray ticks running, of one sign
        self._astray = 0  # ticks since one fitted
        self._mean_s = self._mean_size_s = 0.0  # of the latest errors

    @property
    def bpm(self) -> float:
        return 60 / (self.period_s * CLOCK_PPQN)

    @property
    def locked(self) -> bool:
        """Whether the fit is two beats old."""
        return self._age >= LOCKED_TICKS

    @property
    def heard(self) -> bool:
        """Whether the period was ever measured, by more ticks than are believed whatever they say."""
        return self._known or self._age > OPEN_TICKS

    @property
    def jitter_s(self) -> float:
        """The median distance of the last beat's ticks from where one was expected."""
        return sorted(self._misses_s)[len(self._misses_s) // 2] if self._misses_s else 0.0

    def restart(self, arrival_s: float) -> None:
        """Takes a tick as the first of a new phase; a period that was heard before is kept, and believed."""
        self._heard_s = arrival_s
        self._arrivals.append(arrival_s)
        self._begin(arrival_s, known=self.heard)

    def seat(self, arrival_s: float, rephases: bool) -> None:
        """Takes the tick on which the song is seated: it is the next one, whatever ticks before it were lost.

        With `rephases` it may begin a new phase, as it does after Start where the sender's clock runs freely.
        """
        if math.isnan(self.next_s):
            return self.restart(arrival_s)
        error_s = self._fold(arrival_s - self.next_s)
        if rephases and abs(error_s) > max(REPHASED_S, STRAY_JITTERS * self.jitter_s):
            return self.restart(arrival_s)
        self.next_s, self._strays_s = arrival_s - error_s, []
        self.tick(arrival_s)
        return None

    def expect(self, at_s: float) -> None:
        """Takes the time from which on the next tick is due."""
        self.next_s = at_s

    def tick(self, arrival_s: float) -> int:
        """Takes a tick and returns for how many it counts: 1, more when some were lost before it, less when some came twice.

        A late tick counts as one, and so do those that a stalled driver delivers in a heap: the sender went on counting.
        A gap that whole ticks explain, and that nothing makes good within a few ticks, is ticks that were lost. Until that is
        decided, and where a single tick is far off, period and phase stay what they are.
        """
        if math.isnan(self.next_s):
            self.restart(arrival_s)
            return 1
        error_s, gap_s = arrival_s - self.next_s, arrival_s - self._heard_s
        self._heard_s = arrival_s
        if error_s < -self.period_s / 2 and gap_s < self._same_tick_s():
            return 0
        stray_s = self._stray_s()
        self._arrivals.append(arrival_s)
        self._misses_s.append(abs(self._fold(error_s)))
        if abs(error_s) <= stray_s or self._age < (STRAYS if self._known else OPEN_TICKS):
            self._strays_s, self._astray = [], 0
            self._correct(error_s)
            return 1
        self._astray += 1
        self.next_s += self.period_s
        return 1 if gap_s < FASTEST_S else 1 + self._judge(error_s)

    def ticks_since(self, arrival_s: float) -> int:
        """Returns how many ticks lie between the one that was expected and a time, to the nearest."""
        return 0 if math.isnan(self.next_s) else max(round((arrival_s - self.next_s) / self.period_s), 0)

    def _fold(self, error_s: float) -> float:
        """Returns an error without the whole ticks in it, in seconds."""
        return error_s - round(error_s / self.period_s) * self.period_s

    def _same_tick_s(self) -> float:
        """Returns how close two ticks are one; nothing is dropped where jitter alone could bring two together."""
        if len(self._misses_s) < CLOCK_PPQN:
            return SAME_TICK_S
        return self.period_s / 8 if self.period_s > 16 * self.jitter_s else 0.0

    def _stray_s(self) -> float:
        """Returns the error beyond which a tick is not believed: a quarter tick at fast tempi, more where the clock is rough.

        A young fit is taken in by a driver whose periods turn ticks into a saw's teeth, so it doubts itself first.
        """
        young = self._age < YOUNG_TICKS and not self._known
        usual_s = 0.4 * self.period_s if young else min(STRAY_S, self.period_s / 4)
        return min(max(usual_s, STRAY_JITTERS * self.jitter_s), 0.7 * self.period_s)

    def _judge(self, error_s: float) -> int:
        """Decides what stray ticks mean: returns by how many whole ticks the count was wrong, or begins the fit anew, or waits."""
        running = self._strays_s and self._strays_s[0] * error_s > 0 and abs(error_s - self._strays_s[-1]) < self.period_s / 2
        strays = self._strays_s = [*self._strays_s, error_s] if running else [error_s]
        if self._tempo_leapt() or self._astray > ASTRAY_TICKS:
            return self._refit()
        if len(strays) < STRAYS:
            return 0
        mean_s = sum(strays[-STRAYS:]) / STRAYS
        slips = round(mean_s / self.period_s)
        if slips == 0 or self._drifting(strays):
            return self._refit()
        if len(strays) < SLIP_STRAYS:
            return 0
        if abs(mean_s - slips * self.period_s) > max(self.period_s / 8, 2 * self.jitter_s):
            return self._refit()  # not whole ticks: the sender stood still for a while, and went on where it had stopped
        self.next_s += slips * self.period_s
        self._strays_s = []
        return slips

    def _tempo_leapt(self) -> bool:
        """Says whether every one of the last gaps is much longer, or much shorter, than a tick."""
        gaps_s = [later - sooner for sooner, later in pairwise(self._arrivals)]
        if len(gaps_s) < STRAYS or min(gaps_s) < FASTEST_S:
            return False
        return min(gaps_s) > self.period_s * 4 / 3 or max(gaps_s) < self.period_s * 2 / 3

    def _drifting(self, strays: list[float]) -> bool:
        """Says whether the errors grow, as those of another tempo do, or stay, as those after a lost tick."""
        if len(strays) < SLIP_STRAYS:
            return abs(strays[-1] - strays[-2]) > max(self.period_s / 8, 6 * self.jitter_s)
        grown_s = sum(strays[-STRAYS:]) - sum(strays[-2 * STRAYS : -STRAYS])
        return abs(grown_s) / STRAYS > max(self.period_s / 4, 5 * self.jitter_s)

    def _refit(self) -> int:
        """Begins the fit anew with the latest ticks, each of which counts as one; returns that the count was right."""
        recent = list(self._arrivals)[-STRAYS:]
        self._begin(recent[0], known=False)
        for arrival_s in recent[1:]:
            self._correct(arrival_s - self.next_s)
        return 0

    def _begin(self, arrival_s: float, known: bool) -> None:
        self._age, self._known, self._astray = 1, known, 0
        self._strays_s, self._mean_s, self._mean_size_s = [], 0.0, 0.0
        self.next_s = arrival_s + self.period_s

    def _correct(self, error_s: float) -> None:
        self._age += 1
        phase_gain, period_gain = self._gains(error_s)
        self.period_s = min(max(self.period_s + period_gain * error_s, FASTEST_S), SLOWEST_S)
        self.next_s += phase_gain * error_s + self.period_s

    def _gains(self, error_s: float) -> tuple[float, float]:
        """Returns what part of an error goes into the phase, and what part into the period."""
        self._mean_s += (error_s - self._mean_s) / MEMORY_TICKS
        self._mean_size_s += (abs(error_s) - self._mean_size_s) / MEMORY_TICKS
        one_sided = abs(self._mean_s) / (self._mean_size_s + UNHEARD_S)
        omega = NARROW + (WIDE - NARROW) * one_sided**4
        n = self._age
        if self._known:  # only the phase is new: the mean of the ticks so far
            return max(1 / n, math.sqrt(2) * omega), omega**2
        # the straight line of least squares through n ticks, written as a recursion
        return max(2 * (2 * n - 1) / (n * (n + 1)), math.sqrt(2) * omega), max(6 / (n * (n + 1)), omega**2)
