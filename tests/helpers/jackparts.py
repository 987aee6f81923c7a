"""Runs the programs of the JACK tests (jackd, drumvae-live), and prints their timing report.

JACK runs in dummy mode and needs no sound card. Periods of 64 frames at 48 kHz are 1.3 ms, the resolution of every time that passes
through python-rtmidi's JACK ports. The server waits for its clients (-S): without it a client that is late by a period misses its
messages, and on two busy cores the capture would lose ticks. It requests real-time priority where the machine grants it: without it a
busy machine stalls the server some ten times a second.
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
from typing import Any, Self

import pytest

RATE = 48_000
PERIOD = 64
WAIT_S = 60.0
READY = "ready:"
"""drumvae-live prints this once the first loop is generated."""


def missing_part() -> str | None:
    """Returns a sentence on the missing program or package, or None."""
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
    """Returns the condition's first true value; raises TimeoutError with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_s:g} s still not: {what}")
        time.sleep(0.02)


def stop(process: "subprocess.Popen[bytes]", first: signal.Signals = signal.SIGTERM, timeout_s: float = 5.0) -> int:
    """Ends a process, first with a signal and then with SIGKILL; returns its exit status."""
    if process.poll() is None:
        process.send_signal(first)
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(timeout_s)


def real_time_is_granted() -> bool:
    """Returns whether a thread of this process may have real-time priority, as on a musician's machine."""
    granted: list[bool] = []

    def request() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(70))
            granted.append(True)
        except OSError:
            granted.append(False)

    thread = threading.Thread(target=request)
    thread.start()
    thread.join()
    return granted[0]


class JackServer:
    """Runs jackd under a unique name, so that parallel test runs do not share a server."""

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
            wait_for(self._responds, "jackd responds")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stop(self._process)
        self._log.unlink(missing_ok=True)

    def _responds(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"jackd ended with status {self._process.returncode}: {self._log.read_text()[-500:]}")
        return subprocess.run(["jack_lsp"], env=self.env, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def real_jack_server() -> "Iterator[JackServer]":
    """Runs a server. Without the programs the test is skipped, or fails with DRUMVAE_REQUIRE_JACK=1."""
    missing = missing_part()
    if missing and os.environ.get("DRUMVAE_REQUIRE_JACK") == "1":
        pytest.fail(f"real ports are required here: {missing}")
    if missing:
        pytest.skip(f"needs real ports: {missing}")
    with JackServer() as server:
        yield server


class Drummer:
    """Runs drumvae-live on a pseudo-terminal, so that its display draws as in a session."""

    program: tuple[str, ...] = (sys.executable, "-m", "drumvae.live")

    def __init__(self, server: JackServer, options: Sequence[str]) -> None:
        self.port_name = f"rig{uuid.uuid4().hex[:6]}"
        self.command = [*self.program, "--port", self.port_name, *options]
        self.input: Any = None
        self.output: Any = None
        self._env = {**server.env, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        self._shown = Path(tempfile.mkstemp(prefix="drumvae-live-", suffix=".log")[1])

    def __enter__(self) -> Self:
        master, terminal = os.openpty()
        try:
            with self._shown.open("wb") as log:
                self._reader = subprocess.Popen(["cat"], stdin=master, stdout=log, stderr=subprocess.DEVNULL)
            self.process = subprocess.Popen(
                self.command, env=self._env, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
            )
        finally:
            os.close(master)
            os.close(terminal)
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
        """Returns its output on the terminal so far."""
        return self._shown.read_text(errors="replace")

    def check(self) -> None:
        """Raises RuntimeError with its output if it has ended by itself."""
        if self.process.poll() is not None:
            raise RuntimeError(f"drumvae-live ended with status {self.process.returncode}: {self.shown()[-2000:]}")

    def _is_ready(self) -> bool:
        self.check()
        return READY in self.shown()

    def wait_until_ready(self) -> None:
        """Waits until it reports that the first loop is generated."""
        wait_for(self._is_ready, "drumvae-live is ready")
        time.sleep(0.3)  # its display opens


class TimingReport:
    """Collects lines during a test run and prints them at its end, for the CI log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @classmethod
    def of(cls, config: pytest.Config) -> "TimingReport":
        """Returns the collector of a run."""
        plugins = config.pluginmanager
        report = plugins.get_plugin("drumvae-timing-report")
        if report is None:
            report = cls()
            plugins.register(report, "drumvae-timing-report")
        assert isinstance(report, cls)
        return report

    def add(self, line: str) -> None:
        self.lines.append(line)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("timing on real ports")
        for line in self.lines:
            terminalreporter.line(line)
