"""Exports an LSTM decoder as three small graphs: the part before the steps, one step, and the part after them.

B batch, S steps, V = 9 voices, F features. Each part exports in one or two seconds; the whole decoder, unrolled by torch, takes a minute.
`unroll` joins the parts.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from drumvae.models.decoder import Decoder
from drumvae.models.features import features_loop, loop_features
from drumvae.music.encoding import VOICE_COUNT

from .graphs import EXAMPLES, export_module

if TYPE_CHECKING:
    from onnx_ir import Model

PER_STEP = ("gates", "threshold", "hit_values", "is_forced", "target")
"""Inputs of a step that differ between steps. `Begin` returns them concatenated over all steps, (B, S times their size)."""
SHARED = ("temperature", "flag")
"""Inputs of a step that are the same at every step."""


@dataclass(frozen=True)
class Parts:
    """Holds the graphs of `Begin`, `Step` and `End`."""

    begin: "Model"
    """Inputs: those of the decoder. Outputs: `PER_STEP`, `SHARED`, previous, and state_0, state_1, ... of each segment in turn."""
    step: "Model"
    """Inputs: `PER_STEP`, `SHARED`, previous, state_0, ... Outputs: features, then the next previous and state_0, ..."""
    end: "Model"
    """Input: features of all steps. Output: loops."""
    inputs: tuple[str, ...]
    """The names of the inputs of `begin`, in order."""
    steps: int
    segments: int


class Begin(nn.Module):
    """Computes everything that does not depend on earlier steps, as the beginning of `Decoder.forward` does."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Returns the outputs of `Parts.begin` for the decoder's inputs by name; melodies have no thresholds and no given hits."""
        noise, temperature, thresholds = inputs["noise"], inputs["temperature"], inputs.get("thresholds")
        nothing = noise.new_zeros(*noise.shape[:2], VOICE_COUNT)
        hit_values, hit_mask = (inputs.get(name, nothing) for name in ("hit_values", "hit_mask"))
        bias = nothing[0, 0] if thresholds is None else torch.log(thresholds) - torch.log1p(-thresholds)
        threshold = self.decoder.head.hit_threshold(
            noise if noise.dim() == 3 else noise[..., None], temperature, bias, hit_values, hit_mask
        )
        gates, states, flag = self.decoder.begin(inputs["latent"], hit_mask)
        target = loop_features(inputs["teacher_target"], self.decoder.encoding)
        per_step = (value.flatten(1) for value in (gates, threshold, hit_values, inputs["teacher_forcing"] > 0.5, target))
        previous = noise.new_zeros(noise.shape[0], self.decoder.feature_size)
        return *per_step, temperature[:, None], flag, previous, *(value for state in states for value in state)


class Step(nn.Module):
    """Computes one step and the features that the next step receives, as the loop of `Decoder.forward` does."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self,
        gates: Tensor,
        threshold: Tensor,
        hit_values: Tensor,
        is_forced: Tensor,
        target: Tensor,
        temperature: Tensor,
        flag: Tensor,
        previous: Tensor,
        state: list[Tensor],
    ) -> tuple[Tensor, ...]:
        """Returns the outputs of `Parts.step`; `is_forced` (B, 1) is a boolean that replaces the features by `target` for the next step."""
        features, new = self.decoder.step(gates, previous, state, threshold, temperature, hit_values, flag)
        return features, torch.where(is_forced, target, features), *new


class End(nn.Module):
    """Converts the concatenated features of all steps to loops."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.steps, self.encoding = decoder.steps, decoder.encoding

    def forward(self, features: Tensor) -> Tensor:
        return features_loop(features.reshape(features.shape[0], self.steps, -1), self.encoding)


def export_parts(decoder: Decoder, example: dict[str, Tensor], output: str) -> Parts:
    """Exports a decoder in three parts; `example` holds its inputs by name, `output` names its output."""
    from .fuse import fuse_sums

    begin, step = Begin(decoder), Step(decoder)
    with torch.no_grad():
        results = begin(example)
    values = dict(zip((*PER_STEP, *SHARED, "previous"), results, strict=False))
    states = list(results[len(values) :])
    first = {name: values[name].chunk(decoder.steps, dim=1)[0] for name in PER_STEP}
    arguments = {**values, **first, "state": states[: len(decoder.state_sizes)]}
    step_outputs = ["features", "next_previous", *(f"next_state_{index}" for index in range(len(decoder.state_sizes)))]
    features = torch.zeros(EXAMPLES, decoder.steps * decoder.feature_size)
    step_graph = export_module(step, arguments, step_outputs)
    fuse_sums(step_graph)
    begin_outputs = [*values, *(f"state_{index}" for index in range(len(states)))]
    return Parts(
        begin=export_module(begin, {"inputs": example}, begin_outputs, unbatched=["thresholds"]),
        step=step_graph,
        end=export_module(End(decoder), {"features": features}, [output]),
        inputs=tuple(example),
        steps=decoder.steps,
        segments=decoder.segments,
    )
