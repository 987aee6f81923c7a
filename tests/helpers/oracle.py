"""An engine whose latent is the loop itself, for tests of metrics: its reconstruction is perfect. No graph is run."""

from typing import Any

import numpy as np

from drumvae.bundle.format import BundleInfo
from drumvae.bundle.schema import DECODER, ENCODER
from drumvae.bundle.tasks import TASKS
from drumvae.inference.engine import Engine
from drumvae.inference.onnx_model import Graphs, OnnxModel
from drumvae.music.kit import DEFAULT_KIT
from drumvae.trainer.evaluation.windows import Windows


class _Encoder:
    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        (loops,) = feeds.values()
        latent = np.asarray(loops, np.float32).reshape(len(loops), -1)
        return [latent, np.zeros_like(latent)]


class _Decoder:
    """Returns the latent as a loop, with the masked hits in place; values above 0.5 are hits."""

    def __init__(self, shape: tuple[int, ...], inputs: frozenset[str]) -> None:
        self.shape, self.inputs, self.per_draw = shape, inputs, inputs

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        loops = feeds["latent"].reshape(-1, *self.shape).copy()
        if len(self.shape) == 1:
            return [np.clip(np.round(loops), 0, 89)]
        hits = np.where(feeds["hit_mask"] > 0, feeds["hit_values"], loops[..., :9] > 0.5)
        return [np.concatenate([hits, hits * np.clip(loops[..., 9:18], 0, 1), hits * np.clip(loops[..., 18:], -1, 1)], axis=-1)]


def oracle(encoding: str = "groove", steps: int = 64, tasks: tuple[str, ...] = TASKS) -> Engine:
    """Returns an engine whose reconstruction equals its input."""
    shape: tuple[int, ...] = (steps,) if encoding == "melody" else (steps, 27)
    inputs = {"latent", "noise", "temperature", "teacher_target", "teacher_forcing"}
    inputs |= set() if encoding == "melody" else {"thresholds", "hit_values", "hit_mask"}
    facts: dict[str, Any] = {"preset": "oracle", "training": {}, "scores": {}, "licence": "", "version": "0"}
    thresholds = () if encoding == "melody" else (0.5,) * 9
    info = BundleInfo(encoding, steps, int(np.prod(shape)), tasks, DEFAULT_KIT, 1.0, thresholds, **facts)
    sessions: dict[str, Any] = {ENCODER: _Encoder(), DECODER: _Decoder(shape, frozenset(inputs))}
    return Engine(OnnxModel(info, Graphs(sessions, "cpu")))


def windows(loops: np.ndarray, takes: list[int] | None = None, bpm: float = 120.0) -> Windows:
    """Returns loops as windows, each from a separate take unless `takes` gives their takes."""
    numbers = np.arange(len(loops))
    cut_from = numbers if takes is None else np.array(takes)
    tempi = np.full(len(loops), bpm, np.float32)
    return Windows(lambda chosen: loops[chosen].astype(np.float32), numbers, tempi, cut_from, ("rock",) * (int(cut_from.max()) + 1))


def random_grooves(count: int, seed: int = 0, density: float = 0.15, steps: int = 64) -> np.ndarray:
    """Returns groove tensors (count, steps, 27) of random hits with random velocities and offsets."""
    draw = np.random.default_rng(seed)
    hits = draw.random((count, steps, 9)) < density
    velocities, offsets = draw.uniform(0.1, 1, hits.shape), draw.uniform(-0.9, 0.9, hits.shape)
    return np.concatenate([hits, hits * velocities, hits * offsets], axis=-1).astype(np.float32)


def random_melodies(count: int, seed: int = 0, steps: int = 64) -> np.ndarray:
    """Returns melodies (count, steps), with an event on about every third step."""
    draw = np.random.default_rng(seed)
    return np.where(draw.random((count, steps)) < 0.3, draw.integers(1, 60, (count, steps)), 0).astype(np.float32)
