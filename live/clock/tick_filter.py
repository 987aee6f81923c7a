"""Estimates the period and phase of MIDI clock ticks, and returns how many ticks each arrival counts as.

A second-order loop (F. Adriaensen, "Using a DLL to filter time", 2005; FFmpeg's timefilter.h has the same gains): with a bandwidth
of `o` radians a tick, phase gain sqrt(2) o, period gain o^2. It starts with the gains of a least-squares line through all ticks so far,
which needs no time to settle. With every tick the gains shrink, until the loop's own gains are larger. Errors that keep one sign widen
the bandwidth (the tracking signal of Trigg and Leach, 1967). So the filter is slow in noise and quick on a ramp. The tempo is kept as a
period throughout.

Terms: an outlier is a tick whose error is too large to correct the fit; a burst is several held-up ticks that arrive at once; a missed
tick was sent and never arrived.
"""

import math
from collections import deque
from itertools import pairwise

from drumvae.midi.constants import CLOCK_PPQN

MIN_BANDWIDTH = 0.03
"""Radians a tick in noise: 1 ms of white jitter leaves 0.20 ms of error, at any tempo (simulated; 0.23 Hz at 120 bpm)."""
MAX_BANDWIDTH = 0.2
"""Radians a tick on a ramp: 120 to 140 bpm in eight bars lags by 0.8 ms (simulated; with the minimum it would be 3 ms)."""
MEMORY_TICKS = 12
"""The errors' mean and mean size are averaged over this many ticks; their ratio is 1 on a ramp and about 0.2 in noise."""
NEGLIGIBLE_S = 0.0002
"""Errors far smaller than this never widen the bandwidth, whatever their sign."""
OUTLIER_S = 0.005
"""A larger error in several consecutive ticks is a tempo change or a missed tick; in one tick, it is a late tick."""
OUTLIER_JITTERS = 4
"""With a jittered clock, outliers exceed this many times the median error (4 medians are 2.7 standard deviations)."""
TEMPO_CHANGE_OUTLIERS = 3
"""This many consecutive outliers make a tempo change."""
MISSED_TICK_OUTLIERS = 6
"""This many make a missed or a doubled tick. Until then the output does not change."""
MAX_OUTLIERS = 24
"""After this many consecutive outliers of any kind, the fit restarts."""
UNFILTERED_TICKS = 8
"""With an unknown tempo, this many first ticks are never outliers."""
YOUNG_TICKS = 24
"""Until the fit is this old, the outlier threshold is larger."""
SAME_TICK_S = 0.0003
"""Before the tempo is known, two ticks within this time are one tick that arrived twice."""
NEW_PHASE_S = 0.003
"""The first tick after Start may begin a new phase. Below this error the old phase is kept, because it is the steadier estimate."""
SYNCED_TICKS = 48
MAX_PERIOD_S = 60 / 20 / CLOCK_PPQN
"""The longest tick: 20 bpm."""
MIN_PERIOD_S = 60 / 400 / CLOCK_PPQN
"""The shortest tick: 400 bpm. Ticks closer than this were held up and arrived in a burst."""


