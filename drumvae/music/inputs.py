"""Transforms grooves into the encoder inputs of the tasks: hits without expression, a tap, a kit with voices left out.

Each transform returns a new array and accepts any number of leading axes; S steps, 27 values a step, as in `encoding`.
"""

import numpy as np
from numpy.typing import ArrayLike

from .encoding import GROOVE_SIZE, PATTERN_VELOCITY, VOICE_COUNT
from .grid import Array
from .kit import VOICES

TAP_VOICE = VOICES.index("open hat")
"""The voice that every tap is written to, whichever drum it was played on, since a tap has no voice; as in GrooVAE."""
TAP_VELOCITY = PATTERN_VELOCITY
"""The velocity of a tap without one, in [0, 1]."""


def without_feel(groove: Array) -> Array:
    """Returns grooves (..., S, 27) with hits only, velocities and offsets 0: the input of humanize."""
    plain = np.zeros_like(groove, np.float32)
    plain[..., :VOICE_COUNT] = groove[..., :VOICE_COUNT]
    return plain


def tapped_hits(groove: Array) -> Array:
    """Returns (..., S, 9), 1 for the hit of each step that `to_tap` takes: the loudest, the first voice on a tie.

    The model adds the other hits.
    """
    hits = groove[..., :VOICE_COUNT] > 0.5
    loudness = np.where(hits, groove[..., VOICE_COUNT : 2 * VOICE_COUNT], -1)  # a hit of velocity 0 is louder than no hit
    loudest = loudness.argmax(axis=-1)[..., None] == np.arange(VOICE_COUNT)
    return np.asarray(hits & loudest, np.float32)


def to_tap(groove: Array, velocities: bool = True) -> Array:
    """Returns grooves (..., S, 27) with the loudest hit of each step written to `TAP_VOICE` and all else 0.

    The hit keeps its offset, and its velocity unless `velocities` is False: then every tap has `TAP_VELOCITY`. Magenta gives such
    taps velocity 0, which is that of an empty cell and, in MIDI, of a note-off.

    A step whose hits were all dropped beforehand has no tap. In Magenta such a step gets its tap back where it holds a kick,
    because the hit is chosen from the dropped groove and read from the whole one.
    """
    taps = tap_of(groove)
    if not velocities:
        taps[..., 1] = taps[..., 0] * np.float32(TAP_VELOCITY)
    tap = np.zeros_like(groove, np.float32)
    tap[..., TAP_VOICE::VOICE_COUNT] = taps
    return tap


def tap_of(groove: Array) -> Array:
    """Returns the taps of grooves (..., S, 27) as (..., S, 3): whether a step has a hit, and the velocity and offset of its loudest."""
    blocks = groove.reshape(*groove.shape[:-1], -1, VOICE_COUNT)  # (..., S, 3, 9)
    # one hit a step at most, so a sum is that hit's value
    return np.asarray(np.einsum("...bv,...v->...b", blocks, tapped_hits(groove)), np.float32)


def without_voices(groove: Array, left_out: ArrayLike) -> Array:
    """Returns grooves (..., S, 27) without the voices where `left_out` (..., 9) is 1: the input of infill."""
    kept = np.tile(np.asarray(left_out) == 0, GROOVE_SIZE // VOICE_COUNT)  # (..., 27)
    return np.asarray(groove * kept[..., None, :], np.float32)
