"""Whether exported graphs play what PyTorch plays: every preset at full size, on every provider of this machine, on real windows.

    python benchmarks/parity.py [--data FOLDER_OR_ZIP] [--presets NAME ...] [--windows 1000]

Weights are random, and larger than a fresh model's, so that loops differ. Without --data the Groove MIDI Dataset is fetched; its
validation takes are used. Melodies are compared on loops of their own.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from graph_speed import LARGE, bare_info

from drumvae.bundle.format import write_bundle_json
from drumvae.export.onnx.convert import halve, write_graphs
from drumvae.export.onnx.verify import compare
from drumvae.export.onnx.windows import MAX_WINDOWS, validation_windows
from drumvae.inference.engine import Engine
from drumvae.inference.providers import NAMES, lacks
from drumvae.models.build import Model, new_model
from drumvae.music.grid import Array
from drumvae.trainer.data.download import groove_zip, source_folder
from drumvae.trainer.training.presets import presets

WIDE = 512
"""Numbers that a weight is multiplied with from which on less is added to it."""


def main() -> None:
    """Prints a row for each preset and provider."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder or zip of MIDI files")
    parser.add_argument("--presets", nargs="*", default=[name for name in presets() if name != LARGE], help=f"by default all but {LARGE}")
    parser.add_argument("--windows", type=int, default=MAX_WINDOWS)
    options = parser.parse_args()
    data = source_folder(options.data or groove_zip())
    print("| preset | provider | loops | steps whose hits differ | largest difference of a value |\n|---|---|---|---|---|")
    for name in options.presets:
        model = lively(name)
        with tempfile.TemporaryDirectory() as folder:
            info = bare_info(model, name)
            write_graphs(model, info, Path(folder))
            write_bundle_json(Path(folder), info)
            for provider in (each for each in NAMES if not lacks(each)):
                engine = Engine.load(Path(folder), provider, threads=0)
                found = compare(engine, model, _windows(engine, data, options.windows), options.windows)
                row = (name, engine.provider, found.loops, found.hit_differences, f"{found.value_difference:.1e}")
                print("| " + " | ".join(map(str, row)) + " |", flush=True)


def lively(name: str) -> Model:
    """Returns a preset's model with weights large enough for its loops to differ.

    What is added to a weight that many numbers are multiplied with is smaller: the same on 2,048 units would make a layer of chaos, in
    which the last digit of a sum grows from step to step, as no trained layer does.
    """
    torch.manual_seed(0)
    model = new_model(presets()[name].model).eval()
    for parameter in model.parameters():
        parameter.data += 0.03 * min(1, (WIDE / max(parameter.shape[-1], 1)) ** 0.5) * torch.randn_like(parameter)
    halve(model)
    return model


def _windows(engine: Engine, data: Path, most: int) -> Array:
    if engine.encoding != "melody":
        return validation_windows(data, engine.steps, most)
    draw = np.random.default_rng(1)
    return engine.decode(
        draw.standard_normal((most, engine.info.latent_size), np.float32), draw.random((most, engine.steps), np.float32), 1.0
    )


if __name__ == "__main__":
    main()
