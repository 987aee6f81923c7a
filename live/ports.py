"""Port names in, an open input and output out; the only place where a MIDI driver is touched (backends.py chooses it).

A port is found by part of its name, whatever the case. Where none matches and the system can, a virtual port of that name is
created, for the DAW to connect to. A port that vanishes is looked for once a second by `Ports.watch`, on the main thread.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from drumvae.errors import PortError

from .backends import Backend, find_backend, quiet
from .values import Arrival

IN_CLIENT, OUT_CLIENT = "drumvae-in", "drumvae-out"
OWN = (IN_CLIENT, OUT_CLIENT, "drumvae-probe")
FLUSH_S = 0.03
"""JACK sends what was written at its next period; closing sooner would swallow the last note-offs."""


@dataclass(frozen=True)
class PortList:
    """The ports of other programs, by name."""

    backend: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def list_ports(backend: str = "auto") -> PortList:
    """Returns every port of this machine but our own; raises PortError where there is no MIDI system."""
    system = find_backend(backend)
    midi_in, midi_out = system.midi_in("drumvae-probe"), system.midi_out("drumvae-probe")
    try:
        return PortList(system.title, tuple(others(midi_in.get_ports())), tuple(others(midi_out.get_ports())))
    finally:
        midi_in.delete()
        midi_out.delete()


def others(names: Sequence[str]) -> list[str]:
    """Returns the names that are not ours; the client's name comes first in ALSA's and JACK's."""
    return [name for name in names if name.split(":")[0].rstrip("0123456789-") not in {own.rstrip("-") for own in OWN}]


def match(wanted: str, names: Sequence[str]) -> str | None:
    """Returns the first name that contains what is wanted, whatever the case; a name that is equal goes first."""
    lowered = wanted.casefold()
    exact = [name for name in names if name.casefold() == lowered]
    return next(iter(exact + [name for name in names if lowered in name.casefold()]), None)


class _Port:
    """One direction: an rtmidi object, the name it was asked for and the port it found."""

    direction = ""

    def __init__(self, backend: Backend, wanted: str) -> None:
        self.wanted = wanted
        self.found: str | None = None
        """The port it is connected to; None for a virtual one."""
        self.lost = False
        self.own_twin: str | None = None
        """The virtual port of the other direction: CoreMIDI lists it among other programs' ports."""
        self._backend = backend
        self._midi: Any = None

    @property
    def title(self) -> str:
        return f"{self.found} (lost)" if self.lost else self.found or f"{self.wanted} (virtual)"

    def look(self) -> list[str]:
        """Returns the ports of other programs. Called by the main thread."""
        midi = self._new()
        try:
            return [name for name in others(midi.get_ports()) if name != self.own_twin]
        finally:
            midi.delete()

    def open(self, names: Sequence[str]) -> None:
        """Connects to a port among names, or creates a virtual one; raises PortError where neither can be done."""
        found = match(self.wanted, names)
        midi = self._new()
        try:
            if found is None and not self._backend.can_create:
                raise PortError(_unknown(self.direction, self.wanted, names))
            self._attach(midi)
            if found is None:
                midi.open_virtual_port(self.wanted)
            else:
                midi.open_port(midi.get_ports().index(found), name=self.wanted)
        except (self._backend.error, ValueError) as error:
            midi.delete()
            raise PortError(
                f"The {self.direction} port {self.wanted!r} cannot be opened ({error}); if another program holds it, close it there,"
                " or type drumvae-live --list-ports to see the others."
            ) from None
        except PortError:
            midi.delete()
            raise
        self.found, self._midi, self.lost = found, midi, False

    def present(self) -> bool:
        """Says whether the port is still there. Called by the main thread, about once a second.

        A virtual port goes only with its system, and rtmidi has no way to tell that: a dead JACK server's ports stay listed.
        """
        if self.found is None:
            return True
        try:
            return self.found in self._midi.get_ports()
        except self._backend.error:
            return False

    def reopen(self) -> bool:
        """Looks for a lost port and opens it again; False while it is away."""
        try:
            names = self.look()
            if self.found is not None and match(self.wanted, names) is None:
                return False
            self.close()  # first, or JACK would give the new one another name
            self.open(names)
        except (self._backend.error, PortError):
            return False
        return True

    def close(self) -> None:
        midi, self._midi = self._midi, None
        if midi is not None:
            with quiet():
                midi.delete()

    def _new(self) -> Any:
        raise NotImplementedError

    def _attach(self, midi: Any) -> None:
        """Sets up an object before it is opened."""


