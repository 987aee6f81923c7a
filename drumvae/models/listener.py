"""A tapped rhythm in, how likely each voice is to sound with it out.

B batch, S steps, V = 9 voices, T styles.

A drummer that writes step by step gives one answer that hangs together. What most drummers would play is another question: how likely
every hit is by itself. Several small readers answer it, and their mean is surer than any of them (Lakshminarayanan, Pritzel and Blundell
2017), the more so the less they are alike: they begin and learn otherwise, and every second one reads in order before it reads at once.
"""

import torch
from torch import Tensor, nn

from ..music.encoding import VOICE_COUNT
from .attention import PositionalEmbedding, TransformerBlock
from .config import TAP_FEATURES, ModelConfig
from .features import tap_features, tempo_features
from .lstm import new_lstm, run_lstm


class TapEncoder(nn.Module):
    """Reads a rhythm as a whole; one that is `recurrent` has an LSTM in both directions for its first layer."""

    def __init__(self, config: ModelConfig, recurrent: bool) -> None:
        super().__init__()
        width, layers = config.reader_width, config.reader_layers - recurrent
        self.enter = nn.Sequential(nn.Linear(TAP_FEATURES, width), nn.GELU(), nn.Linear(width, width))
        self.wanted = nn.Linear(len(config.styles) + 2, width)
        self.places = PositionalEmbedding(config.steps, width)
        self.layers = nn.ModuleList(TransformerBlock(width, config.heads, 1 - config.reader_keep) for _ in range(layers))
        self.in_order = new_lstm(width, width // 2, bidirectional=True) if recurrent else None
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, VOICE_COUNT))

    def forward(self, features: Tensor, bpm: Tensor, style: Tensor) -> Tensor:
        """Returns the log odds (B, S, V) of hits for a tap's features (B, S, F), tempi (B,) and styles (B, T), 0 where unknown."""
        wanted = torch.cat([style, tempo_features(bpm)], dim=-1)
        steps = self.enter(features) + self.places() + self.wanted(wanted)[:, None]
        if self.in_order:
            steps = steps + run_lstm(self.in_order, steps)
        for layer in self.layers:
            steps = layer(steps)
        odds: Tensor = self.leave(steps)
        return odds


class TapEnsemble(nn.Module):
    """Holds the readers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.readers = nn.ModuleList(TapEncoder(config, recurrent=number % 2 == 1) for number in range(config.readers))

    def forward(self, tap: Tensor, bpm: Tensor, style: Tensor) -> Tensor:
        """Returns how likely hits are, (B, S, V) in (0, 1), for a tap (B, S, 3), tempi and styles: the mean of what the readers expect."""
        features = tap_features(tap)
        expected = [torch.sigmoid(reader(features, bpm, style)) for reader in self.readers]
        return torch.stack(expected).mean(dim=0)
