"""Defines the inputs and outputs of every graph in one table for each kind of model.

A row holds a tensor's name, its axes, what it means, the value that leaves the model unchanged, and how a parity test draws it. The
shapes that a bundle is checked against, the meanings in `bundle.json`, the defaults of the engine, the signature of an export, the parity
test and the tables of the documentation come from these rows. `python -m drumvae.bundle.schema` prints them as Markdown.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..music.encoding import GROOVE_SIZE, VOICE_COUNT
from ..music.grid import STEPS_PER_BAR
from ..music.sampling import MIN_TEMPERATURE
from .draws import Draw, choice, constant, from_windows, normal, one_hot, taps, uniform, whole_windows

DECODER, ENCODER, TAP_MODEL = "decoder.onnx", "encoder.onnx", "tap_model.onnx"
ENCODINGS = ("groove", "pattern", "melody")
LSTM, DRUMMER = "lstm", "drummer"
FAMILIES = (LSTM, DRUMMER)
_EXPRESSION_SIZE, _TAP_SIZE = 2 * VOICE_COUNT, 3

AXES = {
    "B": "B",
    "D": "D",
    "S": "S",
    "R": "bars",
    "V": str(VOICE_COUNT),
    "G": str(GROOVE_SIZE),
    "F": str(_EXPRESSION_SIZE),
    "P": str(_TAP_SIZE),
    "Z": "Z",
    "T": "T",
    "K": "K",
}
"""The letters of axes, and how the documentation writes them: B loops, D draws, S steps, R bars, V voices, G values of a groove, F
velocities and offsets of all voices, P values of a tap, Z latent size, T styles, K low-rank factors of a loop."""


class TensorSpec(NamedTuple):
    """Describes one input or output of a graph.

    >>> TensorSpec("bpm", "B", "tempo in beats per minute; 0 if unknown").shape(axis_sizes(loops=4, steps=64, latent_size=96))
    (4,)
    """

    name: str
    axes: str
    """A letter of `AXES` for each axis."""
    meaning: str
    default: float = 0.0
    """The value of a missing input: unknown, or no effect."""
    draw: Draw = constant(0.0)
    """How a parity test draws it, given windows of real grooves."""

    @property
    def is_batched(self) -> bool:
        """Whether its first axis is a batch, of loops or of draws."""
        return self.axes[0] in "BD"

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Returns its shape, given the size of each axis."""
        return tuple(sizes[axis] for axis in self.axes)


