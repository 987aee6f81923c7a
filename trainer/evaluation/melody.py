"""Melodies that were written beside the true ones in, sums and scores out.

n windows, S steps; classes (n, S) as in `drumvae.music.encoding`.
"""

import numpy as np

from drumvae.music.encoding import MELODY_CLASSES, MELODY_FIRST_PITCH, MELODY_NO_EVENT
from drumvae.music.grid import Array

from .bootstrap import Sums, Values, ratio
from .windows import Numbers, Windows


def melody_sums(written: Array, true: Array) -> Sums:
    """Returns what `melody_figures` needs of each window; counts, (n,)."""
    ours, theirs = (np.asarray(melodies, np.int64) for melodies in (written, true))
    onsets, true_onsets = ours >= MELODY_FIRST_PITCH, theirs >= MELODY_FIRST_PITCH
    same_step = onsets & true_onsets
    same_pitch = same_step & (ours == theirs)
    same_note = same_pitch & (note_ends(ours) == note_ends(theirs))
    counts = {
        "written": onsets,
        "true": true_onsets,
        "same_step": same_step,
        "same_pitch": same_pitch,
        "same_note": same_note,
        "exact": ours == theirs,
        "steps": np.ones_like(ours),
        "semitones": np.abs(ours - theirs) * same_step,
    }
    return {name: values.sum(axis=1).astype(np.float64) for name, values in counts.items()}


def melody_figures(sums: Sums) -> Sums:
    """Returns the share of exact steps, and scores of notes.

    An onset matches on the same step with the same pitch, a note when it also ends on the same step; rhythm F1 asks for the step
    alone, and the pitch error in semitones is the mean over onsets on the same step.
    """
    both = sums["written"] + sums["true"]
    return {
        "exact_steps": ratio(sums["exact"], sums["steps"]),
        "onset_f1": ratio(2 * sums["same_pitch"], both, 0.0),
        "onset_precision": ratio(sums["same_pitch"], sums["written"], 0.0),
        "onset_recall": ratio(sums["same_pitch"], sums["true"], 0.0),
        "rhythm_f1": ratio(2 * sums["same_step"], both, 0.0),
        "note_f1": ratio(2 * sums["same_note"], both, 0.0),
        "pitch_error_semitones": ratio(sums["semitones"], sums["same_step"]),
    }


def note_ends(melodies: Numbers) -> Numbers:
    """Returns for every step the step of the next event after it, S where none follows; (n, S)."""
    steps = melodies.shape[1]
    own = np.where(melodies != MELODY_NO_EVENT, np.arange(steps), steps)
    following = np.minimum.accumulate(own[:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([following[:, 1:], np.full((len(melodies), 1), steps)], axis=1)


def class_chances(train: Windows, steps: int) -> Values:
    """Returns how likely each class is on each step of the training windows; (S, 90)."""
    counts = np.zeros((steps, MELODY_CLASSES))
    for places in train.blocks("Counting training notes"):
        melodies = train.loops(places).astype(np.int64)
        np.add.at(counts, (np.arange(steps)[None], melodies), 1)
    return counts / max(len(train), 1)


def draw_classes(chances: Values, count: int, draw: np.random.Generator) -> Array:
    """Returns melodies (count, S) in which every step is drawn by itself from chances (S, 90)."""
    ceilings = np.cumsum(chances, axis=1)
    drawn = draw.random((count, len(chances)))[..., None] * ceilings[:, -1:]  # rounding must not lead past the last class
    return np.asarray((drawn > ceilings).sum(axis=-1), np.float32)
