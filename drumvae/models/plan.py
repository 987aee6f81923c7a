"""Latents in, a plan for every segment of the loop out. B batch, U segments, Z latent size, E plan size."""

import torch
from torch import Tensor, nn

from .config import ModelConfig
from .lstm import new_lstm, run_lstm


def new_plan(config: ModelConfig) -> nn.Module:
    """Returns the module that a configuration names; it turns (B, Z) into (B, U, E)."""
    return {"flat": FlatPlan, "conductor": Conductor, "segments": SegmentPlan}[config.plan](config)


class FlatPlan(nn.Module):
    """Gives the whole loop the latent itself: one segment."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

    def forward(self, latent: Tensor) -> Tensor:
        return latent[:, None]


class Conductor(nn.Module):
    """Plans the segments one after the other by an LSTM (MusicVAE, Roberts et al. 2018, section 3.2).

    Its first state comes from the latent. There its input is a constant zero; here it sees the latent at every segment, so that the
    last one need not live on what sixteen steps have left of it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.segments, self.units = config.segments, config.conductor_units
        sizes = [config.latent_size, *self.units]
        self.layers = nn.ModuleList(new_lstm(size, width) for size, width in zip(sizes, self.units, strict=False))
        self.initial = small_linear(config.latent_size, 2 * sum(self.units))

    def forward(self, latent: Tensor) -> Tensor:
        outputs = latent[:, None].expand(-1, self.segments, -1)
        states = torch.split(torch.tanh(self.initial(latent)), [2 * units for units in self.units], dim=-1)
        for layer, state in zip(self.layers, states, strict=True):
            hidden, cell = state.chunk(2, dim=-1)
            outputs = run_lstm(layer, outputs, hidden, cell)
        return outputs


class SegmentPlan(nn.Module):
    """Turns the latent by one layer into an embedding for each segment, which is decoded by itself."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.segments = config.segments
        self.embed = nn.Linear(config.latent_size, config.segments * config.segment_size)

    def forward(self, latent: Tensor) -> Tensor:
        return torch.tanh(self.embed(latent)).view(latent.shape[0], self.segments, -1)  # len() would freeze the batch in an export


def small_linear(size: int, outputs: int) -> nn.Linear:
    """Returns a layer whose outputs start near zero: weights N(0, 0.001), no bias, as in MusicVAE."""
    layer = nn.Linear(size, outputs)
    nn.init.normal_(layer.weight, std=0.001)
    nn.init.zeros_(layer.bias)
    return layer
