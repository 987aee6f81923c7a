"""Loops and a seed in, loops like them out: what an exported model finds on its way through the latents. No torch.

A loop as an array is a groove tensor (S, 27), S steps, or the classes (S,) of a melody; B windows of a grid, Z latent size.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..music.conditions import UNCONDITIONED, Conditions
from ..music.encoding import grid_to_groove, groove_to_grid
from ..music.grid import Array, Grid
from ..music.morphing import latent_morph
from ..music.windowing import cut_windows, stitch_windows, window_starts
from ..util.errors import BundleError
from .codec import Codec
from .slerp import slerp, slerp_path

_SPARSEST = 1e-2  # the density below which thresholds rise no more: they must stay below 1


class Roaming(Codec):
    """Encodes loops, moves through the latents, and writes what is there; needs a bundle that learned to reconstruct."""

    def vary(self, grid: Grid, amount: float, seed: int, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED) -> Grid:
        """Returns the grid drifted by `amount`, 0 (as it is) to 1 (the hits of the loop that `generate` makes of the same seed).

        Hits that stay keep their velocity and offset; new ones are played as the model plays them. On the way to the seed's loop a
        hit changes where the model changes its mind. `temperature` 0 takes the likeliest hits. Raises BundleError for conditions that
        the bundle does not know.
        """
        return self.variations(grid, amount, [seed], temperature, conditions)[0]

    def variations(
        self, grid: Grid, amount: float, seeds: Sequence[int], temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> list[Grid]:
        """Returns what `vary` makes of a grid with each seed, written in one run.

        A grid longer than a loop drifts towards the seed's first loops one after the other, and between two of them half-way.
        """
        self._need("reconstruct", "drums")
        for seed in seeds:
            check_draws(seed, temperature)
        check_share("An amount", amount, "as it is", "a loop of its own")
        self._check(conditions)
        if not amount or not grid.steps:
            return [grid] * len(seeds)
        loops = self._cut(grid)
        near = self.encode(loops)[0]
        drawn = [self._goal(seed, grid.steps, temperature, conditions) for seed in seeds]
        goals, noise = (np.stack(arrays) for arrays in zip(*(each[:2] for each in drawn), strict=True))  # (n, B, Z), (n, B, S, 9)
        here = np.stack([_on_the_way(near, goal, amount) for goal in goals])
        latents = np.concatenate([np.broadcast_to(near, here.shape), here, goals])
        written = self._written(latents, grid.steps, np.tile(noise, (3, 1, 1, 1)), temperature)  # the same chance for all three
        ways = _thirds(written)
        lasts = [at_goal if last is None else last for (*_, last), at_goal in zip(drawn, ways[-1], strict=True)]
        return [_drifted(grid, last, way, amount, self._place) for last, *way in zip(lasts, *ways, strict=True)]

    def morph(self, first: Grid, last: Grid, position: float) -> Grid:
        """Returns the grid at a `position` on the way between two of as many steps: 0 is exactly the first, 1 exactly the last.

        Between, a hit changes where the model changes its mind; a hit of both glides from one velocity and offset to the other.
        """
        return self.morphs(first, last, [position])[0]

    def morphs(self, first: Grid, last: Grid, positions: Sequence[float]) -> list[Grid]:
        """Returns what `morph` makes of two grids at each position, written in one run, at even angles for even positions."""
        self._need("reconstruct", "drums")
        for position in positions:
            check_share("A position", position, "the first loop", "the last")
        if first.steps != last.steps:
            raise BundleError(f"A way from {first.steps} steps to {last.steps} was asked for; name two loops of one length.")
        inner = [position for position in positions if 0 < position < 1]
        ways: dict[float, Grid] = {0: first, 1: last}
        if inner and first.steps:
            near, far = np.split(self.encode(np.concatenate([self._cut(first), self._cut(last)]))[0], 2)
            before, *here, after = self._written(
                np.stack([near, *(_on_the_way(near, far, position) for position in inner), far]), first.steps
            )
            ways |= {at: self._place(first, last, (before, grid, after), at) for at, grid in zip(inner, here, strict=True)}
        return [ways.get(position, first) for position in positions]

    def continue_from(
        self, grid: Grid, count: int, seed: int, amount: float, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> list[Grid]:
        """Returns loops that go on from a loop (S steps), each drifted by `amount` from the one before it, 0 (no more) to 1 (anywhere).

        The latent of the loop walks: each next one lies on the arc from the one before towards a new draw, `amount` of the way. A
        hit changes where the model writes otherwise than it wrote for the given loop; hits that stay keep their velocity and
        offset. What is heard is one loop, and what came before it is not. `temperature` 0 takes the likeliest hits.
        """
        self._need("reconstruct", "drums")
        self._check_going_on(grid, count, seed, amount, temperature, conditions)
        near = self.encode(self._cut(grid))[0]  # (1, Z)
        draws, noise = self._drawn(seed, count)
        path = [near]
        for draw in draws:
            path.append(_on_the_way(path[-1], draw[None], amount))
        latents = np.stack([near] * count + path[1:])  # (2n, 1, Z)
        written = self._written(latents, grid.steps, np.tile(noise[:, None], (2, 1, 1, 1)), temperature)
        pairs = zip(written[:count], written[count:], strict=True)
        return [latent_morph(grid, grid, (before, after, before), 0.0) for before, after in pairs]

    def reconstruct(self, loops: Array) -> Array:
        """Returns the likeliest loops, written freely from the mean latents of loops; arrays (B, S, 27) or (B, S), as `decode`."""
        self._need("reconstruct")
        return self.decode(self.encode(loops)[0])

    def interpolate(self, first: Array, last: Array, count: int) -> Array:
        """Returns `count` likeliest loops, (count, S, 27) or (count, S), on the way from one loop to another, the ends included.

        The mean latents of the two are joined by an arc (`drumvae.inference.slerp`); the ends are what `reconstruct` makes of them.
        """
        self._need("reconstruct")
        if count < 2:
            raise BundleError(f"{count} loops were asked for; from one loop to another there are two at least.")
        mean, _ = self.encode(np.stack([first, last]))
        return self.decode(slerp_path(mean[0], mean[1], count))

    def _place(self, first: Grid, last: Grid, written: tuple[Grid, Grid, Grid], share: float) -> Grid:
        """Returns the grid at a share of the way between two, of which `written` is what the model makes."""
        return latent_morph(first, last, written, share)

    def _check_going_on(self, grid: Grid, count: int, seed: int, amount: float, temperature: float, conditions: Conditions) -> None:
        """Raises BundleError where no loops can go on from a grid."""
        check_draws(seed, temperature)
        check_share("An amount", amount, "the same again", "anywhere")
        self._check(conditions)
        if count < 1 or grid.steps != self.steps:
            raise BundleError(f"{count} loops after {grid.steps} steps were asked for; ask for one at least, after {self.steps} steps.")

    def _check(self, conditions: Conditions, complexity: float = 0.0) -> None:
        """Raises BundleError for what this bundle cannot be asked for."""
        wanted = [*conditions.names, *(["a complexity"] if complexity else [])]
        if wanted:
            raise BundleError(f"This bundle cannot be asked for {' and '.join(wanted)}; leave it out, or name a drummer's bundle.")

    def _goal(self, seed: int, steps: int, temperature: float, conditions: Conditions) -> tuple[Array, Array, Grid | None]:
        """Returns where a grid of a number of steps drifts to: latents (B, Z) and noise (B, S, 9) of its windows, and the grid there.

        That is a seed's loops, one after the other; None where it is what the model writes at the latents. Between two loops the
        latent lies on the arc from one to the other, and every step has the noise of its place.
        """
        starts = window_starts(steps, self.steps)
        latents, noise = self._drawn(seed, -(-starts[-1] // self.steps) + 1)
        places = [divmod(start, self.steps) for start in starts]
        goals = [latents[n] if not rest else slerp(latents[n], latents[n + 1], [rest / self.steps])[0] for n, rest in places]
        return np.stack(goals), cut_windows(np.concatenate(noise), steps, self.steps), None

    def _written(self, latents: Array, steps: int, noise: Array | None = None, temperature: float = 0.0) -> list[Grid]:
        """Returns the n grids that are written from latents (n, B, Z) with noise (n, B, S, 9), in one run."""
        flat = None if noise is None else noise.reshape(-1, *noise.shape[2:])
        loops = self.decode(latents.reshape(-1, latents.shape[-1]), flat, temperature, thresholds=self._thresholds(temperature))
        return [joined(windows, steps) for windows in loops.reshape(*latents.shape[:2], *loops.shape[1:])]

    def _drawn(self, seed: int, count: int) -> tuple[Array, Array]:
        """Returns the latents (B, Z) and the noise that a seed's first `count` loops are written from."""
        draws = [np.random.default_rng([seed, index]) for index in range(count)]
        latent = np.stack([draw.standard_normal(self.info.latent_size, np.float32) for draw in draws])
        return latent, np.stack([draw.random(self.noise_shape, np.float32) for draw in draws])

    def _cut(self, grid: Grid) -> Array:
        """Returns a grid as groove tensors (B, S, 27) that overlap, the last one silent past the grid's end."""
        return cut_windows(grid_to_groove(grid), grid.steps, self.steps)

    def _thresholds(self, temperature: float, density: float = 1.0, task: str = "") -> Array:
        """Returns thresholds (9,): the calibrated ones for the likeliest hits, even ones at temperature 1, where chance keeps density.

        A density other than 1 divides their odds by its square. Over a hundred loops of the shipped model at temperature 0, 0.5
        makes 0.48 times the hits, 1.5 makes 1.48 times and 2 makes 1.87 times.
        """
        odds = np.array(self.info.thresholds_for(task), np.float32)
        log_odds = np.log(odds / (1 - odds)) * max(0.0, 1 - temperature) - 2 * math.log(max(density, _SPARSEST))
        return np.asarray(1 / (1 + np.exp(-log_odds)), np.float32)

    def _need(self, task: str, kind: str | None = None) -> None:
        if task not in self.tasks:
            raise BundleError(f"This bundle cannot {task}; it can {' and '.join(self.tasks)}. Choose one of these, or another bundle.")
        own = "melodies" if self.encoding == "melody" else "drums"
        if kind not in (own, None):
            raise BundleError(f"This bundle writes {own} and was asked to {task} {kind}; name a bundle of {kind}.")


