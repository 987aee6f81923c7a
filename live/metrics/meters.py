"""Durations and ticks in, their figures out, in a space that does not grow: what a run of hours and a minute with the doctor share.

Everything here is plain Python, a microsecond or so a call, because the performer's thread calls it between two notes.
"""

import math
from array import array
from dataclasses import dataclass

from drumvae.midi.constants import CLOCK_PPQN

from ..clock.follower import LOST_S

GAP_S = LOST_S
"""Ticks further apart are of two clocks' runs: at 20 bpm they are 0.125 s apart."""
LEAST_S, WIDTH, BINS = 1e-6, 0.02, 922
"""From a microsecond to 100 s in logarithmic bins, each two per cent wide."""
_MIDDLE = CLOCK_PPQN / 2
_INERTIA = sum((i - _MIDDLE) ** 2 for i in range(CLOCK_PPQN + 1))


class Histogram:
    """Counts durations in logarithmic bins, so that a percentile is within one per cent of the true one."""

    def __init__(self) -> None:
        self.count = 0
        self.max_s = 0.0
        self._bins = array("Q", bytes(8 * BINS))

    def add(self, seconds: float) -> None:
        """Counts one; what is no finite number is left out, and below zero is zero."""
        if not abs(seconds) < math.inf:
            return
        self.count += 1
        self.max_s = max(self.max_s, seconds)
        self._bins[min(int(math.log(seconds / LEAST_S) / WIDTH), BINS - 1) if seconds > LEAST_S else 0] += 1

    def percentile_ms(self, share: float) -> float | None:
        """Returns the least duration that a share (0 to 1) of all does not exceed, or None of none."""
        rank, seen = max(math.ceil(share * self.count), 1), 0
        for number, count in enumerate(self._bins):
            seen += count
            if seen >= rank:
                return min(LEAST_S * math.exp((number + 0.5) * WIDTH), self.max_s) * 1000
        return None

    @property
    def max_ms(self) -> float | None:
        return self.max_s * 1000 if self.count else None


@dataclass(frozen=True)
class ClockFigures:
    """Says how steady a clock was; None where less than a beat came in one piece."""

    ticks: int = 0
    bpm_mean: float | None = None
    """Of the tempi of single beats, as are the next three."""
    bpm_min: float | None = None
    bpm_max: float | None = None
    bpm_spread: float | None = None
    """Standard deviation."""
    jitter_p50_ms: float | None = None
    """Distance of a tick from the straight line through its beat, early or late, as are the next two."""
    jitter_p95_ms: float | None = None
    jitter_max_ms: float | None = None

    @property
    def sentence(self) -> str:
        """Says the jitter in words; empty where there is none to tell."""
        if self.jitter_p50_ms is None:
            return ""
        worse = f"p95 {self.jitter_p95_ms:.2f}, worst {self.jitter_max_ms:.2f}"
        return f"ticks came within {self.jitter_p50_ms:.2f} ms of a straight line ({worse})"


class TickMeter:
    """Measures ticks, a beat at a time, against the least-squares line through it. Called by one thread."""

    def __init__(self) -> None:
        self.ticks = 0
        self._beat_s: list[float] = []  # the beat under way: at most 25 ticks, the last one of which begins the next beat
        self._jitter = Histogram()
        self._beats = 0
        self._mean_bpm = self._squares = 0.0  # Welford's running mean and sum of squared distances from it
        self._min_bpm, self._max_bpm = math.inf, 0.0

    def tick(self, arrival_s: float) -> None:
        """Takes a tick; every 24th costs some ten microseconds."""
        self.ticks += 1
        if self._beat_s and not 0 <= arrival_s - self._beat_s[-1] < GAP_S:
            self._beat_s.clear()
        self._beat_s.append(arrival_s)
        if len(self._beat_s) > CLOCK_PPQN:
            self._measure(self._beat_s)
            self._beat_s = [arrival_s]

    def restart(self) -> None:
        """Takes that the next tick may begin another phase, as after Start; the beat under way is not measured."""
        self._beat_s.clear()

    def figures(self) -> ClockFigures:
        if not self._beats:
            return ClockFigures(self.ticks)
        return ClockFigures(
            ticks=self.ticks,
            bpm_mean=self._mean_bpm,
            bpm_min=self._min_bpm,
            bpm_max=self._max_bpm,
            bpm_spread=math.sqrt(self._squares / self._beats),
            jitter_p50_ms=self._jitter.percentile_ms(0.5),
            jitter_p95_ms=self._jitter.percentile_ms(0.95),
            jitter_max_ms=self._jitter.max_ms,
        )

    def _measure(self, times_s: list[float]) -> None:
        base_s = times_s[0]  # monotonic times are large; the fit is done near 0
        mean_s = sum(at_s - base_s for at_s in times_s) / len(times_s)
        period_s = sum((i - _MIDDLE) * (at_s - base_s) for i, at_s in enumerate(times_s)) / _INERTIA
        if period_s <= 0:
            return  # a beat that was held up somewhere and came at once
        for i, at_s in enumerate(times_s):
            self._jitter.add(abs(at_s - base_s - mean_s - (i - _MIDDLE) * period_s))
        self._count(60 / (period_s * CLOCK_PPQN))

    def _count(self, bpm: float) -> None:
        self._beats += 1
        away = bpm - self._mean_bpm
        self._mean_bpm += away / self._beats
        self._squares += away * (bpm - self._mean_bpm)
        self._min_bpm, self._max_bpm = min(self._min_bpm, bpm), max(self._max_bpm, bpm)
