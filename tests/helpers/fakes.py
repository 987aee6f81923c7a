"""Fakes for sessions: a DAW (`Sender`), ports, an engine, a MIDI driver, and a session in simulated time.

A song is a list of (seconds, bytes), so a whole performance is compared as a list and no test sleeps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from drumvae.live.cli import commands
from drumvae.live.clock.follower import Follower
from drumvae.live.clock.transport import Clock
from drumvae.live.generation.modes import available_modes, make_loop
from drumvae.live.generation.worker_main import ModelInfo
from drumvae.live.messages import PlayedLoop, Status, TimestampedMessage
from drumvae.live.session.performer import Performer, PerformerOptions
from drumvae.music.conditions import UNCONDITIONED, Conditions
from drumvae.music.grid import Grid
from helpers.thread_generator import ThreadGenerator

Event = tuple[float, bytes]
CLOCK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"
NOW_S = 1000.0  # no test may rely on time beginning at 0


def position(sixteenths: int) -> bytes:
    """Returns a song position message."""
    return bytes((0xF2, sixteenths & 0x7F, sixteenths >> 7))


class Sender:
    """A fake DAW that writes its clock, transport and notes into a list. Time moves with `ticks` and `rest` only."""

    def __init__(self, bpm: float = 120.0, at_s: float = NOW_S, jitter_s: float = 0.0) -> None:
        self.bpm, self.at_s, self.jitter_s = bpm, at_s, jitter_s
        self.song: list[Event] = []
        self._random = np.random.default_rng(7)

    def say(self, *messages: bytes) -> "Sender":
        self.song += [(self.at_s, message) for message in messages]
        return self

    def rest(self, seconds: float) -> "Sender":
        self.at_s += seconds
        return self

    def ticks(self, count: int) -> "Sender":
        """Sends clock messages, the first one now; afterwards the time is one period after the last."""
        for _ in range(count):
            jitter_s = self._random.normal(0, self.jitter_s) if self.jitter_s else 0.0
            self.song.append((self.at_s + jitter_s, CLOCK))
            self.at_s += 60 / self.bpm / 24
        return self

    def beats(self, count: float) -> "Sender":
        return self.ticks(round(count * 24))

    def note(self, pitch: int, velocity: int = 100, in_s: float = 0.0) -> "Sender":
        self.song.append((self.at_s + in_s, bytes((0x99, pitch, velocity))))
        return self


class FakeInput:
    """Delivers the messages of a song at their times."""

    def __init__(self, song: Sequence[Event] = ()) -> None:
        self.song = sorted(song, key=lambda event: event[0])
        self._done = 0

    def poll(self, now_s: float) -> list[TimestampedMessage]:
        first = self._done
        while self._done < len(self.song) and self.song[self._done][0] <= now_s:
            self._done += 1
        return [TimestampedMessage(at_s, message) for at_s, message in self.song[first : self._done]]


class FakeOutput:
    """Records the sent messages with their times."""

    reconnect_count = 0

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sent: list[Event] = []

    def send(self, message: bytes) -> None:
        self.sent.append((self.now_s, message))

    def hits(self) -> list[tuple[float, int, int]]:
        """Returns (seconds, pitch, velocity) of every note-on."""
        return [(at_s, m[1], m[2]) for at_s, m in self.sent if m[0] & 0xF0 == 0x90 and m[2]]

    def held(self) -> set[int]:
        """Returns the pitches without a note-off."""
        held: set[int] = set()
        for _, message in self.sent:
            if message[0] & 0xF0 == 0x90:
                held.add(message[1])
            elif message[0] & 0xF0 == 0x80:
                held.discard(message[1])
        return held


class FakeEngine:
    """A fast engine: a generated loop depends on its seed, and each task has an effect that is easy to check."""

    provider, provider_reason = "cpu", ""

    def __init__(
        self,
        tasks: tuple[str, ...] = ("generate", "reconstruct", "humanize", "drumify"),
        encoding: str = "groove",
        steps: int = 64,
        styles: tuple[str, ...] = (),
    ) -> None:
        self.tasks, self.encoding, self.steps, self.styles = tasks, encoding, steps, styles
        self.calls: list[tuple[Any, ...]] = []
        """The verb and its arguments."""
        self.conditions: list[tuple[str, Conditions, float]] = []
        """The verb, the conditions and the complexity of every call but a morph."""

    def pop_notice(self) -> None:
        return None

    def generate(
        self,
        seed: int,
        temperature: float | None = None,
        count: int = 1,
        density: float = 1.0,
        conditions: Conditions = UNCONDITIONED,
        complexity: float = 0.0,
    ) -> list[Grid]:
        self.calls.append(("generate", seed, temperature, density))
        self.conditions.append(("generate", conditions, complexity))
        return [random_grid(seed + i, 0.2 * density) for i in range(count)]

    def humanize(
        self, grid: Grid, amount: float = 1.0, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> Grid:
        self.calls.append(("humanize", grid, amount, seed))
        self.conditions.append(("humanize", conditions, 0.0))
        return Grid(grid.hits, grid.velocities * 0.5, grid.hits * 0.25 * amount)

    def drumify(self, grid: Grid, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED) -> Grid:
        self.calls.append(("drumify", grid, seed))
        self.conditions.append(("drumify", conditions, 0.0))
        return Grid(*(np.roll(array, 1, axis=1) for array in grid.arrays()))  # every voice on the next drum

    def vary(self, grid: Grid, amount: float, seed: int, conditions: Conditions = UNCONDITIONED) -> Grid:
        self.calls.append(("vary", grid, amount, seed))
        self.conditions.append(("vary", conditions, 0.0))
        return Grid(*(np.roll(array, round(16 * amount), axis=0) for array in grid.arrays()))  # later by up to a bar

    def morph(self, first: Grid, last: Grid, position: float) -> Grid:
        self.calls.append(("morph", first, last, position))
        return first if position < 0.5 else last


class FakeModelHost(ThreadGenerator):
    """A model host that runs an engine in a thread of this process."""

    restarts = 0

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(lambda job: make_loop(engine, job))
        self._engine = engine
        self.start()

    def ready(self) -> ModelInfo:
        return ModelInfo.of(self._engine)


def use_engine(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine) -> None:
    """Makes drumvae-live run an engine in this process."""
    monkeypatch.setattr(commands, "start_model", lambda _: FakeModelHost(engine))


def random_grid(seed: int, density: float = 0.2) -> Grid:
    """Returns a loop with hits of all voices, early and late."""
    draw = np.random.default_rng(seed)
    hits = draw.random((64, 9)) < density
    hits[0, 0] = True
    return Grid(hits, 0.1 + 0.9 * draw.random((64, 9)), draw.uniform(-0.45, 0.45, (64, 9)))


@dataclass
class SimulatedSession:
    """Runs a performer in simulated time; the model works between two steps, for `model_s` seconds."""

    song: Sequence[Event] = ()
    mode: str = "generate"
    engine: FakeEngine = field(default_factory=FakeEngine)
    clock: Clock = field(default_factory=Follower)
    model_s: float = 0.0
    output: FakeOutput = field(default_factory=FakeOutput)
    played: list[PlayedLoop] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of PerformerOptions."""
    performer: Performer = field(init=False)
    generator: ThreadGenerator = field(init=False)

    def __post_init__(self) -> None:
        self.generator = ThreadGenerator(lambda job: make_loop(self.engine, job))
        options = PerformerOptions(seed=1, modes=available_modes(self.engine), styles=self.engine.styles, on_loop_played=self.played.append)
        options = replace(options, **self.options)
        options = replace(options, controls=replace(options.controls, mode=self.mode))
        self.performer = Performer(self.clock, FakeInput(self.song), self.output, self.generator, options)

    @property
    def status(self) -> Status:
        return self.performer.status

    def play(self, until_s: float, from_s: float = NOW_S - 0.1, each: Callable[[float], None] | None = None) -> "SimulatedSession":
        """Steps until a time, always at the times that the performer returns, as its thread does."""
        now_s, job_since_s = from_s, None
        while now_s < until_s and not self.performer.finished:
            self.output.now_s = now_s
            now_s = max(self.performer.step(now_s).at_s, now_s + 1e-6)
            if self.generator.has_jobs:
                job_since_s = now_s if job_since_s is None else job_since_s
                if now_s - job_since_s >= self.model_s:
                    job_since_s = None
                    self.generator.run_next()
            if each:
                each(now_s)
        self.output.now_s = now_s
        return self

    def close(self) -> "SimulatedSession":
        self.performer.close(self.output.now_s)
        return self


