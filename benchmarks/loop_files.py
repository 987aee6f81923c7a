"""Measures `drumvae-export midi` writing loops and humanizing a ten-minute file, and the MIDI libraries alone for comparison.

python benchmarks/loop_files.py [--bundle DIR] [--loops N] [--rounds N]
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import mido
import numpy as np
import pretty_midi

from drumvae.inference.engine import Engine
from drumvae.midi.constants import FILE_PPQN
from drumvae.midi.io import write_midi
from drumvae.midi.writer import GATE_BEATS
from drumvae.music.grid import Grid
from drumvae.music.kit import DEFAULT_KIT

BPM, TEN_MINUTES_LOOPS = 120, 75


def main() -> None:
    """Prints the best time of each row over some rounds, in seconds, and the ratio of the command to its parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=None, help="a bundle folder; by default the model that ships")
    parser.add_argument("--loops", type=int, default=512, help="how many loops (default 512)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the best counts (default 3)")
    options = parser.parse_args()
    engine = Engine.load(options.bundle, "cpu", threads=0)
    loops = engine.generate(1, count=options.loops)
    bundle = [str(options.bundle)] if options.bundle else []
    with TemporaryDirectory() as name:
        song, out = Path(name, "song.mid"), Path(name, "out")
        write_midi(song, loops[0:1] * TEN_MINUTES_LOOPS, BPM)
        generate = ["--count", str(options.loops), "--seed", "1", "--out", str(out), "--replace"]
        humanize = ["--humanize", str(song), "--out", str(out), "--replace"]
        rows: dict[str, Callable[[], object]] = {
            f"drumvae-export midi --count {options.loops}": lambda: command(bundle + generate),
            f"the model makes {options.loops} loops": lambda: engine.generate(1, count=options.loops),
            f"pretty_midi alone writes {options.loops} loops": lambda: [by_pretty_midi(loop) for loop in loops],
            "drumvae-export midi --humanize, ten minutes": lambda: command(bundle + humanize),
            "mido alone reads and writes the ten minutes": lambda: mido.MidiFile(song).save(file=BytesIO()),
        }
        best = dict.fromkeys(rows, np.inf)
        for _ in range(options.rounds):  # interleaved, so that noise of the machine affects every row
            for what, work in rows.items():
                began = time.perf_counter()
                work()
                best[what] = min(best[what], time.perf_counter() - began)
    for what, seconds in best.items():
        print(f"{what:<46} {seconds:6.2f} s")
    whole, made, written, *_ = best.values()
    share, rate = whole / (made + written), options.loops / whole
    print(f"the command takes {share:.2f} of model and library alone, and makes {rate:.0f} loops a second")


def command(arguments: list[str]) -> None:
    """Runs drumvae-export midi in a new process, start and imports included."""
    subprocess.run([sys.executable, "-m", "drumvae.export", "midi", *arguments], check=True, capture_output=True)


def by_pretty_midi(loop: Grid) -> None:
    """Writes the notes of a loop to memory with pretty_midi."""
    midi = pretty_midi.PrettyMIDI(resolution=FILE_PPQN, initial_tempo=BPM)
    drums = pretty_midi.Instrument(0, is_drum=True)
    for beat, voice, velocity in loop.onsets():
        begin, end = (max(at, 0) * 60 / BPM for at in (beat, beat + GATE_BEATS))
        drums.notes.append(pretty_midi.Note(max(round(velocity * 127), 1), DEFAULT_KIT.output_notes[voice], begin, end))
    midi.instruments.append(drums)
    midi.write(BytesIO())


if __name__ == "__main__":
    main()
