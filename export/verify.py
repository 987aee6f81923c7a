"""A bundle and the model it came from in, the largest difference between the two out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from drumvae.engine import Engine
from drumvae.errors import BundleError
from drumvae.grid import Array
from drumvae.kit import VOICES
from drumvae.models.vae import GrooveVAE

TOLERANCE = 1e-4
"""Largest difference allowed in any value; hits must be identical."""
_SEEDS = 64


@dataclass(frozen=True)
class Parity:
    """Says how far ONNX Runtime is from PyTorch."""

    loops: int
    """Loops compared."""
    hit_differences: int
    """Cells in which one plays and the other does not."""
    value_difference: float
    """Largest absolute difference in groove tensors, means and scales."""

    @property
    def kept(self) -> bool:
        return self.hit_differences == 0 and self.value_difference <= TOLERANCE


def compare(engine: Engine, model: GrooveVAE, windows: Array) -> Parity:
    """Compares on 64 seeds, and on groove tensors (n, S, 27): their latents, their reconstruction, and with their hits locked.

    Batches of 1, 7 and all are run, so that a batch frozen in the graph is found.
    """
    info = engine.info
    draw = np.random.default_rng(0)
    seeds = {
        "latent": draw.standard_normal((_SEEDS, info.latent_size), np.float32),
        "noise": draw.random((_SEEDS, info.steps, len(VOICES)), np.float32),
    }
    results = [_decoded(engine, model, **{name: value[:count] for name, value in seeds.items()}) for count in (1, 7, _SEEDS)]
    if len(windows):
        results += _on_windows(engine, model, windows)
    return Parity(_SEEDS + len(windows), sum(r[0] for r in results), max(r[1] for r in results))


def _on_windows(engine: Engine, model: GrooveVAE, windows: Array) -> list[tuple[int, float]]:
    with torch.no_grad():
        mean, scale = (value.numpy() for value in model.encoder(torch.from_numpy(windows)))
    latents = engine.encode(windows)
    encoded = max(float(np.abs(a - b).max()) for a, b in zip((mean, scale), latents, strict=True))
    hits = windows[..., : len(VOICES)]
    middle = np.full_like(hits, 0.5)
    locked = _decoded(engine, model, mean, middle, hits, np.ones_like(hits))
    return [(0, encoded), _decoded(engine, model, mean, middle), locked]


def _decoded(
    engine: Engine, model: GrooveVAE, latent: Array, noise: Array, locked_hits: Array | None = None, locked: Array | None = None
) -> tuple[int, float]:
    """Returns how many hits differ and by how much any value does."""
    thresholds = np.array(engine.info.thresholds, np.float32)
    nothing = np.zeros_like(noise)
    arrays = (latent, noise, np.ones(len(latent), np.float32), thresholds)
    locks = (nothing if locked_hits is None else locked_hits, nothing if locked is None else locked)
    with torch.no_grad():
        expected = model.decoder(*map(torch.from_numpy, (*arrays, *locks))).numpy()
    found = engine.decode(latent, noise, 1.0, *locks)
    differing = found[..., : len(VOICES)] != expected[..., : len(VOICES)]
    return int(differing.sum()), float(np.abs(found - expected)[~np.tile(differing, 3)].max(initial=0))


def require(parity: Parity, say: Callable[[str], None]) -> None:
    """Says what was compared; raises BundleError where the graphs differ from the model."""
    found = f"{parity.hit_differences} hits differ, values by at most {parity.value_difference:.1e}"
    say(f"{parity.loops} loops compared with PyTorch: {found}")
    if not parity.kept:
        raise BundleError(
            f"The exported graphs differ from the model: {parity.hit_differences} hits, values by {parity.value_difference:.1e}"
            f" (allowed: none, {TOLERANCE:g}). No bundle was written; report this with the versions of torch and onnxruntime."
        )
