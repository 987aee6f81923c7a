"""Grids and a seed in, Grids out: the exported model behind musical verbs. No torch.

A loop as an array is a groove tensor (S, 27), S steps, or the classes (S,) of a melody. A grid that is longer than a loop is taken in
windows that overlap (`drumvae.music.windowing`), all in one run, a shorter one as the beginning of a loop.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..bundle.format import DRUMMER, BundleInfo
from ..music.conditions import UNCONDITIONED, Conditions, check_density
from ..music.encoding import VOICE_COUNT, groove_to_grid
from ..music.grid import Array, Grid
from ..music.inputs import TAP_VOICE, tapped_hits, to_tap, without_feel, without_voices
from ..music.kit import VOICES
from ..music.windowing import cut_windows, window_starts
from ..util.errors import BundleError
from .latent_space import Roaming, check_draws, check_share, joined


class Engine(Roaming):
    """Plays an exported model. The same seed gives the same loop; one thread at a time may call a verb."""

    @classmethod
    def for_bundle(cls, info: BundleInfo) -> type[Self]:
        from .conditional import DrummerEngine

        return DrummerEngine if info.family == DRUMMER and cls is Engine else cls  # type: ignore[return-value]

    # from nothing

    def generate(
        self,
        seed: int,
        temperature: float | None = None,
        count: int = 1,
        density: float = 1.0,
        conditions: Conditions = UNCONDITIONED,
        complexity: float = 0.0,
    ) -> list[Grid]:
        """Returns new loops; the n-th loop of a seed is the same whatever the count.

        `temperature` spreads the hits: 0 takes the likeliest, 1 samples as trained; by default the bundle's own. `density`, 0 to
        2, multiplies the odds of every hit by its square, which makes about so many times the hits: 0 is silence, 1 the model's own.
        `complexity`, -1 to 1, moves hits between strong and weak sixteenths. Raises BundleError for conditions that the bundle does
        not know.
        """
        self._need("generate", "drums")
        check_density(density)
        self._check(conditions, complexity)
        grooves = self._generated(seed, temperature, count, density, conditions, complexity)
        return [groove_to_grid(groove) if density else Grid.empty(self.steps) for groove in grooves]

    def generate_melodies(self, seed: int, temperature: float | None = None, count: int = 1) -> NDArray[np.int64]:
        """Returns new melodies as classes (count, S), which `drumvae.music.encoding.melody_to_notes` reads; otherwise as `generate`."""
        self._need("generate", "melodies")
        return self._generated(seed, temperature, count).astype(np.int64)

    def _generated(
        self,
        seed: int,
        temperature: float | None,
        count: int,
        density: float = 1.0,
        conditions: Conditions = UNCONDITIONED,
        complexity: float = 0.0,
    ) -> Array:
        temperature = self._own(seed, temperature, count)
        return self.decode(*self._drawn(seed, count), temperature, thresholds=self._thresholds(temperature, density))

    def _own(self, seed: int, temperature: float | None, count: int) -> float:
        """Returns the temperature that is meant; raises BundleError where nothing can be drawn."""
        temperature = self.info.temperature if temperature is None else temperature
        check_draws(seed, temperature)
        if count < 1:
            raise BundleError(f"{count} loops were asked for; ask for one at least.")
        return temperature

    # from what was played

    def humanize(
        self, grid: Grid, amount: float = 1.0, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> Grid:
        """Returns the same hits with new velocities and offsets, moved from the given ones by `amount`, 0 to 1.

        `temperature` 0 plays the likeliest feel; above it, the seed draws another one around it.
        """
        self._need("humanize", "drums")
        check_share("An amount", amount, "as played", "as the model plays")
        check_draws(seed, temperature)
        self._check(conditions)
        if not grid.steps:
            return grid
        played = joined(self._humanized(self._cut(grid), grid.steps, seed, temperature, conditions), grid.steps)
        return grid.blended(Grid(grid.hits, played.velocities, played.offsets), amount)

    def _humanized(self, loops: Array, steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        """Returns the hits of windows (B, S, 27) as they are played."""
        hits = loops[..., :VOICE_COUNT]
        latent = self._heard(without_feel(loops), temperature, np.random.default_rng(seed))
        return self.decode(latent, hit_values=hits, hit_mask=np.ones_like(hits))

    def drumify(self, grid: Grid, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED) -> Grid:
        """Returns a kit's groove for a rhythm, of which is read when and how loud it was struck, and not on which drum.

        At every tapped step the loudest hit written there takes exactly the tap's velocity and offset. A tapped step where the
        model writes no hit stays empty: no drum is made up for it. `temperature` 0 writes the likeliest hits; above it, the
        seed draws others.
        """
        self._need("drumify", "drums")
        check_draws(seed, temperature)
        self._check(conditions)
        if not grid.steps:
            return grid
        taps = to_tap(self._cut(grid))
        return joined(with_taps(self._drumified(taps, grid.steps, seed, temperature, conditions), taps), grid.steps)

    def _drumified(self, taps: Array, steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        """Returns grooves (B, S, 27) for the taps of windows."""
        return self._answered(taps, steps, seed, temperature)

    def infill(
        self, grid: Grid, voices: Sequence[int], seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> Grid:
        """Returns the grid with some voices, numbers from 0 to 8, played anew by the model, whatever the grid holds of them.

        The other voices come back exactly as given; the model hears them and writes with their hits in place. `temperature` 0
        writes the likeliest hits; above it, the seed draws others.
        """
        self._need("infill", "drums")
        check_draws(seed, temperature)
        self._check(conditions)
        if not voices or not set(voices) <= set(range(VOICE_COUNT)):
            raise BundleError(f"The voices {list(voices)} were asked for; name one or more from 0 ({VOICES[0]}) to 8 ({VOICES[-1]}).")
        if not grid.steps:
            return grid
        anew = np.isin(np.arange(VOICE_COUNT), voices)
        heard = without_voices(self._cut(grid), anew)
        played = joined(self._infilled(heard, anew, grid.steps, seed, temperature, conditions), grid.steps)
        return Grid(*(np.where(anew, new, given) for new, given in zip(played.arrays(), grid.arrays(), strict=True)))

    def _infilled(self, heard: Array, anew: NDArray[np.bool_], steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        """Returns windows (B, S, 27) with the voices where `anew` (9,) is 1 written."""
        hits = heard[..., :VOICE_COUNT]
        return self._answered(heard, steps, seed, temperature, hits, np.broadcast_to(~anew, hits.shape))

    # loops that have nothing to do with each other, as arrays

    def humanize_loops(self, loops: Array, bpm: Array | None = None, seed: int = 0, temperature: float = 0.0) -> Array:
        """Returns the hits of groove tensors (B, S, 27) as the model plays them, each by itself; `bpm` (B,) are their tempi, 0 unknown.

        `temperature` as in `humanize`; the draws of one loop are its own.
        """
        hits, draw = loops[..., :VOICE_COUNT], np.random.default_rng(seed)
        mean, scale = self.encode(without_feel(loops))
        latent = np.asarray(mean + np.float32(temperature) * scale * draw.standard_normal(mean.shape, np.float32))
        return self.decode(latent, draw.random(hits.shape, np.float32), temperature, hits, np.ones_like(hits))

    def drumify_loops(self, taps: Array, bpm: Array | None = None, style: Array | None = None) -> Array:
        """Returns the likeliest grooves (B, S, 27) for taps, as `drumvae.music.inputs.to_tap` makes them, each by itself.

        `style` (B, T) is 1 at one of the bundle's styles, or 0 everywhere.
        """
        return with_taps(self.decode(self.encode(taps)[0], thresholds=self._thresholds(0.0)), taps)

    def infill_loops(self, heard: Array, voices: Sequence[int], bpm: Array | None = None) -> Array:
        """Returns groove tensors (B, S, 27) with some voices written as is likeliest, each loop by itself."""
        anew = np.isin(np.arange(VOICE_COUNT), voices)
        heard = without_voices(heard, anew)
        hits = heard[..., :VOICE_COUNT]
        hit_mask = np.array(np.broadcast_to(~anew, hits.shape), np.float32)
        written = self.decode(self.encode(heard)[0], hit_values=hits, hit_mask=hit_mask, thresholds=self._thresholds(0.0))
        return np.asarray(np.where(np.tile(anew, 3), written, heard))

    def _heard(self, loops: Array, temperature: float, draw: np.random.Generator) -> Array:
        """Returns latents (B, Z) of loops: the mean ones, or at a temperature above 0 others around them, all on the same side."""
        mean, scale = self.encode(loops)
        return np.asarray(mean + np.float32(temperature) * scale * draw.standard_normal((1, self.info.latent_size), np.float32))

    def _answered(
        self, heard: Array, steps: int, seed: int, temperature: float, hit_values: Array | None = None, hit_mask: Array | None = None
    ) -> Array:
        """Returns the grooves (B, S, 27) that are written from what is heard in the windows (B, S, 27) of a number of steps.

        A step's noise is the same in every window in which it lies.
        """
        draw = np.random.default_rng(seed)
        latent = self._heard(heard, temperature, draw)
        length = window_starts(steps, self.steps)[-1] + self.steps
        noise = cut_windows(draw.random((length, VOICE_COUNT), np.float32), steps, self.steps)
        return self.decode(latent, noise, temperature, hit_values, hit_mask, self._thresholds(temperature))


def with_taps(written: Array, taps: Array) -> Array:
    """Returns grooves (B, S, 27) of which the loudest hit of each tapped step is played exactly as the tap."""
    tap = taps[..., TAP_VOICE::VOICE_COUNT]  # (B, S, 3)
    kept = tapped_hits(written) * tap[..., :1] > 0  # (B, S, 9): the hits that were tapped
    return np.asarray(np.where(np.tile(kept, 3), np.repeat(tap, VOICE_COUNT, axis=-1), written))
