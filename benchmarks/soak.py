"""Stresses a session for a long time: no note may hang or double, no exception may occur, memory may not grow.

    python benchmarks/soak.py [--minutes 60] [--bpm 300] [--seed 0]

Needs JACK, jack_midi_clock and JACK-Client. drumvae-live plays on real ports with a real clock, at a fast tempo. About once a second a
random event occurs: the next loop, a seek, a stop and a start, played notes, a moved knob or pad of the default map (which changes modes
and kits too), a disconnected clock, lost and returning ports, a killed model process. Each minute prints a line; the last line gives
the result. The exit status is 1 after a failure.
"""

import argparse
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.jackparts import Drummer, JackServer, real_jack_server, wait_for
from helpers.jackrig import Rig
from helpers.note_matching import Captured, active_notes

from drumvae.live.controls.actions import ACTIONS
from drumvae.live.controls.mapping_file import default_map
from drumvae.music.kit import DEFAULT_KIT

MAP = default_map()
PAUSE_S = (0.15, 1.0)
BASELINE_S = 60.0
"""Memory growth counts from this time on; the first loops still import modules."""
GROWTH_MB = 10.0


class Soak:
    """Chooses random events and triggers them."""

    def __init__(self, rig: Rig, sender: Any, drummer: Drummer, seed: int) -> None:
        self.rig, self.sender, self.drummer = rig, sender, drummer
        self.done: Counter[str] = Counter()
        self.hung: list[str] = []
        self._random = random.Random(seed)
        self._events: list[tuple[float, Callable[[], None]]] = [
            (16, self.next_loop),
            (6, self.seek),
            (4, self.stop_and_start),
            (8, self.knob),
            (5, self.pad),
            (4, self.bars),
            (1, self.pull_clock),
            (1, self.lose_ports),
            (1, self.kill_model),
        ]

    def step(self) -> None:
        """Triggers one event."""
        event = self._random.choices([event for _, event in self._events], [weight for weight, _ in self._events])[0]
        self.done[event.__name__] += 1
        event()
        time.sleep(self._random.uniform(*PAUSE_S))

    def next_loop(self) -> None:
        binding = next(binding for binding, action in MAP.bindings.items() if binding.message_type == "note" and action is ACTIONS["next"])
        self._send(bytes((0x90 | (binding.channel or 1) - 1, binding.number, 100)))

    def seek(self) -> None:
        self.rig.locate(self._random.uniform(0, 200))

    def stop_and_start(self) -> None:
        self.rig.stop()
        time.sleep(0.4)
        if active := active_notes(self.rig.notes):
            self.hung.append(f"{sorted(active)} after Stop at frame {self.rig.frame}")
        self.rig.start()

    def knob(self) -> None:
        binding = self._random.choice([binding for binding in MAP.bindings if binding.message_type == "cc"])
        self._send(bytes((0xB0 | (binding.channel or 1) - 1, binding.number, self._random.randrange(128))))

    def pad(self) -> None:
        pads = [b for b, action in MAP.bindings.items() if b.message_type == "note" and action is not ACTIONS["hold"]]
        binding = self._random.choice(pads)
        self._send(bytes((0x90 | (binding.channel or 1) - 1, binding.number, 100)))

    def bars(self) -> None:
        first, gap = self.rig.frame + 2000, self.rig.frames_per_beat / 4
        pitches = self._random.choices(DEFAULT_KIT.output_notes, k=self._random.randrange(1, 40))
        self.rig.play([(round(first + i * gap), bytes((0x99, pitch, self._random.randrange(1, 128)))) for i, pitch in enumerate(pitches)])

    def pull_clock(self) -> None:
        self.rig.disconnect(self.sender, self.drummer.input)
        time.sleep(0.8)
        if active := active_notes(self.rig.notes):
            self.hung.append(f"{sorted(active)} after the clock was lost at frame {self.rig.frame}")
        self.rig.connect(self.sender, self.drummer.input)

    def lose_ports(self) -> None:
        self.rig.unplug()
        time.sleep(self._random.uniform(1.5, 3.0))
        count = self.drummer.shown().count(" is back.")
        self.rig.plug()
        wait_for(lambda: self.drummer.shown().count(" is back.") >= count + 2, "both ports are back")
        find_ports(self.rig, self.drummer)
        self.rig.connect(self.sender, self.drummer.input)

    def kill_model(self) -> None:
        for pid in children(self.drummer.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _send(self, message: bytes) -> None:
        self.rig.play([(self.rig.frame + 500, message)])


def find_ports(rig: Rig, drummer: Drummer) -> None:
    """Finds the ports of drumvae-live, which has connected them to the rig's."""
    drummer.input, drummer.output = (rig.port(name, output) for name, output in (("drumvae-in", False), ("drumvae-out", True)))


@contextmanager
def playing(server: JackServer, rig: Rig, sender: Any, seed: int) -> Iterator[Drummer]:
    """Runs drumvae-live on the rig's ports with the sender's clock."""
    with Drummer(server, ("--in", "player", "--out", "notes", "--seed", str(seed))) as drummer:
        drummer.wait_until_ready()
        find_ports(rig, drummer)
        rig.connect(sender, drummer.input)
        yield drummer


def children(pid: int) -> list[int]:
    """Returns the child processes of a process."""
    return [int(child) for tasks in Path(f"/proc/{pid}/task").iterdir() for child in (tasks / "children").read_text().split()]


def megabytes(pid: int) -> float:
    """Returns the resident memory of a process, in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def doubled(notes: list[Captured]) -> int:
    """Counts the note-ons of pitches that are already on."""
    held: set[tuple[int, int]] = set()
    count = 0
    for _, data in notes:
        kind, key = data[0] & 0xF0, (data[0] & 0x0F, data[1])
        if kind == 0x90 and data[2]:
            count += key in held
            held.add(key)
        elif kind in (0x80, 0x90):
            held.discard(key)
        elif kind == 0xB0 and data[1] in (120, 123):
            held.clear()
    return count


def main() -> int:
    """Runs the test; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--bpm", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with real_jack_server() as server, Rig(server, options.bpm) as rig, rig.clock_source() as sender:
        with playing(server, rig, sender, options.seed) as drummer:
            soak, start_s, baseline_mb, printed_s = Soak(rig, sender, drummer, options.seed), time.monotonic(), None, 0.0
            rig.start()
            while (elapsed_s := time.monotonic() - start_s) < options.minutes * 60:
                soak.step()
                drummer.check()
                if baseline_mb is None and elapsed_s > BASELINE_S:
                    baseline_mb = megabytes(drummer.process.pid)
                if elapsed_s - printed_s > 60:
                    printed_s = elapsed_s
                    print(f"{elapsed_s / 60:5.1f} min, {len(rig.notes)} messages, {megabytes(drummer.process.pid):.1f} MB", flush=True)
            final_mb = megabytes(drummer.process.pid)
            rig.stop_and_wait()
            status = drummer.quit()
            shown = drummer.shown()
        time.sleep(0.2)
        growth_mb = final_mb - (baseline_mb or final_mb)
        failures = [
            *soak.hung,
            *([f"{count} doubled notes"] if (count := doubled(rig.notes)) else []),
            *([f"{sorted(active)} are on at the end"] if (active := active_notes(rig.notes)) else []),
            *([f"exit status {status}"] if status else []),
            *(["a traceback was shown"] if "Traceback" in shown else []),
            *([f"memory grew by {growth_mb:.1f} MB"] if growth_mb > GROWTH_MB else []),
        ]
        print(f"{dict(soak.done)}; {len(rig.notes)} messages; memory {final_mb:.1f} MB, {growth_mb:+.1f} MB after the first minute")
        print("\n".join(line for line in shown.splitlines()[-12:] if line.strip()))
        print("failed: " + "; ".join(failures) if failures else "passed")
        return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
