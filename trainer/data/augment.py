"""Batches of groove tensors in, changed copies out: what keeps a model from learning the windows by heart.

Nothing is cached: every call draws anew, so that each epoch sees other changes, and the generator that is passed in decides all of
them. (Magenta changes its windows once, before its cache, and trains on the same changes for the whole run.) The input is left as
it is, so it can be the target. n windows, S steps, nine voices, 27 values a step as in `drumvae.music.encoding`.
"""

import numpy as np

from drumvae.music.encoding import OFFSET_SCALE, VOICE_COUNT
from drumvae.music.grid import Array

SOFTEST = np.float32(1 / 127)
"""The least velocity of a hit: MIDI velocity 1."""
LEAST_DROP = 0.2
"""The share of the window's drop probability that the loudest hit still bears."""
_EARLIEST = np.float32(-0.5 * OFFSET_SCALE)
_LATEST = np.nextafter(np.float32(0.5 * OFFSET_SCALE), np.float32(0))  # half a step late is the next step


def drop_notes(groove: Array, random: np.random.Generator, most: float) -> Array:
    """Returns grooves (n, S, 27) that miss some of their hits, soft ones sooner: what makes a tap model add what was not tapped.

    Each window draws a probability p, uniform in [0, `most`); each hit of velocity v is dropped with p max(0.2, 1 - v), as in
    GrooVAE (magenta/models/music_vae/data.py).
    """
    probability = random.random((len(groove), 1, 1), np.float32) * np.float32(most)
    softness = np.maximum(np.float32(LEAST_DROP), 1 - groove[..., VOICE_COUNT : 2 * VOICE_COUNT])
    kept = random.random(softness.shape, np.float32) >= probability * softness
    return groove * np.tile(kept, 3)


def scale_velocities(groove: Array, random: np.random.Generator, spread: float) -> Array:
    """Returns grooves (n, S, 27) played softer or louder as a whole.

    Each window draws one factor, uniform in [1 - `spread`, 1 + `spread`); velocities are clipped to [1/127, 1], so that every hit
    still is a MIDI note.
    """
    factor = 1 + np.float32(spread) * (2 * random.random((len(groove), 1, 1), np.float32) - 1)
    struck, velocities, offsets = np.split(groove, 3, axis=-1)
    scaled = np.where(struck > 0.5, np.clip(velocities * factor, SOFTEST, 1), np.float32(0))
    return np.concatenate([struck, scaled, offsets], axis=-1, dtype=np.float32)


def shift_timing(groove: Array, random: np.random.Generator, spread_steps: float) -> Array:
    """Returns grooves (n, S, 27) played a little earlier or later as a whole.

    Each window draws one shift, uniform in [-`spread_steps`, `spread_steps`) steps: bounded, so that the spread is also the most
    that any hit moves. Hits keep their steps: an offset that would leave the grid's range, half a step either way, stops at its end.
    """
    shift = np.float32(spread_steps * OFFSET_SCALE) * (2 * random.random((len(groove), 1, 1), np.float32) - 1)
    struck, velocities, offsets = np.split(groove, 3, axis=-1)
    moved = np.where(struck > 0.5, np.clip(offsets + shift, _EARLIEST, _LATEST), np.float32(0))
    return np.concatenate([struck, velocities, moved], axis=-1, dtype=np.float32)


def draw_left_out(random: np.random.Generator, groove: Array) -> Array:
    """Returns (n, 9), 1 for one voice of each window, uniform among those that sound in it; all 0 where nothing sounds."""
    sounding = groove[..., :VOICE_COUNT].max(axis=1) > 0.5
    count = sounding.sum(axis=1)
    rank = np.floor(random.random(len(groove)) * count).astype(np.int64)  # (n,), 0 to count - 1
    chosen = sounding & (sounding.cumsum(axis=1) == rank[:, None] + 1)
    return np.asarray(chosen, np.float32)
