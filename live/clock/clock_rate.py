"""Detects a clock source that sends the wrong number of ticks per beat. Pure: nothing here reads a clock.

Ticks alone do not reveal their rate: 48 per beat at 100 bpm look like 24 at 200. A source that also sends song positions reveals it:
between two positions the song advanced by half, or twice, the counted ticks.
"""

from collections import deque
from itertools import pairwise

from drumvae.midi.constants import CLOCK_PPQN

MIN_BPM, MAX_BPM = 30, 300
"""The supported tempo range. A clock outside of it is followed without the promised accuracy."""
MIN_COUNTED_TICKS = 96
"""At least a bar must be counted: fewer ticks may agree by chance with a position that a user moves the song to."""
SIXTEENTH_TICKS = 6
"""Song positions count sixteenths, so a distance is rounded to this many ticks."""
MIN_AGREEING = 2
"""This many consecutive positions, from different passages, must give the same factor."""


class ClockRateMonitor:
    """Compares the distance between song positions with the number of ticks in between.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> monitor = ClockRateMonitor()
    >>> for tick in (0, 96, 192):  # a source that sends 48 ticks per beat
    ...     monitor.add_position(tick)
    ...     monitor.add_ticks(192)
    >>> "double rate" in (monitor.warning or "")
    True
    """

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque(maxlen=CLOCK_PPQN + 1)
        self._last_position: int | None = None  # in ticks
        self._counted = 0  # ticks since that position
        self._passage: tuple[int, int] | None = None
        self._factor = 0.0
        self._agreeing = 0

    @property
    def warning(self) -> str | None:
        """One sentence that names the fault and the remedy, or None."""
        if self._agreeing >= MIN_AGREEING:
            rate = "double" if self._factor > 1 else "half"
            return (
                f"The clock runs at {rate} rate: by its song positions, it sends about {round(CLOCK_PPQN * self._factor)} ticks per beat, "
                "and MIDI has 24. Set the clock source to 24 ticks per beat (24 PPQN)."
            )
        bpm = self._bpm()
        if bpm is None or MIN_BPM * 0.98 <= bpm <= MAX_BPM * 1.02:  # the estimate from a rough clock at the limit is within 2 per cent
            return None
        return (
            f"The clock runs at {bpm:.0f} bpm, outside of the supported {MIN_BPM} to {MAX_BPM} bpm: "
            "change the tempo, or set the clock source to 24 ticks per beat (24 PPQN)."
        )

    def add_arrival(self, arrival_s: float) -> None:
        """Records the arrival time of a tick, whether the song plays or not."""
        self._arrivals.append(arrival_s)

    def add_ticks(self, ticks: int) -> None:
        """Records by how many ticks the playing song advanced."""
        self._counted += ticks

    def add_position(self, tick: int) -> None:
        """Records a received song position, in ticks from the start of the song."""
        last = self._last_position
        if last is not None and self._counted >= MIN_COUNTED_TICKS and tick > last:
            self._compare((last, tick), tick - last)
        self._last_position, self._counted = tick, 0

    def _compare(self, passage: tuple[int, int], ticks: int) -> None:
        if passage == self._passage:
            return  # a DAW loop sends the same two positions in every cycle: they count once
        factors = [factor for factor in (1.0, 2.0, 0.5) if abs(self._counted - ticks * factor) <= SIXTEENTH_TICKS * max(factor, 1)]
        factor = factors[0] if factors else 1.0
        self._agreeing = 0 if factor == 1 else self._agreeing + 1 if factor == self._factor else 1
        self._passage, self._factor = passage, factor

    def _bpm(self) -> float | None:
        """Returns the tempo by the median gap, which neither a burst nor a pause changes; None before a whole beat has arrived."""
        if len(self._arrivals) <= CLOCK_PPQN:
            return None
        gap_s = sorted(later - earlier for earlier, later in pairwise(self._arrivals))[CLOCK_PPQN // 2]
        return 60 / (gap_s * CLOCK_PPQN) if gap_s > 0 else None
