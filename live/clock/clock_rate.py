"""Ticks and the positions a sender tells in, a sentence on a sender that is set up wrongly out. Pure.

Ticks alone cannot say how many make a beat: 48 at 100 bpm look like 24 at 200. A sender that tells its position after it has played
gives itself away: the song went on by half, or twice, of what was counted.
"""

from collections import deque
from itertools import pairwise

from drumvae.midi.constants import CLOCK_PPQN

SLOWEST_BPM, FASTEST_BPM = 30, 300
"""The range in which a clock is followed as well as promised; outside of it, as well as possible."""
TOLD_TICKS = 96
"""What was played must be a bar at least: less may agree by chance with where a player moves the song to."""
SIXTEENTH_TICKS = 6
"""Positions are told in sixteenths, so they are rounded to so many ticks."""
WITNESSES = 2
"""So many positions in a row, of different passages, must say the same."""


class RateWatch:
    """Compares how far a song went with how many ticks it took. Called by the performer's thread only."""

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque(maxlen=CLOCK_PPQN + 1)
        self._from: int | None = None  # the position last told, in ticks
        self._counted = 0  # ticks played since
        self._passage: tuple[int, int] | None = None
        self._factor = 0.0
        self._agreed = 0

    @property
    def advice(self) -> str | None:
        """One sentence that names the fault and the cure."""
        if self._agreed >= WITNESSES:
            rate = "double" if self._factor > 1 else "half"
            return (
                f"The clock runs at {rate} rate, about {round(CLOCK_PPQN * self._factor)} ticks a beat where MIDI has 24, "
                "by the song positions that come with it: set the sender to 24 ticks a beat (24 PPQN)."
            )
        bpm = self._bpm()
        if bpm is None or SLOWEST_BPM * 0.98 <= bpm <= FASTEST_BPM * 1.02:  # a rough clock at the border is within it
            return None
        return (
            f"The clock runs at {bpm:.0f} bpm, outside of the {SLOWEST_BPM} to {FASTEST_BPM} bpm that are followed: "
            "change the tempo, or set the sender to 24 ticks a beat (24 PPQN)."
        )

    def heard(self, arrival_s: float) -> None:
        """Takes the arrival of a tick, whether the song plays or not."""
        self._arrivals.append(arrival_s)

    def played(self, ticks: int) -> None:
        """Takes by how many ticks the song went on."""
        self._counted += ticks

    def told(self, tick: int) -> None:
        """Takes the position that the sender tells, in ticks from the start of the song."""
        if self._from is not None and self._counted >= TOLD_TICKS and tick > self._from:
            self._compare((self._from, tick), tick - self._from)
        self._from, self._counted = tick, 0

    def _compare(self, passage: tuple[int, int], went: int) -> None:
        if passage == self._passage:
            return  # a loop that begins after where the song began tells the same each time: that is one witness
        factors = [factor for factor in (1.0, 2.0, 0.5) if abs(self._counted - went * factor) <= SIXTEENTH_TICKS * max(factor, 1)]
        factor = factors[0] if factors else 1.0
        self._agreed = 0 if factor == 1 else self._agreed + 1 if factor == self._factor else 1
        self._passage, self._factor = passage, factor

    def _bpm(self) -> float | None:
        """Returns the tempo by the median gap, which neither a heap nor a pause moves; None before a beat was heard."""
        if len(self._arrivals) <= CLOCK_PPQN:
            return None
        gap_s = sorted(later - sooner for sooner, later in pairwise(self._arrivals))[CLOCK_PPQN // 2]
        return 60 / (gap_s * CLOCK_PPQN) if gap_s > 0 else None
