"""Loops and tempi in, the numbers that encoder and decoder read at each step out.

B batch, S steps, F features. Drum loops are groove tensors (B, S, 27) for every drum model; melodies are classes (B, S).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from drumvae.tensors import MELODY_CLASSES, PATTERN_CLASSES, PATTERN_VELOCITY, VOICE_COUNT

_MIDDLE_BPM = 110.0


def loop_features(loops: Tensor, encoding: str) -> Tensor:
    """Returns features (B, S, F): the groove itself, the nine hits of a pattern, the one-hot class of a melody.

    A pattern is read as its nine hits and not as one of 512: the same in less, and a pattern never seen resembles those it shares
    voices with.
    """
    if encoding == "melody":
        return (loops[..., None] == torch.arange(MELODY_CLASSES, device=loops.device)).to(torch.float32)
    return loops[..., :VOICE_COUNT] if encoding == "pattern" else loops


def features_loop(features: Tensor, encoding: str) -> Tensor:
    """Returns the loops of features in {0, 1}, as `loop_features` made them; a pattern's hits get one velocity and no offset."""
    if encoding == "melody":
        return features @ torch.arange(MELODY_CLASSES, dtype=features.dtype, device=features.device)
    if encoding == "pattern":
        return torch.cat([features, features * PATTERN_VELOCITY, torch.zeros_like(features)], dim=-1)
    return features


def tempo_features(bpm: Tensor) -> Tensor:
    """Returns whether tempi (B,) are known, above 0, and how many octaves they are from a middle one; (B, 2)."""
    known = (bpm > 0).to(bpm.dtype)
    return torch.stack([known, torch.log(bpm.clamp(min=20.0) / _MIDDLE_BPM) / math.log(2) * known], dim=-1)


def class_features(encoding: str) -> Tensor:
    """Returns the features of every class, (classes, F)."""
    if encoding == "melody":
        return torch.eye(MELODY_CLASSES)
    return ((torch.arange(PATTERN_CLASSES)[:, None] >> torch.arange(VOICE_COUNT)) & 1).to(torch.float32)


def previous_steps(features: Tensor) -> Tensor:
    """Returns what each step sees of the one before, (B, S, F); the first sees silence, all zeros."""
    return pad(features[:, :-1], (0, 0, 1, 0))
