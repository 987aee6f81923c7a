"""Measures the timing error of notes against the clock source's timeline on real ports: steady tempi, jitter, a tempo step, a ramp.

    python benchmarks/clock_following.py [CASE ...] [--rounds N]

Needs JACK, jack_midi_clock and JACK-Client (apt-get install jackd2 jack-midi-clock; pip install JACK-Client). drumvae-live plays
between jack_midi_clock and a capture that counts frames (the rig of the tests). The reference is the captured clock: the time of a beat
is interpolated between its ticks; with added jitter, between the ticks before jitter. All messages pass JACK in periods of 1.33 ms,
which is the resolution of every number. Notes within a second after a stall of the sound server (it lacks real-time priority on some
machines) are left out and counted. Below each row is a C program that slept to eight deadlines a second during the song: the timing of
a plain program on the same machine at the same time.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sleepers import Late, lateness, start_sleepers

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers.former import STAGE
from helpers.jackparts import JackServer, real_jack_server
from helpers.jackrig import frames, has_long_stall
from helpers.note_matching import Section, active_notes, clock_to_sections, loops_to_notes, match_notes, note_ons
from helpers.tempo import TempoRig

from drumvae.inference.engine import Engine
from drumvae.live.generation.modes import loop_seed

SEED = 11
NEAR_S = 0.03
DISTURBING_S = 0.0025
LONGEST_BEATS = 400.0
SLEEPS_A_SECOND = 8


@dataclass(frozen=True)
class Case:
    """A song, and the beat from which on its notes are measured."""

    name: str
    tempo: tuple[tuple[float, float], ...]
    """(beat, bpm): linear between them, a step where two share a beat."""
    beats: float
    """The beat at which the song stops."""
    from_beat: float = 4.0
    jitter_s: float = 0.0


CASES = (
    Case("60 bpm", ((0, 60), (LONGEST_BEATS, 60)), 36),
    Case("120 bpm", ((0, 120), (LONGEST_BEATS, 120)), 68),
    Case("200 bpm", ((0, 200), (LONGEST_BEATS, 200)), 100),
    Case("120 bpm, 3 ms of jitter", ((0, 120), (LONGEST_BEATS, 120)), 84, 16.0, 0.003),
    Case("120 to 126 bpm, from 1 s after the step", ((0, 120), (32, 120), (32, 126), (LONGEST_BEATS, 126)), 68, 34.1),
    Case("120 to 140 bpm in eight bars", ((0, 120), (16, 120), (48, 140), (LONGEST_BEATS, 140)), 64),
)


@dataclass(frozen=True)
class Outcome:
    """The timing errors of a case."""

    case: Case
    errors_ms: NDArray[np.float64]
    missing: int
    extra: int
    hanging: int
    left_out: int
    """Notes near a stall of the server."""
    ticks_ms: NDArray[np.float64]
    """Distances of the ticks that drumvae received from a line over a beat."""
    sleepers: dict[str, Late]
    """The lateness of plain programs during the song, by name."""

    def rows(self) -> str:
        return "\n".join([self.row(), *(_row(f"  {name}", late) for name, late in self.sleepers.items() if len(late))])

    def row(self) -> str:
        return (
            f"{_row(self.case.name, self.errors_ms)}"
            f" {self.missing:>4}/{self.extra}/{self.hanging} {self.left_out:>5} {self.ticks_ms.std():>6.2f}"
        )


def _row(name: str, late_ms: Late) -> str:
    p50, p99, most = np.percentile(np.abs(late_ms), (50, 99, 100))
    return f"{name:<40} {len(late_ms):>5} {late_ms.mean():>+7.2f} {late_ms.std():>6.2f} {p50:>6.2f} {p99:>6.2f} {most:>6.2f}"


def main() -> None:
    """Plays every case and prints its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="parts of the names of cases; all of them by default")
    parser.add_argument("--rounds", type=int, default=1, help="repetitions of each case (default 1)")
    options = parser.parse_args()
    names = options.cases
    print(f"{'ms':<40} {'notes':>5} {'mean':>7} {'sd':>6} {'p50':>6} {'p99':>6} {'max':>6} {'m/e/h':>8} {'out':>5} {'ticks':>6}")
    with real_jack_server() as server:
        for case in CASES:
            if not names or any(part in case.name for part in names):
                for _ in range(options.rounds):
                    print(outcome(case, server).rows(), flush=True)
    print("m/e/h: notes missing, extra, hanging; out: notes left out near a stall; ticks: standard deviation of the received ticks")


def outcome(case: Case, server: JackServer) -> Outcome:
    """Plays a case and measures it; repeats it where the server stalled for too long."""
    engine = Engine.load(STAGE, "cpu")  # its loops depend on the seed alone
    loops = [engine.generate(loop_seed(SEED, index))[0] for index in range(int(case.beats // 16) + 2)]
    with TempoRig(server, case.tempo, case.jitter_s) as rig, rig.clock_source() as clock:
        source = rig.relayed if case.jitter_s else clock
        with (
            rig.drummer(source, "--mode", "generate", "--seed", str(SEED), "--bundle", str(STAGE)) as drummer,
            tempfile.TemporaryDirectory() as folder,
        ):
            deadlines_s = time.monotonic() + np.arange(2.0, case.beats * 60 / max(bpm for _, bpm in case.tempo), 1 / SLEEPS_A_SECOND)
            sleepers = start_sleepers(Path(folder), deadlines_s)
            rig.play_once(0.0, case.beats)
            drummer.quit()
            slept = {name: lateness(process) for name, process in sleepers.items()}
        if has_long_stall(rig.stalls(), case.tempo[0][1]):
            print(f"{case.name}: repeated, because the server stalled for about a tick, which is indistinguishable from a missed tick")
            return outcome(case, server)
        stalls = [stall.frame for stall in rig.stalls() if stall.frames > frames(DISTURBING_S)]
        section = clock_to_sections(rig.without_jitter())[0]
        received = clock_to_sections(rig.clock)[0]
        return _measured(case, loops, section, received, rig, stalls, slept)


def _measured(
    case: Case,
    loops: Sequence[object],
    section: Section,
    received: Section,
    rig: TempoRig,
    stalls: list[int],
    slept: dict[str, Late],
) -> Outcome:
    due = [note for note in loops_to_notes(loops, section) if note.frame < section.frames[-1] - frames(0.1)]  # type: ignore[arg-type]
    got = [note for note in note_ons(rig.notes) if note.frame < section.frames[-1] - frames(0.1)]
    comparison = match_notes(due, got, frames(NEAR_S))
    first = section.frame_at(case.from_beat)
    late = [(played.frame - expected.frame, expected.frame) for expected, played in comparison.pairs if expected.frame >= first]
    steady = [error for error, frame in late if not any(stall - frames(0.01) < frame < stall + frames(1.0) for stall in stalls)]
    return Outcome(
        case,
        np.array(steady) / frames(0.001),
        len(comparison.missing),
        len(comparison.extra),
        len(active_notes(rig.notes)),
        len(late) - len(steady),
        received.jitter(1.0) / frames(0.001) if not case.jitter_s else np.array(rig.added_ms),
        slept,
    )


if __name__ == "__main__":
    main()
