"""Tests ports on a real JACK server: the other program leaves and returns, the server is killed and restarted.

Every program is a separate process. In the test's own process a Python callback would wait for the interpreter lock, and the server
for the callback. The effect of a dead server on its clients is also best observed from outside.
"""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import pytest
from helpers.jackparts import JackServer, real_jack_server, stop, wait_for

from drumvae.live.midi_io.backends import find_backend
from drumvae.live.midi_io.port_pair import Ports
from drumvae.util.errors import PortError

pytestmark = pytest.mark.jack

NOTE, NOTE_OFF, CLOCK = b"\x99\x24\x40", b"\x89\x24\x00", b"\xf8"


class KillableServer(JackServer):
    """A server that can be killed and restarted under its name."""

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is not None:
            self.restart()  # a killed server occupies one of the machine's eight server slots until its name is used again
        super().__exit__(kind, error, trace)


class Program:
    """Runs Python code on a server, writes lines to its input and keeps the lines of its output."""

    code = ""

    def __init__(self, server: JackServer, *arguments: str) -> None:
        command, pipe = [sys.executable, "-c", self.code, *arguments], subprocess.PIPE
        self._process = subprocess.Popen(command, env=server.env, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()
        if error is not None:
            error.add_note(f"{type(self).__name__} printed at the end: {self.lines[-20:]}")

    def _close(self) -> None:
        """Ends it by closing its input: a killed client would hold up a server that waits for its clients."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        stop(self._process)  # type: ignore[arg-type]
        self._reader.join()
        self._process.stdout.close()

    def command(self, order: str) -> None:
        """Writes a line to its input, and waits until it repeats the line."""
        done = self.lines.count(order)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        self.wait_for(order, done + 1)

    def wait_for(self, word: str, times: int = 1) -> None:
        """Waits until it has printed `times` lines that begin with a word; raises RuntimeError where it has died before."""

        def enough() -> bool:
            if sum(line.startswith(word) for line in self.lines) >= times:
                return True
            if self._process.poll() is not None:
                raise RuntimeError(f"it ended with status {self._process.returncode}: {self.lines[-20:]}")
            return False

        wait_for(enough, f"{type(self).__name__} to print {word!r} {times} times")

    def status(self) -> int:
        """Waits until it exits, and returns the exit status."""
        return self._process.wait(30)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())


class Synth(Program):
    """Another program on the server: prints the messages received at `in`, and sends a tick every 10 ms through `out`."""

    code = """
import sys, jack
client = jack.Client("synth", no_start_server=True)
ports = ()
def process(frames):
    if ports:
        notes, clock = ports
        for _, data in notes.incoming_midi_events():
            print("received", bytes(data).hex(), flush=True)
        clock.clear_buffer()
        if client.last_frame_time // 480 != (client.last_frame_time - frames) // 480:
            clock.write_midi_event(0, [0xF8])
client.set_process_callback(process)
client.activate()
for order in sys.stdin:
    if order == "plug\\n":
        ports = client.midi_inports.register("in"), client.midi_outports.register("out")
    else:
        gone, ports = ports, ()
        for port in gone:
            port.unregister()
    print(order, end="", flush=True)
client.deactivate()
client.close()
"""

    def __enter__(self) -> Self:
        try:
            self.command("plug")
        except BaseException:
            self._close()
            raise
        return self

    @property
    def received(self) -> list[bytes]:
        return [bytes.fromhex(line.removeprefix("received ")) for line in self.lines if line.startswith("received ")]


class Drummer(Program):
    """Opens virtual ports, plays a note every 20 ms, and watches its ports until the command to end."""

    code = """
import sys, threading, time
from drumvae.live.midi_io.port_pair import Ports
ports = Ports("rig", "rig", "jack")
playing = True
def play():
    while playing:
        ports.output.send(bytes((0x99, 36, 100)))
        time.sleep(0.02)
performer = threading.Thread(target=play)
performer.start()
threading.Thread(target=sys.stdin.readline, name="end").start()
print("ready", flush=True)
while any(thread.name == "end" for thread in threading.enumerate()):
    for sentence in ports.watch():
        print(sentence, flush=True)
    ticks = len([arrival for arrival in ports.input.poll(0.0) if arrival.message == b"\\xf8"])
    if ticks:
        print("ticks", flush=True)
    time.sleep(1)
playing = False
performer.join()
ports.close()
print("end", flush=True)
"""

    def end(self) -> int:
        self.command("end")
        return self.status()


@pytest.fixture(scope="module")
def server() -> Iterator[JackServer]:
    with real_jack_server() as running:
        yield running


@pytest.fixture
def client_environment(server: JackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the clients of this process use the server."""
    for name in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER"):
        monkeypatch.setenv(name, server.env[name])


def watched(ports: Ports, sentences: int) -> list[str]:
    """Watches the ports until there are so many sentences, and returns them."""
    collected: list[str] = []

    def enough() -> bool:
        collected.extend(ports.watch())
        return len(collected) >= sentences

    wait_for(enough, f"{sentences} sentences about ports")
    return collected


def ticks(ports: Ports) -> Callable[[], bool]:
    ports.input.poll(0.0)  # drops earlier messages
    return lambda: CLOCK in [arrival.message for arrival in ports.input.poll(0.0)]


def connect(server: JackServer) -> None:
    """Connects the drummer and the synth in both directions."""
    for pair in (("drumvae-out:rig", "synth:in"), ("synth:out", "drumvae-in:rig")):
        command = ["jack_connect", *pair]
        wait_for(lambda: subprocess.run(command, env=server.env, capture_output=True).returncode == 0, " to ".join(pair))  # noqa: B023


@pytest.mark.usefixtures("client_environment")
def test_a_port_of_another_program_is_lost_and_reopened_with_no_hanging_note(server: JackServer) -> None:
    with Synth(server) as synth:
        ports = Ports("synth:out", "synth:in", "jack")
        try:
            ports.output.send(NOTE)
            wait_for(lambda: synth.received == [NOTE], "the note")
            wait_for(ticks(ports), "the clock")
            synth.command("unplug")
            assert [sentence.split(" is ")[0] for sentence in watched(ports, 2)] == ["The input port synth:out", "The output port synth:in"]
            ports.output.send(NOTE_OFF)
            assert ports.watch() == []
            synth.command("plug")
            assert watched(ports, 2) == ["The input port synth:out is back.", "The output port synth:in is back."]
            wait_for(lambda: synth.received == [NOTE, NOTE_OFF], "the note-off that was missed")
            ports.output.send(NOTE)
            wait_for(lambda: synth.received == [NOTE, NOTE_OFF, NOTE], "a note after the return")
            wait_for(ticks(ports), "the clock after the return")
            assert ports.watch() == []
        finally:
            ports.close()


@pytest.mark.usefixtures("client_environment")
def test_a_program_that_returns_under_another_number_is_found(server: JackServer) -> None:
    with Synth(server) as first, Synth(server) as second:  # JACK calls the second synth-01
        second.command("unplug")
        ports = Ports("synth:out", "synth:in", "jack")
        try:
            assert ports.watch() == []
            first.command("unplug")
            second.command("plug")
            assert watched(ports, 4)[-1] == "The output port synth-01:in is back."
            assert ports.title == "synth-01:out → synth-01:in (JACK)"
            ports.output.send(NOTE)
            wait_for(lambda: second.received == [NOTE], "the note")
            wait_for(ticks(ports), "the clock")
        finally:
            ports.close()


@pytest.mark.usefixtures("client_environment")
def test_jack_prints_nothing_when_it_refuses_a_name(capfd: pytest.CaptureFixture[str]) -> None:
    midi = find_backend("jack").midi_in("drumvae-probe")
    with pytest.raises(OSError, match="too long"):
        midi.open_virtual_port("x" * 400)
    midi.delete()
    with pytest.raises(PortError, match="400 letters are too many"):
        Ports("x" * 400, "x", "jack")
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("server")  # skips without a server
def test_a_session_survives_a_killed_server_and_continues_on_the_next_one() -> None:
    gone = "The JACK server is gone; the ports will be opened again when it returns."
    back = "The JACK server is back: rig (virtual) → rig (virtual) (JACK)."
    with KillableServer() as killable, Drummer(killable) as drummer:
        drummer.wait_for("ready")
        killable.kill()
        killable.restart()  # before a client can notice
        drummer.wait_for(back)
        with Synth(killable) as synth:
            connect(killable)
            synth.wait_for("received 992464", 3)
            drummer.wait_for("ticks")
        killable.kill()
        drummer.wait_for(gone, 2)
        assert drummer.end() == 0  # it also exits without a server
        assert [line for line in drummer.lines if line != "ticks"] == ["ready", gone, back, gone, "end"]  # and no line from libjack
