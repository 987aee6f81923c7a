"""Publishes the state of a session as one frozen Status, and shows it on MIDI controllers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..clock.transport import Clock
from ..controls.feedback import Feedback
from ..generation.scheduler import GenerationScheduler
from ..looper.clip_slots import ClipSlots
from ..looper.recorder import CycleRecorder
from ..messages import Output, Status
from ..metrics.sync_report import SyncMeter
from .loop_log import LoopLog

PUBLISH_S = 0.1
MESSAGES_AT_ONCE = 6
"""How many feedback messages go out every PUBLISH_S. On a DIN cable each takes a millisecond, and notes wait behind them."""


@dataclass
class StatusPublisher:
    """Reads the parts of a session and replaces `status`.

    Called by the performer's thread; any thread may read `status`.

    Thread-safe: no.
    Realtime-safe: yes.
    """

    clock: Clock
    loop_log: LoopLog
    recorder: CycleRecorder
    scheduler: GenerationScheduler
    clip_slots: ClipSlots
    meter: SyncMeter
    unmapped: Mapping[int, int]
    status: Status = field(default_factory=Status)
    last_message: str = ""
    """The latest sentence for the user."""
    _published_s: float = float("-inf")

    def is_due(self, now_s: float) -> bool:
        return now_s - self._published_s > PUBLISH_S

    def publish(self, now_s: float) -> None:
        """Replaces the status."""
        song, player = self.loop_log.song, self.loop_log.player
        self._published_s = now_s
        self.status = replace(
            self.status,
            state=self.clock.state,
            bpm=self.clock.timeline.bpm,
            beat=song.song_beat_of(song.timeline.beat_at(now_s)) if song.rolling and song.timeline else self.status.beat,
            loop=player.loop,
            bar=self.loop_log.bar,
            cycle=self.recorder.cycle,
            recording=self.recorder.recording,
            notes_received=self.recorder.note_count,
            echoes=self.meter.echoes,
            unmapped=dict(self.unmapped),
            hits_played=player.hits_played,
            error=self.scheduler.generator.error or self.clock.warning,
            controls=player.controls,
            filled_slots=frozenset(self.clip_slots.loops),
            fill_pending=self.scheduler.fill_pending,
            synced=self.clock.synced,
            jitter_ms=self.clock.jitter_ms,
            last_message=self.last_message,
        )


@dataclass
class FeedbackSender:
    """Sends the control values to MIDI controllers: motor faders, LEDs, a DAW's automation."""

    feedback: Feedback
    output: Output
    _reconnect_count: int = 0

    def send(self, now_s: float, status: Status, rolling: bool) -> None:
        """Sends the next few values that a controller does not show yet; all of them again after the port was lost."""
        if self._reconnect_count != self.output.reconnect_count:
            self._reconnect_count = self.output.reconnect_count
            self.feedback.forget()
        beat = status.beat if rolling else None
        slots, fill = status.filled_slots, status.fill_pending
        for message in self.feedback.messages(now_s, status.controls, slots, beat, MESSAGES_AT_ONCE, fill):
            self.output.send(message)
