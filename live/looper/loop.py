"""Defines a loop, four bars that repeat, and lists its notes in beats."""

from dataclasses import dataclass

import numpy as np

from drumvae.music.grid import STEPS_PER_BEAT, Grid, Onset

from ..clock.timeline import EARLY_BEATS
from ..controls.state import ControlState
from .groove_fx import apply_controls


@dataclass(frozen=True)
class Loop:
    """A loop of the session: its index, its grid and the seed that makes it again.

    >>> loop = Loop(0, Grid.from_text("kick X...X...X...X...|"), seed=7, source="generated")
    >>> int(loop.render(ControlState(density=0.5)).hits.sum())
    2
    """

    index: int
    """Its number in the session, from 0."""
    grid: Grid
    seed: int | None = None
    source: str = ""
    """Its origin in a word, such as generated or humanized."""
    draft: bool = False
    """Whether it answers a recording without its last beat."""
    remake: bool = False
    """Whether it replaces an earlier version of itself, which is playing."""
    dry_grid: Grid | None = None
    """The input of humanize, without the model's expression; None for other loops."""

    def render(self, controls: ControlState) -> Grid:
        """Returns the grid that is played: the humanize amount and the groove effects applied."""
        grid = self.grid
        if controls.humanize < 1:
            grid = (self.dry_grid or quantized(grid)).blended(grid, controls.humanize)
        return apply_controls(grid, controls)


def quantized(grid: Grid) -> Grid:
    """Returns the same hits exactly on their steps, all of a voice at its mean velocity."""
    count = np.maximum(grid.hits.sum(axis=0), 1)
    return Grid(grid.hits, grid.hits * (grid.velocities.sum(axis=0) / count), np.zeros_like(grid.offsets))


def cycle_onsets(grid: Grid, start_beat: float) -> list[Onset]:
    """Returns the onsets of one cycle of a loop that begins at a beat, in time order; an early first hit is before that beat."""
    return sorted(onset._replace(beat=start_beat + onset.beat) for onset in grid.onsets())


def step_of(beat: float) -> int:
    """Returns the step, from 0, of an onset whose beat is counted from the start of its cycle."""
    return int((beat + EARLY_BEATS) * STEPS_PER_BEAT)


def midi_velocity(velocity: float) -> int:
    """Returns a MIDI velocity from 1 to 127 for one in [0, 1]; 0 would be a note-off."""
    return min(max(round(velocity * 127), 1), 127)