class TickFilter:
    """Follows one stream of ticks. Times are monotonic seconds passed in, ascending.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> ticks = TickFilter(period_s=0.02)
    >>> [ticks.tick(0.025 * n) for n in range(40)] == [1] * 40
    True
    >>> round(ticks.bpm, 3)
    100.0
    """

    def __init__(self, period_s: float) -> None:
        """Sets the period in seconds that is assumed until the first ticks have arrived."""
        self.period_s = period_s
        self.next_s = math.nan  # when the tick after the last one is expected
        self._age = 0  # ticks since the fit started
        self._had_period = False  # whether the period was measured before the fit started
        self._arrivals: deque[float] = deque(maxlen=TEMPO_CHANGE_OUTLIERS + 1)
        self._abs_errors_s: deque[float] = deque(maxlen=CLOCK_PPQN)  # of the last beat, without whole ticks
        self._last_arrival_s = math.nan  # of any tick, duplicates included
        self._outlier_errors_s: list[float] = []  # errors of the current run of outliers, all of one sign
        self._outlier_count = 0  # ticks since the last inlier
        self._mean_error_s = self._mean_abs_error_s = 0.0  # of the latest errors

    @property
    def bpm(self) -> float:
        return 60 / (self.period_s * CLOCK_PPQN)

    @property
    def synced(self) -> bool:
        """Whether the fit is two beats old."""
        return self._age >= SYNCED_TICKS

    @property
    def has_period(self) -> bool:
        """Whether the period was ever measured, by more than the first unfiltered ticks."""
        return self._had_period or self._age > UNFILTERED_TICKS

    @property
    def jitter_s(self) -> float:
        """The median distance between the last beat's ticks and the nearest expected tick."""
        return sorted(self._abs_errors_s)[len(self._abs_errors_s) // 2] if self._abs_errors_s else 0.0

    def restart(self, arrival_s: float) -> None:
        """Starts a new phase with this tick; a period that was measured before is kept."""
        self._last_arrival_s = arrival_s
        self._arrivals.append(arrival_s)
        self._start_fit(arrival_s, had_period=self.has_period)

    def locate(self, arrival_s: float, may_change_phase: bool) -> None:
        """Processes the first tick after a start or a jump: it is the next tick, whatever ticks were missed before it.

        With `may_change_phase` it may start a new phase, as it does after Start where the clock source does not run while stopped.
        """
        if math.isnan(self.next_s):
            return self.restart(arrival_s)
        error_s = self._without_whole_ticks(arrival_s - self.next_s)
        if may_change_phase and abs(error_s) > max(NEW_PHASE_S, OUTLIER_JITTERS * self.jitter_s):
            return self.restart(arrival_s)
        self.next_s, self._outlier_errors_s = arrival_s - error_s, []
        self.tick(arrival_s)
        return None

    def expect(self, at_s: float) -> None:
        """Sets the time at which the next tick is expected."""
        self.next_s = at_s

    def tick(self, arrival_s: float) -> int:
        """Processes a tick and returns how many ticks it counts as: 1, more after missed ticks, less after duplicates.

        A late tick counts as one, and so does each tick of a burst from a stalled driver: the clock source went on counting.
        A gap of whole ticks that nothing makes up for within a few ticks means missed ticks. Until that is decided, and for a
        single outlier, period and phase do not change.
        """
        if math.isnan(self.next_s):
            self.restart(arrival_s)
            return 1
        error_s, gap_s = arrival_s - self.next_s, arrival_s - self._last_arrival_s
        self._last_arrival_s = arrival_s
        if error_s < -self.period_s / 2 and gap_s < self._same_tick_s():
            return 0
        outlier_s = self._outlier_s()
        self._arrivals.append(arrival_s)
        self._abs_errors_s.append(abs(self._without_whole_ticks(error_s)))
        if abs(error_s) <= outlier_s or self._age < (TEMPO_CHANGE_OUTLIERS if self._had_period else UNFILTERED_TICKS):
            self._outlier_errors_s, self._outlier_count = [], 0
            self._correct(error_s)
            return 1
        self._outlier_count += 1
        self.next_s += self.period_s
        return 1 if gap_s < MIN_PERIOD_S else 1 + self._classify_outlier(error_s)

    def ticks_since(self, arrival_s: float) -> int:
        """Returns the number of ticks between the expected tick and a time, to the nearest."""
        return 0 if math.isnan(self.next_s) else max(round((arrival_s - self.next_s) / self.period_s), 0)

    def _without_whole_ticks(self, error_s: float) -> float:
        """Returns an error minus the nearest multiple of the period, in seconds."""
        return error_s - round(error_s / self.period_s) * self.period_s

    def _same_tick_s(self) -> float:
        """Returns the gap below which two ticks are one; 0 where jitter alone could bring two ticks that close."""
        if len(self._abs_errors_s) < CLOCK_PPQN:
            return SAME_TICK_S
        return self.period_s / 8 if self.period_s > 16 * self.jitter_s else 0.0

    def _outlier_s(self) -> float:
        """Returns the error above which a tick is an outlier: a quarter tick at fast tempi, more where the clock is jittered.

        The threshold of a young fit is larger: a driver that delivers ticks once per period gives sawtooth errors, which would
        mislead it.
        """
        young = self._age < YOUNG_TICKS and not self._had_period
        usual_s = 0.4 * self.period_s if young else min(OUTLIER_S, self.period_s / 4)
        return min(max(usual_s, OUTLIER_JITTERS * self.jitter_s), 0.7 * self.period_s)

    def _classify_outlier(self, error_s: float) -> int:
        """Decides the cause of the current outliers: returns the correction of the tick count, restarts the fit, or waits."""
        run = self._outlier_errors_s
        continues = run and run[0] * error_s > 0 and abs(error_s - run[-1]) < self.period_s / 2
        errors_s = self._outlier_errors_s = [*run, error_s] if continues else [error_s]
        if self._tempo_jumped() or self._outlier_count > MAX_OUTLIERS:
            return self._refit()
        if len(errors_s) < TEMPO_CHANGE_OUTLIERS:
            return 0
        mean_s = sum(errors_s[-TEMPO_CHANGE_OUTLIERS:]) / TEMPO_CHANGE_OUTLIERS
        missed = round(mean_s / self.period_s)
        if missed == 0 or self._is_drifting(errors_s):
            return self._refit()
        if len(errors_s) < MISSED_TICK_OUTLIERS:
            return 0
        if abs(mean_s - missed * self.period_s) > max(self.period_s / 8, 2 * self.jitter_s):
            return self._refit()  # not whole ticks: the clock source paused and then continued where it had stopped
        self.next_s += missed * self.period_s
        self._outlier_errors_s = []
        return missed

    def _tempo_jumped(self) -> bool:
        """Returns whether all of the last gaps are much longer, or all much shorter, than a tick."""
        gaps_s = [later - earlier for earlier, later in pairwise(self._arrivals)]
        if len(gaps_s) < TEMPO_CHANGE_OUTLIERS or min(gaps_s) < MIN_PERIOD_S:
            return False
        return min(gaps_s) > self.period_s * 4 / 3 or max(gaps_s) < self.period_s * 2 / 3

    def _is_drifting(self, errors_s: list[float]) -> bool:
        """Returns whether the errors grow, as with another tempo, or stay constant, as after a missed tick."""
        if len(errors_s) < MISSED_TICK_OUTLIERS:
            return abs(errors_s[-1] - errors_s[-2]) > max(self.period_s / 8, 6 * self.jitter_s)
        count = TEMPO_CHANGE_OUTLIERS
        growth_s = sum(errors_s[-count:]) - sum(errors_s[-2 * count : -count])
        return abs(growth_s) / count > max(self.period_s / 4, 5 * self.jitter_s)

    def _refit(self) -> int:
        """Restarts the fit with the latest ticks, each of which counts as one; returns 0, because the count was right."""
        recent = list(self._arrivals)[-TEMPO_CHANGE_OUTLIERS:]
        self._start_fit(recent[0], had_period=False)
        for arrival_s in recent[1:]:
            self._correct(arrival_s - self.next_s)
        return 0

    def _start_fit(self, arrival_s: float, had_period: bool) -> None:
        self._age, self._had_period, self._outlier_count = 1, had_period, 0
        self._outlier_errors_s, self._mean_error_s, self._mean_abs_error_s = [], 0.0, 0.0
        self.next_s = arrival_s + self.period_s

    def _correct(self, error_s: float) -> None:
        self._age += 1
        phase_gain, period_gain = self._gains(error_s)
        self.period_s = min(max(self.period_s + period_gain * error_s, MIN_PERIOD_S), MAX_PERIOD_S)
        self.next_s += phase_gain * error_s + self.period_s

    def _gains(self, error_s: float) -> tuple[float, float]:
        """Returns the phase gain and the period gain: the shares of an error that correct each."""
        self._mean_error_s += (error_s - self._mean_error_s) / MEMORY_TICKS
        self._mean_abs_error_s += (abs(error_s) - self._mean_abs_error_s) / MEMORY_TICKS
        tracking_signal = abs(self._mean_error_s) / (self._mean_abs_error_s + NEGLIGIBLE_S)
        omega = MIN_BANDWIDTH + (MAX_BANDWIDTH - MIN_BANDWIDTH) * tracking_signal**4
        n = self._age
        if self._had_period:  # only the phase is new: the mean of the ticks so far
            return max(1 / n, math.sqrt(2) * omega), omega**2
        # the least-squares line through n ticks, written as a recursion
        return max(2 * (2 * n - 1) / (n * (n + 1)), math.sqrt(2) * omega), max(6 / (n * (n + 1)), omega**2)
