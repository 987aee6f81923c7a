"""Notes sent and notes heard in, a verdict out: on a bus shared with the DAW, what the drummer sends comes back to it.

Only note-ons are looked at: no other message is heard as a hit, and feedback.py knows the controllers that it sent.

Whether there is such a bus is learned from how many of the last notes came back. As long as that is not known, every copy within
30 ms is an echo. Once it is known, no note comes back more often than most do, sooner than most do, or on another channel: a further
copy is a person's. And once it is known that nothing comes back, every note is: a drum machine that plays all at velocity 100 is heard.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median_high, quantiles

from drumvae.music.kit import DRUM_CHANNEL

ECHO_S = 0.03
"""As long as nothing is known, a copy of a sent note that arrives within this time is its echo. A bus takes 2 ms, a DAW's thru a
buffer or two."""
LOOK_S = 0.1
"""Copies are counted for so long, so that a DAW with long buffers is known too."""
COPIES = 4
"""How often a note may come back as long as nothing is known."""
JUDGED = 16
"""So many of the last notes are judged; half of them settle it."""
STEADY_SHARE, QUIET_SHARE = 0.5, 0.25
"""From this share of notes on that came back it is a bus; below the other there is none."""
MARGIN_S = 0.002
"""An echo may come so much sooner than nine in ten did, and by a quarter of their spread; later it may, because threads are late."""


@dataclass
class _Sent:
    """A note that went out, and how many have come back."""

    at_s: float
    pitch: int
    velocity: int
    copies: int = 0


class EchoFilter:
    """Remembers the notes of the last moments. Called by the performer's thread only; times are monotonic seconds passed in."""

    def __init__(self) -> None:
        self._sent: deque[_Sent] = deque()
        self._copies: deque[int] = deque(maxlen=JUDGED)  # how often each of the last notes came back
        self._delays: deque[tuple[int, float]] = deque(maxlen=2 * JUDGED)  # on which channel, and how late

    def sent(self, at_s: float, pitch: int, velocity: int) -> None:
        """Notes that a note went out."""
        self._judge(at_s)
        self._sent.append(_Sent(at_s, pitch, velocity))

    def is_echo(self, arrival_s: float, pitch: int, velocity: int, channel: int = DRUM_CHANNEL) -> bool:
        """Says whether a note that arrived is one that was sent: same pitch, same velocity, a moment ago.

        A thru may send it back on another channel; once that is known, the channel tells it from a person's. No note comes back more
        often than the others do.
        """
        self._judge(arrival_s)
        limit = self._limit()
        for note in self._sent:
            delay_s = arrival_s - note.at_s
            if (note.pitch, note.velocity) == (pitch, velocity) and note.copies < limit and delay_s >= 0:
                is_echo = self._fits(channel, delay_s)
                if is_echo or not self.recognised:
                    note.copies += 1
                    self._delays.append((channel, delay_s))
                    return is_echo
        return False

    @property
    def recognised(self) -> bool:
        """Whether what is sent comes back: the port is shared, or something sends it on."""
        return self._share() >= STEADY_SHARE

    @property
    def delay_s(self) -> float | None:
        """How late echoes are, or None where there are none."""
        return median_high(delay_s for _, delay_s in self._delays) if self.recognised and self._delays else None

    def _fits(self, channel: int, delay_s: float) -> bool:
        """Says whether a copy is an echo, by what is known of the others."""
        if not self.recognised:
            return delay_s <= ECHO_S and (len(self._copies) < JUDGED or self._share() >= QUIET_SHARE)
        on_it_s = [known_s for known, known_s in self._delays if known == channel]
        if len(on_it_s) < max(len(self._delays) * QUIET_SHARE, 2):
            return False
        tenths_s = quantiles(on_it_s, n=10)
        margin_s = MARGIN_S + (tenths_s[-1] - tenths_s[0]) / 4
        return tenths_s[0] - margin_s <= delay_s <= max(tenths_s[-1] + margin_s, ECHO_S)

    def _limit(self) -> int:
        """Returns how often a note comes back: the most that a quarter of those that do have reached."""
        returned = sorted((copies for copies in self._copies if copies), reverse=True) if self.recognised else []
        return returned[int(len(returned) * QUIET_SHARE)] if returned else COPIES

    def _share(self) -> float:
        """Returns how many of the last notes came back, as a share; 0 as long as too few were sent."""
        return sum(copies > 0 for copies in self._copies) / len(self._copies) if len(self._copies) >= JUDGED // 2 else 0.0

    def _judge(self, now_s: float) -> None:
        while self._sent and now_s - self._sent[0].at_s > LOOK_S:
            self._copies.append(self._sent.popleft().copies)
