"""A decoder in, three small graphs out: what comes before the steps, one step, and what comes after them.

B batch, S steps, V = 9 voices, F features. Each is exported in a second or two, where the whole of it, unrolled by torch, takes a
minute; `unroll` puts them together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from drumvae.models.decoder import Decoder
from drumvae.models.features import features_loop, loop_features
from drumvae.music.encoding import VOICE_COUNT

from .graphs import EXAMPLES, export_module

if TYPE_CHECKING:
    from onnx_ir import Model

EACH_STEP = ("gates", "border", "hit_values", "shown", "told")
"""What every step gets of its own. `Begin` returns it for all steps side by side, (B, S times its size)."""
ALL_STEPS = ("temperature", "flag")
"""What is the same at every step."""


@dataclass(frozen=True)
class Parts:
    """Holds the graphs of `Begin`, `Step` and `End`, whose inputs and outputs have the names of the arguments and results below."""

    begin: "Model"
    """Inputs of the decoder in; `EACH_STEP`, `ALL_STEPS`, previous, and state_0, state_1, ... of the first segment, then the next."""
    step: "Model"
    """`EACH_STEP`, `ALL_STEPS`, previous and state_0, state_1, ... in; features, then previous and state_0, ... anew, out."""
    end: "Model"
    """features in, loops out."""
    inputs: tuple[str, ...]
    """The names of the inputs of `begin`, in order."""
    steps: int
    segments: int


class Begin(nn.Module):
    """Everything that does not depend on what is played, as at the beginning of `Decoder.forward`."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self,
        latent: Tensor,
        noise: Tensor,
        temperature: Tensor,
        teacher_target: Tensor,
        teacher_forcing: Tensor,
        thresholds: Tensor | None = None,
        hit_values: Tensor | None = None,
        hit_mask: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Returns all that `Parts.begin` does; melodies have no thresholds and no locks."""
        nothing = noise.new_zeros(*noise.shape[:2], VOICE_COUNT)
        hit_values, hit_mask = (nothing if value is None else value for value in (hit_values, hit_mask))
        bias = nothing[0, 0] if thresholds is None else torch.log(thresholds) - torch.log1p(-thresholds)
        border = self.decoder.head.hit_threshold(noise if noise.dim() == 3 else noise[..., None], temperature, bias, hit_values, hit_mask)
        gates, states, flag = self.decoder.begin(latent, hit_mask)
        told = loop_features(teacher_target, self.decoder.encoding)
        each = (value.flatten(1) for value in (gates, border, hit_values, teacher_forcing > 0.5, told))
        previous = latent.new_zeros(latent.shape[0], self.decoder.feature_size)
        return *each, temperature[:, None], flag, previous, *(value for state in states for value in state)


class Step(nn.Module):
    """One step, and what the next one sees of it, as in the loop of `Decoder.forward`."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self,
        gates: Tensor,
        border: Tensor,
        hit_values: Tensor,
        shown: Tensor,
        told: Tensor,
        temperature: Tensor,
        flag: Tensor,
        previous: Tensor,
        state: list[Tensor],
    ) -> tuple[Tensor, ...]:
        """Returns all that `Parts.step` does; `shown` (B, 1), from `teacher_forcing`, says whether the next step sees `told`."""
        features, new = self.decoder.step(gates, previous, state, border, temperature, hit_values, flag)
        return features, torch.where(shown, told, features), *new


class End(nn.Module):
    """Turns the features of all steps, side by side, into loops."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.steps, self.encoding = decoder.steps, decoder.encoding

    def forward(self, features: Tensor) -> Tensor:
        return features_loop(features.reshape(features.shape[0], self.steps, -1), self.encoding)


def export_parts(decoder: Decoder, example: Mapping[str, Tensor], output: str) -> Parts:
    """Exports a decoder in three parts; `example` holds its inputs by name, `output` names its output."""
    from .fuse import fuse_sums

    begin, step = Begin(decoder), Step(decoder)
    given = {name: example[name] for name in signature(begin.forward).parameters if name in example}
    with torch.no_grad():
        begun = begin(*given.values())
    values = dict(zip((*EACH_STEP, *ALL_STEPS, "previous"), begun, strict=False))
    states = list(begun[len(values) :])
    first = {name: values[name].chunk(decoder.steps, dim=1)[0] for name in EACH_STEP}
    arguments = {**values, **first, "state": states[: len(decoder.state_sizes)]}
    anew = ["features", "previous_anew", *(f"state_anew_{index}" for index in range(len(decoder.state_sizes)))]
    written = torch.zeros(EXAMPLES, decoder.steps * decoder.feature_size)
    one = export_module(step, arguments, anew)
    fuse_sums(one)
    return Parts(
        begin=export_module(begin, given, [*values, *(f"state_{index}" for index in range(len(states)))], whole=["thresholds"]),
        step=one,
        end=export_module(End(decoder), {"features": written}, [output]),
        inputs=tuple(given),
        steps=decoder.steps,
        segments=decoder.segments,
    )
