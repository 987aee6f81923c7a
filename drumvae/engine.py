"""Grids and a seed in, Grids out: the exported model behind musical verbs, run by ONNX Runtime. No torch."""

import math
from pathlib import Path

import numpy as np

from .bundle import DECODER, ENCODER, BundleInfo, default_bundle, read_bundle
from .errors import BundleError
from .grid import Array, Grid
from .kit import VOICES
from .runtime import Session, choose_provider, open_session
from .tensors import GROOVE_SIZE, grid_to_groove, groove_to_grid

_EVEN = np.float32(0.5)
_COLDEST = 1e-3  # below this temperature every likelier hit is taken, and nothing is left to chance


class Engine:
    """Plays an exported model. The same seed gives the same loop; one thread at a time may call a verb."""

    def __init__(self, info: BundleInfo, encoder: Session, decoder: Session, provider: str) -> None:
        self.info = info
        self.tasks = info.tasks
        self.provider = provider
        self._encoder, self._decoder = encoder, decoder

    @classmethod
    def load(cls, bundle: Path | None = None, provider: str = "auto", threads: int = 1) -> "Engine":
        """Opens a bundle folder, by default the model that ships.

        `provider` is "auto" (CUDA where it works), "cuda" or "cpu"; `threads` is 1 on stage and 0 for every core. Raises
        BundleError where the bundle is not whole or the provider is absent.
        """
        folder = bundle or default_bundle()
        info = read_bundle(folder)
        chosen = choose_provider(provider)
        try:
            return cls._opened(folder, info, chosen, threads)
        except BundleError:
            if provider != "auto" or chosen == "cpu":
                raise
            return cls._opened(folder, info, "cpu", threads)

    @classmethod
    def _opened(cls, folder: Path, info: BundleInfo, provider: str, threads: int) -> "Engine":
        """Opens both graphs; on CUDA they must also run once, because what it lacks (cuDNN) may show only then."""
        encoder, decoder = (open_session(folder, name, info, provider, threads) for name in (ENCODER, DECODER))
        engine = cls(info, encoder, decoder, provider)
        if provider != "cpu":
            silence = np.zeros((1, info.steps, GROOVE_SIZE), np.float32)
            engine.decode(engine.encode(silence)[0], np.full((1, info.steps, len(VOICES)), _EVEN, np.float32))
        return engine

    def generate(self, seed: int, temperature: float | None = None, count: int = 1) -> list[Grid]:
        """Returns new loops; the n-th loop of a seed is the same whatever the count.

        `temperature` spreads the hits: 0 takes the likeliest, 1 samples as trained; by default the bundle's own.
        """
        self._need("generate")
        temperature = self.info.temperature if temperature is None else temperature
        _check_draws(seed, temperature)
        if count < 1:
            raise BundleError(f"{count} loops were asked for; ask for one at least.")
        draws = [np.random.default_rng([seed, index]) for index in range(count)]
        latent = np.stack([draw.standard_normal(self.info.latent_size, np.float32) for draw in draws])
        noise = np.stack([draw.random((self.info.steps, len(VOICES)), np.float32) for draw in draws])
        return [groove_to_grid(groove) for groove in self.decode(latent, noise, temperature, thresholds=self._thresholds(temperature))]

    def humanize(self, grid: Grid, amount: float = 1.0, seed: int = 0, temperature: float = 0.0) -> Grid:
        """Returns the same hits with new velocities and offsets, moved from the given ones by `amount`, 0 to 1.

        `temperature` 0 plays the likeliest feel; above it, the seed draws another one around it. A grid that is longer than
        a loop is played loop by loop; a shorter one as the beginning of a loop.
        """
        self._need("humanize")
        if not 0 <= amount <= 1:
            raise BundleError(f"An amount of {amount:g} was asked for; it goes from 0 (as played) to 1 (as the model plays).")
        _check_draws(seed, temperature)
        if not grid.steps:
            return grid
        size = self.info.steps
        parts = [grid.window(first, size) for first in range(0, grid.steps, size)]
        plain = np.stack([grid_to_groove(Grid(part.hits, part.hits * 0, part.hits * 0)) for part in parts])
        mean, scale = self.encode(plain)
        draw = np.random.default_rng(seed)
        latent = mean + np.float32(temperature) * scale * draw.standard_normal(mean.shape, np.float32)
        hits = np.stack([part.hits for part in parts])
        grooves = self.decode(latent, np.full_like(hits, _EVEN), 1.0, hits, np.ones_like(hits))
        played = groove_to_grid(np.concatenate(grooves)[: grid.steps])
        return grid.blended(Grid(grid.hits, played.velocities, played.offsets), amount)

    def encode(self, grooves: Array) -> tuple[Array, Array]:
        """Returns mean and standard deviation of the latents, each (B, Z), of groove tensors (B, S, 27)."""
        mean, scale = self._encoder.run({"groove": grooves})
        return mean, scale

    def decode(
        self,
        latent: Array,
        noise: Array,
        temperature: float = 1.0,
        locked_hits: Array | None = None,
        locked: Array | None = None,
        thresholds: Array | None = None,
    ) -> Array:
        """Returns groove tensors (B, S, 27) written from latents (B, Z).

        `noise` (B, S, 9), uniform in [0, 1), decides the hits; 0.5 takes those likelier than their threshold. Where `locked`
        (B, S, 9) is 1, `locked_hits` (B, S, 9) are kept. `thresholds` (9,) are by default the bundle's.
        """
        nothing = np.zeros_like(noise)
        if temperature < _COLDEST:
            temperature, noise = 1.0, np.full_like(noise, _EVEN)
        feeds = {
            "latent": latent,
            "noise": noise,
            "temperature": np.full(len(latent), temperature, np.float32),
            "thresholds": np.array(self.info.thresholds if thresholds is None else thresholds, np.float32),
            "locked_hits": nothing if locked_hits is None else locked_hits,
            "locked": nothing if locked is None else locked,
        }
        (groove,) = self._decoder.run(feeds)
        return groove

    def _thresholds(self, temperature: float) -> Array:
        """Returns thresholds (9,): the calibrated ones for the likeliest hits, even ones at temperature 1, where chance keeps density."""
        odds = np.array(self.info.thresholds, np.float32)
        log_odds = np.log(odds / (1 - odds)) * max(0.0, 1 - temperature)
        return np.asarray(1 / (1 + np.exp(-log_odds)), np.float32)

    def _need(self, task: str) -> None:
        if task not in self.tasks:
            raise BundleError(f"This bundle cannot {task}; it can {' and '.join(self.tasks)}. Choose one of these, or another bundle.")


def _check_draws(seed: int, temperature: float) -> None:
    if seed < 0 or not 0 <= temperature < math.inf:
        raise BundleError(f"Seed {seed} and temperature {temperature:g} were asked for; both begin at 0.")
