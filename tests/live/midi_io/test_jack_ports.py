"""Ports on a real JACK server: the other program goes and returns, the server is killed and started again.

Every program is a process of its own. In this one a Python callback would wait for the interpreter, and the server for it; and what
a dead server does to its clients is best seen from outside.
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

NOTE, LET_GO, CLOCK = b"\x99\x24\x40", b"\x89\x24\x00", b"\xf8"


class MortalServer(JackServer):
    """Can be killed and started again under its name."""

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def revive(self) -> None:
        self.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is not None:
            self.revive()  # a server that does not end by itself keeps one of the machine's eight places until its name comes back
        super().__exit__(kind, error, trace)


class Program:
    """Runs Python code on a server, gives it lines and keeps the lines it says."""

    code = ""

    def __init__(self, server: JackServer, *arguments: str) -> None:
        command, pipe = [sys.executable, "-c", self.code, *arguments], subprocess.PIPE
        self._process = subprocess.Popen(command, env=server.env, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()
        if error is not None:
            error.add_note(f"{type(self).__name__} said at the end: {self.said[-20:]}")

    def _close(self) -> None:
        """Ends it by the end of its input: a client that is killed holds up a server that waits for its clients."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        stop(self._process)  # type: ignore[arg-type]
        self._reader.join()
        self._process.stdout.close()

    def tell(self, order: str) -> None:
        """Gives it a line, and waits until it says it was done."""
        done = self.said.count(order)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        self.wait_for(order, done + 1)

    def wait_for(self, word: str, times: int = 1) -> None:
        """Waits until it has said so many lines that begin with a word; raises RuntimeError where it has died before."""

        def enough() -> bool:
            if sum(line.startswith(word) for line in self.said) >= times:
                return True
            if self._process.poll() is not None:
                raise RuntimeError(f"it ended with status {self._process.returncode}: {self.said[-20:]}")
            return False

        wait_for(enough, f"{type(self).__name__} to say {word!r} {times} times")

    def status(self) -> int:
        """Waits for its end."""
        return self._process.wait(30)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line.rstrip())


class Synth(Program):
    """Another program on the server: says what it hears through `in`, and sends a tick every 10 ms through `out`."""

    code = """
import sys, jack
client = jack.Client("synth", no_start_server=True)
ports = ()
def process(frames):
    if ports:
        sounds, clock = ports
        for _, data in sounds.incoming_midi_events():
            print("heard", bytes(data).hex(), flush=True)
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
            self.tell("plug")
        except BaseException:
            self._close()
            raise
        return self

    @property
    def heard(self) -> list[bytes]:
        return [bytes.fromhex(line.removeprefix("heard ")) for line in self.said if line.startswith("heard ")]


class Drummer(Program):
    """Opens virtual ports, plays a note every 20 ms, and looks after its ports until it is told to end."""

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
        self.tell("end")
        return self.status()


@pytest.fixture(scope="module")
def server() -> Iterator[JackServer]:
    with real_jack_server() as running:
        yield running


@pytest.fixture
def ours(server: JackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the clients of this process find the server."""
    for name in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER"):
        monkeypatch.setenv(name, server.env[name])


def watched(ports: Ports, sentences: int) -> list[str]:
    """Watches until so many sentences were said, and returns them."""
    said: list[str] = []

    def enough() -> bool:
        said.extend(ports.watch())
        return len(said) >= sentences

    wait_for(enough, f"{sentences} sentences about ports")
    return said


def ticks(ports: Ports) -> Callable[[], bool]:
    ports.input.poll(0.0)  # what came before does not count
    return lambda: CLOCK in [arrival.message for arrival in ports.input.poll(0.0)]


def connect(server: JackServer) -> None:
    """Wires the drummer to the synth, both ways."""
    for pair in (("drumvae-out:rig", "synth:in"), ("synth:out", "drumvae-in:rig")):
        command = ["jack_connect", *pair]
        wait_for(lambda: subprocess.run(command, env=server.env, capture_output=True).returncode == 0, " to ".join(pair))  # noqa: B023


@pytest.mark.usefixtures("ours")
def test_a_port_of_another_program_goes_and_comes_back_with_no_note_left_sounding(server: JackServer) -> None:
    with Synth(server) as synth:
        ports = Ports("synth:out", "synth:in", "jack")
        try:
            ports.output.send(NOTE)
            wait_for(lambda: synth.heard == [NOTE], "the note")
            wait_for(ticks(ports), "the clock")
            synth.tell("unplug")
            assert [sentence.split(" is ")[0] for sentence in watched(ports, 2)] == ["The input port synth:out", "The output port synth:in"]
            ports.output.send(LET_GO)
            assert ports.watch() == []
            synth.tell("plug")
            assert watched(ports, 2) == ["The input port synth:out is back.", "The output port synth:in is back."]
            wait_for(lambda: synth.heard == [NOTE, LET_GO], "the note-off that was missed")
            ports.output.send(NOTE)
            wait_for(lambda: synth.heard == [NOTE, LET_GO, NOTE], "a note after the return")
            wait_for(ticks(ports), "the clock after the return")
            assert ports.watch() == []
        finally:
            ports.close()


@pytest.mark.usefixtures("ours")
def test_a_program_that_returns_under_another_number_is_found(server: JackServer) -> None:
    with Synth(server) as first, Synth(server) as second:  # JACK calls the second synth-01
        second.tell("unplug")
        ports = Ports("synth:out", "synth:in", "jack")
        try:
            assert ports.watch() == []
            first.tell("unplug")
            second.tell("plug")
            assert watched(ports, 4)[-1] == "The output port synth-01:in is back."
            assert ports.title == "synth-01:out → synth-01:in (JACK)"
            ports.output.send(NOTE)
            wait_for(lambda: second.heard == [NOTE], "the note")
            wait_for(ticks(ports), "the clock")
        finally:
            ports.close()


@pytest.mark.usefixtures("ours")
def test_jack_prints_nothing_when_it_refuses_a_name(capfd: pytest.CaptureFixture[str]) -> None:
    midi = find_backend("jack").midi_in("drumvae-probe")
    with pytest.raises(OSError, match="too long"):
        midi.open_virtual_port("x" * 400)
    midi.delete()
    with pytest.raises(PortError, match="400 letters are too many"):
        Ports("x" * 400, "x", "jack")
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("server")  # skips where there can be none
def test_a_killed_server_is_survived_and_the_next_one_is_played_on() -> None:
    gone = "The JACK server is gone; it is waited for, and the ports will be opened again."
    back = "The JACK server is back: rig (virtual) → rig (virtual) (JACK)."
    with MortalServer() as mortal, Drummer(mortal) as drummer:
        drummer.wait_for("ready")
        mortal.kill()
        mortal.revive()  # before anyone can see that it was away
        drummer.wait_for(back)
        with Synth(mortal) as synth:
            connect(mortal)
            synth.wait_for("heard 992464", 3)
            drummer.wait_for("ticks")
        mortal.kill()
        drummer.wait_for(gone, 2)
        assert drummer.end() == 0  # it also ends while there is no server
        assert [line for line in drummer.said if line != "ticks"] == ["ready", gone, back, gone, "end"]  # and not a word of libjack's
