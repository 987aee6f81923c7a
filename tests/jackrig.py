"""Real ports and a real clock for tests: a sound server of its own, a sender, a capture, and drumvae-live between them.

    with JackServer() as server, Rig(server, bpm=120) as rig, rig.clock_sender(), rig.drummer("--seed", "3") as drummer:
        ...

Everything is torn down on the way out, also after a failure. JACK runs in dummy mode and needs no sound card; periods of 64
frames at 48 kHz are 1.3 ms, the grain of every time that passes through python-rtmidi's JACK ports. The server waits for its
clients (-S): without it a client that is late by a period misses what was in it, and on two busy cores the capture would lose ticks.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pytest
from judge import TICK, Captured
from numpy.typing import NDArray

RATE = 48_000
PERIOD = 64
TICKS_PER_JACK_BEAT = 1920.0
RESYNC_S = 0.5
"""jack_midi_clock's pause between song position and Continue."""
WAIT_S = 60.0
READY = "ready:"
"""What drumvae-live prints once the first loop is made."""


def frames(seconds: float) -> float:
    return seconds * RATE


def ms(count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns frames as milliseconds."""
    return count * (1000 / RATE)


def what_is_missing() -> str | None:
    """Says which part of the rig this machine lacks, or None."""
    if sys.platform != "linux":
        return "the rig drives JACK on Linux only"
    programs = [program for program in ("jackd", "jack_midi_clock") if shutil.which(program) is None]
    if programs:
        return f"{' and '.join(programs)} not installed: apt-get install jackd2 jack-midi-clock"
    if find_spec("jack") is None or find_spec("rtmidi") is None:
        return "a Python package is missing: pip install JACK-Client python-rtmidi"
    try:
        import jack  # noqa: F401  # opens libjack
    except OSError as error:
        return f"JACK-Client finds no libjack ({error})"
    return None


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
    """Returns the condition's first true value; raises TimeoutError that says what did not happen."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_s:g} s still not: {what}")
        time.sleep(0.02)


def stop(process: "subprocess.Popen[bytes]", first: signal.Signals = signal.SIGTERM, timeout_s: float = 5.0) -> int:
    """Ends a process of ours, politely and then not; returns its exit status."""
    if process.poll() is None:
        process.send_signal(first)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(timeout_s)


def real_time_is_granted() -> bool:
    """Says whether a thread of this process may have real-time priority, as on a musician's machine."""
    granted: list[bool] = []

    def ask() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(70))
            granted.append(True)
        except OSError:
            granted.append(False)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return granted[0]


