"""Computes the features by which sets of melodies are compared.

n melodies, S steps. Pitches are melody classes, which count semitones.
"""

import numpy as np

from drumvae.music.encoding import MELODY_FIRST_PITCH, MELODY_NOTE_OFF
from drumvae.music.grid import STEPS_PER_BAR, Array

from .bootstrap import FloatArray, IntArray
from .features import bar_similarity
from .melody import note_ends

MELODY_FEATURES = (
    "onsets per bar",
    "pitches used",
    "pitch mean",
    "pitch sd",
    "pitch range",
    "interval mean (semitones)",
    "note length mean (steps)",
    "note-offs per bar",
    "bar self-similarity",
)


def melody_features(melodies: Array) -> FloatArray:
    """Returns the features (n, F) of melodies (n, S), in the order of `MELODY_FEATURES`.

    The interval is the mean distance from note to note. The similarity of bars is the Jaccard index of their onsets with pitches. A
    melody without a note has a bar self-similarity of 1 and zeros elsewhere.
    """
    classes = np.asarray(melodies, np.int64)
    return np.array([_features(row) for row in classes], np.float64).reshape(len(classes), len(MELODY_FEATURES))


def _features(melody: IntArray) -> list[float]:
    bars = len(melody) // STEPS_PER_BAR
    steps = np.flatnonzero(melody >= MELODY_FIRST_PITCH)
    if not len(steps):
        return [0.0] * (len(MELODY_FEATURES) - 1) + [1.0]
    pitches = melody[steps]
    lengths = note_ends(melody[None])[0, steps] - steps
    onsets = np.zeros((len(melody), int(pitches.max()) + 1), np.bool_)
    onsets[steps, pitches] = True
    return [
        len(steps) / bars,
        len(set(pitches.tolist())),
        float(pitches.mean()),
        float(pitches.std()),
        float(np.ptp(pitches)),
        float(np.abs(np.diff(pitches)).mean()) if len(pitches) > 1 else 0.0,
        float(lengths.mean()),
        float((melody == MELODY_NOTE_OFF).sum()) / bars,
        float(bar_similarity(onsets.reshape(1, bars, -1))[0]),
    ]
