"""Verifies that the exported graphs give the same loops as the PyTorch model they came from.

B loops, S steps, V = 9 voices, Z latent size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from drumvae.bundle.format import BundleInfo, shape_of
from drumvae.bundle.schema import DECODER, TAP_MODEL, TensorSpec
from drumvae.inference.engine import Engine
from drumvae.inference.parity import LoopDifference, compare_loops, hits_of
from drumvae.models.build import Model
from drumvae.models.drummer import Drummer
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.util.errors import BundleError

TOLERANCE = 1e-4
"""Largest difference allowed in any value. Hits and classes must be identical wherever so small a difference cannot change a draw."""
_LOOPS = 64  # of each kind: as many seeds, and at most as many windows
_BATCHES = (1, 7, _LOOPS)  # a batch size that is frozen in the graph fails in one of them
Inputs = Mapping[str, Array]
"""Inputs of a decoder by name; a missing one has its default."""


@dataclass(frozen=True)
class Parity:
    """The difference between the outputs of ONNX Runtime and PyTorch."""

    loops: int
    """Loops compared."""
    hit_differences: int
    """Steps on which the hits, or the class of a melody, differ."""
    value_difference: float
    """Largest absolute difference in velocities, offsets, latents and hit probabilities."""

    @property
    def within_tolerance(self) -> bool:
        """Whether the graphs may be published."""
        return self.hit_differences == 0 and self.value_difference <= TOLERANCE


def compare(engine: Engine, model: Model, windows: Array, most: int = _LOOPS) -> Parity:
    """Compares the loops of 64 seeds at temperature 1, and of up to `most` of the windows (n, S, 27) or (n, S), evenly spread.

    Seeds are sampled freely, and teacher-forced on PyTorch's loops in several batch sizes. Windows are encoded and reconstructed: freely,
    teacher-forced, for drums with all hits given and with half of them, and with every input of the decoder drawn as the schema says.
    """
    generator = np.random.default_rng(0)
    latent = generator.standard_normal((_LOOPS, engine.info.latent_size), np.float32)
    noise = generator.random((_LOOPS, *engine.noise_shape), np.float32)
    seeds = {"latent": latent, "noise": noise, "temperature": np.ones(_LOOPS, np.float32)}
    forced = seeds | _teacher(_run_torch(engine.info, model, seeds))
    cases: list[Inputs] = [seeds, *({name: value[:count] for name, value in forced.items()} for count in _BATCHES)]
    windows = windows[np.linspace(0, len(windows) - 1, min(len(windows), most)).astype(np.int64)]
    value = 0.0
    if len(windows):
        mean, value = _compare_encoders(engine, model, windows)
        if isinstance(model, Drummer):
            value = max(value, _compare_tap_models(engine, model, windows, generator))
        cases += _window_cases(engine.info, mean, windows, generator)
    total = sum((_compare_decoders(engine, model, case) for case in cases), LoopDifference())
    return Parity(_LOOPS + len(windows), total.steps_differing, float(np.maximum(total.value, value)))


def _window_cases(info: BundleInfo, latent: Array, windows: Array, generator: np.random.Generator) -> list[Inputs]:
    """Returns the inputs of the decoder for the windows with these latents, case by case."""
    cases: list[Inputs] = [{"latent": latent}, {"latent": latent} | _teacher(windows)]
    if info.encoding != "melody":
        hits = windows[..., :VOICE_COUNT]
        half = (generator.random(hits.shape) < 0.5).astype(np.float32)
        cases += [{"latent": latent, "hit_values": hits, "hit_mask": mask} for mask in (np.ones_like(hits), half)]
    return [*cases, drawn_inputs(info.graphs[DECODER].inputs, info, windows, generator) | {"latent": latent}]


def drawn_inputs(tensors: Mapping[str, TensorSpec], info: BundleInfo, windows: Array, generator: np.random.Generator) -> dict[str, Array]:
    """Returns a value for every tensor, drawn as the schema says, for windows (n, S, 27) or (n, S)."""
    return {name: tensor.draw(generator, shape_of(tensor, info, len(windows)), windows) for name, tensor in tensors.items()}


def _teacher(loops: Array) -> dict[str, Array]:
    return {"teacher_target": loops, "teacher_forcing": np.ones(loops.shape[:2], np.float32)}


def _compare_encoders(engine: Engine, model: Model, windows: Array) -> tuple[Array, float]:
    """Returns the model's mean latents (n, Z) of windows, and the largest difference of a mean or standard deviation."""
    with torch.no_grad():
        expected = [value.numpy() for value in model.encoder(torch.from_numpy(windows))]
    return expected[0], max(_largest(*pair) for pair in zip(expected, engine.encode(windows), strict=True))


