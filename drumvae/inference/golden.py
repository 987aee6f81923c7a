"""Records a bundle's outputs for a few seeds in a file of the bundle, and compares the outputs on another machine with them.

The file is zlib-compressed float32, little endian: the arrays that `_shapes` lists, one after the other. Their shapes follow from the
bundle's description, so that the file cannot state its own size and make a reader allocate memory.
"""

import zlib
from dataclasses import dataclass
from math import prod

import numpy as np

from ..bundle.format import BundleInfo, shape_of
from ..bundle.schema import DECODER, ENCODER, TAP_MODEL
from ..music.encoding import VOICE_COUNT
from ..music.grid import Array
from ..music.inputs import tap_of
from ..util.errors import BundleError
from .engine import Engine
from .parity import LoopDifference, compare_loops, hits_of

LOOPS = 4
TEMPERATURE = 1.0
TOLERANCE = 1e-4
"""Largest difference allowed in any value; hits must be identical."""
INT8_TOLERANCE, INT8_SHARE = 0.1, 0.1
"""The same for an int8 model, and the share of hits that may differ. A sum that is off in its last digit, as on every other processor, may
round a state to the next of 127 steps, after which another loop follows."""
_SEEDS = 64  # among which loops with stable hits are searched
_NUDGE = 1e-4  # change of the noise that must not change the hits of a recorded loop
_SAMPLED, _MOST_LIKELY, _HITS_GIVEN = "sampled", "most likely", "hits given"


@dataclass(frozen=True)
class GoldenDifference:
    """Says how far a machine's outputs are from the recorded ones."""

    loops: LoopDifference
    precision: str

    @property
    def within_tolerance(self) -> bool:
        """Whether the bundle plays here as it did where it was exported."""
        if self.precision == "int8":
            return self.loops.hits_differing <= INT8_SHARE * self.loops.hits and self.loops.value <= INT8_TOLERANCE
        return self.loops.hits_differing == 0 and self.loops.value <= TOLERANCE

    def sentence(self) -> str:
        """Returns the figures in a sentence."""
        hits = f"{self.loops.hits_differing} of {self.loops.hits} hits differ"
        return f"{LOOPS} loops: {hits}, values by at most {self.loops.value:.1e}"


def record(engine: Engine) -> bytes:
    """Returns the file for an engine's outputs. Only seeds whose hits are stable under a small change of the noise are recorded."""
    found: list[dict[str, Array]] = []
    for seed in range(_SEEDS):
        latent, noise = _seed_noise(engine.info, seed)
        inputs = {"latent": latent[None], "noise": noise[None]}
        if len(found) < LOOPS and (_is_stable(engine, **inputs) or _SEEDS - seed <= LOOPS - len(found)):
            found.append(inputs)
    inputs = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    arrays = inputs | _outputs(engine, inputs, None)
    return zlib.compress(b"".join(arrays[name].astype("<f4").tobytes() for name in _shapes(engine.info)), 9)


def difference(engine: Engine, data: bytes) -> GoldenDifference:
    """Compares an engine's outputs with a recorded file; raises BundleError if the file is not whole."""
    recorded = _read(data, engine.info)
    total = LoopDifference()
    for name, output in _outputs(engine, recorded, recorded[_SAMPLED]).items():
        if name in (_SAMPLED, _MOST_LIKELY, _HITS_GIVEN):
            total += compare_loops(recorded[name], output)
        else:
            total += LoopDifference(value=float(np.abs(output - recorded[name]).max()))
    return GoldenDifference(total, engine.info.precision)


def same_seeds(info: BundleInfo, data: bytes) -> bool:
    """Returns whether the recorded seeds draw the same latents and noise here, that is whether NumPy's generator is unchanged."""
    recorded = _read(data, info)
    drawn = [_seed_noise(info, seed) for seed in range(_SEEDS)]
    pairs = zip(recorded["latent"], recorded["noise"], strict=True)
    return all(any(np.array_equal(latent, z) and np.array_equal(noise, n) for z, n in drawn) for latent, noise in pairs)


def _seed_noise(info: BundleInfo, seed: int) -> tuple[Array, Array]:
    generator = np.random.default_rng([seed, 0])
    noise_shape = shape_of(info.graphs[DECODER].inputs["noise"], info, 1)[1:]
    return generator.standard_normal(info.latent_size, np.float32), generator.random(noise_shape, np.float32)


def _is_stable(engine: Engine, latent: Array, noise: Array) -> bool:
    low, own, high = (engine.decode(latent, np.clip(noise + by, 0, 1), TEMPERATURE) for by in (-_NUDGE, 0, _NUDGE))
    return np.array_equal(hits_of(low), hits_of(own)) and np.array_equal(hits_of(own), hits_of(high))


def _outputs(engine: Engine, inputs: dict[str, Array], sampled: Array | None) -> dict[str, Array]:
    """Returns an engine's outputs; `sampled` are the loops that are encoded and whose hits are given, by default its own."""
    latent = inputs["latent"]
    outputs = {_SAMPLED: engine.decode(latent, inputs["noise"], TEMPERATURE), _MOST_LIKELY: engine.decode(latent)}
    loops = outputs[_SAMPLED] if sampled is None else sampled
    outputs |= dict(zip(engine.info.graphs[ENCODER].outputs, engine.encode(loops), strict=True))
    if engine.encoding != "melody":
        hits, expression = loops[..., :VOICE_COUNT], _expression_noise(engine.info, inputs)
        outputs[_HITS_GIVEN] = engine.decode(latent, hit_values=hits, hit_mask=np.ones_like(hits), conditioning=expression)
    if TAP_MODEL in engine.info.graphs:
        outputs["hit_probability"] = engine.hit_probability(tap_of(loops))
    return outputs


def _expression_noise(info: BundleInfo, inputs: dict[str, Array]) -> dict[str, Array]:
    """Returns a drummer's inputs that sample the expression at temperature 1, made of the recorded latents and noise."""
    if TAP_MODEL not in info.graphs:
        return {}
    noise, latent = inputs["noise"], inputs["latent"]
    loop_noise = np.resize(latent, (len(latent), info.loop_factors)).astype(np.float32)
    return {"note_noise": np.tile(2 * noise - 1, 2), "loop_noise": loop_noise, "expression_temperature": np.ones(len(noise), np.float32)}


def _shapes(info: BundleInfo) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a file's arrays, in order, by name."""
    decoder, encoder = info.graphs[DECODER], info.graphs[ENCODER]
    (loop,) = decoder.outputs.values()
    tensors = {"latent": decoder.inputs["latent"], "noise": decoder.inputs["noise"], _SAMPLED: loop, _MOST_LIKELY: loop, **encoder.outputs}
    if info.encoding != "melody":
        tensors[_HITS_GIVEN] = loop
    if TAP_MODEL in info.graphs:
        tensors |= info.graphs[TAP_MODEL].outputs
    return {name: shape_of(tensor, info, LOOPS) for name, tensor in tensors.items()}


def _read(data: bytes, info: BundleInfo) -> dict[str, Array]:
    shapes = _shapes(info)
    size = 4 * sum(prod(shape) for shape in shapes.values())
    try:
        whole = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error:
        whole = b""
    if len(whole) != size:
        raise BundleError("The golden outputs of the bundle are not whole; export it again.")
    arrays, offset = {}, 0
    for name, shape in shapes.items():
        arrays[name] = np.frombuffer(whole, "<f4", prod(shape), offset).reshape(shape).astype(np.float32)
        offset += 4 * prod(shape)
    return arrays
