"""Generates four drum loops and writes each one as a MIDI file.

Run: python examples/loops_to_midi.py
"""

from pathlib import Path

from drumvae.inference.engine import Engine
from drumvae.midi.io import write_midi
from drumvae.music.conditions import Conditions

OUT = Path("scratch")
BPM = 96

engine = Engine.load(provider="cpu")  # the model that ships with drumvae
funk = Conditions(style="funk", bpm=BPM)  # leave it out and the model chooses a style
OUT.mkdir(exist_ok=True)

for number, loop in enumerate(engine.generate(seed=7, count=4, conditions=funk), 1):
    # A loop is a Grid: 64 sixteenth steps and nine voices. to_text() prints it, write_midi() saves it.
    path = OUT / f"funk-{number}.mid"
    write_midi(path, loop, BPM)
    print(f"{path}: {len(loop.onsets())} hits\n{loop.to_text()}\n")
