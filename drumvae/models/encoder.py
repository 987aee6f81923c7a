"""Encodes loops into the mean and standard deviation of their latents. B batch, S steps, Z latent size."""

import torch
from torch import Tensor, nn

from ..music.grid import STEPS_PER_BAR
from .config import VAEConfig
from .features import loop_features
from .lstm import InputDropout, new_lstm, run_lstm
from .plan import small_linear


class Encoder(nn.Module):
    """Reads a loop with a bidirectional LSTM and keeps the last hidden states (MusicVAE, Roberts et al. 2018, section 3.1).

    With `bar_readout` it also keeps those at the end of every bar, because the last state forgets the first bar.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.encoding = config.encoding
        sizes = [config.feature_size, *(2 * units for units in config.encoder_units)]
        self.read_every = STEPS_PER_BAR if config.bar_readout else config.steps
        self.dropout = InputDropout(config.input_keep)
        self.layers = nn.ModuleList(
            new_lstm(size, units, bidirectional=True) for size, units in zip(sizes, config.encoder_units, strict=False)
        )
        read = sizes[-1] * (config.steps // self.read_every)
        self.mean = small_linear(read, config.latent_size)
        self.std = small_linear(read, config.latent_size)

    def forward(self, loops: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation, each (B, Z), of groove tensors (B, S, 27) or melody classes (B, S)."""
        outputs = loop_features(loops, self.encoding)
        for layer in self.layers:
            outputs = run_lstm(layer, self.dropout(outputs))  # (B, S, 2 units)
        forward, backward = outputs.chunk(2, dim=-1)
        ends = [forward[:, self.read_every - 1 :: self.read_every], backward[:, :: self.read_every]]  # each (B, reads, units)
        read = torch.cat(ends, dim=-1).flatten(1)
        return self.mean(read), nn.functional.softplus(self.std(read))
