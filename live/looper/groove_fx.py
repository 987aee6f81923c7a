"""Applies groove effects to a loop: density, velocity range, swing, speed, muted voices. All functions are pure.

The effects need no model and take effect at the next bar; `generation.modes` has the amounts that the model itself takes.
"""

import math
from collections.abc import Collection

import numpy as np

from drumvae.music.grid import STEPS_PER_BAR, STEPS_PER_BEAT, Array, Grid, onsets_to_arrays
from drumvae.music.kit import VOICES

from ..controls.state import ControlState

SWING_STEPS = 1 / 3
"""How far full swing delays a sixteenth: from the middle of its eighth, one step in, to the last third of it, 4/3 of a step in."""
_DEEPEST = STEPS_PER_BAR.bit_length() - 1  # 4: how often a bar can be halved into steps


def apply_controls(grid: Grid, controls: ControlState) -> Grid:
    """Returns a loop of the same shape, the same object with default values. A density above 1 changes nothing here."""
    grid = change_speed(grid, controls.speed)
    grid = thin(grid, controls.density)
    grid = mute_voices(grid, controls.muted_voices)
    grid = fit_velocity_range(grid, controls.velocity_low, controls.velocity_high)
    return apply_swing(grid, controls.swing)


def change_speed(grid: Grid, speed: float) -> Grid:
    """Returns a loop played at 0.5 (its first half, stretched) or 2 (all of it, twice) times its speed; each hit keeps its place.

    A hit between two steps goes to the later one, half a step early. Of two hits of a voice in one step the louder stays, of equal
    ones the one from an even step.
    """
    if speed == 1:
        return grid
    hits, velocities, offsets = (np.tile(array, (math.ceil(speed), 1)) for array in grid.arrays())
    steps, voices = np.nonzero(hits[: round(grid.steps * speed)])
    even_first = np.argsort(steps % 2, kind="stable")  # of equals the first one stays
    steps, voices = steps[even_first], voices[even_first]
    beats = (steps + offsets[steps, voices].astype(np.float64)) / (speed * STEPS_PER_BEAT)
    return Grid(*onsets_to_arrays(beats, voices, velocities[steps, voices], grid.steps, circular=True))


def thin(grid: Grid, density: float) -> Grid:
    """Returns the most important hits, a share of all that is the density: at 0 none, from 1 on all.

    The hits at one density are among those at a higher one.
    """
    if density >= 1:
        return grid
    steps, voices = np.nonzero(grid.hits)
    first = np.argsort(-importance(grid)[steps, voices], kind="stable")[: math.floor(density * len(steps) + 0.5)]
    left = np.zeros_like(grid.hits)
    left[steps[first], voices[first]] = 1
    return Grid(left, grid.velocities, grid.offsets)


def importance(grid: Grid) -> Array:
    """Returns the importance of a hit in each cell, from 0 to 2, (steps, 9): its velocity plus the metrical weight of its step.

    The weight is 1 on the bar line, 3/4 in the middle of the bar, 1/2 on the other beats, 1/4 between them and 0 on every second
    sixteenth: the levels of metre of Longuet-Higgins and Lee (1984), evenly spaced.
    """
    step = np.arange(grid.steps)[:, None]
    weights = sum((step % 2**level == 0).astype(np.float32) for level in range(1, _DEEPEST + 1)) / np.float32(_DEEPEST)
    return np.asarray(grid.velocities + weights, np.float32)


def fit_velocity_range(grid: Grid, low: float, high: float) -> Grid:
    """Returns the same hits with velocities scaled from [0, 1] to [low, high]."""
    if (low, high) == (0, 1):
        return grid
    return Grid(grid.hits, np.float32(low) + np.float32(high - low) * grid.velocities, grid.offsets)


def apply_swing(grid: Grid, amount: float) -> Grid:
    """Returns the same hits with every second sixteenth later, by a third of a step at most; none leaves its step."""
    if not amount:
        return grid
    late = np.arange(grid.steps)[:, None] % 2 * np.float32(amount * SWING_STEPS)
    return Grid(grid.hits, grid.velocities, grid.offsets + late)


def mute_voices(grid: Grid, voices: Collection[int]) -> Grid:
    """Returns a loop without some voices."""
    return merge_voices(Grid.empty(grid.steps), grid, voices) if voices else grid


def merge_voices(old: Grid, new: Grid, locked: Collection[int]) -> Grid:
    """Returns the locked voices of the old loop with the other voices of the new one."""
    if not locked:
        return new
    is_locked = np.isin(np.arange(len(VOICES)), list(locked))
    return Grid(*(np.where(is_locked, a, b) for a, b in zip(old.arrays(), new.arrays(), strict=True)))
