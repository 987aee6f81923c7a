"""Notes sent and notes heard in, a verdict out: on a bus shared with the DAW, what the drummer sends comes back to it."""

from collections import deque

ECHO_S = 0.03
"""A copy of a sent note that arrives within this time is its echo. A bus returns it within 2 ms, a DAW's thru within a buffer or two."""


class EchoFilter:
    """Remembers the notes of the last moments. Called by the performer's thread only; times are monotonic seconds passed in."""

    def __init__(self) -> None:
        self._sent: deque[tuple[float, int, int]] = deque()

    def sent(self, at_s: float, pitch: int, velocity: int) -> None:
        """Notes that a note went out."""
        self._sent.append((at_s, pitch, velocity))

    def is_echo(self, arrival_s: float, pitch: int, velocity: int) -> bool:
        """Says whether a note that arrived is one that was sent: same pitch, same velocity, a moment ago. One note may echo twice."""
        while self._sent and arrival_s - self._sent[0][0] > ECHO_S:
            self._sent.popleft()
        return any(note[1:] == (pitch, velocity) for note in self._sent)
