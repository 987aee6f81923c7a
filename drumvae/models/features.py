"""Loops and tempi in, the numbers that encoder and decoder read at each step out.

B batch, S steps, F features. Drum loops are groove tensors (B, S, 27) for every drum model; melodies are classes (B, S).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..music.encoding import MELODY_CLASSES, PATTERN_CLASSES, PATTERN_VELOCITY, VOICE_COUNT
from .config import TAP_OFFSETS, TAP_VELOCITIES

_MIDDLE_BPM = 110.0
_FAR = 32
"""Steps between strokes beyond which it no longer matters how many."""


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


def tap_features(tap: Tensor) -> Tensor:
    """Returns what a rhythm tells at each step, (B, S, F), of taps (B, S, 3): struck or not, velocity in [0, 1], offset in [-1, 1].

    Beside the tap itself: how near velocity and offset are to evenly spaced levels, so that a ghost note and an accent are other
    things and not more and less of one; how hard the stroke is beside the hardest, the mean, the one before and the one after; how
    far away these are; and the mean and number of all strokes.
    """
    struck, velocity, offset = torch.split(tap, 1, dim=-1)
    soft = torch.exp(-(((velocity - torch.linspace(0, 1, TAP_VELOCITIES, device=tap.device)) / 0.09) ** 2)) * struck
    early = torch.exp(-(((offset - torch.linspace(-1, 1, TAP_OFFSETS, device=tap.device)) / 0.25) ** 2)) * struck
    strokes = struck.sum(dim=1, keepdim=True)
    mean = velocity.sum(dim=1, keepdim=True) / strokes.clamp(min=1)
    beside = [velocity / velocity.amax(dim=1, keepdim=True).clamp(min=0.01), (velocity - mean) * struck]
    away = []
    for earlier in (True, False):
        steps, other = _neighbours(struck, velocity, earlier)
        away.append(torch.log(steps))
        beside.append((velocity - other) * struck)
    every = [mean.expand_as(velocity), (strokes / tap.shape[1]).expand_as(velocity)]
    return torch.cat([tap, soft, early, *beside, *away, *every], dim=-1)


def _neighbours(struck: Tensor, velocity: Tensor, earlier: bool) -> tuple[Tensor, Tensor]:
    """Returns how many steps away the nearest earlier or later stroke is, 1 to `_FAR`, and its velocity, 0 where none is; (B, S, 1)."""
    places = torch.arange(struck.shape[1], device=struck.device, dtype=struck.dtype)
    distance = places[:, None] - places if earlier else places - places[:, None]
    near = struck.transpose(1, 2) * (distance > 0) / distance.clamp(min=1)  # (B, S, S): the nearer the more, 0 where no stroke is
    nearest = near.amax(dim=-1, keepdim=True)
    other = ((near == nearest) & (near > 0)).to(velocity.dtype) @ velocity
    return 1 / nearest.clamp(min=1 / _FAR), other


def class_features(encoding: str) -> Tensor:
    """Returns the features of every class, (classes, F)."""
    if encoding == "melody":
        return torch.eye(MELODY_CLASSES)
    return ((torch.arange(PATTERN_CLASSES)[:, None] >> torch.arange(VOICE_COUNT)) & 1).to(torch.float32)


def previous_steps(features: Tensor) -> Tensor:
    """Returns what each step sees of the one before, (B, S, F); the first sees silence, all zeros."""
    return pad(features[:, :-1], (0, 0, 1, 0))
