"""Measures how late the performer sends notes, beside plain sleepers with the same deadlines in the same run.

    python benchmarks/performer_timing.py [--bars 16] [--bpm 120] [--bundle DIR] [--seed N] [--ordinary] [--model process thread]

The performer is drumvae-live's own: its step function, thread, priority and sleep; the display draws on a terminal. The model makes
loops without a pause: those that are played, and others that are discarded. It runs in another process, as in drumvae-live, and in a
second run in a thread beside the performer. Only the port is replaced, by one that records the time. Due times follow from the clock's
start and the engine's loops, not from the player. At the same time a C program (sleeper.c, compiled with cc; bash where there is no
compiler) sleeps to the same deadlines with ordinary priority, and another with real-time priority where the system grants it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sleepers import Late, lateness, start_sleepers

from drumvae.inference.engine import Engine
from drumvae.music.grid import LOOP_BEATS
from drumvae.music.kit import DEFAULT_KIT

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import thread_generator
from helpers.thread_generator import ThreadGenerator

AHEAD_S = 2.0
FIRST_LOOP_S = 30.0
PLACES = ("process", "thread")

SEEDED = Path(__file__).parents[1] / "tests" / "bundles" / "stage_4bar"


def main() -> None:
    """Prints a table of lateness in milliseconds, and the ratios."""
    options = _parser().parse_args()
    if options.play:
        play(options)
        return
    print(f"{'lateness in ms':<38} {'n':>6} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8}")
    for where in options.model:
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(options, where, Path(folder))
            print(f"the model in a {where}, {(Path(folder) / 'made').read_text()} loops made")
        print_rows(rows)


def print_rows(rows: dict[str, Late]) -> None:
    """Prints each lateness, the performer's first, and its ratio to each of the others."""
    for name, late in rows.items():
        print(f"  {name:<36} {len(late):>6} " + " ".join(f"{value:>8.3f}" for value in marks(late)))
    performer = next(iter(rows.values()))
    for name, late in list(rows.items())[1:]:
        ratios = marks(performer) / np.maximum(marks(late), 1e-3)
        print(f"  {'ratio to ' + name:<36} {'':>6} " + " ".join(f"{value:>8.2f}" for value in ratios))


def marks(late: Late) -> Late:
    """Returns p50, p95, p99 and the maximum of the absolute lateness."""
    return np.percentile(np.abs(late), (50, 95, 99, 100))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=16, help="how long to play (default 16)")
    parser.add_argument("--bpm", type=float, default=120.0, help="tempo (default 120)")
    parser.add_argument("--seed", type=int, default=0, help="of the session (default 0)")
    parser.add_argument("--bundle", type=Path, default=SEEDED, help="a bundle folder; by default one whose loops follow from seeds alone")
    parser.add_argument("--ordinary", action="store_true", help="leave the performer at ordinary priority, as where real-time is refused")
    parser.add_argument("--model", nargs="+", choices=PLACES, default=PLACES, help="where the model runs (default: each in turn)")
    parser.add_argument("--play", type=Path, default=None, help=argparse.SUPPRESS)  # the part that runs on its own terminal
    return parser


# the performer, in its own process and terminal


def play(options: argparse.Namespace) -> None:
    """Plays a session, and writes the start of the clock and the time of each message into a folder."""
    from drumvae.live.clock.internal_clock import InternalClock
    from drumvae.live.session.performer import Performer, PerformerOptions
    from drumvae.live.session.run import run_session
    from drumvae.live.ui.display import make_display

    if options.ordinary:
        refuse_priority()
    generator, port = BusyGenerator(opened(options)), _Port()
    settings = PerformerOptions(seed=options.seed, bars=options.bars)
    performer = Performer(InternalClock(options.bpm, AHEAD_S), port, port, generator, settings)
    performer.prepare()
    generator.start()
    generator.wait_for_first(FIRST_LOOP_S)
    display = make_display("performer_timing", "wait")
    performer.clock.check(time.perf_counter())
    _announce(options.play / "start", repr(performer.clock.timeline.origin_s))
    try:
        thread = run_session(performer, display)
    finally:
        display.close()
    sent = [(at_s, message[1]) for at_s, message in port.sent if message[0] & 0xF0 == 0x90]
    np.save(options.play / "sent.npy", np.array(sent))
    _announce(options.play / "made", str(generator.made))
    _announce(options.play / "priority", "real-time" if thread.real_time else "ordinary")


def opened(options: argparse.Namespace) -> Any:
    """Returns a loop generator, in a process or in a thread."""
    from performer_timing import load  # the other process unpickles it by this name

    from drumvae.live.generation.modes import make_loop
    from drumvae.live.generation.supervisor import WorkerProcess

    if options.model == ["process"]:
        return WorkerProcess(partial(load, options.bundle, options.ordinary))
    return ThreadGenerator(partial(make_loop, load(options.bundle, options.ordinary)))


def load(bundle: Path | None, ordinary: bool) -> Engine:
    """Loads the model, in the process in which it runs."""
    if ordinary:
        refuse_priority()
    return Engine.load(bundle)


