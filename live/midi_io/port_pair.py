"""Port names in, an open input and output out: what `drumvae-live` opens, watches and closes; port.py is one of the two.

A port is found by part of its name, whatever the case. Where none matches and the system can, a virtual port of that name is
created, for the DAW to connect to. What vanishes, a port or a whole JACK server, is looked for once a second by `Ports.watch`, on
the main thread.
"""

import time
from dataclasses import dataclass

from drumvae.util.errors import PortError

from .backends import find_backend
from .jack import ServerWatch
from .port import FLUSH_S, InPort, OutPort, Port
from .port_names import PROBE_CLIENT, others


@dataclass(frozen=True)
class PortList:
    """The ports of other programs, by name."""

    backend: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def list_ports(backend: str = "auto") -> PortList:
    """Returns every port of this machine but our own; raises PortError where there is no MIDI system."""
    system = find_backend(backend)
    midi_in, midi_out = system.midi_in(PROBE_CLIENT), system.midi_out(PROBE_CLIENT)
    try:
        return PortList(system.title, tuple(others(system.names(midi_in))), tuple(others(system.names(midi_out))))
    finally:
        midi_in.delete()
        midi_out.delete()


class Ports:
    """An open input and output. Opened, watched and closed by the main thread."""

    def __init__(self, input_name: str, output_name: str, backend: str = "auto") -> None:
        system = find_backend(backend)
        self.backend = system.title
        self.input = InPort(system, input_name)
        self.output = OutPort(system, output_name)
        self.losses = 0
        """How often a port was lost."""
        self._server_gone = False
        self._lifeline = ServerWatch()
        if system.name == "jack":
            self._lifeline.connect()
        inputs, outputs = self.input.look(), self.output.look()  # before any of our own can be among them
        try:
            self.input.open(inputs)
            self.output.open(outputs)
        except PortError:
            self._release()
            self._lifeline.close()
            raise
        self.input.sibling_port = self.output.wanted if self.output.found is None else None
        self.output.sibling_port = self.input.wanted if self.input.found is None else None

    @property
    def title(self) -> str:
        return f"{self.input.title} → {self.output.title} ({self.backend})"

    @property
    def hint(self) -> str | None:
        """A sentence for who asked for macOS's own bus and got a virtual port, or None."""
        asked = {port.wanted.casefold() for port in (self.input, self.output) if port.found is None}
        if self.backend != "CoreMIDI" or not any("iac" in wanted for wanted in asked):
            return None
        return (
            "The IAC bus is not online, so virtual ports were made instead: to have it, open Audio MIDI Setup, Window > Show MIDI Studio,"
            " double-click IAC Driver, tick Device is online, and start again."
        )

    def watch(self) -> list[str]:
        """Looks after what is lost and returns what there is to say about it."""
        if self._server_gone:
            return self._revive()
        if self._lifeline.is_broken():
            return self._lose_server()
        return [sentence for port in (self.input, self.output) for sentence in self._look_after(port)]

    def close(self) -> None:
        """Lets the last messages out and closes both."""
        self.input.stop_callbacks()
        time.sleep(FLUSH_S)
        self._release()
        self._lifeline.close()

    def _look_after(self, port: Port) -> list[str]:
        if not port.lost and not port.is_present():
            port.lost = True
        if not port.lost:
            return []
        said = []
        if not port.told:
            port.told = True
            self.losses += 1
            said.append(f"The {port.direction} port {port.found or port.wanted} is gone; it will be opened again when it returns.")
        if port.reopen():
            said.append(f"The {port.direction} port {port.title} is back.")
        return said

    def _lose_server(self) -> list[str]:
        self._server_gone = self.input.lost = self.output.lost = True
        self.losses += 1
        self.input.stop_callbacks()
        time.sleep(FLUSH_S)  # a send that is under way ends
        self._release()  # now: the first client that is opened makes libjack free these
        return ["The JACK server is gone; it is waited for, and the ports will be opened again."]

    def _revive(self) -> list[str]:
        """Opens everything anew a round after a server has begun to listen; a port of another program may take longer to return.

        A server listens before it runs. A client that comes in between leaves it slow: jackd 1.9.21 then took five seconds for
        every answer, to anybody.
        """
        if not self._lifeline.is_connected or self._lifeline.is_broken():
            self._lifeline.connect()
            return []
        for port in (self.output, self.input):  # the input last: what arrives would wait for the interpreter while the other opens
            if not port.reopen():
                port.told = True
        if self.input.is_closed and self.output.is_closed:
            self._lifeline.close()
            return []
        self._server_gone = False
        return [f"The JACK server is back: {self.title}."]

    def _release(self) -> None:
        self.input.close()
        self.output.close()