class GraphSpec(NamedTuple):
    """Lists the inputs and outputs of a graph by name, in order."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def axis_sizes(loops: int, steps: int, latent_size: int, styles: int = 0, loop_factors: int = 0) -> dict[str, int]:
    """Returns the size of each axis of `AXES` for a number of loops and a model's own sizes."""
    sizes = {"B": loops, "D": loops, "S": steps, "R": steps // STEPS_PER_BAR, "V": VOICE_COUNT, "G": GROOVE_SIZE, "F": _EXPRESSION_SIZE}
    return sizes | {"P": _TAP_SIZE, "Z": latent_size, "T": styles, "K": loop_factors}


def _per_draw(*tensors: TensorSpec) -> tuple[TensorSpec, ...]:
    return tuple(tensor._replace(axes=tensor.axes.replace("B", "D")) for tensor in tensors)


def _graph(inputs: Iterable[TensorSpec], *outputs: TensorSpec) -> GraphSpec:
    return GraphSpec(*({spec.name: spec for spec in specs} for specs in (inputs, outputs)))


_LATENT = TensorSpec("latent", "BZ", "drawn from N(0, 1), or the encoder's mean and std of a loop", draw=normal())
_NOISE = TensorSpec(
    "noise",
    "BSV",
    "uniform in [0, 1); decides every draw; 0.5 everywhere and a temperature of 0.001 write the most likely loop",
    default=0.5,
    draw=uniform(0, 1),
)
_TEMPERATURE = TensorSpec(
    "temperature",
    "B",
    "above 0, one for each loop: 0.001 writes the most likely loop, 1 samples as trained, more spreads further",
    default=MIN_TEMPERATURE,
    draw=uniform(0.5, 1.2),
)
_THRESHOLDS = TensorSpec(
    "thresholds",
    "V",
    "in (0, 1), one for each voice: the probability from which a hit is written; 0.5 leaves the model's own odds",
    default=0.5,
    draw=uniform(0.3, 0.7),
)
_HITS = (
    TensorSpec("hit_values", "BSV", "0 or 1: hits that are kept where `hit_mask` is 1", draw=from_windows(0, VOICE_COUNT)),
    TensorSpec(
        "hit_mask", "BSV", "0 or 1: where it is 1, the hit is copied from `hit_values`; elsewhere the model decides", draw=choice(0, 1)
    ),
)
_TEACHER_FORCING = TensorSpec(
    "teacher_forcing",
    "BS",
    "0 or 1: where it is 1, the next step sees this step of `teacher_target` in place of the written one; 1 everywhere is teacher forcing",
    draw=choice(0, 1),
)
_TEACHER = (TensorSpec("teacher_target", "BSG", "a loop as `groove`, for `teacher_forcing`", draw=whole_windows), _TEACHER_FORCING)
_GROOVE = TensorSpec(
    "groove",
    "BSG",
    "nine hits in {0, 1}, nine velocities in [0, 1] (MIDI velocity / 127), nine offsets in [-1, 1] (1 is half a sixteenth, positive is"
    " late), voices in the order of `voices`; velocity and offset are 0 where there is no hit",
    draw=whole_windows,
)
_MELODY = TensorSpec("melody", "BS", "0 nothing new, 1 the note ends, 2 to 89 a note begins: MIDI pitches 21 to 108", draw=whole_windows)
_POSTERIOR = (
    TensorSpec("mean", "BZ", "mean of the latent"),
    TensorSpec("std", "BZ", "standard deviation of the latent, above 0"),
)
_TAP = TensorSpec("tap", "BSP", "a rhythm of one voice: onset (0 or 1), velocity, offset, as in a groove", draw=taps)
_STYLE = TensorSpec("style", "BT", "1 at one of `styles`, in their order; 0 everywhere if unknown", draw=one_hot)
_BPM = TensorSpec("bpm", "B", "tempo in beats per minute; 0 if unknown", draw=uniform(60, 200))

CONDITIONS = (
    TensorSpec("has_latent", "B", "1 if `latent` is that of a loop, 0 if there is none", default=1.0, draw=choice(0, 1)),
    *_HITS,
    TensorSpec(
        "expression",
        "BSF",
        "velocities of nine voices in [0, 1], then their offsets in [-1, 1], that are kept where `expression_mask` is 1",
        draw=from_windows(VOICE_COUNT, GROOVE_SIZE),
    ),
    TensorSpec(
        "expression_mask",
        "BSV",
        "0 or 1: where it is 1, velocity and offset are copied from `expression`; elsewhere the model decides",
        draw=choice(0, 1),
    ),
    _TAP,
    TensorSpec("has_tap", "B", "1 if there is a tap, else 0", draw=choice(0, 1)),
    _STYLE,
    _BPM,
    TensorSpec("density", "B", "hits in a bar; 0 if unknown", draw=uniform(5, 30)),
    TensorSpec("fill", "BR", "for each bar 1 (a fill), -1 (no fill) or 0 (unknown)", draw=choice(-1, 0, 1)),
)
"""The conditioning inputs of a drummer's decoder. To add one, add a row here and read it in the model."""

_DRUMMER_DRAWS = _per_draw(
    _NOISE,
    _TEMPERATURE,
    TensorSpec("logit_bias", "BSV", "added to the log odds of each hit; 0 leaves the model's own", draw=normal(0.5)),
    TensorSpec(
        "note_noise", "BSF", "standard normal: varies the expression of each hit; velocities of nine voices, then offsets", draw=normal()
    ),
    TensorSpec("loop_noise", "BK", "standard normal: varies the expression of the whole loop, along its low-rank factors", draw=normal()),
    TensorSpec(
        "expression_temperature",
        "B",
        "scales `note_noise` and `loop_noise`: 0 writes the mean expression, 1 varies it as human players do",
        draw=constant(0.7),
    ),
    *_TEACHER,
)
"""Inputs of a drummer's decoder that have a row for each draw; the conditions may have a single row for all draws."""
_DRUMMER_LATENT = _LATENT._replace(meaning=f"{_LATENT.meaning}; 0 and not read where `has_latent` is 0")
_HIT_PROBABILITY = TensorSpec("hit_probability", "BSV", "in (0, 1): probability of each hit given the tap alone")

_ENCODER = _graph([_GROOVE], *_POSTERIOR)
_DRUMS = {DECODER: _graph([_LATENT, _NOISE, _TEMPERATURE, _THRESHOLDS, *_HITS, *_TEACHER], _GROOVE), ENCODER: _ENCODER}
_MELODY_TARGET = TensorSpec("teacher_target", "BS", "a loop as `melody`, for `teacher_forcing`", draw=whole_windows)
GRAPHS: dict[str, dict[str, GraphSpec]] = {
    "groove": _DRUMS,
    "pattern": _DRUMS,
    "melody": {
        DECODER: _graph([_LATENT, _NOISE._replace(axes="BS"), _TEMPERATURE, _MELODY_TARGET, _TEACHER_FORCING], _MELODY),
        ENCODER: _graph([_MELODY], *_POSTERIOR),
    },
    DRUMMER: {
        DECODER: _graph([_DRUMMER_LATENT, _THRESHOLDS, *CONDITIONS, *_DRUMMER_DRAWS], *_per_draw(_GROOVE)),
        ENCODER: _ENCODER,
        TAP_MODEL: _graph([_TAP, _BPM, _STYLE], _HIT_PROBABILITY),
    },
}
"""The graphs of each kind of model by file name. An LSTM's kind is its encoding; a drummer is a kind of its own."""

_SEEDS = (
    "Loop n of seed s is drawn from numpy.random.default_rng([s, n]): first standard_normal(latent_size, float32), the latent, then"
    " random(shape of one loop's noise, float32), the noise. The graphs draw nothing: the same inputs give the same loop."
)
_DRUMMER_SEEDS = (
    "Loop n of seed s: noise as standard_normal(latent_size, float32), which is not used, then random(shape of one loop's noise,"
    " float32) from numpy.random.default_rng([s, n]); note_noise and loop_noise as standard_normal(their shapes, float32), one after the"
    " other, from default_rng([s, n, 1]); without a given density, the one at the position default_rng([s, n, 2]).random() of"
    " `densities`. The graphs draw nothing: the same inputs give the same loop."
)


def tensors(kind: str) -> Iterator[tuple[str, str, TensorSpec]]:
    """Yields (graph, "input" or "output", tensor) for every tensor of a kind of model."""
    for graph, spec in GRAPHS[kind].items():
        yield from ((graph, "input", tensor) for tensor in spec.inputs.values())
        yield from ((graph, "output", tensor) for tensor in spec.outputs.values())


def meanings(kind: str) -> dict[str, str]:
    """Returns the meaning and range of each tensor of a kind of model, and the definitions of its steps and seeds."""
    steps = "sixteenth notes of 4/4, 16 a bar" + ("" if kind == "melody" else "; the loop is circular")
    seeds = _DRUMMER_SEEDS if kind == DRUMMER else _SEEDS
    return {"steps": steps, "seeds": seeds} | {tensor.name: tensor.meaning for _, _, tensor in tensors(kind)}


def markdown_table(kind: str) -> str:
    """Returns a Markdown table of every input and output of a kind of model.

    >>> markdown_table("melody").splitlines()[-1]
    '| `encoder.onnx` output | `std` | (B, Z) | standard deviation of the latent, above 0 |'
    """
    rows = ["| graph | name | shape | meaning |", "|---|---|---|---|"]
    for graph, direction, tensor in tensors(kind):
        shape = ", ".join(AXES[axis] for axis in tensor.axes)
        rows.append(f"| `{graph}` {direction} | `{tensor.name}` | ({shape}) | {tensor.meaning} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print("\n\n".join(f"## {kind}\n\n{markdown_table(kind)}" for kind in GRAPHS))