class InPort(_Port):
    """Stamps and queues what arrives, in the driver's thread, and does nothing else there."""

    direction = "input"

    def __init__(self, backend: Backend, wanted: str, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(backend, wanted)
        self._clock = clock
        self._arrived: SimpleQueue[tuple[float, Sequence[int]]] = SimpleQueue()

    def poll(self, now_s: float) -> Sequence[Arrival]:  # a driver has a clock of its own
        """Returns what has arrived since the last call. Called by the performer's thread."""
        arrivals: list[Arrival] = []
        while True:
            try:
                at_s, message = self._arrived.get_nowait()
            except Empty:
                return arrivals
            arrivals.append(Arrival(at_s, bytes(message)))

    def _new(self) -> Any:
        return self._backend.midi_in(IN_CLIENT)

    def _attach(self, midi: Any) -> None:
        midi.ignore_types(sysex=True, timing=False, active_sense=True)  # rtmidi drops the clock unless told not to
        clock, put = self._clock, self._arrived.put

        def arrived(event: tuple[Sequence[int], float], _: object) -> None:
            put((clock(), event[0]))

        midi.set_callback(arrived)


class OutPort(_Port):
    """Sends at once."""

    direction = "output"

    def send(self, message: bytes) -> None:
        """Sends at once; a port that fails counts as lost. Called by the performer's thread."""
        try:
            self._midi.send_message(message)
        except (self._backend.error, AttributeError):  # AttributeError: closed a moment ago
            self.lost = True

    def _new(self) -> Any:
        return self._backend.midi_out(OUT_CLIENT)


class Ports:
    """An open input and output. Opened, watched and closed by the main thread."""

    def __init__(self, input_name: str, output_name: str, backend: str = "auto") -> None:
        system = find_backend(backend)
        self.backend = system.title
        self.input = InPort(system, input_name)
        self.output = OutPort(system, output_name)
        inputs, outputs = self.input.look(), self.output.look()  # before any of our own can be among them
        self.input.open(inputs)
        try:
            self.output.open(outputs)
        except PortError:
            self.input.close()
            raise
        self.input.own_twin = self.output.wanted if self.output.found is None else None
        self.output.own_twin = self.input.wanted if self.input.found is None else None

    @property
    def title(self) -> str:
        return f"{self.input.title} → {self.output.title} ({self.backend})"

    def watch(self) -> list[str]:
        """Looks after lost ports and returns what there is to say about them."""
        said = []
        for port in (self.input, self.output):
            if port.lost:
                if port.reopen():
                    said.append(f"The {port.direction} port {port.title} is back.")
            elif not port.present():
                said.append(f"The {port.direction} port {port.title} is gone; it will be opened again when it returns.")
                port.lost = True
        return said

    def close(self) -> None:
        """Lets the last messages out and closes both."""
        time.sleep(FLUSH_S)
        self.input.close()
        self.output.close()


def _unknown(direction: str, wanted: str, names: Sequence[str]) -> str:
    there = f"there is {', '.join(names)}" if names else "there is none at all"
    return (
        f"No {direction} port contains {wanted!r}; {there}, and Windows cannot create one by itself: install loopMIDI (or use Windows"
        " MIDI Services), make a port there and type drumvae-live --port with a part of its name."
    )
