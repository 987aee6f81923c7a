"""Recognises echoes of this program's own notes: on a bus shared with the DAW, every sent note also arrives at the input.

Only note-ons are checked: no other message counts as a hit, and feedback.py recognises echoes of controllers.

The share of recent notes with an echo shows whether the port is shared. Until that is known, every copy within 30 ms is an echo. On a
shared port, a copy is an echo only if its delay, its channel and the number of copies fit those of recent echoes; any other copy was
played by the user. On a port that is not shared, every note was played by the user, even on a drum machine that plays everything at
velocity 100.
"""

from collections import deque
from dataclasses import dataclass
from statistics import quantiles

from drumvae.music.kit import DRUM_CHANNEL

NOTE_ECHO_S = 0.03
"""Until echoes are detected or ruled out, a copy of a sent note within this time is its echo. A bus takes 2 ms, a DAW's MIDI thru
a buffer or two."""
MAX_DELAY_S = 0.1
"""Copies are counted up to this delay, so that a DAW with long buffers is detected too."""
MAX_COPIES = 4
"""How often a note may come back until echoes are detected."""
RECENT_NOTES = 16
"""The decision uses this many of the last notes, and at least half of them."""
SHARED_SHARE, UNSHARED_SHARE = 0.5, 0.25
"""The port counts as shared from the first share of returned notes on, and as not shared below the second."""
MARGIN_S = 0.002
"""An echo's delay may exceed the first and last decile of recent delays by this, plus a quarter of the deciles' distance."""


@dataclass
class _SentNote:
    """A sent note, and how often it has come back."""

    at_s: float
    pitch: int
    velocity: int
    copies: int = 0


class EchoFilter:
    """Remembers the last sent notes and compares received notes with them. Times are monotonic seconds passed in.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> echo = EchoFilter()
    >>> echo.sent(1.0, pitch=36, velocity=100)
    >>> echo.is_echo(1.002, pitch=36, velocity=100), echo.is_echo(1.002, pitch=38, velocity=100)
    (True, False)
    """

    def __init__(self) -> None:
        self._sent: deque[_SentNote] = deque()
        self._copies: deque[int] = deque(maxlen=RECENT_NOTES)  # how often each of the last notes came back
        self._delays: deque[tuple[int, float]] = deque(maxlen=2 * RECENT_NOTES)  # channel and delay in seconds of the last echoes

    def sent(self, at_s: float, pitch: int, velocity: int) -> None:
        """Records that a note was sent."""
        self._retire_old_notes(at_s)
        self._sent.append(_SentNote(at_s, pitch, velocity))

    def is_echo(self, arrival_s: float, pitch: int, velocity: int, channel: int = DRUM_CHANNEL) -> bool:
        """Returns whether a received note is a recently sent one with the same pitch and velocity.

        Args:
            arrival_s: Arrival time in monotonic seconds.
            pitch: MIDI pitch.
            velocity: MIDI velocity, 1 to 127.
            channel: MIDI channel from 0. A MIDI thru may return notes on another channel than a person plays on.
        """
        self._retire_old_notes(arrival_s)
        limit = self._max_copies()
        for note in self._sent:
            delay_s = arrival_s - note.at_s
            if (note.pitch, note.velocity) == (pitch, velocity) and note.copies < limit and delay_s >= 0:
                is_echo = self._is_echo_delay(channel, delay_s)
                if is_echo or not self.echoes_detected:
                    note.copies += 1
                    self._delays.append((channel, delay_s))
                    return is_echo
        return False

    @property
    def echoes_detected(self) -> bool:
        """Whether sent notes come back: the port is shared, or another program sends them on."""
        return self._returned_share() >= SHARED_SHARE

    def _is_echo_delay(self, channel: int, delay_s: float) -> bool:
        """Returns whether channel and delay of a copy fit an echo, by those of the last echoes."""
        if not self.echoes_detected:
            return delay_s <= NOTE_ECHO_S and (len(self._copies) < RECENT_NOTES or self._returned_share() >= UNSHARED_SHARE)
        delays_s = [echo_s for echo_channel, echo_s in self._delays if echo_channel == channel]
        if len(delays_s) < max(len(self._delays) * UNSHARED_SHARE, 2):
            return False
        deciles_s = quantiles(delays_s, n=10)
        margin_s = MARGIN_S + (deciles_s[-1] - deciles_s[0]) / 4
        return deciles_s[0] - margin_s <= delay_s <= max(deciles_s[-1] + margin_s, NOTE_ECHO_S)

    def _max_copies(self) -> int:
        """Returns how often a note may come back: the number that a quarter of the returned notes reached."""
        returned = sorted((copies for copies in self._copies if copies), reverse=True) if self.echoes_detected else []
        return returned[int(len(returned) * UNSHARED_SHARE)] if returned else MAX_COPIES

    def _returned_share(self) -> float:
        """Returns the share of the last notes that came back; 0 until enough were sent."""
        return sum(copies > 0 for copies in self._copies) / len(self._copies) if len(self._copies) >= RECENT_NOTES // 2 else 0.0

    def _retire_old_notes(self, now_s: float) -> None:
        while self._sent and now_s - self._sent[0].at_s > MAX_DELAY_S:
            self._copies.append(self._sent.popleft().copies)
