"""Routes each incoming MIDI message to the clock, the controls or the notes."""

from dataclasses import dataclass, field
from enum import Enum, auto

from drumvae.midi.constants import NOTE_ON, SYSEX

from ..controls.actions import Event
from ..controls.feedback import Feedback
from ..controls.mapping import ControllerValues, ControlMap
from ..messages import TimestampedMessage

LAST_DATA = 0x7F


class Route(Enum):
    """The receiver of a message that moves no control."""

    CLOCK = auto()
    NOTE = auto()
    NONE = auto()
    """Note-offs, pedals, channel mode messages, echoes of controller feedback, and malformed messages."""


@dataclass
class MessageRouter:
    """Selects the receiver of each message.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> MessageRouter().route(TimestampedMessage(0.0, bytes((0x99, 36, 100))))
    <Route.NOTE: 2>
    """

    control_map: ControlMap | None = None
    """The bindings of controls; None routes no message to the controls."""
    feedback: Feedback | None = None
    """The controller feedback whose echoes are dropped."""
    _values: ControllerValues = field(default_factory=ControllerValues)

    def route(self, arrival: TimestampedMessage) -> Route | Event:
        """Returns the route of a message, or the event of the control that it moves."""
        message = arrival.message
        if not message:
            return Route.NONE
        if message[0] >= SYSEX:
            return Route.CLOCK
        if max(message[1:], default=0) > LAST_DATA:
            return Route.NONE  # no driver should deliver it
        if self.control_map:
            if self.feedback and self.feedback.is_echo(arrival.at_s, message):
                return Route.NONE
            if self.feedback:
                self.feedback.received(message)
            if event := self.control_map.read(message, self._values):
                return event
        is_note_on = message[0] & 0xF0 == NOTE_ON and len(message) == 3 and message[2]
        return Route.NOTE if is_note_on else Route.NONE
