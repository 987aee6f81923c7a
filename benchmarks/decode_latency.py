"""How long one four-bar loop takes: the exported decoder on one CPU thread beside the same model in eager PyTorch, in one run.

    python benchmarks/decode_latency.py [--bundle DIR] [--checkpoint FILE] [--loops N]

Without a checkpoint, PyTorch runs a fresh model of the bundle's architecture: the arithmetic is the same, the loops are not.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from drumvae.bundle import default_bundle, read_bundle
from drumvae.checkpoint import load_trained
from drumvae.engine import Engine
from drumvae.kit import VOICES
from drumvae.models.config import ModelConfig
from drumvae.models.vae import GrooveVAE


def main() -> None:
    """Prints a table of p50 and p99 in milliseconds, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=None, help="a bundle folder; by default the model that ships")
    parser.add_argument("--checkpoint", type=Path, default=None, help="the checkpoint that it came from")
    parser.add_argument("--loops", type=int, default=100, help="runs of each (default 100)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine.load(options.bundle, "cpu", threads=1)
    model = _model(options.bundle, options.checkpoint)
    print(f"{'loops at once':>13}  {'runs on':<16} {'p50 ms':>8} {'p99 ms':>8}")
    for batch in (1, 8):
        times = interleaved([_exported(engine, batch), _eager(model, batch)], options.loops)
        for name, row in zip(("ONNX Runtime", "PyTorch, eager"), times, strict=True):
            print(f"{batch:>13}  {name:<16} {_p(row, 50):>8.2f} {_p(row, 99):>8.2f}")
        print(f"{batch:>13}  ratio            {_p(times[0], 50) / _p(times[1], 50):>8.2f}")


def interleaved(functions: list[Callable[[], object]], runs: int) -> list[list[float]]:
    """Returns each function's times in milliseconds; they take turns, so that a noisy machine is noisy for all."""
    times: list[list[float]] = [[] for _ in functions]
    for run in range(runs + 5):
        for function, row in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            if run >= 5:  # the first ones warm up
                row.append(1000 * (time.perf_counter() - began))
    return times


def _model(bundle: Path | None, checkpoint: Path | None) -> GrooveVAE:
    if checkpoint:
        return load_trained(checkpoint).model
    info = read_bundle(bundle or default_bundle())
    return GrooveVAE(ModelConfig.from_dict(info.training["config"]["model"])).eval()


def _exported(engine: Engine, batch: int) -> Callable[[], object]:
    info = engine.info
    latent, noise = np.zeros((batch, info.latent_size), np.float32), np.full((batch, info.steps, len(VOICES)), 0.5, np.float32)
    return lambda: engine.decode(latent, noise)


def _eager(model: GrooveVAE, batch: int) -> Callable[[], object]:
    config = model.config
    latent, noise = torch.zeros(batch, config.latent_size), torch.full((batch, config.steps, len(VOICES)), 0.5)
    free = torch.zeros_like(noise)
    others = torch.ones(batch), torch.full((len(VOICES),), 0.5), free, free

    def run() -> object:
        with torch.inference_mode():
            return model.decoder(latent, noise, *others)

    return run


def _p(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


if __name__ == "__main__":
    main()
