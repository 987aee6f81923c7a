"""Trains a small model on a folder of MIDI files, exports it, and generates a loop with it.

The commands are those that a user types. The model is tiny and trains for 8 steps, so it shows the way and plays badly.
Needs the train extra: pip install -e ".[train]"
Run: python examples/train_on_folder.py
"""

import shutil
import subprocess
import sysconfig
from pathlib import Path

from drumvae.inference.engine import Engine
from drumvae.midi.io import write_midi

OUT = Path("scratch") / "training"


def run(command: str, *arguments: str | Path) -> None:
    """Runs one of the commands that drumvae installs."""
    program = shutil.which(command, path=sysconfig.get_path("scripts")) or command
    print(f"$ {command} {' '.join(map(str, arguments))}", flush=True)
    subprocess.run([program, *map(str, arguments)], check=True)


# A folder of drum performances. Yours would come from a DAW; here the shipped model plays twelve takes of sixteen bars.
shutil.rmtree(OUT, ignore_errors=True)
(OUT / "takes").mkdir(parents=True)
drummer = Engine.load(provider="cpu")
for take in range(12):
    write_midi(OUT / "takes" / f"take-{take}.mid", drummer.generate(seed=take, count=4), bpm=90 + 5 * take)

# What is in the data? Takes without drums, in another meter or too short are left out and counted.
run("drumvae-train", "data", "--data", OUT / "takes")

# A smaller model than the preset: --set changes any setting. Leave these lines out for a model that is worth playing.
small = ["--set", "model.latent_size=16", "--set", "model.encoder_units=[32]", "--set", "model.decoder_units=[32]"]
options: list[str | Path] = ["--data", OUT / "takes", "--batch-size", "16", "--max-steps", "8", "--out", OUT / "run"]
run("drumvae-train", "--preset", "groovae_4bar", *small, *options)

# The export compares ONNX Runtime with PyTorch and keeps no bundle that differs.
run("drumvae-export", "onnx", OUT / "run", "--out", OUT / "bundle")

engine = Engine.load(OUT / "bundle", provider="cpu")
(loop,) = engine.generate(seed=1)
write_midi(OUT / "loop.mid", loop, bpm=100)
print(f"{OUT / 'loop.mid'}: {len(loop.onsets())} hits; tasks of the model: {', '.join(engine.tasks)}")
