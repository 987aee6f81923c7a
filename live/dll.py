"""Arrival times of clock ticks in, a steady tick period and phase out.

A second-order delay-locked loop (F. Adriaensen, "Using a DLL to filter time", 2005; FFmpeg's timefilter.h has the same gains):
o = 2 pi B T, phase gain sqrt(2) o, period gain o^2. The first ticks, and those after a change of tempo, are fitted by a straight
line instead, because a loop that starts wrong takes seconds to come right. Tempo is kept as a period throughout.
"""

import math
from collections import deque
from collections.abc import Sequence

TICKS_PER_BEAT = 24
LOCKING_HZ = 1.0
"""Bandwidth while locking: 0.5 s to settle, 0.39 ms out for 1 ms of jitter in (simulated)."""
LOCKED_HZ = 0.5
"""Bandwidth once locked: about 0.27 ms out for 1 ms of jitter in."""
LOCKING_S = 1.5
"""How long the wide bandwidth stays."""
STRAY_S = 0.005
"""An error that, said by several ticks running, is a change of tempo; said by one, it is a late tick."""
STRAYS = 3
FIT_TICKS = 12
"""The straight line covers at most half a beat, so that it never averages over an old tempo for long."""
SLOWEST_S = 60 / 20 / TICKS_PER_BEAT
"""20 bpm: no tick lasts longer."""
FASTEST_S = 60 / 400 / TICKS_PER_BEAT
"""400 bpm: no tick lasts less. Ticks that come closer were held up somewhere and arrive in a heap."""


class TickFilter:
    """Follows one stream of ticks. Called by the performer's thread only; times are monotonic seconds passed in."""

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.next_s = math.nan  # when the tick after the last one is expected
        self._fitted: deque[float] = deque(maxlen=FIT_TICKS)
        self._recent: deque[float] = deque(maxlen=FIT_TICKS)
        self._strays = 0  # ticks running that erred by more than STRAY_S, negative where early
        self._wide_until_s = math.inf

    @property
    def bpm(self) -> float:
        return 60 / (self.period_s * TICKS_PER_BEAT)

    @property
    def locked(self) -> bool:
        return bool(self._recent) and self._recent[-1] > self._wide_until_s

    def restart(self, arrival_s: float) -> None:
        """Takes a tick as the first of a new phase; the period stays as a guess until the second."""
        self._fitted = deque([arrival_s], maxlen=FIT_TICKS)
        self._recent = deque([arrival_s], maxlen=FIT_TICKS)
        self._strays = 0
        self._wide_until_s = math.inf
        self.next_s = arrival_s + self.period_s

    def tick(self, arrival_s: float) -> None:
        """Takes the next tick. Every tick is one tick, however late: a sender that stalls goes on counting where it stopped."""
        if math.isnan(self.next_s):
            self.restart(arrival_s)
            return
        self._recent.append(arrival_s)
        if self._fitted:
            self._extend_fit(arrival_s)
        else:
            self._correct(arrival_s, arrival_s - self.next_s)

    def _extend_fit(self, arrival_s: float) -> None:
        self._fitted.append(arrival_s)
        self._set_line(self._fitted)
        if len(self._fitted) == FIT_TICKS:
            self._fitted.clear()
            self._wide_until_s = arrival_s + LOCKING_S

    def _correct(self, arrival_s: float, error_s: float) -> None:
        if self._strayed(error_s):
            self._fitted = deque(list(self._recent)[-STRAYS:], maxlen=FIT_TICKS)
            self._set_line(self._fitted)
            self._strays = 0
            return
        bandwidth_hz = LOCKING_HZ if arrival_s < self._wide_until_s else LOCKED_HZ
        omega = 2 * math.pi * bandwidth_hz * self.period_s
        taken_s = min(max(error_s, -STRAY_S), STRAY_S)  # one late tick must not drag the beat along
        self.next_s += math.sqrt(2) * omega * taken_s + self.period_s
        self._set_period(self.period_s + omega * omega * taken_s)

    def _strayed(self, error_s: float) -> bool:
        """Counts errors of one sign that are too large for jitter; says whether they make a change of tempo."""
        if abs(error_s) <= STRAY_S:
            self._strays = 0
        else:
            sign = 1 if error_s > 0 else -1
            self._strays = self._strays + sign if self._strays * sign > 0 else sign
        return abs(self._strays) >= STRAYS

    def _set_line(self, arrivals_s: Sequence[float]) -> None:
        first_s, period_s = straight_line(arrivals_s)
        self._set_period(period_s)
        self.next_s = first_s + len(arrivals_s) * self.period_s

    def _set_period(self, period_s: float) -> None:
        self.period_s = min(max(period_s, FASTEST_S), SLOWEST_S)


def straight_line(arrivals_s: Sequence[float]) -> tuple[float, float]:
    """Returns the least-squares time of tick 0 and the period, both in seconds, of two or more ticks."""
    count = len(arrivals_s)
    base_s = arrivals_s[0]  # monotonic times are large; the fit is done near 0
    middle = (count - 1) / 2
    mean_s = sum(t - base_s for t in arrivals_s) / count
    spread = sum((i - middle) ** 2 for i in range(count))
    period_s = sum((i - middle) * (t - base_s) for i, t in enumerate(arrivals_s)) / spread
    return base_s + mean_s - middle * period_s, period_s
