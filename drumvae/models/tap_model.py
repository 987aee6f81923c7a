"""Predicts the probability of every hit for a tapped rhythm. B batch, S steps, V = 9 voices, T styles, F features of a step.

A drummer samples one consistent loop. The tap model instead estimates the probability of every hit by itself, given the tap. The mean of
an ensemble of small networks is a better estimate than any of its members (Lakshminarayanan, Pritzel and Blundell 2017), especially if the
members differ. They differ in initial weights and training batches, and every second one has an LSTM.
"""

import torch
from torch import Tensor, nn

from ..music.encoding import VOICE_COUNT
from .attention import PositionalEmbedding, TransformerBlock
from .config import TAP_FEATURES, DrummerConfig
from .features import tap_features, tempo_features
from .lstm import new_lstm, run_lstm


class TapEncoder(nn.Module):
    """One member of the ensemble: transformer layers over a tapped rhythm; with `recurrent` the first one is a bidirectional LSTM."""

    def __init__(self, config: DrummerConfig, recurrent: bool) -> None:
        super().__init__()
        width, layers = config.reader_width, config.reader_layers - recurrent
        self.in_proj = nn.Sequential(nn.Linear(TAP_FEATURES, width), nn.GELU(), nn.Linear(width, width))
        self.condition_proj = nn.Linear(len(config.styles) + 2, width)
        self.positions = PositionalEmbedding(config.steps, width)
        self.layers = nn.ModuleList(TransformerBlock(width, config.heads, 1 - config.reader_keep) for _ in range(layers))
        self.lstm = new_lstm(width, width // 2, bidirectional=True) if recurrent else None
        self.out_proj = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, VOICE_COUNT))

    def forward(self, features: Tensor, bpm: Tensor, style: Tensor) -> Tensor:
        """Returns the logits (B, S, V) of hits for a tap's features (B, S, F), tempi (B,) and styles (B, T), 0 where unknown."""
        conditions = torch.cat([style, tempo_features(bpm)], dim=-1)
        steps = self.in_proj(features) + self.positions() + self.condition_proj(conditions)[:, None]
        if self.lstm:
            steps = steps + run_lstm(self.lstm, steps)
        for layer in self.layers:
            steps = layer(steps)
        logits: Tensor = self.out_proj(steps)
        return logits


class TapEnsemble(nn.Module):
    """Averages the probabilities of several tap encoders."""

    def __init__(self, config: DrummerConfig) -> None:
        super().__init__()
        self.members = nn.ModuleList(TapEncoder(config, recurrent=number % 2 == 1) for number in range(config.readers))

    def forward(self, tap: Tensor, bpm: Tensor, style: Tensor) -> Tensor:
        """Returns the probability of hits, (B, S, V) in (0, 1), for taps (B, S, 3), tempi (B,) and styles (B, T)."""
        features = tap_features(tap)
        probabilities = [torch.sigmoid(member(features, bpm, style)) for member in self.members]
        return torch.stack(probabilities).mean(dim=0)