def joined(grooves: Array, steps: int) -> Grid:
    """Returns the grid that the windows (B, S, 27) of a number of steps make."""
    return groove_to_grid(stitch_windows(grooves, steps))


def check_share(what: str, share: float, none: str, whole: str) -> None:
    """Raises BundleError where a share is not within 0 and 1, and says what these mean."""
    if not 0 <= share <= 1:
        raise BundleError(f"{what} of {share:g} was asked for; it goes from 0 ({none}) to 1 ({whole}).")


def check_draws(seed: int, temperature: float) -> None:
    """Raises BundleError where nothing can be drawn."""
    if seed < 0 or not 0 <= temperature < math.inf:
        raise BundleError(f"Seed {seed} and temperature {temperature:g} were asked for; both begin at 0.")


def _on_the_way(near: Array, far: Array, share: float) -> Array:
    """Returns latents (B, Z), each a share of the arc from one to another."""
    return np.concatenate([slerp(*ends, [share]) for ends in zip(near, far, strict=True)])


def _thirds(grids: Sequence[Grid]) -> list[Sequence[Grid]]:
    size = len(grids) // 3
    return [grids[first : first + size] for first in (0, size, 2 * size)]


Place = Callable[[Grid, Grid, tuple[Grid, Grid, Grid], float], Grid]


def _drifted(grid: Grid, goal: Grid, written: Sequence[Grid], amount: float, place: Place) -> Grid:
    """Returns a grid that drifts towards a goal; hits that stay are played as in the grid."""
    hits, velocities, offsets = goal.arrays()
    stays = grid.hits > 0
    last = Grid(hits, np.where(stays, grid.velocities, velocities), np.where(stays, grid.offsets, offsets))
    before, here, after = written
    return place(grid, last, (before, here, after), amount)
