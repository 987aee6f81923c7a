"""A drummer's decoder in, one graph out: what comes before the steps, the step of its core once for every step, and what comes after.

B batch, S steps, V = 9 voices, U units of the core, L lags.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from drumvae.bundle.format import DECODER, DRUMMER, GRAPHS
from drumvae.models.config import LAGS
from drumvae.models.drummer import Conditioning, DrummerDecoder
from drumvae.music.encoding import VOICE_COUNT

from .graphs import export_module

if TYPE_CHECKING:
    from onnx_ir import Model

_KNOWN = Conditioning._fields
_EACH_STEP = ("gates", "skip", "shown", "told")
_DRAWS = (
    *("noise", "temperature", "logit_bias", "note_noise", "loop_noise", "expression_temperature"),
    *("teacher_target", "teacher_forcing"),
)
"""Inputs that have a row for each draw; the others are conditions, of which one row may serve all draws."""
_PLAYED = ("note_noise", "loop_noise", "expression_temperature", "expression", "expression_mask")


class Begin(nn.Module):
    """Everything that does not depend on which hits are written."""

    def __init__(self, decoder: DrummerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self,
        latent: Tensor,
        has_latent: Tensor,
        noise: Tensor,
        temperature: Tensor,
        thresholds: Tensor,
        logit_bias: Tensor,
        hit_values: Tensor,
        hit_mask: Tensor,
        expression: Tensor,
        expression_mask: Tensor,
        tap: Tensor,
        has_tap: Tensor,
        style: Tensor,
        bpm: Tensor,
        density: Tensor,
        fill: Tensor,
        teacher_target: Tensor,
        teacher_forcing: Tensor,
    ) -> tuple[Tensor, ...]:
        """Returns `_EACH_STEP` for all steps side by side, the context, and a state and a step of silence."""
        all_known = Conditioning(has_latent, hit_values, hit_mask, expression, expression_mask, tap, has_tap, style, bpm, density, fill)
        context, gates, skip = self.decoder.begin(latent, noise, temperature, thresholds, logit_bias, all_known)
        each = (value.flatten(1) for value in (gates, skip, teacher_forcing > 0.5, teacher_target[..., :VOICE_COUNT]))
        state = latent.new_zeros(latent.shape[0], self.decoder.units)
        return *each, context, state, latent.new_zeros(latent.shape[0], VOICE_COUNT)


class Step(nn.Module):
    """One step, as in the loop of `DrummerDecoder.forward`."""

    def __init__(self, decoder: DrummerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, gates: Tensor, skip: Tensor, shown: Tensor, told: Tensor, state: Tensor, lags: list[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the step's hits, what later steps see of it, and the new state."""
        hits, state = self.decoder.step(gates, skip, torch.cat(lags, dim=-1), state)
        return hits, torch.where(shown, told, hits), state


class End(nn.Module):
    """Plays the hits of all steps, which come side by side."""

    def __init__(self, decoder: DrummerDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self,
        context: Tensor,
        hits: Tensor,
        note_noise: Tensor,
        loop_noise: Tensor,
        expression_temperature: Tensor,
        expression: Tensor,
        expression_mask: Tensor,
    ) -> Tensor:
        """Returns grooves (B, S, 27)."""
        hits = hits.view(-1, self.decoder.steps, VOICE_COUNT)
        return self.decoder.with_expression(context, hits, note_noise, loop_noise, expression_temperature, expression, expression_mask)


def export_drummer(decoder: DrummerDecoder, example: Mapping[str, Tensor], output: str, opset: int) -> "Model":
    """Returns the graph of a drummer's decoder; `example` holds its inputs by name, `output` names its output."""
    import onnx_ir as ir

    from .fuse import fuse_sums
    from .unroll import Whole, by_name

    begin, step, end = Begin(decoder), Step(decoder), End(decoder)
    order = tuple(GRAPHS[DRUMMER][DECODER][0])
    asked = {name: example[name] for name in order if name not in ("note_noise", "loop_noise", "expression_temperature")}
    with torch.no_grad():
        *each, context, state, nothing = begin(**asked)
    one = {name: value.chunk(decoder.steps, dim=1)[0] for name, value in zip(_EACH_STEP, each, strict=True)}
    begun = export_module(begin, asked, [*_EACH_STEP, "context", "state", "nothing"], whole=["thresholds"])
    stepped = export_module(step, {**one, "state": state, "lags": [nothing.clone() for _ in LAGS]}, ["hits", "past", "state_anew"])
    fuse_sums(stepped)
    hits = torch.zeros(len(context), decoder.steps * VOICE_COUNT)
    ended = export_module(end, {"context": context, "hits": hits} | {name: example[name] for name in _PLAYED}, [output])

    whole = Whole()
    inputs = whole.inputs([(name, _input(name, begun, ended)) for name in order])
    *joined, context_value, state_value, nothing_value = whole.add(begun.graph, by_name(begun.graph, inputs), "begin")
    steps = [dict(zip(_EACH_STEP, values, strict=True)) for values in zip(*(whole.split(v, decoder.steps) for v in joined), strict=True)]
    constants = whole.constants(stepped.graph, "step")
    past: list[ir.Value] = []
    written: list[ir.Value] = []
    for number, given in enumerate(steps):
        given |= {"state": state_value}
        given |= {f"lags_{index}": past[number - lag] if number >= lag else nothing_value for index, lag in enumerate(LAGS)}
        known = constants | by_name(stepped.graph, given)
        whole.copy(stepped.graph, known)
        hit, seen, state_value = (known[value] for value in stepped.graph.outputs)
        written.append(hit)
        past.append(seen)
    given = inputs | {"context": context_value, "hits": whole.join(written)}
    outputs = whole.add(ended.graph, by_name(ended.graph, given), "end")
    for value, like in zip(outputs, ended.graph.outputs, strict=True):
        value.name, value.type, value.shape = like.name, like.type, like.shape
    return whole.model(outputs, opset)


def separate_draws(model: "Model") -> None:
    """Gives the inputs of `_DRAWS` and the output a batch dimension of their own, called "draws", in place.

    The graph then takes one row of conditions for any number of draws, and computes their context once: every operator broadcasts.
    Only the zeros before the first step have a size that is read off an input, which must be one of a draw.
    """
    import onnx_ir as ir

    inputs = {value.name: value for value in model.graph.inputs}
    per_draw = [*(inputs[name] for name in _DRAWS), *model.graph.outputs]
    shapes = [ir.Shape(["draws", *value.shape[1:]]) for value in per_draw if value.shape is not None]
    for node in model.graph:
        if node.op_type == "Shape":
            node.replace_input_with(0, inputs["noise"])
        for value in node.outputs:
            value.shape = None  # ONNX Runtime infers it; a wrong one would let it reuse memory that is too small
    for value, shape in zip(per_draw, shapes, strict=True):
        value.shape = shape


def _input(name: str, *parts: "Model"):  # type: ignore[no-untyped-def]
    return next(value for part in parts for value in part.graph.inputs if value.name == name)