def refuse_priority() -> None:
    """Makes this process behave as if the system refused real-time priority."""
    from drumvae.live import realtime
    from drumvae.live.generation import supervisor, worker_main, worker_process

    for module in (thread_generator, worker_main, worker_process, realtime, supervisor):
        module.raise_priority = lambda *_: False


class BusyGenerator:
    """Keeps a generator busy: between the performer's jobs it submits its own, and discards their loops."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self._count = 0
        self.made = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    @property
    def busy(self) -> bool:
        return self._count > 0

    def submit(self, job: Any) -> None:
        self._count += 1
        self._generator.submit(job)

    def poll(self) -> Any:
        from drumvae.live.generation.modes import Job

        loop = self._generator.poll()
        if not self._generator.busy:
            self._generator.submit(Job(-1, self.made, "generate"))
        self.made += loop is not None
        if loop is None or loop.index < 0:
            return None
        self._count -= 1
        return loop


class _Port:
    """A port without input that records the time of each message."""

    reconnect_count = 0

    def __init__(self) -> None:
        self.sent: list[tuple[float, bytes]] = []

    def poll(self, now_s: float) -> Sequence[object]:
        return ()

    def send(self, message: bytes) -> None:
        self.sent.append((time.perf_counter(), message))


def _announce(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)  # atomic, because the other process waits for the file


@contextmanager
def terminal() -> Iterator[int]:
    """Yields a terminal whose output is discarded, or /dev/null on a system without terminals."""
    if not hasattr(os, "openpty") or shutil.which("cat") is None:
        with open(os.devnull, "w") as null:  # noqa: PTH123  # no path on Windows
            yield null.fileno()
        return
    reader_end, writer_end = os.openpty()
    reader = subprocess.Popen(["cat"], stdin=reader_end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield writer_end
    finally:
        os.close(writer_end)
        os.close(reader_end)
        reader.kill()
        reader.wait()


# the comparison


def measure(options: argparse.Namespace, where: str, folder: Path) -> dict[str, Late]:
    """Runs the performer and the sleepers at the same time; returns lateness in ms by name, the performer first."""
    forwarded = ["--model", where, "--bars", str(options.bars), "--bpm", str(options.bpm), "--seed", str(options.seed)]
    forwarded += ["--bundle", str(options.bundle)] if options.bundle else []
    forwarded += ["--ordinary"] if options.ordinary else []
    loops = due_beats(options)
    with terminal() as stage:
        command = [sys.executable, __file__, "--play", str(folder), *forwarded]
        performer = subprocess.Popen(command, stdout=stage, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm"})
        try:
            start_s = _start(folder / "start", performer)
            due = [(start_s + max(beat, 0.0) * 60 / options.bpm, pitch) for beat, pitch in loops]
            sleepers = start_sleepers(folder, sorted({at_s for at_s, _ in due}))
            rows = {name: lateness(process) for name, process in sleepers.items()}
            _, complaint = performer.communicate(timeout=60)
        finally:
            performer.kill()
    if performer.returncode:
        raise SystemExit(f"the performer failed: {complaint.decode(errors='replace')[-2000:]}")
    late = against(due, np.load(folder / "sent.npy"))
    title = f"performer, {(folder / 'priority').read_text()} priority"
    return {title: late, **{name: row for name, row in rows.items() if len(row)}}


def due_beats(options: argparse.Namespace) -> list[tuple[float, int]]:
    """Returns (beat, pitch) of every note of the session, made by the engine alone."""
    from drumvae.live.generation.modes import loop_seed

    engine, end = Engine.load(options.bundle), options.bars * 4
    notes = []
    for index in range(-(-end // LOOP_BEATS)):
        (grid,) = engine.generate(loop_seed(options.seed, index))
        notes += [(index * LOOP_BEATS + onset.beat, DEFAULT_KIT.output_notes[onset.voice]) for onset in grid.onsets()]
    return sorted(note for note in notes if note[0] < end - 1 / 8)  # the last half step belongs to the bar after the last


def against(due: Sequence[tuple[float, int]], sent: NDArray[np.float64]) -> Late:
    """Returns sent minus due times in ms, in order for each pitch; exits where a note is missing or extra."""
    times: dict[int, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for at_s, pitch in due:
        times[pitch][0].append(at_s)
    for at_s, pitch in sent:
        times[int(pitch)][1].append(float(at_s))
    if any(len(wanted) != len(got) for wanted, got in times.values()):
        raise SystemExit(f"{len(due)} notes were due and {len(sent)} were sent; they cannot be compared")
    return np.concatenate([1000 * (np.sort(got) - np.sort(wanted)) for wanted, got in times.values()])


def _start(path: Path, performer: "subprocess.Popen[bytes]") -> float:
    while not path.exists():
        if performer.poll() is not None:
            assert performer.stderr
            raise SystemExit(f"the performer failed: {performer.stderr.read().decode(errors='replace')[-2000:]}")
        time.sleep(0.005)
    return float(path.read_text())


if __name__ == "__main__":
    main()
