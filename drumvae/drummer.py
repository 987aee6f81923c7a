"""Grids and a seed in, Grids out, by a model that is shown what is known and needs no latent for it. No torch.

B windows of a grid, S steps, V = 9 voices, Z latent size.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .conditions import ANYTHING, Conditions, push
from .engine import Engine
from .errors import BundleError
from .grid import STEPS_PER_BAR, Array, Grid
from .latents import spherical_points
from .overlap import to_windows, window_starts
from .playable import playable
from .roaming import check_draws, check_share
from .tensors import VOICE_COUNT, grid_to_groove, groove_to_grid
from .views import TAP_VOICE

_FEEL = 2 * VOICE_COUNT


class DrummerEngine(Engine):
    """Plays a drummer. Where something is drawn, velocity and offset are too, as loosely as people play."""

    def generate_melodies(self, seed: int, temperature: float | None = None, count: int = 1) -> NDArray[np.int64]:
        """Raises BundleError: it plays drums."""
        self._need("generate", "melodies")
        raise AssertionError("unreachable")

    def continue_from(
        self, grid: Grid, count: int, seed: int, amount: float, temperature: float = 0.0, conditions: Conditions = ANYTHING
    ) -> list[Grid]:
        """Returns loops that go on from a loop (S steps), one after the other: each half of one is written after the half before it.

        `amount`, 0 to 1, is how likely a bar that goes on is a new one; at 0 the loop is repeated as it is. `temperature` 0 writes
        the likeliest hits.
        """
        self._need("generate", "drums")
        check_draws(seed, temperature)
        check_share("An amount", amount, "the same again", "anywhere")
        self._check(conditions)
        if count < 1 or grid.steps != self.steps:
            raise BundleError(f"{count} loops after {grid.steps} steps were asked for; ask for one at least, after {self.steps} steps.")
        half = self.steps // 2
        tail = grid_to_groove(grid)
        loops = []
        for number in range(count):
            written = []
            for part in range(2):
                draw = np.random.default_rng([seed, number, part])
                shown = np.concatenate([tail[half:], np.zeros_like(tail[half:])])[None]
                locked = np.zeros((1, self.steps, VOICE_COUNT), np.float32)
                locked[:, :half] = 1
                told = self._told(shown, locked, locked, conditions)
                new = self._played(told, draw, self.steps, max(temperature, self.info.temperature) if amount else 0.0, "generate")
                again = np.concatenate([tail[half:], tail[:half]])[half:] if part == 0 else grid_to_groove(grid)[half:]
                fresh = np.repeat(draw.random(half // STEPS_PER_BAR) < amount, STEPS_PER_BAR)[:, None]
                following = np.where(fresh, new[0, half:], again).astype(np.float32)
                written.append(following)
                tail = np.concatenate([tail[half:], following])
            loops.append(groove_to_grid(np.concatenate(written)))
        return loops

    def drumify(self, grid: Grid, seed: int = 0, temperature: float = 0.0, conditions: Conditions = ANYTHING) -> Grid:
        """Returns a kit's groove for a rhythm, as every engine does; where no tap is heard, the loops that `generate` makes of the seed.

        They go on one after the other as long as the grid does. A `temperature` of 0, which would make the same of every seed, then
        stands for the bundle's own.
        """
        if grid.hits.any() or not grid.steps or "generate" not in self.tasks:
            return super().drumify(grid, seed, temperature, conditions)
        self._need("drumify", "drums")
        loops = self.generate(seed, temperature or None, -(-grid.steps // self.steps), conditions=conditions)
        return Grid(*(np.concatenate(arrays)[: grid.steps] for arrays in zip(*(loop.arrays() for loop in loops), strict=True)))

    def _check(self, conditions: Conditions, complexity: float = 0.0) -> None:
        conditions.arrays(self.info.styles, self.steps, 1)

    def _generated(
        self,
        seed: int,
        temperature: float | None,
        count: int,
        density: float = 1.0,
        conditions: Conditions = ANYTHING,
        complexity: float = 0.0,
    ) -> Array:
        temperature = self._own(seed, temperature, count)
        _, noise = self._drawn(seed, count)
        feel = [self._feel_draws(np.random.default_rng([seed, index, 1]), ()) for index in range(count)]
        touch, mood = (np.stack(each) for each in zip(*feel, strict=True))
        told = conditions.arrays(self.info.styles, self.steps, count)
        told |= {"heard": np.zeros(count, np.float32), "touch": touch, "mood": mood, "looseness": np.ones(count, np.float32)}
        told["push"] = np.broadcast_to(push(density, complexity, self.steps), (count, self.steps, VOICE_COUNT))
        latent = np.zeros((count, self.info.latent_size), np.float32)
        return playable(self.decode(latent, noise, temperature, thresholds=self._thresholds(temperature), told=told))

    def _humanized(self, loops: Array, steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        locked = np.ones((*loops.shape[:2], VOICE_COUNT), np.float32)
        told = self._told(loops, locked, np.zeros_like(locked), conditions)
        return self._played(told, np.random.default_rng(seed), steps, temperature, "humanize")

    def _drumified(self, taps: Array, steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        nothing = np.zeros((*taps.shape[:2], VOICE_COUNT), np.float32)
        told = self._told(np.zeros_like(taps), nothing, nothing, conditions)
        told |= {"tap": taps[..., TAP_VOICE::VOICE_COUNT], "tapped": np.ones(len(taps), np.float32)}
        return playable(self._played(told, np.random.default_rng(seed), steps, temperature, "drumify"))

    def _infilled(self, heard: Array, anew: NDArray[np.bool_], steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        locked = np.array(np.broadcast_to(1 - anew, (*heard.shape[:2], VOICE_COUNT)), np.float32)
        told = self._told(heard, locked, locked, conditions)
        return playable(self._played(told, np.random.default_rng(seed), steps, temperature, "infill"), locked)

    def _told(self, loops: Array, locked: Array, felt: Array, conditions: Conditions) -> dict[str, Array]:
        """Returns what a decoder is told of windows (B, S, 27) of which hits and feel are shown, each (B, S, V)."""
        hits, feel = loops[..., :VOICE_COUNT], loops[..., VOICE_COUNT:]
        told = conditions.arrays(self.info.styles, self.steps, len(loops))
        told |= {"locked_hits": hits * locked, "locked": locked, "felt": felt * hits, "feel": feel * np.tile(felt, 2)}
        return told | {"heard": np.zeros(len(loops), np.float32)}

    def _played(self, told: dict[str, Array], draw: np.random.Generator, steps: int, temperature: float, task: str) -> Array:
        """Returns grooves (B, S, 27) for windows of a number of steps; a step is drawn alike in every window in which it lies."""
        count = len(told["heard"])
        length = window_starts(steps, self.steps)[-1] + self.steps
        noise = to_windows(draw.random((length, VOICE_COUNT), np.float32), steps, self.steps)
        touch = to_windows(draw.standard_normal((length, _FEEL), np.float32), steps, self.steps)
        mood = np.tile(draw.standard_normal((1, self.info.moods), np.float32), (count, 1))
        loose = np.full(count, temperature, np.float32)
        told = told | {"touch": touch, "mood": mood, "looseness": loose}
        latent = np.zeros((count, self.info.latent_size), np.float32)
        hits, locked = told.pop("locked_hits"), told.pop("locked")
        thresholds = self._thresholds(temperature, task=task)
        return self.decode(latent, noise, temperature, hits, locked, thresholds, told=told)

    def _feel_draws(self, draw: np.random.Generator, shape: Sequence[int]) -> tuple[Array, Array]:
        touch = draw.standard_normal((*shape, self.steps, _FEEL), np.float32)
        return touch, draw.standard_normal((*shape, self.info.moods), np.float32)

    def _goals(self, seed: int, steps: int) -> tuple[Array, Array]:
        """Returns latents (B, Z) and noise (B, S, 9) for the windows of a number of steps: of the loops that `generate` makes of a seed."""
        starts = window_starts(steps, self.steps)
        count = -(-starts[-1] // self.steps) + 1
        latents = self.encode(self._generated(seed, None, count))[0]
        _, noise = self._drawn(seed, count)
        places = [divmod(start, self.steps) for start in starts]
        goals = [latents[n] if not rest else spherical_points(latents[n], latents[n + 1], [rest / self.steps])[0] for n, rest in places]
        return np.stack(goals), to_windows(np.concatenate(noise), steps, self.steps)
