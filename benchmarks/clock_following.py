"""Where notes lie beside the sender's timeline, on real ports: steady tempi, jitter, a step of tempo, a ramp.

    python benchmarks/clock_following.py [CASE ...] [--rounds N]

Needs JACK, jack_midi_clock and JACK-Client (apt-get install jackd2 jack-midi-clock; pip install JACK-Client). drumvae-live plays
between jack_midi_clock and a capture that counts frames (the rig of the tests). The reference is the clock as it was captured: the
time of a beat is interpolated between its ticks, with added jitter between the ticks as they were meant. Everything passes JACK in
periods of 1.33 ms, which is the grain of every figure. While the sound server stood still (it has no real-time priority everywhere)
nothing can be said: what lies within a second after that is left out, and counted. Below each row stands a C program that slept to
deadlines of its own, eight a second, while the song was played: what the machine did to a plain program at the same time.
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
from helpers.jackrig import frames, ran_through
from helpers.judge import Stretch, clock_to_stretches, judge, loops_to_notes, note_ons, sounding
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
    """A song, and from which beat on its notes are judged."""

    name: str
    tempo: tuple[tuple[float, float], ...]
    """(beat, bpm): straight between them, a step where two share a beat."""
    beats: float
    """Where the song stops."""
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
    """How far from their places the notes of a case lay."""

    case: Case
    errors_ms: NDArray[np.float64]
    missing: int
    extra: int
    hanging: int
    left_out: int
    """Notes near a standstill of the server."""
    ticks_ms: NDArray[np.float64]
    """How far the ticks that drumvae heard lay from a line over a beat."""
    sleepers: dict[str, Late]
    """What plain programs did meanwhile, by name."""

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
    parser.add_argument("--rounds", type=int, default=1, help="how often each is played (default 1)")
    options = parser.parse_args()
    wanted = options.cases
    print(f"{'ms':<40} {'notes':>5} {'mean':>7} {'sd':>6} {'p50':>6} {'p99':>6} {'max':>6} {'m/e/h':>8} {'out':>5} {'ticks':>6}")
    with real_jack_server() as server:
        for case in CASES:
            if not wanted or any(part in case.name for part in wanted):
                for _ in range(options.rounds):
                    print(outcome(case, server).rows(), flush=True)
    print("m/e/h: notes missing, extra, left hanging; out: notes left out near a standstill; ticks: standard deviation of those heard")


def outcome(case: Case, server: JackServer) -> Outcome:
    """Plays a case and judges it."""
    engine = Engine.load(STAGE, "cpu")  # whose loops follow from the seed alone
    loops = [engine.generate(loop_seed(SEED, index))[0] for index in range(int(case.beats // 16) + 2)]
    with TempoRig(server, case.tempo, case.jitter_s) as rig, rig.clock_sender() as sender:
        source = rig.relayed if case.jitter_s else sender
        with (
            rig.drummer(source, "--mode", "generate", "--seed", str(SEED), "--bundle", str(STAGE)) as drummer,
            tempfile.TemporaryDirectory() as folder,
        ):
            deadlines_s = time.monotonic() + np.arange(2.0, case.beats * 60 / max(bpm for _, bpm in case.tempo), 1 / SLEEPS_A_SECOND)
            sleepers = start_sleepers(Path(folder), deadlines_s)
            rig.play_once(0.0, case.beats)
            drummer.quit()
            slept = {name: lateness(process) for name, process in sleepers.items()}
        if not ran_through(rig.slips(), case.tempo[0][1]):
            print(f"{case.name}: the server stood still for about a tick, which nobody can tell from a lost one; once more")
            return outcome(case, server)
        slips = [slip.frame for slip in rig.slips() if slip.frames > frames(DISTURBING_S)]
        stretch = clock_to_stretches(rig.meant())[0]
        heard = clock_to_stretches(rig.clock)[0]
        return _judged(case, loops, stretch, heard, rig, slips, slept)


def _judged(
    case: Case,
    loops: Sequence[object],
    stretch: Stretch,
    heard: Stretch,
    rig: TempoRig,
    slips: list[int],
    slept: dict[str, Late],
) -> Outcome:
    due = [note for note in loops_to_notes(loops, stretch) if note.frame < stretch.frames[-1] - frames(0.1)]  # type: ignore[arg-type]
    got = [note for note in note_ons(rig.notes) if note.frame < stretch.frames[-1] - frames(0.1)]
    verdict = judge(due, got, frames(NEAR_S))
    first = stretch.frame_at(case.from_beat)
    late = [(played.frame - wanted.frame, wanted.frame) for wanted, played in verdict.pairs if wanted.frame >= first]
    calm = [error for error, frame in late if not any(slip - frames(0.01) < frame < slip + frames(1.0) for slip in slips)]
    return Outcome(
        case,
        np.array(calm) / frames(0.001),
        len(verdict.missing),
        len(verdict.extra),
        len(sounding(rig.notes)),
        len(late) - len(calm),
        heard.jitter(1.0) / frames(0.001) if not case.jitter_s else np.array(rig.added_ms),
        slept,
    )


if __name__ == "__main__":
    main()
