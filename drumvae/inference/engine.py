"""Offers the exported model as musical verbs on Grids, without torch.

S steps of a loop, B loops, T styles. A loop as an array is a groove tensor (S, 27), or the classes (S,) of a melody. A grid that is
longer than a loop is cut into overlapping windows (`drumvae.music.windowing`); a shorter one is the beginning of a loop.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..bundle.schema import DRUMMER
from ..music.conditions import UNCONDITIONED, Conditions, check_density
from ..music.encoding import VOICE_COUNT, groove_to_grid
from ..music.grid import Array, Grid
from ..music.inputs import to_tap, without_voices
from ..music.kit import VOICES
from ..util.errors import BundleError
from .conditional import ConditionalStrategy
from .latent import LatentStrategy
from .latent_path import morph_between, move_towards
from .onnx_model import OnnxModel
from .slerp import slerp_path
from .strategy import Conditioning, Strategy
from .windows import Windows, grid_to_windows, windows_to_grid, with_taps


class Engine:
    """Plays an exported model. The same seed gives the same loop.

    Example::

        engine = Engine.load()  # the model that ships with drumvae
        loop = engine.generate(seed=7)[0]  # a Grid of four bars
        softer = engine.humanize(loop, amount=0.5)
        write_midi(Path("loop.mid"), softer, bpm=120)  # of drumvae.midi.io

    Thread-safe: no.
    Realtime-safe: no.
    """

    def __init__(self, model: OnnxModel, strategy: Strategy | None = None) -> None:
        """Takes an open model, and by default the strategy of its family; `load` opens a bundle folder."""
        self.model, self.info = model, model.info
        self.tasks, self.encoding, self.steps, self.styles = self.info.tasks, self.info.encoding, self.info.steps, self.info.styles
        self.encode, self.decode, self.hit_probability = model.encode, model.decode, model.hit_probability
        self.loop_shape, self.noise_shape = model.loop_shape, model.noise_shape
        self.provider_reason, self.pop_notice = model.provider_reason, model.pop_notice
        self._strategy = strategy or (ConditionalStrategy(model) if self.info.family == DRUMMER else LatentStrategy(model))

    @classmethod
    def load(cls, bundle: Path | None = None, provider: str = "auto", threads: int = 1) -> Self:
        """Opens a bundle folder, by default the one that ships, with the strategy of its family; all else as `OnnxModel.load`."""
        return cls(OnnxModel.load(bundle, provider, threads))

    @property
    def provider(self) -> str:
        """The provider that runs the model now."""
        return self.model.provider

    # new loops

    def generate(
        self,
        seed: int,
        temperature: float | None = None,
        count: int = 1,
        density: float = 1.0,
        conditions: Conditions = UNCONDITIONED,
        complexity: float = 0.0,
    ) -> list[Grid]:
        """Generates loops; loop n of a seed is the same for every count.

        Args:
            seed: From 0.
            temperature: Spread of the hits: 0 is the most likely loop, 1 samples as trained; by default the bundle's own.
            count: Loops, at least 1.
            density: 0 (silence) to 2, about the factor on the number of hits. The odds of every hit are multiplied by its square.
            conditions: Style, tempo, density and fills.
            complexity: -1 to 1; moves hits between strong and weak sixteenths.

        Raises:
            BundleError: An argument is out of range, or the bundle does not support the task or the conditions.
        """
        self._check_task("generate", "drums")
        check_density(density)
        conditioning = self._conditioning(conditions, complexity)
        temperature = self._temperature(seed, temperature, count)
        grooves = self._strategy.generate(seed, temperature, count, density, conditioning, complexity)
        return [groove_to_grid(groove) if density else Grid.empty(self.steps) for groove in grooves]

    def generate_melodies(self, seed: int, temperature: float | None = None, count: int = 1) -> NDArray[np.int64]:
        """Generates melodies as classes (count, S) for `drumvae.music.encoding.melody_to_notes`; otherwise as `generate`."""
        self._check_task("generate", "melodies")
        temperature = self._temperature(seed, temperature, count)
        return self._strategy.generate(seed, temperature, count, 1.0, self._conditioning(UNCONDITIONED), 0.0).astype(np.int64)

    # from a performance

    def humanize(
        self, grid: Grid, amount: float = 1.0, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> Grid:
        """Keeps the hits and gives them new velocities and offsets.

        Args:
            grid: Any number of steps.
            amount: How far velocities and offsets move from the given ones to the model's, 0 to 1.
            seed: From 0; only used above temperature 0.
            temperature: 0 gives the most likely expression; above it the seed samples one.
            conditions: Style, tempo, density and fills.

        Raises:
            BundleError: As `generate`.
        """
        self._check_task("humanize", "drums")
        check_share("An amount", amount, "as played", "as the model plays")
        check_sampling(seed, temperature)
        conditioning = self._conditioning(conditions)
        if not grid.steps:
            return grid
        loops, windows = grid_to_windows(grid, self.steps), Windows.of_grid(grid.steps, self.steps)
        played = windows_to_grid(self._strategy.humanize(loops, windows, seed, temperature, conditioning), grid.steps)
        return grid.blended(Grid(grid.hits, played.velocities, played.offsets), amount)

    def drumify(self, grid: Grid, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED) -> Grid:
        """Returns a groove for a rhythm. Only the times and velocities of the rhythm are read, not its voices.

        At every tapped step, the loudest hit of the groove gets exactly the tap's velocity and offset. Temperature 0 gives the most
        likely hits; above it the seed samples them. A drummer's bundle places a hit at every tapped step where possible; other
        bundles may leave a tapped step empty. For a grid without hits, a drummer's bundle that can generate returns the loops of
        `generate` for the seed.

        Raises:
            BundleError: As `generate`.
        """
        self._check_task("drumify", "drums")
        check_sampling(seed, temperature)
        conditioning = self._conditioning(conditions)
        if not grid.steps:
            return grid
        taps = to_tap(grid_to_windows(grid, self.steps))
        written = self._strategy.drumify(taps, Windows.of_grid(grid.steps, self.steps), seed, temperature, conditioning)
        return windows_to_grid(with_taps(written, taps), grid.steps)

    def infill(
        self, grid: Grid, voices: Sequence[int], seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> Grid:
        """Replaces some voices and keeps the others exactly.

        Args:
            grid: Any number of steps; its hits of the replaced voices are ignored.
            voices: Indices of the voices to replace, 0 to 8.
            seed: From 0.
            temperature: 0 gives the most likely hits; above it the seed samples them.
            conditions: Style, tempo, density and fills.

        Raises:
            BundleError: As `generate`.
        """
        self._check_task("infill", "drums")
        check_sampling(seed, temperature)
        conditioning = self._conditioning(conditions)
        if not voices or not set(voices) <= set(range(VOICE_COUNT)):
            raise BundleError(f"The voices {list(voices)} were asked for; name one or more from 0 ({VOICES[0]}) to 8 ({VOICES[-1]}).")
        if not grid.steps:
            return grid
        new = np.isin(np.arange(VOICE_COUNT), voices)
        kept, windows = without_voices(grid_to_windows(grid, self.steps), new), Windows.of_grid(grid.steps, self.steps)
        written = windows_to_grid(self._strategy.infill(kept, new, windows, seed, temperature, conditioning), grid.steps)
        return Grid(*(np.where(new, array, given) for array, given in zip(written.arrays(), grid.arrays(), strict=True)))

    # from loop to loop

    def vary(self, grid: Grid, amount: float, seed: int, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED) -> Grid:
        """Moves the grid by `amount` towards the loop of a seed: 0 is unchanged, 1 has the hits of `generate` with this seed.

        Hits that stay keep their velocity and offset; new ones get the model's. `temperature` 0 takes the most likely hits.
        A grid longer than a loop moves towards the first loops of the seed, one after the other.

        Raises:
            BundleError: As `generate`.
        """
        return self.variations(grid, amount, [seed], temperature, conditions)[0]

    def variations(
        self, grid: Grid, amount: float, seeds: Sequence[int], temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> list[Grid]:
        """Returns the result of `vary` for each seed, decoded in one run."""
        self._check_task("reconstruct", "drums")
        for seed in seeds:
            check_sampling(seed, temperature)
        check_share("An amount", amount, "as it is", "a loop of its own")
        conditioning = self._conditioning(conditions)
        if not amount or not grid.steps:
            return [grid] * len(seeds)
        targets = [self._strategy.variation_target(seed, grid.steps, temperature, conditioning) for seed in seeds]
        return move_towards(self.model, self._strategy, grid, targets, amount, temperature)

    def morph(self, first: Grid, last: Grid, position: float) -> Grid:
        """Returns the grid at a `position` between two of equal length: 0 is exactly the first, 1 exactly the last.

        In between, a hit changes where the model's decoding changes; a hit of both moves from one velocity and offset to the other.
        """
        return self.morphs(first, last, [position])[0]

    def morphs(self, first: Grid, last: Grid, positions: Sequence[float]) -> list[Grid]:
        """Returns the result of `morph` at each position, decoded in one run; a position is a share of the angle between the latents."""
        self._check_task("reconstruct", "drums")
        for position in positions:
            check_share("A position", position, "the first loop", "the last")
        if first.steps != last.steps:
            raise BundleError(f"A morph from {first.steps} steps to {last.steps} was asked for; name two loops of one length.")
        inner = [position for position in positions if 0 < position < 1]
        grids: dict[float, Grid] = {0: first, 1: last}
        if inner and first.steps:
            grids |= zip(inner, morph_between(self.model, self._strategy, first, last, inner), strict=True)
        return [grids.get(position, first) for position in positions]

    def continue_from(
        self, grid: Grid, count: int, seed: int, amount: float, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> list[Grid]:
        """Returns loops that continue a loop; each is a variation of the one before it.

        Args:
            grid: A loop of S steps.
            count: Loops, at least 1.
            seed: From 0.
            amount: 0 repeats the loop. 1 replaces every bar with a drummer's bundle, and decodes unrelated latents with other bundles.
            temperature: 0 means the bundle's default with a drummer's bundle, and the most likely hits with other bundles.
            conditions: Style, tempo, density and fills.

        Raises:
            BundleError: As `generate`.
        """
        self._check_task("reconstruct", "drums")
        check_sampling(seed, temperature)
        check_share("An amount", amount, "the same again", "anywhere")
        conditioning = self._conditioning(conditions)
        if count < 1 or grid.steps != self.steps:
            raise BundleError(f"{count} loops after {grid.steps} steps were asked for; ask for one at least, after {self.steps} steps.")
        return self._strategy.continue_from(grid, count, seed, amount, temperature, conditioning)

    # independent loops, as arrays

    def reconstruct(self, loops: Array) -> Array:
        """Returns the most likely loops for the mean latents of loops; arrays (B, S, 27) or (B, S)."""
        self._check_task("reconstruct")
        return self.decode(self.encode(loops)[0])

    def interpolate(self, first: Array, last: Array, count: int) -> Array:
        """Returns `count` most likely loops, (count, S, 27) or (count, S), from one loop to another.

        The latents are on the arc between the two means (`drumvae.inference.slerp`); the ends equal `reconstruct`.
        """
        self._check_task("reconstruct")
        if count < 2:
            raise BundleError(f"{count} loops were asked for; an interpolation has two at least.")
        mean, _ = self.encode(np.stack([first, last]))
        return self.decode(slerp_path(mean[0], mean[1], count))

    def humanize_loops(self, loops: Array, bpm: Array | None = None, seed: int = 0, temperature: float = 0.0) -> Array:
        """Humanizes groove tensors (B, S, 27) independently of each other; `bpm` (B,) are their tempi, 0 where unknown."""
        return self._strategy.humanize(loops, Windows(len(loops), self.steps), seed, temperature, self._loop_conditioning(bpm))

    def drumify_loops(self, taps: Array, bpm: Array | None = None, style: Array | None = None) -> Array:
        """Returns the most likely grooves (B, S, 27) for taps (B, S, 27) from `drumvae.music.inputs.to_tap`, independently of each other.

        `bpm` (B,) is 0 where unknown; `style` (B, T) is 1 at one of the bundle's styles, or 0 everywhere.
        """
        windows = Windows(len(taps), self.steps)
        return with_taps(self._strategy.drumify(taps, windows, 0, 0.0, self._loop_conditioning(bpm, style)), taps)

    def infill_loops(self, loops: Array, voices: Sequence[int], bpm: Array | None = None) -> Array:
        """Returns groove tensors (B, S, 27) with some voices replaced by the most likely ones, independently of each other."""
        new = np.isin(np.arange(VOICE_COUNT), voices)
        kept, windows = without_voices(loops, new), Windows(len(loops), self.steps)
        written = self._strategy.infill(kept, new, windows, 0, 0.0, self._loop_conditioning(bpm))
        return np.asarray(np.where(np.tile(new, 3), written, kept))

    # checks and conversions

    def _check_task(self, task: str, kind: str | None = None) -> None:
        if task not in self.tasks:
            raise BundleError(f"This bundle cannot {task}; it can {' and '.join(self.tasks)}. Choose one of these, or another bundle.")
        own = "melodies" if self.encoding == "melody" else "drums"
        if kind not in (own, None):
            raise BundleError(f"This bundle writes {own} and was asked to {task} {kind}; name a bundle of {kind}.")

    def _temperature(self, seed: int, temperature: float | None, count: int) -> float:
        """Returns the given temperature or the bundle's default; raises BundleError for an invalid seed, temperature or count."""
        temperature = self.info.temperature if temperature is None else temperature
        check_sampling(seed, temperature)
        if count < 1:
            raise BundleError(f"{count} loops were asked for; ask for one at least.")
        return temperature

    def _conditioning(self, conditions: Conditions, complexity: float = 0.0) -> Conditioning:
        """Returns conditions as arrays with a first axis of 1; raises BundleError for those that the bundle does not support."""
        wanted = [*conditions.names, *(["a complexity"] if complexity else [])]
        if wanted and not self._strategy.takes_conditions:
            raise BundleError(f"This bundle cannot be asked for {' and '.join(wanted)}; leave it out, or name a drummer's bundle.")
        return conditions.arrays(self.styles, self.steps, 1)

    def _loop_conditioning(self, bpm: Array | None = None, style: Array | None = None) -> Conditioning:
        given = {"bpm": None if bpm is None else np.asarray(bpm, np.float32), "style": style}
        return {**self._conditioning(UNCONDITIONED), **{name: value for name, value in given.items() if value is not None}}


def check_share(name: str, share: float, at_0: str, at_1: str) -> None:
    """Raises BundleError if a share is not in [0, 1]; `at_0` and `at_1` describe the two ends in the message."""
    if not 0 <= share <= 1:
        raise BundleError(f"{name} of {share:g} was asked for; it goes from 0 ({at_0}) to 1 ({at_1}).")


def check_sampling(seed: int, temperature: float) -> None:
    """Raises BundleError for a negative seed, and for a negative or infinite temperature."""
    if seed < 0 or not 0 <= temperature < math.inf:
        raise BundleError(f"Seed {seed} and temperature {temperature:g} were asked for; both begin at 0.")
