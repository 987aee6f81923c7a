"""Defines the interface that each model family implements, and the random numbers and thresholds that all families share.

B windows, S steps of a window, V = 9 voices, Z latent size.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..bundle.format import BundleInfo
from ..music.grid import Array, Grid
from .onnx_model import OnnxModel
from .windows import Windows

Conditioning = Mapping[str, Array]
"""Style (B, T), bpm (B,), density (B,) and fill (B, bars) by name; a first axis of 1 holds for every loop."""
_MIN_DENSITY = 1e-2  # below it thresholds rise no further, as they must stay below 1


class Target(NamedTuple):
    """The target of a variation."""

    latents: Array
    """Of each window, (B, Z)."""
    noise: Array
    """(B, S, V)."""
    grid: Grid | None
    """None if it is the decoding of these latents with this noise."""


class Strategy(Protocol):
    """Implements the musical verbs for one model family, on arrays whose arguments the engine has checked."""

    takes_conditions: bool
    """Whether it can follow conditions other than the tempo, and a complexity."""

    def generate(self, seed: int, temperature: float, count: int, density: float, conditioning: Conditioning, complexity: float) -> Array:
        """Returns new loops (count, S, 27), or (count, S) of melodies."""
        ...

    def humanize(self, loops: Array, windows: Windows, seed: int, temperature: float, conditioning: Conditioning) -> Array:
        """Returns the hits of windows (B, S, 27) with new velocities and offsets."""
        ...

    def drumify(self, taps: Array, windows: Windows, seed: int, temperature: float, conditioning: Conditioning) -> Array:
        """Returns grooves (B, S, 27) for the taps of windows."""
        ...

    def infill(
        self,
        loops: Array,
        new_voices: NDArray[np.bool_],
        windows: Windows,
        seed: int,
        temperature: float,
        conditioning: Conditioning,
    ) -> Array:
        """Returns windows (B, S, 27) in which the voices whose `new_voices` (V,) is True are replaced."""
        ...

    def variation_target(self, seed: int, steps: int, temperature: float, conditioning: Conditioning) -> Target:
        """Returns the target towards which a seed moves a grid of `steps` steps."""
        ...

    def morph(self, first: Grid, last: Grid, decoded: tuple[Grid, Grid, Grid], position: float) -> Grid:
        """Returns the grid at a position, 0 to 1, between two, given the model's decoding of the first, of the position, of the last."""
        ...

    def continue_from(self, grid: Grid, count: int, seed: int, amount: float, temperature: float, conditioning: Conditioning) -> list[Grid]:
        """Returns loops that follow a loop of S steps."""
        ...


def seed_noise(model: OnnxModel, seed: int, count: int) -> tuple[Array, Array]:
    """Returns the latents (count, Z) and the noise (count, S, 9) of the first loops of a seed; loop n is the same for every count."""
    generators = [np.random.default_rng([seed, index]) for index in range(count)]
    latents = [generator.standard_normal(model.info.latent_size, np.float32) for generator in generators]
    return np.stack(latents), np.stack([generator.random(model.noise_shape, np.float32) for generator in generators])


def hit_thresholds(info: BundleInfo, temperature: float, density: float = 1.0, task: str = "") -> Array:
    """Returns thresholds (9,): the calibrated ones at temperature 0, 0.5 at temperature 1, where sampling keeps the density.

    A density other than 1 divides their odds by its square. Over 100 loops of a published model at temperature 0, a density of 0.5
    gave 0.48 times the hits, 1.5 gave 1.48 times and 2 gave 1.87 times.
    """
    odds = np.array(info.thresholds_for(task), np.float32)
    log_odds = np.log(odds / (1 - odds)) * max(0.0, 1 - temperature) - 2 * math.log(max(density, _MIN_DENSITY))
    return np.asarray(1 / (1 + np.exp(-log_odds)), np.float32)
