"""Defines the values that pass between the packages of `live`: timestamped messages, played loops, the status. All are frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from drumvae.music.kit import DEFAULT_KIT, Kit

from .clock.transport import State
from .controls.state import ControlState
from .looper.loop import Loop
from .looper.recorder import Recording


class TimestampedMessage(NamedTuple):
    """An incoming MIDI message and the monotonic time at which the driver delivered it, in seconds."""

    at_s: float
    message: bytes


class Input(Protocol):
    """A source of MIDI messages."""

    def poll(self, now_s: float) -> Sequence[TimestampedMessage]:
        """Returns the messages that have arrived since the last call, in order; returns at once."""


class Output(Protocol):
    """A destination of MIDI messages."""

    @property
    def reconnect_count(self) -> int:
        """How many times the port was reopened after it was lost."""

    def send(self, message: bytes) -> None:
        """Sends at once."""


@dataclass(frozen=True)
class PlayedLoop:
    """A loop that was played, as it sounded."""

    loop: Loop
    bar: int
    """The bar of the song where it began, from 1."""
    bpm: float
    """The mean tempo."""
    kit: Kit = DEFAULT_KIT


@dataclass(frozen=True)
class Status:
    """Everything that a display shows; the performer replaces it as a whole, so any thread may read it.

    >>> Status().state
    <State.WAITING: 'waiting for the clock'>
    """

    state: State = State.WAITING
    bpm: float = 0.0
    beat: float = 0.0
    """The song's beat when the status was published."""
    loop: Loop | None = None
    bar: int = 1
    """The bar of the song where the loop began."""
    cycle: int = 0
    """The cycle of the recording."""
    recording: Recording = field(default_factory=Recording)
    notes_received: int = 0
    """How many notes were recorded in the session."""
    unmapped: Mapping[int, int] = field(default_factory=dict)
    """How many notes arrived on each pitch that the input kit does not map."""
    echoes: int = 0
    """How many copies of sent notes were dropped."""
    hits_played: int = 0
    error: str | None = None
    """An error of the model, or a warning about the clock."""
    controls: ControlState = field(default_factory=ControlState)
    filled_slots: frozenset[int] = frozenset()
    """The numbers of the slots that hold a loop."""
    fill_pending: bool = False
    """Whether a coming loop ends in a requested fill."""
    synced: bool = False
    """Whether the tempo has been followed long enough to be reliable."""
    jitter_ms: float = 0.0
    """The median distance of the last beat's clock messages from their expected times."""
    last_message: str = ""
    """The latest sentence for the user."""
