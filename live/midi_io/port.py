"""Opens one MIDI port, an input or an output, and reopens it after it was lost.

A Port object outlives its connection: after a loss it searches for the port again, and continues under the number that the port has
then. python-rtmidi sends at once and takes no send times, so nothing can be scheduled in the driver.
"""

import gc
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from drumvae.midi.constants import NOTE_OFF, NOTE_ON
from drumvae.util.errors import PortError

from ..messages import TimestampedMessage
from .backends import Backend, quiet
from .port_names import IN_CLIENT, OUT_CLIENT, match, match_again, without_own

FLUSH_S = 0.03
"""JACK sends and connects at its next period; closing a port sooner would drop note-offs."""
MAX_NAME_LENGTH = 64
"""Every system accepts a port name of this length; ALSA cuts longer ones."""
DELIVERY_S = 0.02
"""After this time, every message that was on its way when the port began to ignore messages has been delivered."""


class Port:
    """One direction of MIDI: an rtmidi object, the requested name and the connected port.

    Thread-safe: no. Only the main thread calls it, except where a method says otherwise.
    Realtime-safe: no.
    """

    direction = ""

    def __init__(self, backend: Backend, requested_name: str) -> None:
        """Sets a part of a port's name; raises PortError if it cannot be one."""
        if not requested_name.strip() or not requested_name.isprintable():
            raise PortError(
                f"{requested_name!r} is not a valid name of an {self.direction} port: type drumvae-live --list-ports to see the ports."
            )
        self.requested_name = requested_name
        self.connected_name: str | None = None
        """The port it is connected to; None for a virtual port."""
        self.lost = False
        """Whether the port is away; set by any thread, reset by the main thread."""
        self.loss_reported = False
        """Whether the loss was reported to the user."""
        self.reconnect_count = 0
        """How often the port was reopened; a controller must be sent its whole state again after each."""
        self.sibling_port: str | None = None
        """The virtual port of the other direction: CoreMIDI lists it among other programs' ports."""
        self._backend = backend
        self._midi: Any = None
        self._is_open = False
        self._other_names: frozenset[str] = frozenset()  # the ports that existed when this one was last present

    @property
    def title(self) -> str:
        """The port's name for the display."""
        if self.lost:
            return f"{self.connected_name or self.requested_name} (lost)"
        return self.connected_name or f"{self.requested_name} (virtual)"

    @property
    def is_closed(self) -> bool:
        """Whether this program has no port or client in this direction."""
        return self._midi is None

    def list_names(self) -> list[str]:
        """Returns the ports of other programs."""
        if self._midi is None:
            self._midi = self._new()
        return [name for name in without_own(self._backend.names(self._midi)) if name != self.sibling_port]

    def open(self, names: Sequence[str]) -> None:
        """Connects to a matching port among `names`, or creates a virtual one; raises PortError if neither can be done."""
        name = match(self.requested_name, names)
        if name is None:
            self._check_creatable(names)
        self._open(name)

    def is_present(self) -> bool:
        """Returns whether the connected port still exists; called about once a second.

        A virtual port vanishes only with its MIDI system, which rtmidi does not detect: see jack.py.
        """
        if self.connected_name is None:
            return True
        try:
            names = self.list_names()
        except self._backend.error:
            return False
        if self.connected_name in names:
            self._other_names = frozenset(names)
        return self.connected_name in names

    def reopen(self) -> bool:
        """Searches for a lost port and opens it again; returns False while it is away."""
        try:
            name = None
            if self.connected_name is not None:
                name = match_again(self.requested_name, self.connected_name, self.list_names(), self._other_names)
                if name is None:
                    return False
            self._open(name)
            self._after_reopen()
        except (self._backend.error, PortError):
            return False
        self.lost = self.loss_reported = False
        self.reconnect_count += 1
        return True

    def stop_callbacks(self) -> None:
        """Receives no more messages; to be called before any port of this program is closed."""
        if self._midi is not None:
            self._stop_callbacks(self._midi)

    def close(self) -> None:
        """Closes the port and its client."""
        midi, self._midi, self._is_open = self._midi, None, False
        if midi is not None:
            self._delete(midi)

    def _open(self, name: str | None) -> None:
        """Opens a port, or a virtual one, on the existing rtmidi object: for JACK a new object is a new client with another name."""
        midi, self._midi = self._midi, None
        was_open, self._is_open = self._is_open, False
        try:
            if midi is not None and was_open and name is None:  # rtmidi opens no second virtual port on an object
                self._delete(midi)
                midi = None
            if midi is None:
                midi = self._new()
            elif was_open:
                self._stop_callbacks(midi)
                midi.close_port()
            self._set_up(midi)
            if name is None:
                midi.open_virtual_port(self.requested_name)
            else:
                midi.open_port(self._backend.names(midi).index(name), name=self.requested_name[:MAX_NAME_LENGTH])
        except (self._backend.error, ValueError) as error:  # ValueError: the port vanished after it was listed
            if midi is not None:
                self._delete(midi)
            raise PortError(
                f"The {self.direction} port {self.requested_name!r} cannot be opened ({error}); if another program holds it, close it"
                " there, or type drumvae-live --list-ports to see the others."
            ) from None
        self.connected_name, self._midi, self._is_open = name, midi, True

    def _check_creatable(self, names: Sequence[str]) -> None:
        there = f"there is {', '.join(names)}" if names else "there is none at all"
        if not self._backend.can_create:
            raise PortError(
                f"No {self.direction} port contains {self.requested_name!r}; {there}, and Windows cannot create one by itself: install"
                " loopMIDI (or use Windows MIDI Services), make a port there and type drumvae-live --port with a part of its name."
            )
        if len(self.requested_name) > MAX_NAME_LENGTH:
            raise PortError(
                f"No {self.direction} port contains {self.requested_name[:20] + '...'!r}; {there}, and {len(self.requested_name)} letters"
                f" are too many for the name of a new port: type at most {MAX_NAME_LENGTH}."
            )

    def _stop_callbacks(self, midi: Any) -> None:
        """Makes an rtmidi object receive no more messages."""

    def _new(self) -> Any:
        raise NotImplementedError

    def _set_up(self, midi: Any) -> None:
        """Configures an rtmidi object before it is opened."""

    def _delete(self, midi: Any) -> None:
        self._stop_callbacks(midi)
        with quiet():
            midi.delete()

    def _after_reopen(self) -> None:
        """Sends the messages that were missed, before the port counts as reopened."""


