"""A tapped rhythm in, how likely each voice is to sound with it out.

B batch, S steps, V = 9 voices, T styles.

A drummer that writes step by step gives one answer that hangs together. What most drummers would play is another question: how likely
every hit is by itself. Several small readers answer it, each with its own beginning and its own share of the lessons, and their mean is
surer than any of them (Lakshminarayanan, Pritzel and Blundell 2017).
"""

import torch
from torch import Tensor, nn

from drumvae.tensors import VOICE_COUNT

from .attention import Layer, Places
from .config import ModelConfig
from .features import tempo_features

TAP_SIZE = 3
"""Of a step of a tap: struck or not, velocity in [0, 1], offset in [-1, 1]."""


class TapReader(nn.Module):
    """Reads a rhythm as a whole."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.reader_width
        self.enter = nn.Linear(TAP_SIZE, width)
        self.wanted = nn.Linear(len(config.styles) + 2, width)
        self.places = Places(config.steps, width)
        self.layers = nn.ModuleList(Layer(width, config.heads, 1 - config.keep) for _ in range(config.reader_layers))
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, VOICE_COUNT))

    def forward(self, tap: Tensor, bpm: Tensor, style: Tensor) -> Tensor:
        """Returns the log odds (B, S, V) of hits for a tap (B, S, 3), tempi (B,) and styles (B, T), 0 where they are unknown."""
        wanted = torch.cat([style, tempo_features(bpm)], dim=-1)
        steps = self.enter(tap) + self.places() + self.wanted(wanted)[:, None]
        for layer in self.layers:
            steps = layer(steps)
        odds: Tensor = self.leave(steps)
        return odds


class Listener(nn.Module):
    """Holds the readers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.readers = nn.ModuleList(TapReader(config) for _ in range(config.readers))

    def forward(self, tap: Tensor, bpm: Tensor, style: Tensor) -> Tensor:
        """Returns how likely hits are, (B, S, V) in (0, 1), for what a reader reads: the mean of what the readers expect."""
        expected = [torch.sigmoid(reader(tap, bpm, style)) for reader in self.readers]
        return torch.stack(expected).mean(dim=0)
