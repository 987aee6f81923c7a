"""Computes the features of each step that encoder and decoder read.

B batch, S steps, F features. Drum loops are groove tensors (B, S, 27) in every drum model; melodies are classes (B, S).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..music.encoding import MELODY_CLASSES, PATTERN_CLASSES, PATTERN_VELOCITY, VOICE_COUNT
from .config import TAP_OFFSETS, TAP_VELOCITIES

_REFERENCE_BPM = 110.0
_MAX_DISTANCE = 32
"""Steps; larger distances between taps are clipped."""


def loop_features(loops: Tensor, encoding: str) -> Tensor:
    """Returns features (B, S, F): the groove itself, the nine hits of a pattern, the one-hot class of a melody.

    A pattern is represented by its nine hits and not by one of 512 classes. That is smaller, and a pattern that is not in the training
    data resembles those with the same voices.
    """
    if encoding == "melody":
        return (loops[..., None] == torch.arange(MELODY_CLASSES, device=loops.device)).to(torch.float32)
    return loops[..., :VOICE_COUNT] if encoding == "pattern" else loops


def features_loop(features: Tensor, encoding: str) -> Tensor:
    """Inverts `loop_features` for features in {0, 1}; a pattern's hits get one velocity and no offset."""
    if encoding == "melody":
        return features @ torch.arange(MELODY_CLASSES, dtype=features.dtype, device=features.device)
    if encoding == "pattern":
        return torch.cat([features, features * PATTERN_VELOCITY, torch.zeros_like(features)], dim=-1)
    return features


def tempo_features(bpm: Tensor) -> Tensor:
    """Returns whether tempi (B,) are known, which is above 0, and their distance from 110 bpm in octaves; (B, 2)."""
    known = (bpm > 0).to(bpm.dtype)
    return torch.stack([known, torch.log(bpm.clamp(min=20.0) / _REFERENCE_BPM) / math.log(2) * known], dim=-1)


def tap_features(tap: Tensor) -> Tensor:
    """Returns features (B, S, F) of taps (B, S, 3): hit (0 or 1), velocity in [0, 1], offset in [-1, 1].

    The features are: the tap itself; velocity and offset as distances to evenly spaced levels, which separates ghost notes from accents;
    the velocity relative to the maximum, the mean, the previous tap and the next tap; the distances to the previous and the next tap; and
    the mean velocity and the number of all taps.
    """
    hit, velocity, offset = torch.split(tap, 1, dim=-1)
    velocity_levels = torch.exp(-(((velocity - torch.linspace(0, 1, TAP_VELOCITIES, device=tap.device)) / 0.09) ** 2)) * hit
    offset_levels = torch.exp(-(((offset - torch.linspace(-1, 1, TAP_OFFSETS, device=tap.device)) / 0.25) ** 2)) * hit
    count = hit.sum(dim=1, keepdim=True)
    mean = velocity.sum(dim=1, keepdim=True) / count.clamp(min=1)
    relative = [velocity / velocity.amax(dim=1, keepdim=True).clamp(min=0.01), (velocity - mean) * hit]
    distances = []
    for earlier in (True, False):
        steps, other = _neighbours(hit, velocity, earlier)
        distances.append(torch.log(steps))
        relative.append((velocity - other) * hit)
    of_loop = [mean.expand_as(velocity), (count / tap.shape[1]).expand_as(velocity)]
    return torch.cat([tap, velocity_levels, offset_levels, *relative, *distances, *of_loop], dim=-1)


def _neighbours(hit: Tensor, velocity: Tensor, earlier: bool) -> tuple[Tensor, Tensor]:
    """Returns the distance in steps to the nearest earlier or later tap, 1 to `_MAX_DISTANCE`, and its velocity or 0; (B, S, 1)."""
    steps = torch.arange(hit.shape[1], device=hit.device, dtype=hit.dtype)
    distance = steps[:, None] - steps if earlier else steps - steps[:, None]
    nearness = hit.transpose(1, 2) * (distance > 0) / distance.clamp(min=1)  # (B, S, S): 1 / distance, 0 where there is no tap
    nearest = nearness.amax(dim=-1, keepdim=True)
    other = ((nearness == nearest) & (nearness > 0)).to(velocity.dtype) @ velocity
    return 1 / nearest.clamp(min=1 / _MAX_DISTANCE), other


def class_features(encoding: str) -> Tensor:
    """Returns the features of every class, (classes, F)."""
    if encoding == "melody":
        return torch.eye(MELODY_CLASSES)
    return ((torch.arange(PATTERN_CLASSES)[:, None] >> torch.arange(VOICE_COUNT)) & 1).to(torch.float32)


def previous_steps(features: Tensor) -> Tensor:
    """Returns the features of the step before each step, (B, S, F); zeros before the first."""
    return pad(features[:, :-1], (0, 0, 1, 0))
