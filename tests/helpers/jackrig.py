"""Tests drumvae-live with a JACK client that sets the tempo, moves the transport, plays notes, and captures clock and notes.

    with JackServer() as server, Rig(server, bpm=120) as rig, rig.clock_source() as source, rig.drummer(source, "--seed", "3"):
        rig.play_once(0, 36)

Everything is closed on exit, also after a failure. note_matching.py evaluates the captured messages.
"""

import contextlib
import gc
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from helpers.jackparts import PERIOD, RATE, Drummer, JackServer, stop, wait_for
from helpers.note_matching import CLOCK, CLOCK_PPQN, Captured

TICKS_PER_JACK_BEAT = 1920.0
RESYNC_S = 0.5
"""jack_midi_clock's pause between song position and Continue."""


def frames(seconds: float) -> float:
    return seconds * RATE


def ms(count: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns frames as milliseconds."""
    return count * (1000 / RATE)


class Stall(NamedTuple):
    """A stall of the sound server: its frame count fell behind real time."""

    frame: int
    frames: float


LONG_STALL_S = 0.02
LONG_STALL_TICKS = 0.6
"""A stall as long as a tick is indistinguishable from a missed tick for a program that follows the clock in real time."""


def has_long_stall(stalls: Sequence[Stall], bpm: float) -> bool:
    """Returns whether the stalls within half a second are long enough to make the expected notes uncertain."""
    allowed_s = min(LONG_STALL_S, LONG_STALL_TICKS * 60 / bpm / CLOCK_PPQN)
    near = ([later for later in stalls if 0 <= later.frame - stall.frame < frames(0.5)] for stall in stalls)
    return any(sum(stall.frames for stall in together) >= frames(allowed_s) for together in near)


class Rig:
    """A JACK client around drumvae-live: sets the tempo, moves the transport, plays notes, captures clock and notes."""

    def __init__(self, server: JackServer, bpm: float) -> None:
        import jack

        self._jack = jack
        self.server = server
        self.bpm = bpm
        self.clock: list[Captured] = []
        """Messages of the clock source."""
        self.notes: list[Captured] = []
        """Messages of drumvae-live."""
        self.periods: list[tuple[int, float]] = []
        """The frame and the monotonic time at which each period began."""
        self._to_play: list[tuple[int, bytes]] = []
        self._client = jack.Client("rig", servername=server.name, no_start_server=True)
        self._clock_in = self._client.midi_inports.register("clock")
        self.plug()

    def __enter__(self) -> Self:
        self._switch_interval_s = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)  # at the default of 5 ms the test's own thread would delay the server's periods
        gc.collect()
        gc.disable()  # the server waits for our callback, and a garbage collection in a large test run takes many periods
        self._client.set_process_callback(self._process)
        self._client.set_timebase_callback(self._set_position)
        self._client.activate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.transport_stop()
        self._client.deactivate()
        self._client.close()
        sys.setswitchinterval(self._switch_interval_s)
        gc.enable()

    # in JACK's thread: as little work as possible

    def _process(self, count: int) -> None:
        base = self._client.last_frame_time
        self.periods.append((base, time.monotonic()))
        for offset, data in self._clock_in.incoming_midi_events():
            self.clock.append(Captured(base + offset, bytes(data)))
        notes_in, notes_out = self._notes_in, self._notes_out
        if notes_in is None:
            return
        for offset, data in notes_in.incoming_midi_events():
            self.notes.append(Captured(base + offset, bytes(data)))
        notes_out.clear_buffer()
        while self._to_play and self._to_play[-1][0] < base + count:
            frame, data = self._to_play.pop()
            notes_out.write_midi_event(max(frame - base, 0), data)

    def _set_position(self, state: int, count: int, position: Any, new: bool) -> None:
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
        """Stops, and waits until the effects of the stop have happened."""
        self.stop()
        time.sleep(0.4)

    def play_once(self, from_beat: float, to_beat: float, meanwhile: Callable[[], None] | None = None) -> None:
        """Locates the song, starts it, calls `meanwhile` once it runs, and stops it at a beat."""
        self.locate(from_beat)
        time.sleep(0.2)
        self.start()
        if meanwhile:
            meanwhile()
        self.play_until(to_beat)
        self.stop_and_wait()

    def first_tick(self) -> int:
        """Waits for the first captured tick, and returns its frame."""
        ticks: Callable[[], list[int]] = lambda: [frame for frame, data in self.clock if data[0] == CLOCK]  # noqa: E731
        return int(wait_for(ticks, "a tick of the clock")[0])

    def play_until(self, beat: float) -> None:
        """Waits until the song has reached a beat on the transport."""
        goal = frames(beat * 60 / self.bpm)
        time.sleep(max(goal - self._client.transport_frame, 0.0) / RATE)  # asleep: a busy loop would delay JACK's thread
        wait_for(lambda: self._client.transport_frame >= goal, f"the song at beat {beat}")

    # ports and connections

    def plug(self) -> None:
        """Creates the ports for received and played notes."""
        self._notes_out = self._client.midi_outports.register("player")
        self._notes_in = self._client.midi_inports.register("notes")

    def unplug(self) -> None:
        """Removes them, as when a cable is unplugged."""
        ports, self._notes_in = (self._notes_in, self._notes_out), None
        time.sleep(0.02)  # the period that still uses them ends
        for port in ports:
            port.unregister()

    def disconnect(self, source: Any, target: Any) -> None:
        """Removes one connection, if it exists."""
        with contextlib.suppress(self._jack.JackError):
            self._client.disconnect(source, target)

    def play(self, notes: Sequence[tuple[int, bytes]]) -> None:
        """Schedules messages at their frames, in place of those still scheduled."""
        self._to_play = sorted(notes, reverse=True)

    def port(self, part: str, output: bool, check: Callable[[], None] = lambda: None) -> Any:
        """Waits for the MIDI port of another client whose name contains `part`; `check` may end the wait by raising."""

        def found() -> Any:
            check()
            ports = self._client.get_ports(is_midi=True, is_output=output, is_input=not output)
            return next((port for port in ports if part in port.name and not self._client.owns(port)), None)

        return wait_for(found, f"a port {part}")

    def connect(self, source: Any, target: Any) -> None:
        """Connects two ports; a client's ports are listed a moment before they can be connected."""

        def connected() -> bool:
            with contextlib.suppress(self._jack.JackError):
                self._client.connect(source, target)
                return True
            return False

        wait_for(connected, f"{source} connects to {target}")

    @contextlib.contextmanager
    def clock_source(self, jitter_percent: int = 0) -> Iterator[Any]:
        """Runs jack_midi_clock and captures it; yields its port."""
        command = ["jack_midi_clock", "-d", str(RESYNC_S), "-J", str(jitter_percent)]
        process = subprocess.Popen(command, env=self.server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = self.port("mclk", output=True)
            self.connect(port, self._clock_in)
            yield port
        finally:
            stop(process, signal.SIGINT)

    @contextlib.contextmanager
    def drummer(self, source: Any, *options: str) -> Iterator["Drummer"]:
        """Runs drumvae-live with its own ports, connected to the clock, the notes and the capture."""
        with Drummer(self.server, options) as drummer:
            drummer.input, drummer.output = (self.port(drummer.port_name, output, drummer.check) for output in (False, True))
            self.connect(drummer.output, self._notes_in)
            self.connect(self._notes_out, drummer.input)
            self.connect(source, drummer.input)
            drummer.wait_until_ready()
            yield drummer

    def stalls(self) -> list[Stall]:
        """Returns every stall: a period that began more than a whole period late.

        A server that is delayed that long does not catch up its frame count. For a program that follows the clock in real time, the
        clock jumps.
        """
        table = np.array(self.periods)
        late = np.diff(table[:, 1]) * RATE - np.diff(table[:, 0])
        return [Stall(int(table[i + 1, 0]), float(late[i])) for i in np.flatnonzero(late > PERIOD)]
