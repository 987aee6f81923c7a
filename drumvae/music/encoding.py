"""Grids in, the numbers that models see out, and back. The only place where values are scaled.

Three encodings, S steps long:

- groove (S, 27): three blocks of nine voices, [hits | velocities | offsets]. Hits in {0, 1}, velocities in [0, 1], offsets in
  half steps, [-1, 1), positive late: the grid's offset times 2, so that all three blocks have the same reach.
- pattern (S,): which of the nine voices sound, as one of 512 classes, the sum of 2^voice. Velocity and offset are lost.
- melody (S,): one of 90 classes a step: 0 nothing new, 1 the note ends, 2 and up the pitches 21 to 108.

They are the encodings of MusicVAE and GrooVAE (magenta/models/music_vae/data.py), and differ from them where those lose music:

- Offsets are positive late; theirs are positive early.
- Everything is in beats: a take may change tempo, and nothing is decoded at a fixed 120 bpm.
- A loop is circular: an early hit on step 0 keeps its offset; theirs decodes to a negative time.
- An array is as long as the music was declared to be: silent bars at its end stay, and there is no end token to say where it stops.
- One kit maps pitches to voices and back, where theirs has one map for training and another for use. A pitch out of the map is
  counted and named, where theirs is a KeyError.
- A pattern's silence is class 0 and nine zeros; there is no tenth input to say that nine are zero.
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
"""The velocity of a hit that comes out of a pattern, which knows none; General MIDI's middle, as in MusicVAE."""

Note = tuple[int, int, int]
"""A note of a melody: its first step, the step on which it has ended, its MIDI pitch."""


def grid_to_groove(grid: Grid) -> Array:
    """Returns a groove tensor (S, 27)."""
    return arrays_to_groove(*grid.arrays())


def groove_to_grid(groove: Array) -> Grid:
    """Reads a groove tensor (S, 27): a hit is more than 0.5; what is out of range is clipped, velocity and offset without a hit dropped."""
    return Grid(*groove_to_arrays(groove))


def arrays_to_groove(hits: Array, velocities: Array, offsets: Array) -> Array:
    """Returns groove tensors (..., S, 27) from a grid's three arrays, each (..., S, 9)."""
    return np.concatenate([hits, velocities, offsets * np.float32(OFFSET_SCALE)], axis=-1, dtype=np.float32)


def groove_to_arrays(groove: Array) -> tuple[Array, Array, Array]:
    """Returns a grid's three arrays, each (..., S, 9), offsets in steps, of groove tensors (..., S, 27), as they are, unclipped."""
    hits, velocities, offsets = np.split(groove, 3, axis=-1)
    return hits, velocities, offsets / np.float32(OFFSET_SCALE)


def grooves_to_patterns(grooves: Array) -> NDArray[np.int64]:
    """Returns pattern classes (..., S) of groove tensors (..., S, 27)."""
    return np.asarray((grooves[..., :VOICE_COUNT] > 0.5) @ (1 << np.arange(VOICE_COUNT)), np.int64)


def patterns_to_grooves(patterns: ArrayLike) -> Array:
    """Returns groove tensors (..., S, 27) of pattern classes (..., S), 0 to 511; every hit has `PATTERN_VELOCITY` and no offset."""
    hits = ((np.asarray(patterns)[..., None] >> np.arange(VOICE_COUNT)) & 1).astype(np.float32)
    return arrays_to_groove(hits, hits * np.float32(PATTERN_VELOCITY), np.zeros_like(hits))


def grid_to_pattern(grid: Grid) -> NDArray[np.int64]:
    """Returns pattern classes (S,)."""
    return grooves_to_patterns(grid.hits)  # the first block of a groove


def pattern_to_grid(pattern: ArrayLike) -> Grid:
    """Reads pattern classes (S,); every hit gets one velocity and no offset."""
    return groove_to_grid(patterns_to_grooves(pattern))


def notes_to_melody(notes: Iterable[Note], steps: int) -> NDArray[np.int64]:
    """Returns melody classes (S,) of notes.

    One note sounds at a time: of several that begin together the highest stays (the longest, where it is there twice), and a new
    note ends the one before it. A note lasts a step at least. Left out are notes that begin outside the steps, and pitches outside
    21 to 108.
    """
    melody = np.zeros(steps, np.int64)
    top = _top_notes(notes, steps)
    for first, following in pairwise([*sorted(top), steps]):
        pitch, end = top[first]
        melody[first] = MELODY_FIRST_PITCH + pitch - MELODY_LOWEST
        if end < following:
            melody[end] = MELODY_NOTE_OFF
    return melody


def _top_notes(notes: Iterable[Note], steps: int) -> dict[int, tuple[int, int]]:
    """Returns pitch and end of the note that is kept on each step on which any begins."""
    inside = [note for note in notes if 0 <= note[0] < steps and MELODY_LOWEST <= note[2] <= MELODY_HIGHEST]
    return {first: (pitch, max(end, first + 1)) for first, pitch, end in sorted((first, pitch, end) for first, end, pitch in inside)}


def melody_to_notes(melody: NDArray[np.int64]) -> list[Note]:
    """Reads melody classes (S,) into notes in order; the last one rings to the end."""
    events = [(step, int(event)) for step, event in enumerate(melody) if event != MELODY_NO_EVENT]
    return [
        (step, end, event - MELODY_FIRST_PITCH + MELODY_LOWEST)
        for (step, event), (end, _) in pairwise([*events, (len(melody), MELODY_NOTE_OFF)])
        if event >= MELODY_FIRST_PITCH
    ]
