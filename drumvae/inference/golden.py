"""An engine in, what it answers to a few seeds out, as a file of a bundle: by which any other machine finds whether it plays the same.

The file is zlib-compressed float32, little endian, of the arrays that `_shapes` lists, one after the other. Their shapes follow from the
bundle's description, so that the file says nothing of its own size and can ask for no memory.
"""

import zlib
from dataclasses import dataclass
from math import prod

import numpy as np

from ..bundle.format import TAP_MODEL, BundleInfo, shape_of
from ..music.encoding import VOICE_COUNT
from ..music.grid import Array
from ..music.inputs import tap_of
from ..util.errors import BundleError
from .engine import Engine

LOOPS = 4
TEMPERATURE = 1.0
TOLERANCE = 1e-4
"""Largest difference allowed in any value; hits must be the same."""
BYTES_TOLERANCE, BYTES_SHARE = 0.1, 0.1
"""The same for a model that multiplies in bytes, and the share of hits that may differ: a sum that is off in its last digit, as on
every other processor, may round a state to the next of 127 steps, and what follows is another loop."""
_SEEDS = 64  # among which loops are looked for that are sure
_NUDGE = 1e-4  # by which the noise of a loop that is recorded may be off without another loop
_DRAWN, _COLD, _LOCKED = "drawn", "likeliest", "all hits given"
_VALUES = ("mean", "std", "hit_probability")
"""Answers that are no loops."""


@dataclass(frozen=True)
class Difference:
    """Says how far a machine's answers are from those that were recorded."""

    loops: int
    cells: int
    """Hits, or a melody's classes, that differ."""
    of_cells: int
    """How many hits there are, or steps of a melody."""
    value: float
    """Largest difference of a value, where hits are the same."""
    precision: str

    @property
    def kept(self) -> bool:
        if self.precision == "int8":
            return self.cells <= BYTES_SHARE * self.of_cells and self.value <= BYTES_TOLERANCE
        return self.cells == 0 and self.value <= TOLERANCE

    def sentence(self) -> str:
        """Returns what was found."""
        return f"{self.loops} loops: {self.cells} of {self.of_cells} hits differ, values by at most {self.value:.1e}"


def record(engine: Engine) -> bytes:
    """Returns what an engine answers to the first seeds whose loops are sure: that noise which is off a little draws no other."""
    found: list[dict[str, Array]] = []
    for seed in range(_SEEDS):
        draw = np.random.default_rng([seed, 0])
        asked = {"latent": draw.standard_normal((1, engine.info.latent_size), np.float32)}
        asked["noise"] = draw.random((1, *engine.noise_shape), np.float32)
        if len(found) < LOOPS and (_is_sure(engine, **asked) or _SEEDS - seed <= LOOPS - len(found)):
            found.append(asked)
    asked = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    arrays = asked | _answers(engine, asked, None)
    return zlib.compress(b"".join(arrays[name].astype("<f4").tobytes() for name in _shapes(engine.info)), 9)


def difference(engine: Engine, data: bytes) -> Difference:
    """Returns how far an engine is from what was recorded; raises BundleError where that is not whole."""
    arrays = _read(data, engine.info)
    cells = of_cells = 0
    value = 0.0
    for name, answer in _answers(engine, arrays, arrays[_DRAWN]).items():
        expected = arrays[name]
        if name in _VALUES:
            value = max(value, float(np.abs(answer - expected).max()))
            continue
        differing = _hits(answer) != _hits(expected)
        cells += int(differing.sum())
        of_cells += int((_hits(expected) > 0).sum()) if expected.ndim == 3 else expected.size
        same = ~np.logical_or.accumulate(differing.any(axis=2), axis=1)  # after a step that differs another loop follows
        value = max(value, float(np.abs(answer - expected)[same].max(initial=0)))
    return Difference(LOOPS, cells, of_cells, value, engine.info.precision)


def _is_sure(engine: Engine, latent: Array, noise: Array) -> bool:
    low, own, high = (engine.decode(latent, np.clip(noise + by, 0, 1), TEMPERATURE) for by in (-_NUDGE, 0, _NUDGE))
    return np.array_equal(_hits(low), _hits(own)) and np.array_equal(_hits(own), _hits(high))


def _answers(engine: Engine, asked: dict[str, Array], drawn: Array | None) -> dict[str, Array]:
    """Returns what an engine answers; `drawn` are the loops that are encoded and locked, by default those that it draws."""
    latent = asked["latent"]
    answers = {_DRAWN: engine.decode(latent, asked["noise"], TEMPERATURE), _COLD: engine.decode(latent)}
    loops = answers[_DRAWN] if drawn is None else drawn
    answers["mean"], answers["std"] = engine.encode(loops)
    if engine.encoding != "melody":
        hits = loops[..., :VOICE_COUNT]
        answers[_LOCKED] = engine.decode(latent, hit_values=hits, hit_mask=np.ones_like(hits), conditioning=_touch(engine, asked))
    if TAP_MODEL in engine.info.graphs:
        answers["hit_probability"] = engine.hit_probability(tap_of(loops))
    return answers


def _touch(engine: Engine, asked: dict[str, Array]) -> dict[str, Array]:
    """Returns how a drummer is to play hits that are given: as loosely as people, by the draws that there are."""
    if TAP_MODEL not in engine.info.graphs:
        return {}
    noise, latent = asked["noise"], asked["latent"]
    moods = np.resize(latent, (len(latent), engine.info.loop_factors)).astype(np.float32)
    return {"note_noise": np.tile(2 * noise - 1, 2), "loop_noise": moods, "expression_temperature": np.ones(len(noise), np.float32)}


def _hits(loops: Array) -> Array:
    return loops[..., :VOICE_COUNT] if loops.ndim == 3 else loops[..., None]


def _shapes(info: BundleInfo) -> dict[str, tuple[int, ...]]:
    """Returns the arrays of a file in order, by name."""
    inputs, outputs = info.graphs["decoder.onnx"]
    (loop,) = outputs.values()
    letters = {"latent": inputs["latent"], "noise": inputs["noise"], _DRAWN: loop, _COLD: loop, "mean": "BZ", "std": "BZ"}
    letters |= {} if info.encoding == "melody" else {_LOCKED: loop}
    letters |= info.graphs[TAP_MODEL][1] if TAP_MODEL in info.graphs else {}
    return {name: shape_of(of, info, LOOPS) for name, of in letters.items()}


def _read(data: bytes, info: BundleInfo) -> dict[str, Array]:
    shapes = _shapes(info)
    size = 4 * sum(prod(shape) for shape in shapes.values())
    try:
        whole = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error:
        whole = b""
    if len(whole) != size:
        raise BundleError("What the bundle recorded of its answers is not whole; export it again.")
    arrays, at = {}, 0
    for name, shape in shapes.items():
        arrays[name] = np.frombuffer(whole, "<f4", prod(shape), at).reshape(shape).astype(np.float32)
        at += 4 * prod(shape)
    return arrays


def draws_the_same(info: BundleInfo, data: bytes) -> bool:
    """Says whether the seeds that were recorded draw the same latents and noise here: whether NumPy's generator is still the same."""
    arrays = _read(data, info)
    drawn = []
    for seed in range(_SEEDS):
        draw = np.random.default_rng([seed, 0])
        latent = draw.standard_normal(info.latent_size, np.float32)
        drawn.append((latent, draw.random(arrays["noise"].shape[1:], np.float32)))
    pairs = zip(arrays["latent"], arrays["noise"], strict=True)
    return all(any(np.array_equal(latent, z) and np.array_equal(noise, n) for z, n in drawn) for latent, noise in pairs)
