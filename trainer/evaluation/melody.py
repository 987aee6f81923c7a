"""Compares predicted melodies with the true ones: onsets, rhythm, notes and pitches.

n windows, S steps; classes (n, S) as in `drumvae.music.encoding`.
"""

import numpy as np

from drumvae.music.encoding import MELODY_CLASSES, MELODY_FIRST_PITCH, MELODY_NO_EVENT
from drumvae.music.grid import Array

from .bootstrap import FloatArray, IntArray, Sums, ratio
from .windows import Windows


def melody_sums(predicted: Array, true: Array) -> Sums:
    """Returns the counts (n,) of each window for `melody_metrics`."""
    ours, theirs = (np.asarray(melodies, np.int64) for melodies in (predicted, true))
    onsets, true_onsets = ours >= MELODY_FIRST_PITCH, theirs >= MELODY_FIRST_PITCH
    same_step = onsets & true_onsets
    same_pitch = same_step & (ours == theirs)
    same_note = same_pitch & (note_ends(ours) == note_ends(theirs))
    counts = {
        "predicted": onsets,
        "true": true_onsets,
        "same_step": same_step,
        "same_pitch": same_pitch,
        "same_note": same_note,
        "exact": ours == theirs,
        "steps": np.ones_like(ours),
        "semitones": np.abs(ours - theirs) * same_step,
    }
    return {name: values.sum(axis=1).astype(np.float64) for name, values in counts.items()}


def melody_metrics(sums: Sums) -> Sums:
    """Returns the share of exact steps, and scores of notes.

    An onset matches an onset of its pitch on its step. A note also has to end on the same step. Rhythm F1 compares steps only. The pitch
    error in semitones is the mean over onsets on the same step.
    """
    both = sums["predicted"] + sums["true"]
    return {
        "exact_steps": ratio(sums["exact"], sums["steps"]),
        "onset_f1": ratio(2 * sums["same_pitch"], both, 0.0),
        "onset_precision": ratio(sums["same_pitch"], sums["predicted"], 0.0),
        "onset_recall": ratio(sums["same_pitch"], sums["true"], 0.0),
        "rhythm_f1": ratio(2 * sums["same_step"], both, 0.0),
        "note_f1": ratio(2 * sums["same_note"], both, 0.0),
        "pitch_error_semitones": ratio(sums["semitones"], sums["same_step"]),
    }


def note_ends(melodies: IntArray) -> IntArray:
    """Returns for every step the step of the next event after it, S where none follows; (n, S)."""
    steps = melodies.shape[1]
    own = np.where(melodies != MELODY_NO_EVENT, np.arange(steps), steps)
    following = np.minimum.accumulate(own[:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([following[:, 1:], np.full((len(melodies), 1), steps)], axis=1)


def class_probabilities(train: Windows, steps: int) -> FloatArray:
    """Returns the share of each class on each step of the training windows; (S, 90)."""
    counts = np.zeros((steps, MELODY_CLASSES))
    for block in train.blocks("Counting training notes"):
        melodies = train.loops(block).astype(np.int64)
        np.add.at(counts, (np.arange(steps)[None], melodies), 1)
    return counts / max(len(train), 1)


def independent_steps(probabilities: FloatArray, count: int, rng: np.random.Generator) -> Array:
    """Returns melodies (count, S) with every step drawn independently from probabilities (S, 90)."""
    cdf = np.cumsum(probabilities, axis=1)
    uniform = rng.random((count, len(probabilities)))[..., None] * cdf[:, -1:]  # rounding must not select a class beyond the last
    return np.asarray((uniform > cdf).sum(axis=-1), np.float32)
