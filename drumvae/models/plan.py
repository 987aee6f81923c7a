"""Turns latents into a plan for every segment of a loop. B batch, U segments, Z latent size, E plan size."""

import torch
from torch import Tensor, nn

from .config import VAEConfig
from .lstm import new_lstm, run_lstm


def new_plan(config: VAEConfig) -> nn.Module:
    """Returns the configured module, which maps latents (B, Z) to plans (B, U, E)."""
    return {"flat": FlatPlan, "conductor": Conductor, "segments": SegmentPlan}[config.plan](config)


class FlatPlan(nn.Module):
    """Passes the latent on as the plan of the only segment."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()

    def forward(self, latent: Tensor) -> Tensor:
        return latent[:, None]


class Conductor(nn.Module):
    """Plans the segments one after the other with an LSTM (MusicVAE, Roberts et al. 2018, section 3.2).

    Its first state is computed from the latent. MusicVAE's input is a constant zero. Here the input is the latent at every segment,
    because the state forgets it over sixteen steps.
    """

    def __init__(self, config: VAEConfig) -> None:
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
    """Turns the latent with one layer into an embedding for each segment; segments are decoded independently."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.segments = config.segments
        self.embed = nn.Linear(config.latent_size, config.segments * config.segment_size)

    def forward(self, latent: Tensor) -> Tensor:
        return torch.tanh(self.embed(latent)).view(latent.shape[0], self.segments, -1)  # len() would freeze the batch in an export


def small_linear(size: int, outputs: int) -> nn.Linear:
    """Returns a layer with outputs near zero at first: weights N(0, 0.001) and a bias of 0, as in MusicVAE."""
    layer = nn.Linear(size, outputs)
    nn.init.normal_(layer.weight, std=0.001)
    nn.init.zeros_(layer.bias)
    return layer
