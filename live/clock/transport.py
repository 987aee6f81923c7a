"""Defines the interface of a clock: transport states, transport events and the Clock protocol.

Two classes implement it: Follower (follower.py) follows MIDI clock, InternalClock (internal_clock.py) needs no DAW.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from .timeline import Timeline


class TransportKind(Enum):
    """The kind of a transport event."""

    STOP_PENDING = auto()
    """Stop arrived. No note may start from now on; the Stop may still turn out to be the first part of a jump."""
    LOCATED = auto()
    """Playback runs from `beat` on: after Start or Continue, a jump, a wrap of the DAW's loop, or the return of a lost clock."""
    STOPPED = auto()
    """The Stop is confirmed: nothing followed it."""
    LOST = auto()
    """No more ticks arrived while the song was playing."""


@dataclass(frozen=True)
class TransportEvent:
    """A change of the transport, with its time (monotonic seconds) and the song position (beats)."""

    kind: TransportKind
    at_s: float
    beat: float


class State(Enum):
    """The state of a clock; the values are the words that the display shows."""

    WAITING = "waiting for the clock"
    STOPPED = "stopped"
    ARMED = "starting"
    RUNNING = "playing"
    STOP_PENDING = "stopping"
    LOST = "clock lost"


class Clock(Protocol):
    """The clock that a session runs by. Only the performer's thread calls it; times are monotonic seconds.

    Thread-safe: no.
    Realtime-safe: yes.
    """

    state: State

    @property
    def timeline(self) -> Timeline: ...

    @property
    def synced(self) -> bool:
        """Whether the tempo has been followed long enough to be accurate."""

    @property
    def jitter_ms(self) -> float:
        """The median distance between the last beat's ticks and their expected times."""

    @property
    def warning(self) -> str | None:
        """One sentence on a wrong setting of the clock source and its remedy, or None."""

    def feed(self, arrival_s: float, message: bytes) -> list[TransportEvent]:
        """Processes a system message; messages come in order of arrival."""

    def check(self, now_s: float) -> list[TransportEvent]:
        """Reports events that depend on elapsed time."""

    def align(self, now_s: float) -> list[TransportEvent]:
        """Makes the beat nearest to `now_s` the first of four bars, at the user's command; the tempo stays."""
