"""Groove tensors in, the mean and scale of their latents out.

B batch, S steps, Z latent size.
"""

import torch
from torch import Tensor, nn

from ..tensors import GROOVE_SIZE
from .config import ModelConfig
from .lstm import InputDropout, new_lstm


class GrooveEncoder(nn.Module):
    """Reads a groove in both directions and keeps the two last hidden states (MusicVAE, Roberts et al. 2018, section 3.1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        sizes = [GROOVE_SIZE, *(2 * units for units in config.encoder_units)]
        self.dropout = InputDropout(config.input_keep)
        self.layers = nn.ModuleList(new_lstm(size, units, bidirectional=True) for size, units in zip(sizes, config.encoder_units, strict=False))
        self.mean = _small_linear(sizes[-1], config.latent_size)
        self.scale = _small_linear(sizes[-1], config.latent_size)

    def forward(self, groove: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation, each (B, Z), of groove tensors (B, S, 27)."""
        outputs, last = groove, groove
        for layer in self.layers:
            outputs, (hidden, _) = layer(self.dropout(outputs))  # (B, S, 2 units), (2, B, units)
            last = torch.cat([hidden[0], hidden[1]], dim=-1)
        return self.mean(last), nn.functional.softplus(self.scale(last))


def _small_linear(size: int, outputs: int) -> nn.Linear:
    """Returns a layer whose posterior starts near the prior: weights N(0, 0.001), as in MusicVAE."""
    layer = nn.Linear(size, outputs)
    nn.init.normal_(layer.weight, std=0.001)
    nn.init.zeros_(layer.bias)
    return layer
