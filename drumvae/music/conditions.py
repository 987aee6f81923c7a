"""What a drummer is asked to play in, checked numbers out: a style, a tempo, how much, how intricate, where the fills are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..util.errors import BundleError, nearest
from .encoding import VOICE_COUNT
from .grid import STEPS_PER_BAR, Array

MOST_DENSITY = 2.0
MOST_HITS_A_BAR = 64.0
"""A bar of sixteenths in which four voices play on every one of them."""
_SPARSEST = 1e-2
_DENSITY_SHARE = 0.2
"""What a density adds to the log odds beside what it asks for, times its logarithm."""
_INTRICACY = np.array([-0.6, 1.0, 0.2, 1.0], np.float32)
"""What complexity adds to the log odds of the four sixteenths of a beat: syncopation is what lies on the weak ones."""
_INTRICACY_REACH = 1.5


@dataclass(frozen=True)
class Conditions:
    """Says what a loop should be; whatever is None is left to the model."""

    style: str | None = None
    """One of the styles of the bundle."""
    bpm: float | None = None
    """The tempo, beats a minute: what is played late by a hundredth of a beat at one is not at another."""
    hits_a_bar: float | None = None
    """How many hits a bar has."""
    fill: tuple[bool | None, ...] | None = None
    """For each bar whether it is a fill; shorter ones count from the last bar back."""

    def __post_init__(self) -> None:
        if self.bpm is not None and not (math.isfinite(self.bpm) and self.bpm > 0):
            raise BundleError(f"A tempo of {self.bpm:g} bpm was asked for; it is above 0.")
        if self.hits_a_bar is not None and not 0 < self.hits_a_bar <= MOST_HITS_A_BAR:
            raise BundleError(f"{self.hits_a_bar:g} hits a bar were asked for; there are more than 0 and at most {MOST_HITS_A_BAR:g}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is asked for, but the tempo, which any model may be told."""
        given = {"a style": self.style, "a density in hits": self.hits_a_bar, "a fill": self.fill}
        return tuple(name for name, value in given.items() if value is not None)

    def arrays(self, styles: Sequence[str], steps: int, loops: int) -> dict[str, Array]:
        """Returns style, bpm, density and fill as a drummer's decoder reads them; raises BundleError for a style that it does not know."""
        bars = steps // STEPS_PER_BAR
        fill = np.zeros(bars, np.float32)
        for bar, wanted in enumerate(reversed((self.fill or ())[-bars:]), 1):
            fill[-bar] = 0 if wanted is None else 1 if wanted else -1
        each: dict[str, Array] = {
            "style": styled(self.style, styles),
            "bpm": np.array(self.bpm or 0, np.float32),
            "density": np.array(self.hits_a_bar or 0, np.float32),
            "fill": fill,
        }
        return {name: np.repeat(value[None], loops, axis=0) for name, value in each.items()}


UNCONDITIONED = Conditions()


def styled(style: str | None, styles: Sequence[str]) -> Array:
    """Returns 1 at a style, (T,); raises BundleError, with the nearest names, where there is none of that name."""
    if style is not None and style not in styles:
        known = nearest(style, list(styles)) if styles else "it knows no styles."
        raise BundleError(f"This bundle does not know the style {style!r}; {known}")
    return np.array([float(name == style) for name in styles], np.float32)


def push(density: float, complexity: float, steps: int) -> Array:
    """Returns the log odds (S, 9) that a density, 0 to 2, and a complexity, -1 to 1, add to those of every hit.

    A density is told to a drummer as hits a bar too, which does most; 1 adds nothing. A complexity moves hits between strong and weak
    sixteenths; 0 leaves them.
    """
    check_density(density)
    if not -1 <= complexity <= 1:
        raise BundleError(f"A complexity of {complexity:g} was asked for; it goes from -1 (plain) through 0 (as the model plays) to 1.")
    weak = np.resize(_INTRICACY, steps) * np.float32(complexity * _INTRICACY_REACH)
    return np.repeat((weak + np.float32(_DENSITY_SHARE * math.log(max(density, _SPARSEST))))[:, None], VOICE_COUNT, axis=1)


def check_density(density: float) -> None:
    """Raises BundleError for a density out of its range."""
    if not 0 <= density <= MOST_DENSITY:
        raise BundleError(
            f"A density of {density:g} was asked for; it goes from 0 (silence) through 1 (as the model plays) to {MOST_DENSITY:g}."
        )
