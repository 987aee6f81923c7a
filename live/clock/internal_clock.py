"""Runs a session at a fixed tempo without a DAW."""

from drumvae.music.grid import LOOP_BEATS

from .timeline import Timeline
from .transport import State, TransportEvent, TransportKind


class InternalClock:
    """A Clock that ignores MIDI messages and starts by itself.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> clock = InternalClock(bpm=120, lead_s=0.2)
    >>> clock.check(now_s=10.0)
    []
    >>> clock.check(now_s=10.3)[0].kind.name
    'LOCATED'
    >>> clock.timeline.time_at(2)
    11.2
    """

    synced = True
    jitter_ms = 0.0
    warning: str | None = None

    def __init__(self, bpm: float, lead_s: float = 0.2) -> None:
        """Sets the tempo, and the time in seconds from the first `check` to beat 0."""
        self.state = State.WAITING
        self._timeline = Timeline(bpm, 0.0, 0.0)
        self._lead_s = lead_s

    @property
    def timeline(self) -> Timeline:
        return self._timeline

    def feed(self, arrival_s: float, message: bytes) -> list[TransportEvent]:
        return []

    def check(self, now_s: float) -> list[TransportEvent]:
        """Schedules beat 0 on the first call, and reports the start once that time is reached."""
        if self.state is State.WAITING:
            self.state = State.ARMED
            self._timeline = Timeline(self._timeline.bpm, 0.0, now_s + self._lead_s)
        if self.state is not State.ARMED or now_s < self._timeline.origin_s:
            return []
        self.state = State.RUNNING
        return [TransportEvent(TransportKind.LOCATED, self._timeline.origin_s, 0.0)]

    def align(self, now_s: float) -> list[TransportEvent]:
        beat = round(self._timeline.beat_at(now_s))
        shift_beats = -beat % LOOP_BEATS
        if self.state is not State.RUNNING or not shift_beats:
            return []
        self._timeline = self._timeline.moved(shift_beats)
        return [TransportEvent(TransportKind.LOCATED, self._timeline.time_at(beat + shift_beats), float(beat + shift_beats))]
