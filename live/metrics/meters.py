"""Measures durations and MIDI clock ticks in constant memory, for a session of hours and for a minute of --doctor.

The code is plain Python and takes about a microsecond per call, because the performer's thread calls it between two notes.
"""

import math
from array import array
from dataclasses import dataclass

from drumvae.midi.constants import CLOCK_PPQN

from ..clock.follower import LOST_S

GAP_S = LOST_S
"""A longer gap between ticks is a pause of the clock: at 20 bpm they are 0.125 s apart."""
MIN_S, BIN_WIDTH, BINS = 1e-6, 0.02, 922
"""Logarithmic bins from a microsecond to 100 s, each two per cent wide."""
_MEAN_TICK = CLOCK_PPQN / 2
_TICK_SQUARES = sum((i - _MEAN_TICK) ** 2 for i in range(CLOCK_PPQN + 1))


class Histogram:
    """Counts durations in logarithmic bins, so that a percentile is within one per cent of the exact one.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> histogram = Histogram()
    >>> for seconds in (0.001, 0.002, 0.004):
    ...     histogram.add(seconds)
    >>> round(histogram.percentile_ms(0.5), 1), histogram.max_ms
    (2.0, 4.0)
    """

    def __init__(self) -> None:
        self.count = 0
        self.max_s = 0.0
        self._bins = array("Q", bytes(8 * BINS))

    def add(self, seconds: float) -> None:
        """Counts a duration; ignores NaN and infinity, and counts a negative duration as 0."""
        if not abs(seconds) < math.inf:
            return
        self.count += 1
        self.max_s = max(self.max_s, seconds)
        self._bins[min(int(math.log(seconds / MIN_S) / BIN_WIDTH), BINS - 1) if seconds > MIN_S else 0] += 1

    def percentile_ms(self, share: float) -> float | None:
        """Returns the percentile for a share from 0 to 1, or None if nothing was counted."""
        rank, below = max(math.ceil(share * self.count), 1), 0
        for number, count in enumerate(self._bins):
            below += count
            if below >= rank:
                return min(MIN_S * math.exp((number + 0.5) * BIN_WIDTH), self.max_s) * 1000
        return None

    @property
    def max_ms(self) -> float | None:
        return self.max_s * 1000 if self.count else None


@dataclass(frozen=True)
class ClockStats:
    """The tempo and the jitter of a clock; None if no whole beat arrived without a gap."""

    ticks: int = 0
    bpm_mean: float | None = None
    """Mean of the tempi of single beats; the next three describe the same tempi."""
    bpm_min: float | None = None
    bpm_max: float | None = None
    bpm_spread: float | None = None
    """Standard deviation."""
    jitter_p50_ms: float | None = None
    """Absolute distance of a tick from the straight line through its beat; the next two as well."""
    jitter_p95_ms: float | None = None
    jitter_max_ms: float | None = None

    @property
    def sentence(self) -> str:
        """The jitter in words; empty if it was not measured."""
        if self.jitter_p50_ms is None:
            return ""
        worse = f"p95 {self.jitter_p95_ms:.2f}, worst {self.jitter_max_ms:.2f}"
        return f"ticks came within {self.jitter_p50_ms:.2f} ms of a straight line ({worse})"


class TickMeter:
    """Measures ticks, one beat at a time, against the least-squares line through the beat.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> meter = TickMeter()
    >>> for n in range(49):
    ...     meter.tick(0.025 * n)
    >>> round(meter.stats().bpm_mean, 3)
    100.0
    """

    def __init__(self) -> None:
        self.ticks = 0
        self._beat_s: list[float] = []  # the current beat: at most 25 ticks, the last of which begins the next beat
        self._jitter = Histogram()
        self._beats = 0
        self._mean_bpm = self._squares = 0.0  # Welford's running mean and sum of squared distances from it
        self._min_bpm, self._max_bpm = math.inf, 0.0

    def tick(self, arrival_s: float) -> None:
        """Records a tick; every 24th call takes about ten microseconds."""
        self.ticks += 1
        if self._beat_s and not 0 <= arrival_s - self._beat_s[-1] < GAP_S:
            self._beat_s.clear()
        self._beat_s.append(arrival_s)
        if len(self._beat_s) > CLOCK_PPQN:
            self._measure(self._beat_s)
            self._beat_s = [arrival_s]

    def restart(self) -> None:
        """Discards the current beat, because the next tick may begin a new phase, as after Start."""
        self._beat_s.clear()

    def stats(self) -> ClockStats:
        if not self._beats:
            return ClockStats(self.ticks)
        return ClockStats(
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
        period_s = sum((i - _MEAN_TICK) * (at_s - base_s) for i, at_s in enumerate(times_s)) / _TICK_SQUARES
        if period_s <= 0:
            return  # a held-up beat whose ticks arrived at once
        for i, at_s in enumerate(times_s):
            self._jitter.add(abs(at_s - base_s - mean_s - (i - _MEAN_TICK) * period_s))
        self._count(60 / (period_s * CLOCK_PPQN))

    def _count(self, bpm: float) -> None:
        self._beats += 1
        difference = bpm - self._mean_bpm
        self._mean_bpm += difference / self._beats
        self._squares += difference * (bpm - self._mean_bpm)
        self._min_bpm, self._max_bpm = min(self._min_bpm, bpm), max(self._max_bpm, bpm)
