"""Played notes in, the 16-step Grid of a four-bar pass out. Pure: a recording is a value, and every note makes a new one."""

from dataclasses import dataclass

import numpy as np

from drumvae.music.grid import Grid, Onset

from ..clock.timeline import EARLY_BEATS, cycle_start


@dataclass(frozen=True)
class Recording:
    """Holds what was played, in order; any thread may share it."""

    onsets: tuple[Onset, ...] = ()
    """Beats as the performer counts them, increasing through jumps of the song."""

    def with_note(self, beat: float, voice: int, velocity: int) -> "Recording":
        """Returns the recording with one more note; velocity as in MIDI, 1 to 127."""
        return Recording((*self.onsets, Onset(beat, voice, velocity / 127)))

    def grid(self, number: int) -> Grid:
        """Returns what was played in a pass, (64, 9); a note in the last half step before a line is on step 0 of the pass after it."""
        return Grid.from_onsets(self.onsets, start_beat=cycle_start(number))

    def moved(self, from_beat: float, by_beats: float) -> "Recording":
        """Returns what was played from a beat on, so many beats later."""
        return Recording(tuple(onset._replace(beat=onset.beat + by_beats) for onset in self.onsets if onset.beat >= from_beat))

    def since(self, number: int) -> "Recording":
        """Returns only what belongs to a pass or to later ones."""
        first_beat = cycle_start(number) - EARLY_BEATS
        return Recording(tuple(onset for onset in self.onsets if onset.beat >= first_beat))


def layered(first: Grid, second: Grid) -> Grid:
    """Returns the hits of both; where both have one, the louder stays, the first of equals."""
    is_second = second.velocities * second.hits > first.velocities * first.hits
    return Grid(*(np.where(is_second, b, a) for a, b in zip(first.arrays(), second.arrays(), strict=True)))
