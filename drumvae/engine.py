"""Grids and a seed in, Grids out: the exported model behind musical verbs. No torch.

A loop as an array is a groove tensor (S, 27), S steps, or the classes (S,) of a melody. A grid that is longer than a loop is taken
loop by loop, a shorter one as the beginning of a loop.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .between import between
from .codec import Codec
from .errors import BundleError
from .grid import Array, Grid
from .kit import VOICES
from .latents import spherical_path, spherical_points
from .tensors import VOICE_COUNT, grid_to_groove, groove_to_grid
from .views import TAP_VOICE, tapped_hits, to_tap, without_feel, without_voices

_SPARSEST = 1e-2  # the density below which thresholds rise no more: they must stay below 1


class Engine(Codec):
    """Plays an exported model. The same seed gives the same loop; one thread at a time may call a verb."""

    # from nothing

    def generate(self, seed: int, temperature: float | None = None, count: int = 1, density: float = 1.0) -> list[Grid]:
        """Returns new loops; the n-th loop of a seed is the same whatever the count.

        `temperature` spreads the hits: 0 takes the likeliest, 1 samples as trained; by default the bundle's own. `density`, 0 to
        2, multiplies the odds of every hit by its square, which makes about so many times the hits: 0 is silence, 1 the model's own.
        """
        self._need("generate", "drums")
        if not 0 <= density <= 2:
            raise BundleError(f"A density of {density:g} was asked for; it goes from 0 (silence) through 1 (as the model plays) to 2.")
        grooves = self._generated(seed, temperature, count, density)
        return [groove_to_grid(groove) if density else Grid.empty(self.steps) for groove in grooves]

    def generate_melodies(self, seed: int, temperature: float | None = None, count: int = 1) -> NDArray[np.int64]:
        """Returns new melodies as classes (count, S), which `drumvae.tensors.melody_to_notes` reads; otherwise as `generate`."""
        self._need("generate", "melodies")
        return self._generated(seed, temperature, count).astype(np.int64)

    def _generated(self, seed: int, temperature: float | None, count: int, density: float = 1.0) -> Array:
        temperature = self.info.temperature if temperature is None else temperature
        _check_draws(seed, temperature)
        if count < 1:
            raise BundleError(f"{count} loops were asked for; ask for one at least.")
        return self.decode(*self._drawn(seed, count), temperature, thresholds=self._thresholds(temperature, density))

    def _drawn(self, seed: int, count: int) -> tuple[Array, Array]:
        """Returns the latents (B, Z) and the noise that a seed's first `count` loops are written from."""
        draws = [np.random.default_rng([seed, index]) for index in range(count)]
        latent = np.stack([draw.standard_normal(self.info.latent_size, np.float32) for draw in draws])
        return latent, np.stack([draw.random(self.noise_shape, np.float32) for draw in draws])

    # from what was played

    def humanize(self, grid: Grid, amount: float = 1.0, seed: int = 0, temperature: float = 0.0) -> Grid:
        """Returns the same hits with new velocities and offsets, moved from the given ones by `amount`, 0 to 1.

        `temperature` 0 plays the likeliest feel; above it, the seed draws another one around it.
        """
        self._need("humanize", "drums")
        _check_share("An amount", amount, "as played", "as the model plays")
        _check_draws(seed, temperature)
        if not grid.steps:
            return grid
        loops = self._cut(grid)
        hits = loops[..., :VOICE_COUNT]
        latent = self._heard(without_feel(loops), temperature, np.random.default_rng(seed))
        played = _joined(self.decode(latent, locked_hits=hits, locked=np.ones_like(hits)), grid.steps)
        return grid.blended(Grid(grid.hits, played.velocities, played.offsets), amount)

    def drumify(self, grid: Grid, seed: int = 0, temperature: float = 0.0) -> Grid:
        """Returns a kit's groove for a rhythm, of which is read when and how loud it was struck, and not on which drum.

        At every tapped step the loudest hit written there takes exactly the tap's velocity and offset. A tapped step where the
        model writes no hit stays empty: no drum is made up for it. `temperature` 0 writes the likeliest hits; above it, the
        seed draws others.
        """
        self._need("drumify", "drums")
        _check_draws(seed, temperature)
        if not grid.steps:
            return grid
        taps = to_tap(self._cut(grid))
        written = self._answered(taps, seed, temperature)
        tap = taps[..., TAP_VOICE::VOICE_COUNT]  # (B, S, 3)
        kept = tapped_hits(written) * tap[..., :1] > 0  # (B, S, 9): the hits that were tapped
        written = np.where(np.tile(kept, 3), np.repeat(tap, VOICE_COUNT, axis=-1), written)
        return _joined(written, grid.steps)

    def infill(self, grid: Grid, voices: Sequence[int], seed: int = 0, temperature: float = 0.0) -> Grid:
        """Returns the grid with some voices, numbers from 0 to 8, played anew by the model, whatever the grid holds of them.

        The other voices come back exactly as given; the model hears them and writes with their hits in place. `temperature` 0
        writes the likeliest hits; above it, the seed draws others.
        """
        self._need("infill", "drums")
        _check_draws(seed, temperature)
        if not voices or not set(voices) <= set(range(VOICE_COUNT)):
            raise BundleError(f"The voices {list(voices)} were asked for; name one or more from 0 ({VOICES[0]}) to 8 ({VOICES[-1]}).")
        if not grid.steps:
            return grid
        anew = np.isin(np.arange(VOICE_COUNT), voices)
        heard = without_voices(self._cut(grid), anew)
        hits = heard[..., :VOICE_COUNT]
        played = _joined(self._answered(heard, seed, temperature, hits, np.broadcast_to(~anew, hits.shape)), grid.steps)
        return Grid(*(np.where(anew, new, given) for new, given in zip(played.arrays(), grid.arrays(), strict=True)))

    # from loops to loops like them

    def vary(self, grid: Grid, amount: float, seed: int, temperature: float = 0.0) -> Grid:
        """Returns the grid drifted by `amount`, 0 (as it is) to 1 (the hits of the loop that `generate` makes of the same seed).

        Hits that stay keep their velocity and offset; new ones are played as the model plays them. On the way to the seed's loop a
        hit changes where the model changes its mind. `temperature` 0 takes the likeliest hits.
        """
        self._need("reconstruct", "drums")
        _check_draws(seed, temperature)
        _check_share("An amount", amount, "as it is", "a loop of its own")
        if not amount or not grid.steps:
            return grid
        loops = self._cut(grid)
        goal, noise = self._drawn(seed, len(loops))
        written = self._on_the_way(self.encode(loops)[0], goal, amount, grid.steps, noise, temperature)
        hits, velocities, offsets = written[-1].arrays()
        stays = grid.hits > 0
        last = Grid(hits, np.where(stays, grid.velocities, velocities), np.where(stays, grid.offsets, offsets))
        return between(grid, last, written, amount)

    def morph(self, first: Grid, last: Grid, position: float) -> Grid:
        """Returns the grid at a `position` on the way between two of as many steps: 0 is exactly the first, 1 exactly the last.

        Between, a hit changes where the model changes its mind; a hit of both glides from one velocity and offset to the other.
        """
        self._need("reconstruct", "drums")
        _check_share("A position", position, "the first loop", "the last")
        if first.steps != last.steps:
            raise BundleError(f"A way from {first.steps} steps to {last.steps} was asked for; name two loops of one length.")
        if position in (0, 1) or not first.steps:
            return last if position == 1 else first
        near, far = np.split(self.encode(np.concatenate([self._cut(first), self._cut(last)]))[0], 2)
        return between(first, last, self._on_the_way(near, far, position, first.steps), position)

    def _on_the_way(
        self, near: Array, far: Array, share: float, steps: int, noise: Array | None = None, temperature: float = 0.0
    ) -> tuple[Grid, Grid, Grid]:
        """Returns what is written from latents (B, Z), from those at a share of the arc to others, and from these: in one run."""
        here = np.concatenate([spherical_points(*ends, [share]) for ends in zip(near, far, strict=True)])
        noise = None if noise is None else np.tile(noise, (3, 1, 1))  # the same chance for all three: they differ by their latents alone
        written = self.decode(np.concatenate([near, here, far]), noise, temperature, thresholds=self._thresholds(temperature))
        before, between_, after = (_joined(grooves, steps) for grooves in np.split(written, 3))
        return before, between_, after

    # through the latent

    def reconstruct(self, loops: Array) -> Array:
        """Returns the likeliest loops, written freely from the mean latents of loops; arrays (B, S, 27) or (B, S), as `decode`."""
        self._need("reconstruct")
        return self.decode(self.encode(loops)[0])

    def interpolate(self, first: Array, last: Array, count: int) -> Array:
        """Returns `count` likeliest loops, (count, S, 27) or (count, S), on the way from one loop to another, the ends included.

        The mean latents of the two are joined by an arc (`drumvae.latents`); the ends are what `reconstruct` makes of them.
        """
        self._need("reconstruct")
        if count < 2:
            raise BundleError(f"{count} loops were asked for; from one loop to another there are two at least.")
        mean, _ = self.encode(np.stack([first, last]))
        return self.decode(spherical_path(mean[0], mean[1], count))

    def _cut(self, grid: Grid) -> Array:
        """Returns a grid as groove tensors (B, S, 27), the last one silent past the grid's end."""
        return np.stack([grid_to_groove(grid.window(first, self.steps)) for first in range(0, grid.steps, self.steps)])

    def _heard(self, loops: Array, temperature: float, draw: np.random.Generator) -> Array:
        """Returns latents (B, Z) of loops: the mean ones, or at a temperature above 0 others around them."""
        mean, scale = self.encode(loops)
        return np.asarray(mean + np.float32(temperature) * scale * draw.standard_normal(mean.shape, np.float32))

    def _answered(
        self, heard: Array, seed: int, temperature: float, locked_hits: Array | None = None, locked: Array | None = None
    ) -> Array:
        """Returns the grooves (B, S, 27) that are written from what is heard (B, S, 27)."""
        draw = np.random.default_rng(seed)
        latent = self._heard(heard, temperature, draw)
        noise = draw.random((len(heard), *self.noise_shape), np.float32)
        return self.decode(latent, noise, temperature, locked_hits, locked, self._thresholds(temperature))

    def _thresholds(self, temperature: float, density: float = 1.0) -> Array:
        """Returns thresholds (9,): the calibrated ones for the likeliest hits, even ones at temperature 1, where chance keeps density.

        A density other than 1 divides their odds by its square. Over a hundred loops of the shipped model at temperature 0, 0.5
        makes 0.48 times the hits, 1.5 makes 1.48 times and 2 makes 1.87 times.
        """
        odds = np.array(self.info.thresholds, np.float32)
        log_odds = np.log(odds / (1 - odds)) * max(0.0, 1 - temperature) - 2 * math.log(max(density, _SPARSEST))
        return np.asarray(1 / (1 + np.exp(-log_odds)), np.float32)

    def _need(self, task: str, kind: str | None = None) -> None:
        if task not in self.tasks:
            raise BundleError(f"This bundle cannot {task}; it can {' and '.join(self.tasks)}. Choose one of these, or another bundle.")
        own = "melodies" if self.encoding == "melody" else "drums"
        if kind not in (own, None):
            raise BundleError(f"This bundle writes {own} and was asked to {task} {kind}; name a bundle of {kind}.")


def _joined(grooves: Array, steps: int) -> Grid:
    """Returns groove tensors (B, S, 27) one after the other as a grid, cut to a number of steps."""
    return groove_to_grid(np.concatenate(grooves)[:steps])


def _check_share(what: str, share: float, none: str, whole: str) -> None:
    if not 0 <= share <= 1:
        raise BundleError(f"{what} of {share:g} was asked for; it goes from 0 ({none}) to 1 ({whole}).")


def _check_draws(seed: int, temperature: float) -> None:
    if seed < 0 or not 0 <= temperature < math.inf:
        raise BundleError(f"Seed {seed} and temperature {temperature:g} were asked for; both begin at 0.")
