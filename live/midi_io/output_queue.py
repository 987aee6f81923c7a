"""Messages with their due times in, the same sent at those times: what waits to be sent, how late it was, and the silence at an end."""

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
    """Holds what was given out and is not sent yet, in order. Called by the performer's thread only; times are monotonic seconds."""

    sink: Output
    meter: SyncMeter
    echo: EchoFilter | None = None
    """Is told of every note that goes out, to know it when it comes back."""
    struck: dict[int, float] = field(default_factory=dict)
    """When each pitch was last struck."""
    _waiting: deque[ScheduledMessage] = field(default_factory=deque)

    @property
    def next_s(self) -> float | None:
        """When the next message is due; None where none waits."""
        return self._waiting[0].at_s if self._waiting else None

    def add(self, dues: Iterable[ScheduledMessage]) -> None:
        """Takes messages that are due after those that wait."""
        self._waiting.extend(dues)

    def send(self, now_s: float) -> None:
        """Sends what is due."""
        while self._waiting and self._waiting[0].at_s <= now_s:
            due = self._waiting.popleft()
            is_note = due.message[0] & 0xF0 == NOTE_ON
            if self.echo and is_note:
                self.echo.sent(now_s, due.message[1], due.message[2])
            self.sink.send(due.message)
            if is_note:
                self.struck[due.message[1]] = now_s
                self.meter.sent(now_s - due.at_s)

    def silence(self, offs: Iterable[ScheduledMessage]) -> list[ScheduledMessage]:
        """Sends the note-offs that wait and those given, at once; notes that wait are forgotten, and returned."""
        waiting = list(self._waiting)
        self._waiting.clear()
        notes = [due for due in waiting if due.message[0] & 0xF0 == NOTE_ON]
        for due in (*(due for due in waiting if due.message[0] & 0xF0 != NOTE_ON), *offs):
            self.sink.send(due.message)
        return notes
