"""The words in which a clock tells what happens: events, states, and what every clock can be asked. Nothing goes in.

A follower of MIDI clock (clock.py) and a clock of its own (internal.py) both speak them.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from .timeline import Timeline


class Kind(Enum):
    """What can happen to the transport."""

    STOP_PENDING = auto()
    """Stop arrived: no note may begin from now on, but it may turn out to be the first half of a jump."""
    LOCATED = auto()
    """Playback runs from `beat` on: after Start or Continue, after a jump, after a wrap, when a lost clock is back."""
    STOPPED = auto()
    """The stop was one: nothing followed it."""
    LOST = auto()
    """The clock ran dry while playing."""


@dataclass(frozen=True)
class Transport:
    """Says that the transport changed at a time (monotonic seconds), and where the song stood (beats)."""

    kind: Kind
    at_s: float
    beat: float


class State(Enum):
    """Where a clock stands; the words that the display shows."""

    WAITING = "waiting for the clock"
    STOPPED = "stopped"
    ARMED = "starting"
    RUNNING = "playing"
    STOP_PENDING = "stopping"
    LOST = "clock lost"


class Clock(Protocol):
    """What drives a session. Called by the performer's thread only; times are monotonic seconds."""

    state: State

    @property
    def timeline(self) -> Timeline: ...

    @property
    def locked(self) -> bool:
        """Whether the tempo has been followed long enough to be trusted."""

    @property
    def jitter_ms(self) -> float:
        """How far the last beat's ticks usually were from where they were expected."""

    @property
    def advice(self) -> str | None:
        """One sentence on what the sender should be set to, if anything."""

    def feed(self, arrival_s: float, message: bytes) -> list[Transport]:
        """Takes a system message; messages come in order of arrival."""

    def check(self, now_s: float) -> list[Transport]:
        """Takes the passing of time."""

    def align(self, now_s: float) -> list[Transport]:
        """Takes a player's word that the nearest beat is the first of four bars; the tempo stays."""
