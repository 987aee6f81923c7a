"""Removes hits from grooves that two hands and two feet cannot play."""

import numpy as np

from .encoding import VOICE_COUNT
from .grid import Array
from .kit import VOICES

MOST_HANDS = 2
_KICK, _CLOSED, _OPEN = (VOICES.index(name) for name in ("kick", "closed hat", "open hat"))
_HANDS = [voice for voice in range(VOICE_COUNT) if voice not in (_KICK, _CLOSED)]


def playable(grooves: Array, kept: Array | None = None) -> Array:
    """Returns grooves (B, S, 27) without the hits that no drummer could play; the softest hits are removed.

    A hat is not open and closed at once, and two hands play at most two voices. The kick and the closed hat need no hand. Hits in
    `kept` (B, S, 9) stay, playable or not.
    """
    hits, velocities = grooves[..., :VOICE_COUNT] > 0.5, grooves[..., VOICE_COUNT : 2 * VOICE_COUNT]
    fixed = np.zeros(hits.shape, bool) if kept is None else np.asarray(kept) > 0.5
    loudness = np.where(hits, velocities + 2 * fixed, -1.0)  # kept hits count as the loudest
    both = hits[..., _CLOSED] & hits[..., _OPEN]
    closed_goes = both & (loudness[..., _CLOSED] <= loudness[..., _OPEN])
    stays = hits.copy()
    stays[..., _CLOSED] &= ~closed_goes | fixed[..., _CLOSED]
    stays[..., _OPEN] &= ~(both & ~closed_goes) | fixed[..., _OPEN]
    hands = np.where(stays, loudness, -1.0)[..., _HANDS]
    order = np.argsort(-hands, axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")  # 0 for the loudest hand
    stays[..., _HANDS] &= (rank < MOST_HANDS) | fixed[..., _HANDS]
    return np.asarray(grooves * np.tile(stays, 3), np.float32)
