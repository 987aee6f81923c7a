"""Grids and a seed in, Grids out, by a model that is shown what is known and needs no latent for it. No torch.

B windows of a grid, S steps, V = 9 voices, Z latent size.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..music.conditions import UNCONDITIONED, Conditions, push
from ..music.encoding import VOICE_COUNT, grid_to_groove, groove_to_grid
from ..music.grid import STEPS_PER_BAR, Array, Grid
from ..music.inputs import TAP_VOICE
from ..music.morphing import staggered_morph
from ..music.playability import playable
from ..music.windowing import cut_windows, window_starts
from .engine import Engine, with_taps

_FEEL = 2 * VOICE_COUNT
_SPARSEST = 0.05
"""The density below which no sparser loop is asked for; the odds go on falling."""
_ANSWERS = 16
_AGREED = 3 / _ANSWERS
"""The share of so many answers that must have a hit of a voice that is filled in: the best F1 on validation, of 2 to 6 of 16."""
_OF_ANSWERS = 0.2
"""What so many answers to a tap count for beside what is expected of it: the best F1 on validation, of 0, 0.1, 0.2 and 0.3."""
LIKELY_HIT = 0.33
"""How likely a hit of a tapped rhythm must be: half the F1 that is then reached gives the best one (Lipton et al. 2014)."""
_READIER = (1.0, 2.0, 4.0, 8.0)
"""Log odds that are added, one after the other, where a tapped step is empty."""

Write = Callable[[dict[str, Array], int, float], Array]
"""Writes grooves with more told, by the draws of a number, at a temperature."""


class DrummerEngine(Engine):
    """Plays a drummer. Where something is drawn, velocity and offset are too, as loosely as people play."""

    def generate_melodies(self, seed: int, temperature: float | None = None, count: int = 1) -> NDArray[np.int64]:
        """Raises BundleError: it plays drums."""
        self._need("generate", "melodies")
        raise AssertionError("unreachable")

    def continue_from(
        self, grid: Grid, count: int, seed: int, amount: float, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> list[Grid]:
        """Returns loops that go on from a loop (S steps), one after the other, each half of one written after the half before it.

        `amount`, 0 to 1, is how likely a bar is to be another than that of the loop before; hits that both have keep their velocity
        and offset. `temperature` 0 stands for the bundle's own: what is likeliest would go on the same for every seed.
        """
        self._need("reconstruct", "drums")
        self._check_going_on(grid, count, seed, amount, temperature, conditions)
        loops = [grid_to_groove(grid)]
        for number in range(count):
            loop = loops[-1]
            for half in (0, 1):
                loop = self._gone_on(loop, half, amount, np.random.default_rng([seed, number, half]), temperature, conditions)
            loops.append(loop)
        return [groove_to_grid(loop) for loop in loops[1:]]

    def _gone_on(
        self, loop: Array, half: int, amount: float, draw: np.random.Generator, temperature: float, conditions: Conditions
    ) -> Array:
        """Returns a loop (S, 27) of which some bars of one half are written anew, after its other half."""
        size = self.steps // 2
        anew = np.repeat(draw.random(size // STEPS_PER_BAR) < amount, STEPS_PER_BAR)
        if not anew.any():
            return loop
        mine = slice(half * size, half * size + size)
        shown = np.zeros((1, *loop.shape), np.float32)
        shown[0, :size] = np.roll(loop, -mine.stop, axis=0)[:size]  # what sounds before it
        hit_mask = np.zeros((1, self.steps, VOICE_COUNT), np.float32)
        hit_mask[:, :size] = 1
        told, seed = self._told(shown, hit_mask, hit_mask, conditions), int(draw.integers(2**32))
        written = playable(self._shared(told, self.steps, seed, temperature or self.info.temperature, "generate"), hit_mask)[0, size:]
        both = np.tile(written[:, :VOICE_COUNT] * loop[mine, :VOICE_COUNT] > 0, 3)
        after = loop.copy()
        after[mine] = np.where(anew[:, None], np.where(both, loop[mine], written), loop[mine])
        return after

    def drumify(self, grid: Grid, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED) -> Grid:
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
        conditions: Conditions = UNCONDITIONED,
        complexity: float = 0.0,
    ) -> Array:
        temperature = self._own(seed, temperature, count)
        _, noise = self._drawn(seed, count)
        feel = [self._feel_draws(np.random.default_rng([seed, index, 1])) for index in range(count)]
        note_noise, loop_noise = (np.stack(each) for each in zip(*feel, strict=True))
        told = conditions.arrays(self.info.styles, self.steps, count)
        if conditions.hits_a_bar is None:
            told["density"] = self._densities(seed, count, temperature) * np.float32(max(density, _SPARSEST))
        told |= {"has_latent": np.zeros(count, np.float32), "expression_temperature": np.ones(count, np.float32)}
        told |= {"note_noise": note_noise, "loop_noise": loop_noise}
        told["logit_bias"] = np.repeat(push(density, complexity, self.steps)[None], count, axis=0)
        latent = np.zeros((count, self.info.latent_size), np.float32)
        return playable(self.decode(latent, noise, temperature, thresholds=self._thresholds(temperature), told=told))

    def _humanized(self, loops: Array, steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        return self._shared(self._hits_of(loops, conditions), steps, seed, temperature, "humanize")

    def _drumified(self, taps: Array, steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        told = self._tap_of(taps, conditions)
        return self._filled_in(told, taps, self._in_a_row(told, steps, seed, "drumify"), temperature)

    def _infilled(self, heard: Array, anew: NDArray[np.bool_], steps: int, seed: int, temperature: float, conditions: Conditions) -> Array:
        told = self._others_of(heard, anew, conditions)
        return self._filled_in(told, None, self._in_a_row(told, steps, seed, "infill"), temperature)

    def _in_a_row(self, told: dict[str, Array], steps: int, seed: int, task: str) -> Write:
        """Returns what writes windows of a number of steps."""
        return lambda more, number, temperature: self._shared(told | more, steps, seed + number, temperature, task)

    # loops that have nothing to do with each other

    def humanize_loops(self, loops: Array, bpm: Array | None = None, seed: int = 0, temperature: float = 0.0) -> Array:
        return self._alone(self._hits_of(loops) | _at(bpm), seed, temperature, "humanize")

    def drumify_loops(self, taps: Array, bpm: Array | None = None, style: Array | None = None) -> Array:
        told = self._tap_of(taps) | _at(bpm) | ({} if style is None else {"style": style})
        return with_taps(self._filled_in(told, taps, lambda more, number, at: self._alone(told | more, number, at, "drumify")), taps)

    def infill_loops(self, heard: Array, voices: Sequence[int], bpm: Array | None = None) -> Array:
        told = self._others_of(heard, np.isin(np.arange(VOICE_COUNT), voices)) | _at(bpm)
        return self._filled_in(told, None, lambda more, number, at: self._alone(told | more, number, at, "infill"))

    # what is filled in

    def _filled_in(self, told: dict[str, Array], taps: Array | None, write: Write, temperature: float = 0.0) -> Array:
        """Returns grooves (B, S, 27) for what is told; at temperature 0 with the hits that are likely by themselves.

        How likely they are, many answers say, each of which hangs together, and of a tap the readers that expect nothing else.
        """
        kept = told["hit_mask"]
        if temperature:

            def draw(push: Array) -> Array:
                return playable(write({"logit_bias": push}, 0, temperature), kept)

            return draw(np.zeros(kept.shape, np.float32)) if taps is None else self._without_gaps(taps, draw)
        likely = np.mean([write({}, number, 1.0)[..., :VOICE_COUNT] for number in range(_ANSWERS)], axis=0)
        if taps is None:
            hits = np.where(kept > 0.5, told["hit_values"], likely >= _AGREED)
        else:
            likely += (1 - _OF_ANSWERS) * (self.hit_probability(told["tap"], told["bpm"], told["style"]) - likely)
            hits = likely >= LIKELY_HIT
            hits = np.where(_gaps(taps, hits)[..., None], _first(likely), hits)
        hits = _by_hand(hits, likely, kept)
        return write({"hit_values": hits, "hit_mask": np.ones_like(hits)}, 0, 0.0)

    def _without_gaps(self, taps: Array, draw: Callable[[Array], Array]) -> Array:
        """Returns what is drawn for taps (B, S, 27); where nothing is at a tapped step, it is drawn again, more readily there."""
        push = np.zeros((*taps.shape[:2], VOICE_COUNT), np.float32)
        written = draw(push)
        for more in _READIER:
            gaps = _gaps(taps, written[..., :VOICE_COUNT])
            if not gaps.any():
                break
            push[gaps] = more
            written = draw(push)
        return written

    # what is told of windows (B, S, 27)

    def _hits_of(self, loops: Array, conditions: Conditions = UNCONDITIONED) -> dict[str, Array]:
        hit_mask = np.ones((*loops.shape[:2], VOICE_COUNT), np.float32)
        return self._told(loops, hit_mask, np.zeros_like(hit_mask), conditions)

    def _tap_of(self, taps: Array, conditions: Conditions = UNCONDITIONED) -> dict[str, Array]:
        nothing = np.zeros((*taps.shape[:2], VOICE_COUNT), np.float32)
        told = self._told(np.zeros_like(taps), nothing, nothing, conditions)
        return told | {"tap": taps[..., TAP_VOICE::VOICE_COUNT], "has_tap": np.ones(len(taps), np.float32)}

    def _others_of(self, heard: Array, anew: NDArray[np.bool_], conditions: Conditions = UNCONDITIONED) -> dict[str, Array]:
        hit_mask = np.array(np.broadcast_to(~anew, (*heard.shape[:2], VOICE_COUNT)), np.float32)
        return self._told(heard, hit_mask, hit_mask, conditions)

    def _told(self, loops: Array, hit_mask: Array, expression_mask: Array, conditions: Conditions) -> dict[str, Array]:
        """Returns what a decoder is told of windows of which hits and feel are shown where 1, each (B, S, V)."""
        hits, feel = loops[..., :VOICE_COUNT], loops[..., VOICE_COUNT:]
        told = conditions.arrays(self.info.styles, self.steps, len(loops))
        told |= {"hit_values": hits * hit_mask, "hit_mask": hit_mask}
        told |= {"expression_mask": expression_mask * hits, "expression": feel * np.tile(expression_mask, 2)}
        return told | {"has_latent": np.zeros(len(loops), np.float32)}

    # how it is played

    def _shared(self, told: dict[str, Array], steps: int, seed: int, temperature: float, task: str) -> Array:
        """Returns grooves (B, S, 27) for windows of a number of steps; a step is drawn alike in every window in which it lies."""
        draw, count = np.random.default_rng(seed), len(told["has_latent"])
        length = window_starts(steps, self.steps)[-1] + self.steps
        noise = cut_windows(draw.random((length, VOICE_COUNT), np.float32), steps, self.steps)
        note_noise = cut_windows(draw.standard_normal((length, _FEEL), np.float32), steps, self.steps)
        loop_noise = np.tile(draw.standard_normal((1, self.info.loop_factors), np.float32), (count, 1))
        return self._played(told, noise, note_noise, loop_noise, temperature, task)

    def _alone(self, told: dict[str, Array], seed: int, temperature: float, task: str) -> Array:
        """Returns grooves (B, S, 27) for windows that are drawn each by itself."""
        draw, count = np.random.default_rng(seed), len(told["has_latent"])
        noise = draw.random((count, self.steps, VOICE_COUNT), np.float32)
        note_noise = draw.standard_normal((count, self.steps, _FEEL), np.float32)
        loop_noise = draw.standard_normal((count, self.info.loop_factors), np.float32)
        return self._played(told, noise, note_noise, loop_noise, temperature, task)

    def _played(self, told: dict[str, Array], noise: Array, note_noise: Array, loop_noise: Array, temperature: float, task: str) -> Array:
        loose = np.full(len(loop_noise), temperature, np.float32)
        more = {name: value for name, value in told.items() if name not in ("hit_values", "hit_mask")}
        more |= {"note_noise": note_noise, "loop_noise": loop_noise, "expression_temperature": loose}
        latent = np.zeros((len(loop_noise), self.info.latent_size), np.float32)
        thresholds = self._thresholds(temperature, task=task)
        return self.decode(latent, noise, temperature, told["hit_values"], told["hit_mask"], thresholds, told=more)

    def _densities(self, seed: int, count: int, temperature: float) -> Array:
        """Returns how many hits a bar has in a seed's loops, (count,), as people vary it; at temperature 0 the middle one."""
        chances = [np.random.default_rng([seed, index, 2]).random() if temperature else 0.5 for index in range(count)]
        return np.interp(chances, np.linspace(0, 1, len(self.info.densities)), self.info.densities).astype(np.float32)

    def _feel_draws(self, draw: np.random.Generator) -> tuple[Array, Array]:
        """Returns touch (S, 18) and mood (K,) of one loop."""
        note_noise = draw.standard_normal((self.steps, _FEEL), np.float32)
        return note_noise, draw.standard_normal(self.info.loop_factors, np.float32)

    def _place(self, first: Grid, last: Grid, written: tuple[Grid, Grid, Grid], share: float) -> Grid:
        return staggered_morph(first, last, written, share)

    def _goal(self, seed: int, steps: int, temperature: float, conditions: Conditions) -> tuple[Array, Array, Grid | None]:
        """Returns latents (B, Z) and noise (B, S, 9) of the loops that `generate` makes of a seed, one after the other, and these.

        At temperature 0 it is the bundle's own: what is likeliest of all would be the same for every seed.
        """
        length = window_starts(steps, self.steps)[-1] + self.steps
        count = -(-length // self.steps)
        loops = np.concatenate(self._generated(seed, temperature or None, count, conditions=conditions))[:length]
        noise = np.concatenate(self._drawn(seed, count)[1])[:length]
        latents = self.encode(cut_windows(loops, steps, self.steps))[0]
        return latents, cut_windows(noise, steps, self.steps), groove_to_grid(loops[:steps])


def _at(bpm: Array | None) -> dict[str, Array]:
    """Returns what is told of tempi (B,)."""
    return {} if bpm is None else {"bpm": np.asarray(bpm, np.float32)}


def _first(likely: Array) -> NDArray[np.bool_]:
    """Returns the likeliest voice of each step, (B, S, 9)."""
    return np.asarray(likely.argmax(axis=-1)[..., None] == np.arange(VOICE_COUNT))


def _by_hand(hits: Array, likely: Array, kept: Array) -> Array:
    """Returns the hits (B, S, 9) that two hands can play, the likelier ones, and what is kept."""
    grooves = np.concatenate([hits, hits * likely, np.zeros_like(likely)], axis=-1)
    return playable(np.asarray(grooves, np.float32), kept)[..., :VOICE_COUNT]


def _gaps(taps: Array, hits: Array) -> NDArray[np.bool_]:
    """Returns the steps (B, S) that are tapped in taps (B, S, 27) and have none of the hits (B, S, 9)."""
    return np.asarray((taps[..., TAP_VOICE] > 0.5) & (hits.max(axis=-1) < 0.5))
