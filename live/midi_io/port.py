"""A name in, one open port out, to hear or to send through: the only place where a message passes a MIDI driver.

A port outlives what it is connected to: it is told that it is lost, looks again, and goes on under whatever number that came back.
python-rtmidi sends at once and takes no times, so nothing can be sent ahead.
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
from .port_names import IN_CLIENT, OUT_CLIENT, match, match_again, others

FLUSH_S = 0.03
"""JACK sends what was written, and connects what was to be connected, at its next period; sooner would swallow note-offs."""
LONGEST_NAME = 64
"""What every system takes as the name of a port of our own; ALSA cuts there."""
QUIET_S = 0.02
"""A message that was on its way when the port was told to ignore it has been delivered by then."""


class Port:
    """One direction: an rtmidi object, the name it was asked for and the port it found."""

    direction = ""

    def __init__(self, backend: Backend, wanted: str) -> None:
        if not wanted.strip() or not wanted.isprintable():
            raise PortError(f"{wanted!r} is no name for an {self.direction} port: type drumvae-live --list-ports to see those there are.")
        self.wanted = wanted
        self.found: str | None = None
        """The port it is connected to; None for a virtual one."""
        self.lost = False
        """Whether it is away; set by any thread, taken back by the main thread."""
        self.told = False
        """Whether it was said that it is away."""
        self.reconnect_count = 0
        """How often it has come back; whoever must tell it everything again compares."""
        self.sibling_port: str | None = None
        """The virtual port of the other direction: CoreMIDI lists it among other programs' ports."""
        self._backend = backend
        self._midi: Any = None
        self._is_open = False
        self._beside: frozenset[str] = frozenset()  # the ports that were there when it was last seen

    @property
    def title(self) -> str:
        return f"{self.found or self.wanted} (lost)" if self.lost else self.found or f"{self.wanted} (virtual)"

    @property
    def is_closed(self) -> bool:
        """Whether the system has nothing of ours in this direction."""
        return self._midi is None

    def look(self) -> list[str]:
        """Returns the ports of other programs. Called by the main thread."""
        if self._midi is None:
            self._midi = self._new()
        return [name for name in others(self._backend.names(self._midi)) if name != self.sibling_port]

    def open(self, names: Sequence[str]) -> None:
        """Connects to a port among names, or creates a virtual one; raises PortError where neither can be done."""
        found = match(self.wanted, names)
        if found is None:
            self._check_creatable(names)
        self._open(found)

    def is_present(self) -> bool:
        """Says whether the port is still there. Called by the main thread, about once a second.

        A virtual port goes only with its system, which rtmidi does not notice: see jackserver.py.
        """
        if self.found is None:
            return True
        try:
            names = self.look()
        except self._backend.error:
            return False
        if self.found in names:
            self._beside = frozenset(names)
        return self.found in names

    def reopen(self) -> bool:
        """Looks for a lost port and opens it again; False while it is away. Called by the main thread."""
        try:
            found = None
            if self.found is not None:
                found = match_again(self.wanted, self.found, self.look(), self._beside)
                if found is None:
                    return False
            self._open(found)
            self._settle()
        except (self._backend.error, PortError):
            return False
        self.lost = self.told = False
        self.reconnect_count += 1
        return True

    def stop_callbacks(self) -> None:
        """Takes no more messages: to be called before anything of ours is closed. Called by the main thread."""
        if self._midi is not None:
            self._stop_callbacks(self._midi)

    def close(self) -> None:
        """Lets go of everything. Called by the main thread."""
        midi, self._midi, self._is_open = self._midi, None, False
        if midi is not None:
            self._discard(midi)

    def _open(self, found: str | None) -> None:
        """Opens a port, or a virtual one, on the object that there is: to JACK a new one is a new client, under another name."""
        midi, self._midi = self._midi, None
        was_open, self._is_open = self._is_open, False
        try:
            if midi is not None and was_open and found is None:  # rtmidi opens no second virtual port on an object
                self._discard(midi)
                midi = None
            if midi is None:
                midi = self._new()
            elif was_open:
                self._stop_callbacks(midi)
                midi.close_port()
            self._attach(midi)
            if found is None:
                midi.open_virtual_port(self.wanted)
            else:
                midi.open_port(self._backend.names(midi).index(found), name=self.wanted[:LONGEST_NAME])
        except (self._backend.error, ValueError) as error:  # ValueError: gone between two looks
            if midi is not None:
                self._discard(midi)
            raise PortError(
                f"The {self.direction} port {self.wanted!r} cannot be opened ({error}); if another program holds it, close it there,"
                " or type drumvae-live --list-ports to see the others."
            ) from None
        self.found, self._midi, self._is_open = found, midi, True

    def _check_creatable(self, names: Sequence[str]) -> None:
        there = f"there is {', '.join(names)}" if names else "there is none at all"
        if not self._backend.can_create:
            raise PortError(
                f"No {self.direction} port contains {self.wanted!r}; {there}, and Windows cannot create one by itself: install loopMIDI"
                " (or use Windows MIDI Services), make a port there and type drumvae-live --port with a part of its name."
            )
        if len(self.wanted) > LONGEST_NAME:
            raise PortError(
                f"No {self.direction} port contains {self.wanted[:20] + '...'!r}; {there}, and {len(self.wanted)} letters are too many"
                f" to name one of our own: type at most {LONGEST_NAME}."
            )

    def _stop_callbacks(self, midi: Any) -> None:
        """Has an object take no more messages."""

    def _new(self) -> Any:
        raise NotImplementedError

    def _attach(self, midi: Any) -> None:
        """Sets up an object before it is opened."""

    def _discard(self, midi: Any) -> None:
        self._stop_callbacks(midi)
        with quiet():
            midi.delete()

    def _settle(self) -> None:
        """Makes up for what was missed, before it counts as back."""


