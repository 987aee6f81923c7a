"""Implements the musical verbs for models whose only input is a latent (the VAE family).

B windows, S steps of a window, Z latent size.
"""

import numpy as np
from numpy.typing import NDArray

from ..music.encoding import VOICE_COUNT, grid_to_groove, groove_to_grid
from ..music.grid import Array, Grid
from ..music.inputs import without_feel
from ..music.morphing import latent_morph
from ..music.windowing import cut_windows, window_starts
from .onnx_model import OnnxModel
from .slerp import slerp, slerp_pairs
from .strategy import Conditioning, Target, hit_thresholds, seed_noise
from .windows import Windows


class LatentStrategy:
    """Encodes the input groove, and decodes its latent. Conditions are not used.

    Thread-safe: no.
    Realtime-safe: no.
    """

    takes_conditions = False

    def __init__(self, model: OnnxModel) -> None:
        self._model = model

    def generate(self, seed: int, temperature: float, count: int, density: float, conditioning: Conditioning, complexity: float) -> Array:
        thresholds = hit_thresholds(self._model.info, temperature, density)
        return self._model.decode(*seed_noise(self._model, seed, count), temperature, thresholds=thresholds)

    def humanize(self, loops: Array, windows: Windows, seed: int, temperature: float, conditioning: Conditioning) -> Array:
        hits = loops[..., :VOICE_COUNT]
        latent = self._encode(without_feel(loops), windows, temperature, np.random.default_rng(seed))
        return self._model.decode(latent, hit_values=hits, hit_mask=np.ones_like(hits))

    def drumify(self, taps: Array, windows: Windows, seed: int, temperature: float, conditioning: Conditioning) -> Array:
        return self._translate(taps, windows, seed, temperature)

    def infill(
        self,
        loops: Array,
        new_voices: NDArray[np.bool_],
        windows: Windows,
        seed: int,
        temperature: float,
        conditioning: Conditioning,
    ) -> Array:
        hits = loops[..., :VOICE_COUNT]
        return self._translate(loops, windows, seed, temperature, hits, np.broadcast_to(~new_voices, hits.shape))

    def variation_target(self, seed: int, steps: int, temperature: float, conditioning: Conditioning) -> Target:
        """Returns the latents and the noise of each window for the consecutive loops of a seed.

        The latent of a window that overlaps two loops is on the arc between theirs. Every step keeps the noise of its loop.
        """
        size = self._model.info.steps
        starts = window_starts(steps, size)
        latents, noise = seed_noise(self._model, seed, -(-starts[-1] // size) + 1)
        positions = [divmod(start, size) for start in starts]
        targets = [latents[n] if not rest else slerp(latents[n], latents[n + 1], [rest / size])[0] for n, rest in positions]
        return Target(np.stack(targets), cut_windows(np.concatenate(noise), steps, size), None)

    def morph(self, first: Grid, last: Grid, decoded: tuple[Grid, Grid, Grid], position: float) -> Grid:
        return latent_morph(first, last, decoded, position)

    def continue_from(self, grid: Grid, count: int, seed: int, amount: float, temperature: float, conditioning: Conditioning) -> list[Grid]:
        """Decodes a random walk: each latent is on the arc from the previous one to a new draw, `amount` of the way.

        A hit changes where the decoding differs from the decoding of the given loop; hits that stay keep their velocity and offset.
        Only the given loop is read, not the loops before it.
        """
        start = self._model.encode(grid_to_groove(grid)[None])[0]  # (1, Z)
        draws, noise = seed_noise(self._model, seed, count)
        path = [start]
        for draw in draws:
            path.append(slerp_pairs(path[-1], draw[None], amount))
        latents = np.concatenate([start] * count + path[1:])  # (2 count, Z)
        thresholds = hit_thresholds(self._model.info, temperature)
        loops = self._model.decode(latents, np.tile(noise, (2, 1, 1)), temperature, thresholds=thresholds)
        decoded = [groove_to_grid(loop) for loop in loops]
        pairs = zip(decoded[:count], decoded[count:], strict=True)
        return [latent_morph(grid, grid, (before, after, before), 0.0) for before, after in pairs]

    def _encode(self, loops: Array, windows: Windows, temperature: float, generator: np.random.Generator) -> Array:
        """Returns latents (B, Z): the means, or samples around them above temperature 0."""
        mean, std = self._model.encode(loops)
        draws = windows.per_window(generator.standard_normal, self._model.info.latent_size)
        return np.asarray(mean + np.float32(temperature) * std * draws)

    def _translate(
        self,
        loops: Array,
        windows: Windows,
        seed: int,
        temperature: float,
        hit_values: Array | None = None,
        hit_mask: Array | None = None,
    ) -> Array:
        """Encodes windows (B, S, 27) and returns the grooves (B, S, 27) decoded from their latents."""
        generator = np.random.default_rng(seed)
        latent = self._encode(loops, windows, temperature, generator)
        noise = windows.per_step(generator.random, VOICE_COUNT)
        return self._model.decode(latent, noise, temperature, hit_values, hit_mask, hit_thresholds(self._model.info, temperature))
