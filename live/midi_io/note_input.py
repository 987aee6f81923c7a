"""Maps incoming notes to voices: drops echoes, detects the input kit, counts unmapped pitches."""

from collections import Counter
from dataclasses import dataclass, field

from ..messages import TimestampedMessage
from ..metrics.sync_report import SyncMeter
from .echo_filter import EchoFilter
from .input_kit import InputKit

TAP_VOICE = 1
"""The voice, the snare, of unmapped pitches where only the rhythm counts."""


@dataclass
class NoteInput:
    """The notes of a performance.

    Thread-safe: no.
    Realtime-safe: yes.
    """

    kit: InputKit
    echo: EchoFilter | None
    meter: SyncMeter
    unmapped: Counter[int] = field(default_factory=Counter)
    """The pitches that no voice of the kit has, and how often they were played."""
    _reported_echoes: bool = False

    def voice(self, arrival: TimestampedMessage, any_pitch: bool) -> int | None:
        """Returns the voice of a note-on; None for an echo, and for an unmapped pitch unless any pitch counts."""
        status, pitch, velocity = arrival.message
        if self.echo and self.echo.is_echo(arrival.at_s, pitch, velocity, status & 0x0F):
            self.meter.echoes += 1
            return None
        voice = self.kit.voice_of(pitch)
        if voice is None and any_pitch:
            return TAP_VOICE
        if voice is None:
            self.unmapped[pitch] += 1
        return voice

    def pop_notice(self) -> str:
        """Returns a sentence about a discovery since the last call, or nothing: a MIDI loop, another input kit."""
        if self.echo and self.echo.echoes_detected and not self._reported_echoes:
            self._reported_echoes = True
            return "Sent notes come back and are dropped; turn off MIDI thru, or use two ports."
        if (kit := self.kit.detect()) is not None:
            return f"The input looks like the kit {kit.name}, and is mapped by it from now on."
        return ""
