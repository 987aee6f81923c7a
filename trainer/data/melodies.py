"""Converts a pitched instrument to a monophonic melody on sixteenth steps, and finds the bars on which its windows begin.

As in MusicVAE, the highest of several notes that begin on a step is kept, and a new note ends the previous one.
"""

import numpy as np
from numpy.typing import NDArray

from drumvae.midi.io import Part
from drumvae.music.encoding import MELODY_FIRST_PITCH, MELODY_HIGHEST, MELODY_LOWEST, MELODY_NO_EVENT, notes_to_melody
from drumvae.music.grid import STEPS_PER_BAR, STEPS_PER_BEAT

Melody = NDArray[np.int64]


def part_to_melody(part: Part) -> Melody:
    """Returns melody classes (S,) up to the end of the bar in which the last note begins. S is 0 without a note.

    An onset or end at beat b is on step floor(4 b + 0.5). A note that would end on its own step lasts one step. Pitches outside
    21 to 108 are left out.
    """
    starts, ends = (np.floor(beats * STEPS_PER_BEAT + 0.5).astype(np.int64) for beats in (part.beats, part.end_beats))
    ends = np.maximum(ends, starts + 1)
    inside = ~outside_range(part.pitches)
    bars = int(starts[inside].max(initial=-1)) // STEPS_PER_BAR + 1
    notes = zip(starts.tolist(), ends.tolist(), part.pitches.tolist(), strict=True)
    return notes_to_melody(notes, bars * STEPS_PER_BAR)


def outside_range(pitches: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Returns for each pitch whether it is outside the range of the melody classes."""
    return (pitches < MELODY_LOWEST) | (pitches > MELODY_HIGHEST)


def starts_with_onset_in_each_bar(melody: Melody, bars: int) -> NDArray[np.int64]:
    """Returns the first bars, ascending, of all windows of `bars` bars that have an onset in each of their bars."""
    has_onset = np.any((melody >= MELODY_FIRST_PITCH).reshape(-1, STEPS_PER_BAR), axis=1)
    if len(has_onset) < bars:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.lib.stride_tricks.sliding_window_view(has_onset, bars).all(axis=1))


def drop_orphan_note_offs(windows: Melody) -> Melody:
    """Clears the note-offs of windows (n, S) before the first onset: their notes began before the window."""
    after_onset = np.logical_or.accumulate(windows >= MELODY_FIRST_PITCH, axis=-1)
    return np.where(after_onset, windows, MELODY_NO_EVENT)
