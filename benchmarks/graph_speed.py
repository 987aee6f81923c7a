"""Measures the speed of exported models: every preset at full size, beside eager PyTorch and bare matrix products, in one run.

    python benchmarks/graph_speed.py [--presets NAME ...] [--loops N] [--batch 512] [--int8]

One loop runs on one CPU thread, in turns: in ONNX Runtime, in eager PyTorch, and as the matrix products alone (NumPy, the same shapes in
the same order), which is the lower bound. Then many loops run at once on all cores, and the start of the default bundle is timed. Weights
are random; the arithmetic is that of a trained model.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from decode_latency import eager, interleaved, percentile

from drumvae.bundle.format import BundleInfo, default_bundle, read_bundle, write_bundle_json
from drumvae.bundle.schema import DECODER
from drumvae.export.onnx.convert import halve, write_graphs
from drumvae.inference.engine import Engine
from drumvae.models.build import Model, new_model
from drumvae.models.config import DrummerConfig
from drumvae.trainer.training.presets import presets

LARGE = "hierdec_drums_16bar"  # a minute to export, half a gigabyte to hold
_START = (
    "import time; a = time.perf_counter(); from drumvae.inference.engine import Engine; b = time.perf_counter();"
    " e = Engine.load(provider='cpu'); c = time.perf_counter(); e.generate(0); print(b - a, c - b, time.perf_counter() - c)"
)


def main() -> None:
    """Prints the tables of docs/speed.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="*", default=[name for name in presets() if name != LARGE], help=f"by default all but {LARGE}")
    parser.add_argument("--loops", type=int, default=100, help="runs of each (default 100)")
    parser.add_argument("--batch", type=int, default=512, help="loops at once (default 512; 0 for none)")
    parser.add_argument("--int8", action="store_true", help="also measure an int8 export of each")
    options = parser.parse_args()
    for line in ("|" + "|".join(_TITLES) + "|", "|---" * len(_TITLES) + "|"):
        print(line)
    for name in options.presets:
        with tempfile.TemporaryDirectory() as folder:
            _measure(name, Path(folder), options)
    if options.batch:
        print("\nstart of the default bundle, seconds, median of five: import {:.2f}, load {:.2f}, first loop {:.3f}".format(*_start()))


_TITLES = ["preset", "p50 ms", "p99 ms", "eager p50", "p99", "ratio", "products alone", "MB read", "million multiply-adds"]
_TITLES += ["loops/s of a batch", "eager loops/s", "int8 p50", "int8 loops/s"]


def _measure(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Exports a preset and prints its row."""
    torch.manual_seed(0)
    model = new_model(presets()[name].model).eval()
    halve(model)
    info = bare_info(model, name)
    engines = {
        precision: _exported(model, replace(info, precision=precision), folder) for precision in ("fp32", "int8")[: 1 + options.int8]
    }
    torch.set_num_threads(1)
    products = _products(folder / "fp32" / DECODER)
    inputs = {name: _inputs(engine[0], 1) for name, engine in engines.items()}
    runs: list[Callable[[], object]] = [
        lambda: engines["fp32"][0].decode(**inputs["fp32"]),
        eager(model, inputs["fp32"]),
        _alone(products),
    ]
    if options.int8:
        runs.append(lambda: engines["int8"][0].decode(**inputs["int8"]))
    ours, torchs, alone, *low = interleaved(runs, options.loops)
    numbers = sum(k * n for k, n in products)
    row = [
        name,
        *(f"{percentile(times, of):.2f}" for times in (ours, torchs) for of in (50, 99)),
        f"{percentile(ours, 50) / percentile(torchs, 50):.2f}",
    ]
    row += [f"{percentile(alone, 50):.2f}", f"{4 * numbers / 1e6:.0f}", f"{numbers / 1e6:.0f}"]
    row += _batches(model, engines, options) if options.batch else ["", ""]
    row[11:11] = [f"{percentile(low[0], 50):.2f}"] if low else []
    print("| " + " | ".join(row) + " |", flush=True)


def _batches(model: Model, engines: dict[str, list[Engine]], options: argparse.Namespace) -> list[str]:
    """Returns loops per second in a batch on all cores, for the fp32 export, eager PyTorch and the int8 export; the best of two runs."""
    torch.set_num_threads(os.cpu_count() or 1)
    inputs = _inputs(engines["fp32"][1], options.batch)
    runs = [lambda e=pair[1]: e.decode(**inputs) for pair in engines.values()]
    runs.insert(1, eager(model, inputs))
    best = []
    for run in runs:
        took = []
        for _ in range(2):
            began = time.perf_counter()
            run()
            took.append(time.perf_counter() - began)
        best.append(f"{options.batch / min(took):.0f}")
    return best


def bare_info(model: Model, name: str) -> BundleInfo:
    """Returns the bundle description of an untrained model."""
    config = model.config
    thresholds = () if config.encoding == "melody" else (0.5,) * 9
    shape = {"encoding": config.encoding, "steps": config.steps, "latent_size": config.latent_size, "tasks": ("generate",)}
    shape |= {"family": config.family, "styles": (), "loop_factors": 0, "densities": ()}
    if isinstance(config, DrummerConfig):
        shape |= {"styles": config.styles, "loop_factors": config.moods, "densities": tuple(map(float, range(10, 32, 2)))}
    untrained = {"thresholds": thresholds, "thresholds_by_task": {}, "training": {}, "scores": {}}
    return replace(read_bundle(default_bundle()), preset=name, **untrained, **shape)


def _exported(model: Model, info: BundleInfo, folder: Path) -> list[Engine]:
    """Returns a model's export, opened on one thread and on all cores."""
    place = folder / info.precision
    place.mkdir()
    write_graphs(model, info, place)
    write_bundle_json(place, info)
    return [Engine.load(place, "cpu", threads=threads) for threads in (1, 0)]


def _products(path: Path) -> list[tuple[int, int]]:
    """Returns the shapes of a decoder's weight matrices in order of execution, from the shapes in its graph."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    shapes = {each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim] for each in [*graph.value_info, *graph.input]}
    shapes |= {each.name: list(each.dims) for each in graph.initializer}
    found = [shapes.get(node.input[1], []) for node in graph.node if node.op_type in ("Gemm", "MatMul")]
    return [(shape[-2], shape[-1]) for shape in found if len(shape) >= 2 and min(shape[-2:]) > 0]


def _alone(products: list[tuple[int, int]]) -> Callable[[], object]:
    """Returns a function that multiplies one matrix of each shape with a vector, as often as the shape occurs."""
    matrices = {shape: np.ones(shape, np.float32) for shape in products}
    vectors = {shape: np.ones(shape[1], np.float32) for shape in products}
    return lambda: [matrices[shape] @ vectors[shape] for shape in products]


def _inputs(engine: Engine, batch: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((batch, engine.info.latent_size), np.float32)
    return {"latent": latent, "noise": rng.random((batch, *engine.noise_shape), np.float32), "temperature": 1.0}


def _start() -> list[float]:
    """Returns the times of import, loading and first loop of the default bundle in a new process, in seconds; the median of five."""
    runs = [subprocess.run([sys.executable, "-c", _START], capture_output=True, text=True, check=True).stdout for _ in range(5)]
    return [float(value) for value in np.median([[float(part) for part in run.split()] for run in runs], axis=0)]


if __name__ == "__main__":
    main()
