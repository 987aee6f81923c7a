"""Opens, watches and closes the pair of MIDI ports of a session.

A port is found by a part of its name, ignoring case. Where none matches, a virtual port of that name is created for the DAW to connect
to, if the MIDI system can. `Ports.watch` searches once a second, on the main thread, for a port or a JACK server that vanished.
"""

import time
from dataclasses import dataclass

from drumvae.util.errors import PortError

from .backends import find_backend
from .jack import ServerWatch
from .port import FLUSH_S, InPort, OutPort, Port
from .port_names import PROBE_CLIENT, without_own


@dataclass(frozen=True)
class PortList:
    """The ports of other programs, by name."""

    backend: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def list_ports(backend: str = "auto") -> PortList:
    """Returns every port of this machine except this program's; raises PortError if there is no MIDI system."""
    system = find_backend(backend)
    midi_in, midi_out = system.midi_in(PROBE_CLIENT), system.midi_out(PROBE_CLIENT)
    try:
        return PortList(system.title, tuple(without_own(system.names(midi_in))), tuple(without_own(system.names(midi_out))))
    finally:
        midi_in.delete()
        midi_out.delete()


class Ports:
    """An open input and output. Opened, watched and closed by the main thread.

    Thread-safe: no.
    Realtime-safe: no.
    """

    def __init__(self, input_name: str, output_name: str, backend: str = "auto") -> None:
        system = find_backend(backend)
        self.backend = system.title
        self.input = InPort(system, input_name)
        self.output = OutPort(system, output_name)
        self.loss_count = 0
        """How often a port or the server was lost."""
        self._server_lost = False
        self._server_watch = ServerWatch()
        if system.name == "jack":
            self._server_watch.connect()
        inputs, outputs = self.input.list_names(), self.output.list_names()  # before this program's own ports can be among them
        try:
            self.input.open(inputs)
            self.output.open(outputs)
        except PortError:
            self._close_ports()
            self._server_watch.close()
            raise
        self.input.sibling_port = self.output.requested_name if self.output.connected_name is None else None
        self.output.sibling_port = self.input.requested_name if self.input.connected_name is None else None

    @property
    def title(self) -> str:
        return f"{self.input.title} → {self.output.title} ({self.backend})"

    @property
    def hint(self) -> str | None:
        """A sentence for a user who named macOS's own bus and got a virtual port, or None."""
        virtual_names = [port.requested_name.casefold() for port in (self.input, self.output) if port.connected_name is None]
        if self.backend != "CoreMIDI" or not any("iac" in name for name in virtual_names):
            return None
        return (
            "The IAC bus is not online, so virtual ports were created instead: to use it, open Audio MIDI Setup, Window > Show MIDI Studio,"
            " double-click IAC Driver, tick Device is online, and start again."
        )

    def watch(self) -> list[str]:
        """Reopens lost ports where they are back, and returns sentences about losses and returns; called about once a second."""
        if self._server_lost:
            return self._reopen_after_server_loss()
        if self._server_watch.is_broken():
            return self._handle_server_loss()
        return [sentence for port in (self.input, self.output) for sentence in self._check_port(port)]

    def close(self) -> None:
        """Waits until the last messages are sent, and closes both ports."""
        self.input.stop_callbacks()
        time.sleep(FLUSH_S)
        self._close_ports()
        self._server_watch.close()

    def _check_port(self, port: Port) -> list[str]:
        if not port.lost and not port.is_present():
            port.lost = True
        if not port.lost:
            return []
        sentences = []
        if not port.loss_reported:
            port.loss_reported = True
            self.loss_count += 1
            sentences.append(
                f"The {port.direction} port {port.connected_name or port.requested_name} is gone; it will be opened again when it returns."
            )
        if port.reopen():
            sentences.append(f"The {port.direction} port {port.title} is back.")
        return sentences

    def _handle_server_loss(self) -> list[str]:
        self._server_lost = self.input.lost = self.output.lost = True
        self.loss_count += 1
        self.input.stop_callbacks()
        time.sleep(FLUSH_S)  # a send in progress ends
        self._close_ports()  # at once: the next client that is opened makes libjack free these
        return ["The JACK server is gone; the ports will be opened again when it returns."]

    def _reopen_after_server_loss(self) -> list[str]:
        """Reopens the ports one call after a server has begun to listen; a port of another program may take longer to return.

        A server listens before it runs. A client that connects in between makes it slow: jackd 1.9.21 then took five seconds for every
        response to any client.
        """
        if not self._server_watch.is_connected or self._server_watch.is_broken():
            self._server_watch.connect()
            return []
        for port in (self.output, self.input):  # the input last: its messages would wait for the interpreter lock while the output opens
            if not port.reopen():
                port.loss_reported = True
        if self.input.is_closed and self.output.is_closed:
            self._server_watch.close()
            return []
        self._server_lost = False
        return [f"The JACK server is back: {self.title}."]

    def _close_ports(self) -> None:
        self.input.close()
        self.output.close()
