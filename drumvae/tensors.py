"""Grids in, the numbers that models see out, and back. The only place where values are scaled.

Three encodings, S steps long:

- groove (S, 27): three blocks of nine voices, [hits | velocities | offsets]. Hits in {0, 1}, velocities in [0, 1], offsets in
  half steps, [-1, 1), positive late: the grid's offset times 2, so that all three blocks have the same reach.
- pattern (S,): which of the nine voices sound, as one of 512 classes, the sum of 2^voice. Velocity and offset are lost.
- melody (S,): one of 90 classes a step: 0 nothing new, 1 the note ends, 2 and up the pitches 21 to 108.
"""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .grid import Array, Grid
from .kit import VOICES

VOICE_COUNT = len(VOICES)
GROOVE_SIZE = 3 * VOICE_COUNT
PATTERN_CLASSES = 2**VOICE_COUNT
MELODY_LOWEST, MELODY_HIGHEST = 21, 108
MELODY_NO_EVENT, MELODY_NOTE_OFF, MELODY_FIRST_PITCH = 0, 1, 2
MELODY_CLASSES = MELODY_FIRST_PITCH + MELODY_HIGHEST - MELODY_LOWEST + 1

OFFSET_SCALE = 2.0
"""Tensor units in a step of offset."""
PATTERN_VELOCITY = 80 / 127
"""The velocity of a hit that comes out of a pattern, which knows none; General MIDI's middle, as in MusicVAE."""


def grid_to_groove(grid: Grid) -> Array:
    """Returns a groove tensor (S, 27)."""
    return arrays_to_groove(*grid.arrays())


def arrays_to_groove(hits: Array, velocities: Array, offsets: Array) -> Array:
    """Returns groove tensors (..., S, 27) from a grid's three arrays, each (..., S, 9)."""
    return np.concatenate([hits, velocities, offsets * np.float32(OFFSET_SCALE)], axis=-1, dtype=np.float32)


def groove_to_grid(groove: Array) -> Grid:
    """Reads a groove tensor (S, 27); values out of range are clipped, velocity and offset without a hit are dropped."""
    hits, velocities, offsets = np.split(groove, 3, axis=-1)
    return Grid(hits, velocities, offsets / np.float32(OFFSET_SCALE))


def grid_to_pattern(grid: Grid) -> NDArray[np.int64]:
    """Returns pattern classes (S,)."""
    return grid.hits.astype(np.int64) @ (1 << np.arange(VOICE_COUNT))


def pattern_to_grid(pattern: NDArray[np.int64]) -> Grid:
    """Reads pattern classes (S,); every hit gets one velocity and no offset."""
    hits = ((np.asarray(pattern)[:, None] >> np.arange(VOICE_COUNT)) & 1).astype(np.float32)
    return Grid(hits, hits * np.float32(PATTERN_VELOCITY), np.zeros_like(hits))


def notes_to_melody(notes: Iterable[tuple[int, int, int]], steps: int) -> NDArray[np.int64]:
    """Returns melody classes (S,) of notes given as (first step, end step, pitch).

    One note sounds at a time: of several that begin together the highest stays, and a new note ends the one before it.
    Pitches outside 21 to 108 are left out.
    """
    melody = np.zeros(steps, np.int64)
    inside = [note for note in notes if MELODY_LOWEST <= note[2] <= MELODY_HIGHEST and 0 <= note[0] < steps]
    highest = {first: (end, pitch) for first, end, pitch in sorted(inside, key=lambda note: (note[0], note[2]))}
    starts = [*sorted(highest), steps]
    for first, following in pairwise(starts):
        end, pitch = highest[first]
        melody[first] = MELODY_FIRST_PITCH + pitch - MELODY_LOWEST
        if first < end < following:
            melody[end] = MELODY_NOTE_OFF
    return melody


def melody_to_notes(melody: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Reads melody classes (S,) into notes (first step, end step, pitch); the last one rings to the end."""
    events = [(step, int(event)) for step, event in enumerate(melody) if event != MELODY_NO_EVENT]
    ends = [step for step, _ in events[1:]] + [len(melody)]
    return [
        (step, end, event - MELODY_FIRST_PITCH + MELODY_LOWEST)
        for (step, event), end in zip(events, ends, strict=True)
        if event >= MELODY_FIRST_PITCH
    ]
