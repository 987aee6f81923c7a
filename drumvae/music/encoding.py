"""Converts between grids and the arrays that models read and write; the only place where values are scaled.

Three encodings, S steps long:

- groove (S, 27): three blocks of nine voices, [hits | velocities | offsets]. Hits in {0, 1}, velocities in [0, 1], offsets in
  half steps, [-1, 1), positive late: the grid's offset times 2, so that all three blocks have the same reach.
- pattern (S,): the set of voices that sound, as one of 512 classes, the sum of 2^voice. Velocity and offset are lost.
- melody (S,): one of 90 classes a step: 0 nothing new, 1 the note ends, 2 and up the pitches 21 to 108.

They are the encodings of MusicVAE and GrooVAE (magenta/models/music_vae/data.py), with these differences, because theirs lose music:

- Offsets are positive late; theirs are positive early.
- Everything is in beats: a take may change tempo, and nothing is decoded at a fixed 120 bpm.
- A loop is circular: an early hit on step 0 keeps its offset; theirs decodes to a negative time.
- An array is as long as the music: silent bars at its end stay, and there is no end token.
- One kit maps pitches to voices and back, where theirs has one map for training and another for use. A pitch out of the map is
  counted and named, where theirs is a KeyError.
- Silence in a pattern is class 0 and nine zeros; there is no tenth input for it.
"""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
"""The velocity of every hit decoded from a pattern; as in MusicVAE."""

MelodyNote = tuple[int, int, int]
"""A note of a melody: its first step, its end step (exclusive), its MIDI pitch."""


def grid_to_groove(grid: Grid) -> Array:
    """Returns a groove tensor (S, 27)."""
    return arrays_to_groove(*grid.arrays())


def groove_to_grid(groove: Array) -> Grid:
    """Decodes a groove tensor (S, 27): a hit is above 0.5; values are clipped; velocity and offset without a hit become 0."""
    return Grid(*groove_to_arrays(groove))


def arrays_to_groove(hits: Array, velocities: Array, offsets: Array) -> Array:
    """Returns groove tensors (..., S, 27) from a grid's three arrays, each (..., S, 9)."""
    return np.concatenate([hits, velocities, offsets * np.float32(OFFSET_SCALE)], axis=-1, dtype=np.float32)


def groove_to_arrays(groove: Array) -> tuple[Array, Array, Array]:
    """Returns the hits, velocities and offsets (in steps) of groove tensors (..., S, 27), each (..., S, 9) and not clipped."""
    hits, velocities, offsets = np.split(groove, 3, axis=-1)
    return hits, velocities, offsets / np.float32(OFFSET_SCALE)


def grooves_to_patterns(grooves: Array) -> NDArray[np.int64]:
    """Returns pattern classes (..., S) of groove tensors (..., S, 27)."""
    return np.asarray((grooves[..., :VOICE_COUNT] > 0.5) @ (1 << np.arange(VOICE_COUNT)), np.int64)


def patterns_to_grooves(patterns: ArrayLike) -> Array:
    """Returns groove tensors (..., S, 27) of pattern classes (..., S), 0 to 511; every hit has `PATTERN_VELOCITY` and no offset."""
    hits = ((np.asarray(patterns)[..., None] >> np.arange(VOICE_COUNT)) & 1).astype(np.float32)
    return arrays_to_groove(hits, hits * np.float32(PATTERN_VELOCITY), np.zeros_like(hits))


def notes_to_melody(notes: Iterable[MelodyNote], steps: int) -> NDArray[np.int64]:
    """Returns melody classes (S,) of notes.

    One note sounds at a time. Of several that begin together the highest stays, and of two at one pitch the longer. A new note ends
    the one before it. A note lasts at least one step. Notes that begin outside the steps and pitches outside 21 to 108 are left out.

    >>> notes_to_melody([(0, 2, 60), (4, 5, 62)], 8).tolist()
    [41, 0, 1, 0, 43, 1, 0, 0]
    """
    melody = np.zeros(steps, np.int64)
    top = _top_notes(notes, steps)
    for first, following in pairwise([*sorted(top), steps]):
        pitch, end = top[first]
        melody[first] = MELODY_FIRST_PITCH + pitch - MELODY_LOWEST
        if end < following:
            melody[end] = MELODY_NOTE_OFF
    return melody


def _top_notes(notes: Iterable[MelodyNote], steps: int) -> dict[int, tuple[int, int]]:
    """Returns, for each step on which notes begin, the pitch and the end step of the note that is kept."""
    inside = [note for note in notes if 0 <= note[0] < steps and MELODY_LOWEST <= note[2] <= MELODY_HIGHEST]
    return {first: (pitch, max(end, first + 1)) for first, pitch, end in sorted((first, pitch, end) for first, end, pitch in inside)}


def melody_to_notes(melody: NDArray[np.int64]) -> list[MelodyNote]:
    """Returns the notes of melody classes (S,), in order; a last note without an end lasts to the end."""
    events = [(step, int(event)) for step, event in enumerate(melody) if event != MELODY_NO_EVENT]
    return [
        (step, end, event - MELODY_FIRST_PITCH + MELODY_LOWEST)
        for (step, event), (end, _) in pairwise([*events, (len(melody), MELODY_NOTE_OFF)])
        if event >= MELODY_FIRST_PITCH
    ]
