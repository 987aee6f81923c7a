"""Measures the latency of the exported decoder on one CPU thread, beside the same model in eager PyTorch, in one run.

    python benchmarks/decode_latency.py [--bundle DIR] [--checkpoint FILE] [--loops N]

Without a checkpoint, PyTorch runs an untrained model of the bundle's architecture; the arithmetic is the same.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drumvae.bundle.format import default_bundle, read_bundle
from drumvae.inference.engine import Engine
from drumvae.models.build import Model, new_model
from drumvae.models.checkpoint import load_trained
from drumvae.models.config import ModelConfig
from drumvae.models.drummer import Drummer


def main() -> None:
    """Prints a table of p50 and p99 in milliseconds, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=None, help="a bundle folder; by default the default bundle")
    parser.add_argument("--checkpoint", type=Path, default=None, help="the checkpoint that was exported to it")
    parser.add_argument("--loops", type=int, default=100, help="runs of each (default 100)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine.load(options.bundle, "cpu", threads=1)
    model = _model(options.bundle, options.checkpoint)
    print(f"{'loops at once':>13}  {'runs on':<16} {'p50 ms':>8} {'p99 ms':>8}")
    for batch in (1, 8):
        inputs = _inputs(engine, batch)
        times = interleaved([lambda i=inputs: engine.decode(**i), eager(model, inputs)], options.loops)
        for name, row in zip(("ONNX Runtime", "PyTorch, eager"), times, strict=True):
            print(f"{batch:>13}  {name:<16} {percentile(row, 50):>8.2f} {percentile(row, 99):>8.2f}")
        print(f"{batch:>13}  ratio            {percentile(times[0], 50) / percentile(times[1], 50):>8.2f}")


def interleaved(functions: list[Callable[[], object]], runs: int) -> list[list[float]]:
    """Returns each function's times in milliseconds. The functions run in turns, so that other load affects all of them."""
    times: list[list[float]] = [[] for _ in functions]
    for run in range(runs + 5):
        for function, row in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            if run >= 5:  # after five warm-up runs
                row.append(1000 * (time.perf_counter() - began))
    return times


def _model(bundle: Path | None, checkpoint: Path | None) -> Model:
    if checkpoint:
        return load_trained(checkpoint).model
    info = read_bundle(bundle or default_bundle())
    return new_model(ModelConfig.from_dict(info.training["config"]["model"])).eval()


def _inputs(engine: Engine, batch: int) -> dict[str, Any]:
    latent, noise = np.zeros((batch, engine.info.latent_size), np.float32), np.full((batch, *engine.noise_shape), 0.5, np.float32)
    return {"latent": latent, "noise": noise, "temperature": 1.0}


def eager(model: Model, inputs: dict[str, Any]) -> Callable[[], object]:
    """Returns a function that decodes in eager PyTorch, from the inputs of `Engine.decode`."""
    latent, noise = (torch.from_numpy(inputs[name]) for name in ("latent", "noise"))
    temperature = torch.full((len(latent),), inputs["temperature"])
    whole = model.latent_inputs(latent) | {"noise": noise, "temperature": temperature} if isinstance(model, Drummer) else {}

    def run() -> object:
        with torch.inference_mode():
            return model.decode(whole) if isinstance(model, Drummer) else model.decoder(latent, noise, temperature)

    return run


def percentile(times: list[float], percent: int) -> float:
    """Returns a percentile, 1 to 99, of times."""
    return statistics.quantiles(times, n=100)[percent - 1]


if __name__ == "__main__":
    main()