class InPort(Port):
    """Timestamps and queues messages in the driver's thread, and does nothing else there."""

    direction = "input"

    def __init__(self, backend: Backend, requested_name: str, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(backend, requested_name)
        self._clock = clock
        self._received: SimpleQueue[tuple[float, Sequence[int]]] = SimpleQueue()
        self._in_use: list[object] = []  # C threads may still read these after python-rtmidi has released them

    def poll(self, now_s: float) -> Sequence[TimestampedMessage]:  # the driver's time stamps, not `now_s`, are used
        """Returns the messages received since the last call.

        Thread-safe: yes.
        Realtime-safe: yes.
        """
        messages: list[TimestampedMessage] = []
        while True:
            try:
                at_s, message = self._received.get_nowait()
            except Empty:
                return messages
            messages.append(TimestampedMessage(at_s, bytes(message)))

    def _stop_callbacks(self, midi: Any) -> None:
        """Ends the callbacks: rtmidi closes with the interpreter lock held, and waits for the driver's thread, which may want it.

        One case remains, a note at this very moment. It is the reason why `_set_up` keeps objects that python-rtmidi frees too early.
        """
        midi.ignore_types(sysex=True, timing=True, active_sense=True)  # ticks are the only messages that arrive all the time
        time.sleep(DELIVERY_S)
        midi.cancel_callback()

    def _new(self) -> Any:
        return self._backend.midi_in(IN_CLIENT)

    def _set_up(self, midi: Any) -> None:
        midi.ignore_types(sysex=True, timing=False, active_sense=True)  # by default rtmidi drops MIDI clock
        clock, put = self._clock, self._received.put

        def on_message(event: tuple[Sequence[int], float], _: object) -> None:
            at_s = clock()
            if event[0]:  # rtmidi passes whole messages, and an empty one for a message that it could not parse
                put((at_s, event[0]))

        midi.set_callback(on_message)
        self._in_use += [holder for holder in gc.get_referrers(on_message) if type(holder) is tuple]


class OutPort(Port):
    """Sends messages at once."""

    direction = "output"

    def __init__(self, backend: Backend, requested_name: str) -> None:
        super().__init__(backend, requested_name)
        self._sent_notes: dict[tuple[int, int], None] = {}  # every channel and pitch that was ever sent, in order

    def send(self, message: bytes) -> None:
        """Sends a message at once. A port that fails counts as lost, and messages sent while it is lost are dropped.

        Called by the performer's thread.

        Thread-safe: no.
        Realtime-safe: yes.
        """
        if self.lost:  # writing could also block: a dead JACK server's buffer fills up, and rtmidi then waits forever
            return
        try:
            self._midi.send_message(message)
        except (self._backend.error, AttributeError):  # AttributeError: closed a moment ago
            self.lost = True
            return
        if message[0] & 0xF0 == NOTE_ON:
            self._sent_notes[message[0] & 0x0F, message[1]] = None

    def _new(self) -> Any:
        return self._backend.midi_out(OUT_CLIENT)

    def _after_reopen(self) -> None:
        """Sends a note-off for every note ever sent: it is unknown which note-offs were lost."""
        time.sleep(FLUSH_S)
        for channel, pitch in self._sent_notes:
            self._midi.send_message(bytes((NOTE_OFF | channel, pitch, 0)))