class Figures:
    """Collects lines during a run and prints them at its end, so that a CI log holds them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @classmethod
    def of(cls, config: pytest.Config) -> "Figures":
        """Returns the collector of a run."""
        plugins = config.pluginmanager
        found = plugins.get_plugin("drumvae-figures")
        if found is None:
            found = cls()
            plugins.register(found, "drumvae-figures")
        assert isinstance(found, cls)
        return found

    def add(self, line: str) -> None:
        self.lines.append(line)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("timing on real ports")
        for line in self.lines:
            terminalreporter.line(line)


@contextlib.contextmanager
def real_jack_server() -> "Iterator[JackServer]":
    """Runs a server, or skips for what is missing; with DRUMVAE_REQUIRE_JACK=1 what is missing fails."""
    missing = what_is_missing()
    if missing and os.environ.get("DRUMVAE_REQUIRE_JACK") == "1":
        pytest.fail(f"real ports are required here: {missing}")
    if missing:
        pytest.skip(f"needs real ports: {missing}")
    with JackServer() as server:
        yield server


class JackServer:
    """Runs jackd under a name of its own, so that servers of parallel runs do not meet."""

    def __init__(self) -> None:
        self.real_time = real_time_is_granted()
        self.name = f"drumvae-{uuid.uuid4().hex[:8]}"
        self.env = {**os.environ, "JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1"}
        self._log = Path(tempfile.mkstemp(prefix="jackd-", suffix=".log")[1])

    def __enter__(self) -> Self:
        options = ("-R", "-P", "70") if self.real_time else ("-r",)
        command = ["jackd", *options, "-S", "-t", "5000", "-n", self.name, "-d", "dummy", "-r", str(RATE), "-p", str(PERIOD)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        try:
            wait_for(self._answers, "jackd answers")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stop(self._process)
        self._log.unlink(missing_ok=True)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"jackd ended with status {self._process.returncode}: {self._log.read_text()[-500:]}")
        return subprocess.run(["jack_lsp"], env=self.env, capture_output=True, check=False).returncode == 0


class Slip(NamedTuple):
    """The sound server stood still: its count of frames fell behind real time."""

    frame: int
    frames: float


class Rig:
    """Stands around the drummer as a JACK client: gives the tempo, moves the transport, plays notes, captures what is on the wires."""

    def __init__(self, server: JackServer, bpm: float) -> None:
        import jack

        self._jack = jack
        self.server = server
        self.bpm = bpm
        self.clock: list[Captured] = []
        """What the sender sent."""
        self.notes: list[Captured] = []
        """What the drummer sent."""
        self.periods: list[tuple[int, float]] = []
        """The frame and the monotonic time at which each period began."""
        self._to_play: list[tuple[int, bytes]] = []
        self._client = jack.Client("rig", servername=server.name, no_start_server=True)
        self._clock_in = self._client.midi_inports.register("clock")
        self._notes_in = self._client.midi_inports.register("notes")
        self._notes_out = self._client.midi_outports.register("player")

    def __enter__(self) -> Self:
        self._switch_interval_s = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)  # at the usual 5 ms the test's own thread would hold up the server's periods
        self._client.set_process_callback(self._process)
        self._client.set_timebase_callback(self._tell_place)
        self._client.activate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.transport_stop()
        self._client.deactivate()
        self._client.close()
        sys.setswitchinterval(self._switch_interval_s)

    # in JACK's thread: as little as can be

    def _process(self, count: int) -> None:
        base = self._client.last_frame_time
        self.periods.append((base, time.monotonic()))
        for offset, data in self._clock_in.incoming_midi_events():
            self.clock.append(Captured(base + offset, bytes(data)))
        for offset, data in self._notes_in.incoming_midi_events():
            self.notes.append(Captured(base + offset, bytes(data)))
        self._notes_out.clear_buffer()
        while self._to_play and self._to_play[-1][0] < base + count:
            frame, data = self._to_play.pop()
            self._notes_out.write_midi_event(max(frame - base, 0), data)

    def _tell_place(self, state: int, count: int, position: Any, new: bool) -> None:
        beat = position.frame * self.bpm / (60 * RATE)
        bar = int(beat // 4)
        position.beats_per_bar = position.beat_type = 4.0
        position.ticks_per_beat, position.beats_per_minute = TICKS_PER_JACK_BEAT, self.bpm
        position.bar, position.beat, position.tick = bar + 1, int(beat % 4) + 1, int(beat % 1 * TICKS_PER_JACK_BEAT)
        position.bar_start_tick = bar * 4 * TICKS_PER_JACK_BEAT
        position.valid = self._jack.POSITION_BBT

    # the transport

    @property
    def frames_per_beat(self) -> float:
        return 60 * RATE / self.bpm

    @property
    def frame(self) -> int:
        return int(self._client.frame_time)

    def start(self) -> None:
        self._client.transport_start()

    def stop(self) -> None:
        self._client.transport_stop()

    def locate(self, beat: float) -> None:
        self._client.transport_frame = round(beat * self.frames_per_beat)

    def stop_and_wait(self) -> None:
        """Stops, and gives what follows from it the time to happen."""
        self.stop()
        time.sleep(0.4)

    def play_once(self, from_beat: float, to_beat: float, meanwhile: Callable[[], None] | None = None) -> None:
        """Moves the song, starts it, does something once it runs, and stops it at a beat."""
        self.locate(from_beat)
        time.sleep(0.2)
        self.start()
        if meanwhile:
            meanwhile()
        self.play_until(to_beat)
        self.stop_and_wait()

    def first_tick(self) -> int:
        """Waits for the first tick that was captured, and returns its frame."""
        ticks: Callable[[], list[int]] = lambda: [frame for frame, data in self.clock if data[0] == TICK]  # noqa: E731
        return int(wait_for(ticks, "a tick of the clock")[0])

    def play_until(self, beat: float) -> None:
        """Waits until the song has reached a beat on the transport."""
        goal = frames(beat * 60 / self.bpm)
        time.sleep(max(goal - self._client.transport_frame, 0.0) / RATE)  # at rest: this thread would hold up JACK's for the lock
        wait_for(lambda: self._client.transport_frame >= goal, f"the song at beat {beat}")

    # the wires

    def play(self, notes: Sequence[tuple[int, bytes]]) -> None:
        """Sends messages at their frames, in place of those that were still to be sent."""
        self._to_play = sorted(notes, reverse=True)

    def port(self, part: str, output: bool) -> Any:
        """Waits for the MIDI port of another client whose name contains a part."""

        def found() -> Any:
            ports = self._client.get_ports(is_midi=True, is_output=output, is_input=not output)
            return next((port for port in ports if part in port.name and not self._client.owns(port)), None)

        return wait_for(found, f"a port {part}")

    def connect(self, source: Any, target: Any) -> None:
        """Connects two ports; a client's ports are seen a moment before they can be connected."""

        def connected() -> bool:
            with contextlib.suppress(self._jack.JackError):
                self._client.connect(source, target)
                return True
            return False

        wait_for(connected, f"{source} connects to {target}")

    @contextlib.contextmanager
    def clock_sender(self, jitter_percent: int = 0) -> Iterator[Any]:
        """Runs jack_midi_clock and captures it; gives its port."""
        command = ["jack_midi_clock", "-d", str(RESYNC_S), "-J", str(jitter_percent)]
        process = subprocess.Popen(command, env=self.server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = self.port("mclk", output=True)
            self.connect(port, self._clock_in)
            yield port
        finally:
            stop(process, signal.SIGINT)

    @contextlib.contextmanager
    def drummer(self, sender: Any, *options: str) -> Iterator["Drummer"]:
        """Runs drumvae-live with ports of its own, wired to the clock, the notes and the capture."""
        with Drummer(self.server, options) as drummer:
            drummer.input, drummer.output = (self.port(drummer.port_name, output) for output in (False, True))
            self.connect(drummer.output, self._notes_in)
            self.connect(self._notes_out, drummer.input)
            self.connect(sender, drummer.input)
            drummer.wait_until_ready()
            yield drummer

    def slips(self) -> list[Slip]:
        """Returns every place where a period began more than a whole period late.

        A server that is held up so long stops its count of frames instead of catching up: a jump of the clock, to whoever follows
        it in real time.
        """
        table = np.array(self.periods)
        late = np.diff(table[:, 1]) * RATE - np.diff(table[:, 0])
        return [Slip(int(table[i + 1, 0]), float(late[i])) for i in np.flatnonzero(late > PERIOD)]


class Drummer:
    """Runs drumvae-live on a terminal of its own, so that its display draws as on stage."""

    program: tuple[str, ...] = (sys.executable, "-m", "drumvae.live")

    def __init__(self, server: JackServer, options: Sequence[str]) -> None:
        self.port_name = f"rig{uuid.uuid4().hex[:6]}"
        self.command = [*self.program, "--port", self.port_name, *options]
        self.input: Any = None
        self.output: Any = None
        self._env = {**server.env, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        self._shown = Path(tempfile.mkstemp(prefix="drumvae-live-", suffix=".log")[1])

    def __enter__(self) -> Self:
        ours, its = os.openpty()
        try:
            with self._shown.open("wb") as log:
                self._reader = subprocess.Popen(["cat"], stdin=ours, stdout=log, stderr=subprocess.DEVNULL)
            self.process = subprocess.Popen(self.command, env=self._env, stdin=its, stdout=its, stderr=its, start_new_session=True)
        finally:
            os.close(ours)
            os.close(its)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.quit()
        stop(self._reader)
        if error is not None:
            error.add_note(f"drumvae-live showed at the end: {self.shown()[-2000:]}")
        self._shown.unlink(missing_ok=True)

    def quit(self) -> int:
        """Sends Ctrl-C and returns the exit status."""
        return stop(self.process, signal.SIGINT)

    def shown(self) -> str:
        """Returns everything it has written on its terminal."""
        return self._shown.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        """Waits until it says that the first loop is made."""

        def ready() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"drumvae-live ended with status {self.process.returncode}: {self.shown()[-2000:]}")
            return READY in self.shown()

        wait_for(ready, "drumvae-live is ready")
        time.sleep(0.3)  # its display opens
