"""What passes between the rooms: a message with its arrival, a loop that was played, and everything that is shown. All of it frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from drumvae.music.kit import DEFAULT_KIT, Kit

from .clock.follower import State
from .controls.state import ControlState
from .looper.player import Loop
from .looper.recorder import Recording


class TimestampedMessage(NamedTuple):
    """A MIDI message and the monotonic time at which the driver delivered it."""

    at_s: float
    message: bytes


class Input(Protocol):
    """Where messages come from."""

    def poll(self, now_s: float) -> Sequence[TimestampedMessage]:
        """Returns what has arrived since the last call, in order; returns at once."""


class Output(Protocol):
    """Where messages go."""

    @property
    def reconnect_count(self) -> int:
        """How often it was away and has come back."""

    def send(self, message: bytes) -> None:
        """Sends at once."""


@dataclass(frozen=True)
class PlayedLoop:
    """Says that a loop was played from a bar of the song (from 1) on, at a mean tempo, on a kit."""

    loop: Loop
    bar: int
    bpm: float
    kit: Kit = DEFAULT_KIT


@dataclass(frozen=True)
class Status:
    """Everything that is shown; one frozen value, replaced as a whole, so that any thread may read it."""

    state: State = State.WAITING
    bpm: float = 0.0
    beat: float = 0.0
    """The song's beat when the status was published."""
    loop: Loop | None = None
    bar: int = 1
    """The bar of the song where the loop came in."""
    cycle: int = 0
    """The pass that `heard` is recorded for."""
    recording: Recording = field(default_factory=Recording)
    notes_received: int = 0
    """How many notes were heard as a performance."""
    unmapped: Mapping[int, int] = field(default_factory=dict)
    """The pitches that came and that no voice hears, and how often."""
    echoes: int = 0
    hits_played: int = 0
    error: str | None = None
    controls: ControlState = field(default_factory=ControlState)
    """What the player has turned to."""
    filled_slots: frozenset[int] = frozenset()
    """The numbers of the slots that hold a loop."""
    fill_pending: bool = False
    """Whether a loop that has yet to come ends in the fill that was asked for."""
    synced: bool = False
    """Whether the tempo has been followed long enough to be trusted."""
    jitter_ms: float = 0.0
    """The median distance of the last beat's ticks from where they were expected."""
    last_message: str = ""
    """The last message, in words."""
