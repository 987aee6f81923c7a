"""A pitched instrument in, one melody on sixteenth steps out, and the bars on which its windows begin.

One note sounds at a time, as in MusicVAE: of several that begin on a step the highest stays, and a new note ends the one before.
"""

import numpy as np
from numpy.typing import NDArray

from drumvae.midi.io import Part
from drumvae.music.encoding import MELODY_FIRST_PITCH, MELODY_HIGHEST, MELODY_LOWEST, MELODY_NO_EVENT, notes_to_melody
from drumvae.music.grid import STEPS_PER_BAR, STEPS_PER_BEAT

Melody = NDArray[np.int64]


def part_to_melody(part: Part) -> Melody:
    """Returns melody classes (S,) from the start of the file to the end of the bar in which the last note begins; S is 0 without one.

    Onsets and ends at beat b lie on step floor(4 b + 0.5); a note that would end on its own step lasts one step. Pitches outside
    21 to 108 are left out.
    """
    starts, ends = (np.floor(beats * STEPS_PER_BEAT + 0.5).astype(np.int64) for beats in (part.beats, part.end_beats))
    ends = np.maximum(ends, starts + 1)
    inside = ~outside_range(part.pitches)
    bars = int(starts[inside].max(initial=-1)) // STEPS_PER_BAR + 1
    notes = zip(starts.tolist(), ends.tolist(), part.pitches.tolist(), strict=True)
    return notes_to_melody(notes, bars * STEPS_PER_BAR)


def outside_range(pitches: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Says of each pitch whether no melody class stands for it."""
    return (pitches < MELODY_LOWEST) | (pitches > MELODY_HIGHEST)


def starts_with_onset_in_each_bar(melody: Melody, bars: int) -> NDArray[np.int64]:
    """Returns the bars of a melody, in order, on which a window begins that has an onset in every one of its bars."""
    lively = np.any((melody >= MELODY_FIRST_PITCH).reshape(-1, STEPS_PER_BAR), axis=1)
    if len(lively) < bars:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.lib.stride_tricks.sliding_window_view(lively, bars).all(axis=1))


def drop_orphan_note_offs(windows: Melody) -> Melody:
    """Clears the note-offs of windows (n, S) that stand before the first onset: they end notes that no longer begin there."""
    begun = np.logical_or.accumulate(windows >= MELODY_FIRST_PITCH, axis=-1)
    return np.where(begun, windows, MELODY_NO_EVENT)