def _compare_tap_models(engine: Engine, model: Drummer, windows: Array, generator: np.random.Generator) -> float:
    """Returns the largest difference of a hit probability for the taps of windows."""
    inputs = drawn_inputs(engine.info.graphs[TAP_MODEL].inputs, engine.info, windows, generator)
    with torch.no_grad():
        expected = model.tap_model(**_tensors(inputs)).numpy()
    return _largest(expected, engine.hit_probability(**inputs))


def _compare_decoders(engine: Engine, model: Model, inputs: Inputs) -> LoopDifference:
    """Compares the loops of both up to the first unstable step of each loop.

    At an unstable step, a difference within the tolerance could change a draw. There the order of additions, which differs between
    backends, decides the draw, and the loops diverge afterwards. With teacher forcing everywhere, only the unstable steps are left out.
    """
    conditioning = {name: value for name, value in inputs.items() if name != "latent"}
    found = engine.decode(inputs["latent"], conditioning=conditioning)
    expected = _run_torch(engine.info, model, inputs)
    low, high = (hits_of(_run_torch(engine.info, model, {**_teacher(expected), **inputs}, nudge)) for nudge in (-TOLERANCE, TOLERANCE))
    unstable = (low != high).any(axis=2)  # (B, S)
    every_step_forced = "teacher_forcing" in inputs and bool(inputs["teacher_forcing"].all())
    return compare_loops(expected, found, ~(unstable if every_step_forced else np.logical_or.accumulate(unstable, axis=1)))


def _run_torch(info: BundleInfo, model: Model, inputs: Inputs, nudge: float = 0.0) -> Array:
    """Returns PyTorch's loops with log odds shifted by `nudge`, through the thresholds of hits or the noise of classes."""
    count = len(inputs["latent"])
    values = {name: np.full(shape_of(tensor, info, count), tensor.default) for name, tensor in info.graphs[DECODER].inputs.items()}
    if info.thresholds:
        values["thresholds"] = np.array(info.thresholds)
    values |= inputs
    if info.encoding == "groove":
        odds = values["thresholds"] / (1 - values["thresholds"]) * np.exp(nudge)
        values["thresholds"] = odds / (1 + odds) if nudge else values["thresholds"]
    else:
        temperature = values["temperature"].reshape(-1, *[1] * (values["noise"].ndim - 1))
        values["noise"] = values["noise"] + nudge / temperature
    tensors = _tensors(values)
    with torch.no_grad():
        return np.asarray((model.decode(tensors) if isinstance(model, Drummer) else model.decoder(**tensors)).numpy())


def _tensors(inputs: Inputs) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in inputs.items()}


def _largest(expected: Array, found: Array) -> float:
    return float(np.abs(found - expected).max())


def assert_parity(parity: Parity, say: Callable[[str], None]) -> None:
    """Reports the comparison; raises BundleError if the graphs differ from the model."""
    found = f"hits differ on {parity.hit_differences} steps, values by at most {parity.value_difference:.1e}"
    say(f"{parity.loops} loops compared with PyTorch: {found}")
    if not parity.within_tolerance:
        raise BundleError(
            f"The exported graphs differ from the model: in hits on {parity.hit_differences} steps,"
            f" in values by {parity.value_difference:.1e} (allowed: none, {TOLERANCE:g}). No bundle was written; report this with the"
            " versions of torch and onnxruntime."
        )