class FakeDriver(ModuleType):
    """The module rtmidi with ports that are names in two lists; a virtual port is a name that was opened."""

    API_LINUX_ALSA, API_UNIX_JACK, API_MACOSX_CORE, API_WINDOWS_MM = 2, 3, 1, 4

    class RtMidiError(Exception):
        """The base of every error of rtmidi."""

    def __init__(self, inputs: Sequence[str] = (), outputs: Sequence[str] = (), compiled: Sequence[int] = (3,)) -> None:
        super().__init__("rtmidi")
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.compiled = list(compiled)
        self.refuse_open = False
        self.made: list[_FakeMidi] = []
        self.MidiIn = lambda api, name: _FakeMidi(self, self.inputs, name)
        self.MidiOut = lambda api, name: _FakeMidi(self, self.outputs, name)

    def get_compiled_api(self) -> list[int]:
        return self.compiled


class _FakeMidi:
    def __init__(self, driver: FakeDriver, names: list[str], client: str) -> None:
        self.driver, self.names, self.client = driver, names, client
        self.opened: str | None = None
        self.virtual: str | None = None
        self.ignored: dict[str, bool] = {}
        self.callback: Callable[..., None] | None = None
        self.sent: list[bytes] = []
        self.deleted = False
        driver.made.append(self)

    def get_ports(self) -> list[str]:
        return list(self.names)

    def open_port(self, port: int, name: str) -> None:
        if self.driver.refuse_open:
            raise self.driver.RtMidiError("MidiInWinMM::openPort: error creating Windows MM MIDI input port.")
        self.opened = self.names[port]

    def open_virtual_port(self, name: str) -> None:
        self.virtual = name

    def ignore_types(self, **kinds: bool) -> None:
        self.ignored = kinds

    def set_callback(self, callback: Callable[..., None]) -> None:
        self.callback = callback

    def cancel_callback(self) -> None:
        self.callback = None

    def close_port(self) -> None:
        self.opened = self.virtual = None

    def send_message(self, message: bytes) -> None:
        if self.opened is not None and self.opened not in self.names:
            raise self.driver.RtMidiError("gone")
        self.sent.append(message)

    def delete(self) -> None:
        self.deleted = True
