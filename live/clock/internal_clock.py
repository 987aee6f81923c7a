"""A tempo and the passing of time in, the same Timeline and events as a follower's out: a clock without a DAW."""

from drumvae.music.grid import LOOP_BEATS

from .timeline import Timeline
from .transport import Kind, State, Transport


class InternalClock:
    """Keeps a tempo of its own, and follows nobody."""

    locked = True
    jitter_ms = 0.0
    advice: str | None = None

    def __init__(self, bpm: float, lead_s: float = 0.2) -> None:
        self.state = State.WAITING
        self._timeline = Timeline(bpm, 0.0, 0.0)
        self._lead_s = lead_s

    @property
    def timeline(self) -> Timeline:
        return self._timeline

    def feed(self, arrival_s: float, message: bytes) -> list[Transport]:
        return []

    def check(self, now_s: float) -> list[Transport]:
        """Begins a moment after the first call."""
        if self.state is State.WAITING:
            self.state = State.ARMED
            self._timeline = Timeline(self._timeline.bpm, 0.0, now_s + self._lead_s)
        if self.state is not State.ARMED or now_s < self._timeline.origin_s:
            return []
        self.state = State.RUNNING
        return [Transport(Kind.LOCATED, self._timeline.origin_s, 0.0)]

    def align(self, now_s: float) -> list[Transport]:
        beat = round(self._timeline.beat_at(now_s))
        shift_beats = -beat % LOOP_BEATS
        if self.state is not State.RUNNING or not shift_beats:
            return []
        self._timeline = self._timeline.moved(shift_beats)
        return [Transport(Kind.LOCATED, self._timeline.time_at(beat + shift_beats), float(beat + shift_beats))]
