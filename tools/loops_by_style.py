"""Writes sixteen loops, each of a style that a bundle knows, as MIDI files and on one contact sheet.

    python tools/loops_by_style.py BUNDLE --data DIR [--out docs/results/drummer_4bar/loops]

The styles are those with the most training windows, each at its middle tempo there; every fourth loop ends with a fill.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from drumvae.export.midi.sheet import Roll, draw_sheet
from drumvae.inference.engine import Engine
from drumvae.midi.io import write_midi
from drumvae.music.conditions import Conditions
from drumvae.music.encoding import grid_to_groove
from drumvae.trainer.data.corpus import load_corpus
from drumvae.trainer.data.labels import main_style

LOOPS, FILL_EVERY = 16, 4
SEED = 1


def typical_tempi(data: Path, styles: tuple[str, ...]) -> dict[str, float]:
    """Returns the middle tempo of each style that has training windows, the commonest first."""
    corpus = load_corpus(data)
    windows = corpus.windows("train")
    names = [main_style(corpus.takes[take].style) for take in corpus.take_indices[windows]]
    tempi = np.asarray(corpus.window_bpm[windows])
    common = [name for name, _ in Counter(names).most_common() if name in styles]
    return {name: float(np.round(np.median(tempi[np.array(names) == name]))) for name in common}


def main() -> None:
    """Writes the loops and the sheet, and says where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results/drummer_4bar/loops"))
    options = parser.parse_args()
    engine = Engine.load(options.bundle, "cpu", threads=0)
    tempi = typical_tempi(options.data, engine.info.styles)
    options.out.mkdir(parents=True, exist_ok=True)
    rolls: list[Roll] = []
    for number in range(LOOPS):
        style = list(tempi)[number % len(tempi)]
        filled = number % FILL_EVERY == FILL_EVERY - 1
        conditions = Conditions(style, tempi[style], fill=(False, False, False, filled))
        (loop,) = engine.generate(SEED + number, conditions=conditions)
        name = f"{number + 1:02}-{style}-{tempi[style]:.0f}bpm{'-fill' if filled else ''}"
        write_midi(options.out / f"{name}.mid", loop, tempi[style])
        rolls.append((name, grid_to_groove(loop)))
    draw_sheet(options.out / "sheet.png", rolls)
    print(f"{LOOPS} loops and their sheet: {options.out}")


if __name__ == "__main__":
    main()