class InPort(Port):
    """Stamps and queues what arrives, in the driver's thread, and does nothing else there."""

    direction = "input"

    def __init__(self, backend: Backend, wanted: str, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(backend, wanted)
        self._clock = clock
        self._arrived: SimpleQueue[tuple[float, Sequence[int]]] = SimpleQueue()
        self._in_use: list[object] = []  # what a thread in C may still look at after python-rtmidi has let go of it

    def poll(self, now_s: float) -> Sequence[TimestampedMessage]:  # a driver has a clock of its own
        """Returns what has arrived since the last call. Called by the performer's thread."""
        arrivals: list[TimestampedMessage] = []
        while True:
            try:
                at_s, message = self._arrived.get_nowait()
            except Empty:
                return arrivals
            arrivals.append(TimestampedMessage(at_s, bytes(message)))

    def _stop_callbacks(self, midi: Any) -> None:
        """Ends the callbacks: rtmidi closes with the interpreter's lock held, and waits for the driver's thread, which may want it.

        What remains, a note in the very moment, is why `_attach` keeps what python-rtmidi frees too early.
        """
        midi.ignore_types(sysex=True, timing=True, active_sense=True)  # ticks are what comes all the time
        time.sleep(QUIET_S)
        midi.cancel_callback()

    def _new(self) -> Any:
        return self._backend.midi_in(IN_CLIENT)

    def _attach(self, midi: Any) -> None:
        midi.ignore_types(sysex=True, timing=False, active_sense=True)  # rtmidi drops the clock unless told not to
        clock, put = self._clock, self._arrived.put

        def arrived(event: tuple[Sequence[int], float], _: object) -> None:
            at_s = clock()
            if event[0]:  # rtmidi hands over whole messages, and an empty one for what it could not read
                put((at_s, event[0]))

        midi.set_callback(arrived)
        self._in_use += [holder for holder in gc.get_referrers(arrived) if type(holder) is tuple]


class OutPort(Port):
    """Sends at once."""

    direction = "output"

    def __init__(self, backend: Backend, wanted: str) -> None:
        super().__init__(backend, wanted)
        self._struck: dict[tuple[int, int], None] = {}  # every channel and pitch that was ever sounded, in order

    def send(self, message: bytes) -> None:
        """Sends at once; a port that fails counts as lost, and what is sent while it is lost is dropped.

        Called by the performer's thread.
        """
        if self.lost:  # nor may it be written to: a dead JACK server's buffer fills, and rtmidi then waits for ever
            return
        try:
            self._midi.send_message(message)
        except (self._backend.error, AttributeError):  # AttributeError: closed a moment ago
            self.lost = True
            return
        if message[0] & 0xF0 == NOTE_ON:
            self._struck[message[0] & 0x0F, message[1]] = None

    def _new(self) -> Any:
        return self._backend.midi_out(OUT_CLIENT)

    def _settle(self) -> None:
        """Lets go of every note that was ever struck: which of them lost their note-off on the way, nobody can tell."""
        time.sleep(FLUSH_S)
        for channel, pitch in self._struck:
            self._midi.send_message(bytes((NOTE_OFF | channel, pitch, 0)))
