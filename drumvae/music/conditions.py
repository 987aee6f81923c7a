"""Defines the conditions of a loop (style, tempo, density, fills, complexity), checks them, and converts them to model inputs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..util.errors import BundleError, nearest
from .encoding import VOICE_COUNT
from .grid import STEPS_PER_BAR, Array

MOST_DENSITY = 2.0
MOST_HITS_A_BAR = 64.0
"""As many as four voices on every sixteenth."""
_SPARSEST = 1e-2
_DENSITY_BIAS = 0.2
"""Added to the log odds, times the logarithm of the density, besides the condition itself."""
_SYNCOPATION = np.array([-0.6, 1.0, 0.2, 1.0], np.float32)
"""The direction in which complexity moves the log odds of the four sixteenths of a beat: from strong to weak ones."""
_SYNCOPATION_SCALE = 1.5


@dataclass(frozen=True)
class Conditions:
    """Holds the conditions of a loop; None leaves a condition to the model.

    >>> Conditions(style="jazz", fill=(True,)).names
    ('a style', 'a fill')
    """

    style: str | None = None
    """One of the styles of the bundle."""
    bpm: float | None = None
    """The tempo, in beats a minute; timing in beats depends on it."""
    hits_a_bar: float | None = None
    """The mean number of hits in a bar."""
    fill: tuple[bool | None, ...] | None = None
    """For each bar whether it is a fill, None for either; a shorter tuple describes the last bars."""

    def __post_init__(self) -> None:
        if self.bpm is not None and not (math.isfinite(self.bpm) and self.bpm > 0):
            raise BundleError(f"A tempo of {self.bpm:g} bpm is impossible; a tempo is above 0.")
        if self.hits_a_bar is not None and not 0 < self.hits_a_bar <= MOST_HITS_A_BAR:
            raise BundleError(f"{self.hits_a_bar:g} hits a bar are impossible; type more than 0 and at most {MOST_HITS_A_BAR:g}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions that are set, by name, without the tempo, which every model accepts."""
        given = {"a style": self.style, "a density in hits": self.hits_a_bar, "a fill": self.fill}
        return tuple(name for name, value in given.items() if value is not None)

    def arrays(self, styles: Sequence[str], steps: int, loops: int) -> dict[str, Array]:
        """Returns style, bpm, density and fill as inputs of a drummer's decoder; raises BundleError for an unknown style."""
        bars = steps // STEPS_PER_BAR
        fill = np.zeros(bars, np.float32)
        for bar, is_fill in enumerate(reversed((self.fill or ())[-bars:]), 1):
            fill[-bar] = 0 if is_fill is None else 1 if is_fill else -1
        inputs: dict[str, Array] = {
            "style": one_hot_style(self.style, styles),
            "bpm": np.array(self.bpm or 0, np.float32),
            "density": np.array(self.hits_a_bar or 0, np.float32),
            "fill": fill,
        }
        return {name: np.repeat(value[None], loops, axis=0) for name, value in inputs.items()}


UNCONDITIONED = Conditions()
"""Every condition is left to the model."""


def one_hot_style(style: str | None, styles: Sequence[str]) -> Array:
    """Returns a style as a one-hot vector (T,), zeros for None; raises BundleError, with the nearest names, if it is unknown."""
    if style is not None and style not in styles:
        known = nearest(style, list(styles)) if styles else "it knows no styles."
        raise BundleError(f"This bundle does not know the style {style!r}; {known}")
    return np.array([float(name == style) for name in styles], np.float32)


def logit_bias(density: float, complexity: float, steps: int) -> Array:
    """Returns the bias (S, 9) that a density and a complexity add to the log odds of every hit; raises BundleError out of range.

    Args:
        density: 0 to 2; 1 adds nothing. The decoder also gets it as hits a bar, which has the larger effect.
        complexity: -1 to 1; moves hits from strong to weak sixteenths; 0 adds nothing.
        steps: S, the length of the loop.
    """
    check_density(density)
    if not -1 <= complexity <= 1:
        raise BundleError(f"A complexity of {complexity:g} is out of range; it goes from -1 (plain) through 0 (as the model plays) to 1.")
    weak = np.resize(_SYNCOPATION, steps) * np.float32(complexity * _SYNCOPATION_SCALE)
    return np.repeat((weak + np.float32(_DENSITY_BIAS * math.log(max(density, _SPARSEST))))[:, None], VOICE_COUNT, axis=1)


def check_density(density: float) -> None:
    """Raises BundleError for a density that is not in 0 to 2."""
    if not 0 <= density <= MOST_DENSITY:
        raise BundleError(
            f"A density of {density:g} is out of range; it goes from 0 (silence) through 1 (as the model plays) to {MOST_DENSITY:g}."
        )
