"""A bundle and the model it came from in, the largest difference between the two out.

B loops, S steps, V = 9 voices, Z latent size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from drumvae.bundle.format import DECODER, shape_of
from drumvae.inference.engine import Engine
from drumvae.models.build import Model
from drumvae.models.drummer import Conditioning, Drummer
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.inputs import tap_of
from drumvae.music.sampling import MIN_TEMPERATURE
from drumvae.util.errors import BundleError

TOLERANCE = 1e-4
"""Largest difference allowed in any value. Hits, and the classes of melodies, must be the same wherever none so small turns a draw."""
_PLAYED = ("logit_bias", "note_noise", "loop_noise", "expression_temperature")
_LOOPS = 64  # of each kind: as many seeds, and at most as many windows


@dataclass(frozen=True)
class Parity:
    """Says how far ONNX Runtime is from PyTorch."""

    loops: int
    """Loops compared."""
    hit_differences: int
    """Steps on which one plays other hits than the other, or another class of a melody."""
    value_difference: float
    """Largest absolute difference in velocities, offsets, means, scales and expectations."""

    @property
    def kept(self) -> bool:
        return self.hit_differences == 0 and self.value_difference <= TOLERANCE


def compare(engine: Engine, model: Model, windows: Array, most: int = _LOOPS) -> Parity:
    """Compares on 64 seeds drawn at temperature 1, and on up to `most` of the windows (n, S, 27) or (n, S), evenly spread.

    Seeds are written freely, and as shown what PyTorch writes, in batches of 1, 7 and all, so that a batch frozen in the graph is
    found. Of the windows: the latents; what is written as likeliest, freely and teacher-forced; and of drums, with all hits locked
    and with a random half of the cells locked. Of a drummer also what it writes when all is told, and what it expects of the taps.
    """
    draw = np.random.default_rng(0)
    latent = draw.standard_normal((_LOOPS, engine.info.latent_size), np.float32)
    noise = draw.random((_LOOPS, *engine.noise_shape), np.float32)
    known = _written(engine, model, latent, 1.0, {"noise": noise})
    shown = {"noise": noise, "teacher_target": known, "teacher_forcing": np.ones(known.shape[:2], np.float32)}
    results = [_differences(engine, model, latent, 1.0, {"noise": noise})]
    for count in (1, 7, _LOOPS):
        results.append(_differences(engine, model, latent[:count], 1.0, {name: value[:count] for name, value in shown.items()}))
    windows = windows[np.linspace(0, len(windows) - 1, min(len(windows), most)).astype(np.int64)]
    if len(windows):
        results += _on_windows(engine, model, windows, draw)
    return Parity(_LOOPS + len(windows), sum(r[0] for r in results), max(r[1] for r in results))


def _on_windows(engine: Engine, model: Model, windows: Array, draw: np.random.Generator) -> list[tuple[int, float]]:
    with torch.no_grad():
        mean, scale = (value.numpy() for value in model.encoder(torch.from_numpy(windows)))
    encoded = max(float(np.abs(a - b).max()) for a, b in zip((mean, scale), engine.encode(windows), strict=True))
    if isinstance(model, Drummer):
        encoded = max(encoded, _expectations(engine, model, windows, draw))
    forced = {"teacher_target": windows, "teacher_forcing": np.ones(windows.shape[:2], np.float32)}
    given = [{}, forced]
    if engine.encoding != "melody":
        hits = windows[..., :VOICE_COUNT]
        some = (draw.random(hits.shape) < 0.5).astype(np.float32)
        given += [{"hit_values": hits, "hit_mask": hit_mask} for hit_mask in (np.ones_like(hits), some)]
        given += [_asked_for(engine, windows, draw) | {"hit_values": hits, "hit_mask": some}] if isinstance(model, Drummer) else []
    return [(0, encoded), *(_differences(engine, model, mean, 0.0, more) for more in given)]


def _expectations(engine: Engine, model: Drummer, windows: Array, draw: np.random.Generator) -> float:
    """Returns the largest difference in what is expected of the taps of windows, at tempi and in styles that are drawn."""
    told = _asked_for(engine, windows, draw)
    asked = [told[name] for name in ("tap", "bpm", "style")]
    with torch.no_grad():
        expected = model.tap_model(*map(torch.from_numpy, asked)).numpy()
    return float(np.abs(engine.hit_probability(*asked) - expected).max())


def _asked_for(engine: Engine, windows: Array, draw: np.random.Generator) -> dict[str, Array]:
    """Returns what a drummer can be told beside hits and latents, all of it at once, half of the cells played as in the windows."""
    count, steps = windows.shape[:2]
    cells, styles = (count, steps, VOICE_COUNT), len(engine.styles)
    expression_mask = (draw.random(cells) < 0.5).astype(np.float32)
    return {
        "logit_bias": draw.normal(0, 0.5, cells).astype(np.float32),
        "note_noise": draw.standard_normal((count, steps, 2 * VOICE_COUNT), np.float32),
        "loop_noise": draw.standard_normal((count, engine.info.loop_factors), np.float32),
        "expression_temperature": np.full(count, 0.7, np.float32),
        "expression_mask": expression_mask,
        "expression": windows[..., VOICE_COUNT:] * np.tile(expression_mask, 2),
        "tap": tap_of(windows),
        "has_tap": np.ones(count, np.float32),
        "style": np.eye(styles, dtype=np.float32)[draw.integers(styles, size=count)] if styles else np.zeros((count, 0), np.float32),
        "bpm": np.array(draw.uniform(60, 200, count), np.float32),
        "density": np.array(draw.uniform(5, 30, count), np.float32),
        "fill": draw.integers(-1, 2, (count, steps // STEPS_PER_BAR)).astype(np.float32),
    }


def _differences(engine: Engine, model: Model, latent: Array, temperature: float, more: Mapping[str, Array]) -> tuple[int, float]:
    """Returns on how many steps hits or classes differ, and by how much any value does, up to the first step of each loop that is open.

    A step is open where a difference within the tolerance turns a draw: there the order of additions decides, which no two backends
    share, and what follows is another loop. Where the next step is shown what was written, open steps alone are left out.
    """
    told = {
        name: value for name, value in more.items() if name in Conditioning._fields + _PLAYED and name not in ("hit_values", "hit_mask")
    }
    given: dict[str, Any] = {name: value for name, value in more.items() if name not in told} | ({"conditioning": told} if told else {})
    found, expected = engine.decode(latent, temperature=temperature, **given), _written(engine, model, latent, temperature, more)
    shown = {"teacher_target": expected, "teacher_forcing": np.ones(expected.shape[:2], np.float32)} | dict(more)
    low, high = (_hits(_written(engine, model, latent, temperature, shown, nudge)) for nudge in (-TOLERANCE, TOLERANCE))
    turned = (low != high).any(axis=2)  # (B, S)
    settled = ~(turned if "teacher_forcing" in more else np.maximum.accumulate(turned, axis=1))
    differing = (_hits(found) != _hits(expected)).any(axis=2) & settled
    same = settled & ~differing
    return int(differing.sum()), float(np.abs(found - expected)[same].max(initial=0))


def _written(engine: Engine, model: Model, latent: Array, temperature: float, more: Mapping[str, Array], nudge: float = 0.0) -> Array:
    """Returns what PyTorch writes where its log odds are off by the nudge: hits by way of the thresholds, classes by way of the noise."""
    temperature = max(temperature, MIN_TEMPERATURE)
    inputs = {
        "latent": latent,
        "noise": np.full((len(latent), *engine.noise_shape), 0.5, np.float32),
        "temperature": np.full(len(latent), temperature, np.float32),
        **more,
    }
    if engine.encoding != "melody":
        inputs["thresholds"] = np.array(engine.info.thresholds, np.float32)
    if engine.encoding == "groove":
        odds = inputs["thresholds"] / (1 - inputs["thresholds"]) * np.exp(np.float32(nudge))
        inputs["thresholds"] = odds / (1 + odds) if nudge else inputs["thresholds"]
    else:
        inputs["noise"] = inputs["noise"] + np.float32(nudge / temperature)
    if isinstance(model, Drummer):
        inputs = {name: _told(name, inputs, engine, len(latent)) for name in engine.info.graphs[DECODER][0]}
        return np.asarray(model.decode({name: torch.from_numpy(value) for name, value in inputs.items()}).numpy())
    with torch.no_grad():
        return np.asarray(model.decoder(**{name: torch.from_numpy(value) for name, value in inputs.items()}).numpy())


def _told(name: str, inputs: Mapping[str, Array], engine: Engine, count: int) -> Array:
    """Returns an input of a drummer's decoder: as it is given, or unknown, but that the latent is heard."""
    shape = shape_of(engine.info.graphs[DECODER][0][name], engine.info, count)
    value = inputs.get(name)
    return np.full(shape, float(name == "has_latent"), np.float32) if value is None else np.array(np.broadcast_to(value, shape), np.float32)


def _hits(loops: Array) -> Array:
    """Returns what must be identical: the hits (B, S, V) of grooves, the classes (B, S, 1) of melodies."""
    return loops[..., :VOICE_COUNT] if loops.ndim == 3 else loops[..., None]


def assert_parity(parity: Parity, say: Callable[[str], None]) -> None:
    """Says what was compared; raises BundleError where the graphs differ from the model."""
    found = f"hits differ on {parity.hit_differences} steps, values by at most {parity.value_difference:.1e}"
    say(f"{parity.loops} loops compared with PyTorch: {found}")
    if not parity.kept:
        raise BundleError(
            f"The exported graphs differ from the model: in hits on {parity.hit_differences} steps,"
            f" in values by {parity.value_difference:.1e} (allowed: none, {TOLERANCE:g}). No bundle was written; report this with the"
            " versions of torch and onnxruntime."
        )
