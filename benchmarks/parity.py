"""Compares the output of exported graphs with PyTorch: every preset at full size, on every provider of this machine, on real windows.

    python benchmarks/parity.py [--data FOLDER_OR_ZIP] [--presets NAME ...] [--windows 1000]

Weights are random, and larger than those of an untrained model, so that loops differ. Without --data the Groove MIDI Dataset is
downloaded; its validation takes are used. Melody models are compared on loops that they generate.
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

WIDE_FAN_IN = 512
"""Fan-in above which less noise is added to a weight."""


def main() -> None:
    """Prints a row for each preset and provider."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder or zip of MIDI files")
    parser.add_argument("--presets", nargs="*", default=[name for name in presets() if name != LARGE], help=f"by default all but {LARGE}")
    parser.add_argument("--windows", type=int, default=MAX_WINDOWS)
    options = parser.parse_args()
    data = source_folder(options.data or groove_zip())
    print("| preset | provider | loops | steps with different hits | largest absolute difference |\n|---|---|---|---|---|")
    for name in options.presets:
        model = noisy_model(name)
        with tempfile.TemporaryDirectory() as folder:
            info = bare_info(model, name)
            write_graphs(model, info, Path(folder))
            write_bundle_json(Path(folder), info)
            for provider in (each for each in NAMES if not lacks(each)):
                engine = Engine.load(Path(folder), provider, threads=0)
                found = compare(engine, model, _windows(engine, data, options.windows), options.windows)
                row = (name, engine.provider, found.loops, found.hit_differences, f"{found.value_difference:.1e}")
                print("| " + " | ".join(map(str, row)) + " |", flush=True)


def noisy_model(name: str) -> Model:
    """Returns a preset's model with weights large enough for its loops to differ.

    The noise on a weight decreases with its fan-in. Without that, a layer of 2,048 units would be chaotic and amplify rounding errors
    from step to step, which trained layers do not.
    """
    torch.manual_seed(0)
    model = new_model(presets()[name].model).eval()
    for parameter in model.parameters():
        parameter.data += 0.03 * min(1, (WIDE_FAN_IN / max(parameter.shape[-1], 1)) ** 0.5) * torch.randn_like(parameter)
    halve(model)
    return model


def _windows(engine: Engine, data: Path, limit: int) -> Array:
    if engine.encoding != "melody":
        return validation_windows(data, engine.steps, limit)
    rng = np.random.default_rng(1)
    return engine.decode(
        rng.standard_normal((limit, engine.info.latent_size), np.float32), rng.random((limit, engine.steps), np.float32), 1.0
    )


if __name__ == "__main__":
    main()
