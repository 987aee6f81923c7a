"""Augments batches of groove tensors.

Nothing is cached: each call draws from the generator that is passed in, so that each epoch has other augmentations. (Magenta augments
once, before its cache; a model can then overfit the fixed augmentation.) The input is not changed, so it can be the target.
n windows, S steps, nine voices, 27 values a step as in `drumvae.music.encoding`.
"""

import numpy as np

from drumvae.music.encoding import OFFSET_SCALE, VOICE_COUNT
from drumvae.music.grid import Array

SOFTEST = np.float32(1 / 127)
"""The smallest velocity of a hit: MIDI velocity 1."""
MIN_DROP = 0.2
"""The smallest factor on a window's drop probability, for its loudest hits."""
_EARLIEST = np.float32(-0.5 * OFFSET_SCALE)
_LATEST = np.nextafter(np.float32(0.5 * OFFSET_SCALE), np.float32(0))  # half a step late belongs to the next step


def drop_notes(groove: Array, random: np.random.Generator, max_probability: float) -> Array:
    """Returns grooves (n, S, 27) without some of their hits, so that a tap model learns to add hits that were not tapped.

    Each window draws a probability p, uniform in [0, `max_probability`). Each hit of velocity v is dropped with probability
    p max(0.2, 1 - v), as in GrooVAE (magenta/models/music_vae/data.py).
    """
    probability = random.random((len(groove), 1, 1), np.float32) * np.float32(max_probability)
    softness = np.maximum(np.float32(MIN_DROP), 1 - groove[..., VOICE_COUNT : 2 * VOICE_COUNT])
    kept = random.random(softness.shape, np.float32) >= probability * softness
    return groove * np.tile(kept, 3)


def scale_velocities(groove: Array, random: np.random.Generator, spread: float) -> Array:
    """Returns grooves (n, S, 27) with the velocities of each window scaled by one factor.

    The factor is uniform in [1 - `spread`, 1 + `spread`). Velocities are clipped to [1/127, 1], so that each hit remains a MIDI note.
    """
    factor = 1 + np.float32(spread) * (2 * random.random((len(groove), 1, 1), np.float32) - 1)
    hits, velocities, offsets = np.split(groove, 3, axis=-1)
    scaled = np.where(hits > 0.5, np.clip(velocities * factor, SOFTEST, 1), np.float32(0))
    return np.concatenate([hits, scaled, offsets], axis=-1, dtype=np.float32)


def shift_timing(groove: Array, random: np.random.Generator, spread_steps: float) -> Array:
    """Returns grooves (n, S, 27) with the offsets of each window shifted by one amount.

    The shift is uniform in [-`spread_steps`, `spread_steps`) steps. Hits keep their steps: offsets are clipped to half a step.
    """
    shift = np.float32(spread_steps * OFFSET_SCALE) * (2 * random.random((len(groove), 1, 1), np.float32) - 1)
    hits, velocities, offsets = np.split(groove, 3, axis=-1)
    moved = np.where(hits > 0.5, np.clip(offsets + shift, _EARLIEST, _LATEST), np.float32(0))
    return np.concatenate([hits, velocities, moved], axis=-1, dtype=np.float32)


def draw_left_out(random: np.random.Generator, groove: Array) -> Array:
    """Returns (n, 9), 1 for one voice of each window, uniform among the voices with a hit; all 0 in a silent window."""
    active = groove[..., :VOICE_COUNT].max(axis=1) > 0.5
    count = active.sum(axis=1)
    rank = np.floor(random.random(len(groove)) * count).astype(np.int64)  # (n,), 0 to count - 1
    chosen = active & (active.cumsum(axis=1) == rank[:, None] + 1)
    return np.asarray(chosen, np.float32)
