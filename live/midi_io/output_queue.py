"""Queues scheduled messages and sends them when they are due."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from drumvae.midi.constants import NOTE_ON

from ..looper.player import ScheduledMessage
from ..messages import Output
from ..metrics.sync_report import SyncMeter
from .echo_filter import EchoFilter


@dataclass
class OutputQueue:
    """The scheduled messages that are not sent yet, in order of time. Times are monotonic seconds.

    Thread-safe: no.
    Realtime-safe: as the output.
    """

    output: Output
    meter: SyncMeter
    echo: EchoFilter | None = None
    """Learns every sent note, to recognise its echo."""
    note_on_s: dict[int, float] = field(default_factory=dict)
    """When each pitch was last sent."""
    _queue: deque[ScheduledMessage] = field(default_factory=deque)

    @property
    def next_s(self) -> float | None:
        """When the next message is due; None for an empty queue."""
        return self._queue[0].at_s if self._queue else None

    def add(self, messages: Iterable[ScheduledMessage]) -> None:
        """Queues messages that are due after those in the queue."""
        self._queue.extend(messages)

    def send(self, now_s: float) -> None:
        """Sends the messages that are due."""
        while self._queue and self._queue[0].at_s <= now_s:
            due_s, message = self._queue.popleft()
            is_note_on = message[0] & 0xF0 == NOTE_ON
            if self.echo and is_note_on:
                self.echo.sent(now_s, message[1], message[2])
            self.output.send(message)
            if is_note_on:
                self.note_on_s[message[1]] = now_s
                self.meter.sent(now_s - due_s)

    def all_notes_off(self, note_offs: Iterable[ScheduledMessage]) -> list[ScheduledMessage]:
        """Sends the queued and the given note-offs at once; removes the queued note-ons and returns them."""
        queued = list(self._queue)
        self._queue.clear()
        cancelled = [each for each in queued if each.message[0] & 0xF0 == NOTE_ON]
        for each in (*(each for each in queued if each.message[0] & 0xF0 != NOTE_ON), *note_offs):
            self.output.send(each.message)
        return cancelled
