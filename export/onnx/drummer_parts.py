"""Exports a drummer's decoder as one graph: the part before the steps, one copy of the core for each step, and the part after them.

B batch, S steps, V = 9 voices, U units of the core, L lags.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from drumvae.bundle.schema import TensorSpec
from drumvae.models.config import LAGS
from drumvae.models.drummer import Conditioning, DrummerDecoder
from drumvae.music.encoding import VOICE_COUNT

from .graphs import export_module

if TYPE_CHECKING:
    from onnx_ir import Graph, Model, Value

    from .unroll import GraphBuilder

_PER_STEP = ("gates", "skip", "is_forced", "target")
_SAMPLING = ("latent", "noise", "temperature", "thresholds", "logit_bias")
_NOISES = ("note_noise", "loop_noise", "expression_temperature")
"""Inputs that decide the expression alone, so that `Begin` does not read them."""
_EXPRESSION = (*_NOISES, "expression", "expression_mask")
"""Inputs that `End` reads."""


class Begin(nn.Module):
    """Computes everything that does not depend on the hits that the decoder samples."""

    def __init__(self, decoder: DrummerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Returns `_PER_STEP` for all steps side by side, the context, the first state, and a step of silence."""
        conditions = Conditioning(**{name: inputs[name] for name in Conditioning._fields})
        latent, noise, temperature, thresholds, logit_bias = (inputs[name] for name in _SAMPLING)
        context, gates, skip = self.decoder.begin(latent, noise, temperature, thresholds, logit_bias, conditions)
        target = inputs["teacher_target"][..., :VOICE_COUNT]
        per_step = (value.flatten(1) for value in (gates, skip, inputs["teacher_forcing"] > 0.5, target))
        state = context.new_zeros(context.shape[0], self.decoder.units)
        return *per_step, context, state, context.new_zeros(context.shape[0], VOICE_COUNT)


class Step(nn.Module):
    """Computes one step, as the loop of `DrummerDecoder.forward` does."""

    def __init__(self, decoder: DrummerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, gates: Tensor, skip: Tensor, is_forced: Tensor, target: Tensor, state: Tensor, lags: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the step's hits, the hits that are fed back to later steps, and the new state."""
        hits, state = self.decoder.step(gates, skip, torch.cat(lags, dim=-1), state)
        return hits, torch.where(is_forced, target, hits), state


class End(nn.Module):
    """Adds the expression to the concatenated hits of all steps."""

    def __init__(self, decoder: DrummerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, context: Tensor, hits: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        """Returns grooves (B, S, 27)."""
        hits = hits.view(-1, self.decoder.steps, VOICE_COUNT)
        return self.decoder.with_expression(context, hits, *(inputs[name] for name in _EXPRESSION))


class _Parts(NamedTuple):
    begin: "Graph"
    step: "Graph"
    end: "Graph"


def export_drummer(decoder: DrummerDecoder, example: dict[str, Tensor], output: str, opset: int) -> "Model":
    """Returns the graph of a drummer's decoder; `example` holds its inputs by name, `output` names its output."""
    from .unroll import GraphBuilder, by_name

    begin, step, end = _export_parts(decoder, example, output)
    builder = GraphBuilder()
    of_parts = {str(value.name): value for part in (end, begin) for value in part.inputs}
    inputs = builder.inputs([(name, of_parts[name]) for name in example])
    *joined, context, state, silence = builder.add(begin, by_name(begin, inputs), "begin")
    hits = _copy_steps(builder, step, [builder.split(value, decoder.steps) for value in joined], state, silence)
    return builder.model(builder.add_last(end, by_name(end, inputs | {"context": context, "hits": builder.join(hits)})), opset)


def _export_parts(decoder: DrummerDecoder, example: dict[str, Tensor], output: str) -> _Parts:
    from .fuse import fuse_sums

    begin = Begin(decoder)
    begin_inputs = {name: value for name, value in example.items() if name not in _NOISES}
    with torch.no_grad():
        *per_step, context, state, silence = begin(begin_inputs)
    first = {name: value.chunk(decoder.steps, dim=1)[0] for name, value in zip(_PER_STEP, per_step, strict=True)}
    step_inputs = {**first, "state": state, "lags": [silence.clone() for _ in LAGS]}
    end_inputs = {"context": context, "hits": torch.zeros(len(context), decoder.steps * VOICE_COUNT)}
    step = export_module(Step(decoder), step_inputs, ["hits", "past", "next_state"])
    fuse_sums(step)
    return _Parts(
        export_module(begin, {"inputs": begin_inputs}, [*_PER_STEP, "context", "state", "silence"], unbatched=["thresholds"]).graph,
        step.graph,
        export_module(End(decoder), {**end_inputs, "inputs": {name: example[name] for name in _EXPRESSION}}, [output]).graph,
    )


def _copy_steps(builder: "GraphBuilder", step: "Graph", per_step: list[list["Value"]], state: "Value", silence: "Value") -> list["Value"]:
    """Copies the step's nodes once for every step, given the pieces of `_PER_STEP`; returns the hits of all steps."""
    from .unroll import by_name

    constants = builder.constants(step, "step")
    past: list[Value] = []
    hits: list[Value] = []
    for number, pieces in enumerate(zip(*per_step, strict=True)):
        given = dict(zip(_PER_STEP, pieces, strict=True)) | {"state": state}
        given |= {f"lags_{index}": past[number - lag] if number >= lag else silence for index, lag in enumerate(LAGS)}
        copies = constants | by_name(step, given)
        builder.copy(step, copies)
        step_hits, fed_back, state = (copies[value] for value in step.outputs)
        hits.append(step_hits)
        past.append(fed_back)
    return hits


def separate_draws(model: "Model", inputs: Mapping[str, TensorSpec]) -> None:
    """Renames the batch dimension of the output, and of the inputs that have a row for each draw, to "draws", in place.

    The graph then takes one row of conditions for any number of draws, and computes their context once, because every operator
    broadcasts. Only the zeros before the first step get their size from an input (a Shape node). That input must have a row for each draw.
    """
    import onnx_ir as ir

    per_draw = [value for value in model.graph.inputs if inputs[str(value.name)].axes.startswith("D")] + list(model.graph.outputs)
    shapes = [ir.Shape(["draws", *value.shape[1:]]) for value in per_draw if value.shape is not None]
    for node in model.graph:
        if node.op_type == "Shape":
            node.replace_input_with(0, per_draw[0])
        for value in node.outputs:
            value.shape = None  # ONNX Runtime infers it; with a wrong shape it could reuse a buffer that is too small
    for value, shape in zip(per_draw, shapes, strict=True):
        value.shape = shape
