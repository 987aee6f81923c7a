"""A note that arrives in, the voice that hears it out: echoes dropped, the kit that is played on recognised, strangers counted."""

from collections import Counter
from dataclasses import dataclass, field

from ..messages import TimestampedMessage
from ..metrics.sync_report import SyncMeter
from .echo_filter import EchoFilter
from .input_kit import InputKit

TAPPED = 1
"""The voice, the snare, that takes what no voice hears, where only the rhythm counts."""


@dataclass
class NoteInput:
    """Hears notes. Called by the performer's thread only."""

    kit: InputKit
    echo: EchoFilter | None
    meter: SyncMeter
    unmapped: Counter[int] = field(default_factory=Counter)
    """The pitches that no voice hears, and how often they came."""
    _knows_bus: bool = False

    def voice(self, arrival: TimestampedMessage, any_rhythm: bool) -> int | None:
        """Returns the voice of a note-on, or None for an echo and for a pitch that no voice hears, unless any rhythm counts."""
        status, pitch, velocity = arrival.message
        if self.echo and self.echo.is_echo(arrival.at_s, pitch, velocity, status & 0x0F):
            self.meter.echoes += 1
            return None
        voice = self.kit.voice_of(pitch)
        if voice is None and any_rhythm:
            return TAPPED
        if voice is None:
            self.unmapped[pitch] += 1
        return voice

    def news(self) -> str:
        """Returns a sentence on what was found out since the last call, or nothing: the kit that is played on, a bus that echoes."""
        if self.echo and self.echo.echoes_detected and not self._knows_bus:
            self._knows_bus = True
            return "What is sent comes back and is dropped; turn off MIDI thru, or use two ports."
        if (recognised := self.kit.look()) is not None:
            return f"What is played sounds like {recognised.name}, and is heard so from now on."
        return ""
