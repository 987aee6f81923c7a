"""Loops as arrays in, latents out, and back: the two graphs of a bundle, run by ONNX Runtime. No torch.

B loops, S steps, Z latent size. A loop is a groove tensor (S, 27), or the classes (S,) of a melody, always as float32.
"""

from pathlib import Path
from typing import Self

import numpy as np

from .bundle import DECODER, ENCODER, GRAPHS, OPTIONAL, BundleInfo, default_bundle, read_bundle, shape_of
from .errors import BundleError
from .grid import Array
from .runtime import Session, choose_provider, open_session

COLDEST = 1e-3
"""The temperature below which what is likeliest is written, whatever the noise."""
_EVEN = np.float32(0.5)
_AT_ONCE = 256  # loops in one run of a graph: more take more memory and no less time each


class Codec:
    """Encodes and decodes loops; one thread at a time may call it."""

    def __init__(self, info: BundleInfo, encoder: Session, decoder: Session, provider: str) -> None:
        self.info = info
        self.tasks, self.encoding, self.steps = info.tasks, info.encoding, info.steps
        self.provider = provider
        self._encoder, self._decoder = encoder, decoder

    @classmethod
    def load(cls, bundle: Path | None = None, provider: str = "auto", threads: int = 1) -> Self:
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
    def _opened(cls, folder: Path, info: BundleInfo, provider: str, threads: int) -> Self:
        """Opens both graphs; on CUDA they must also run once, because what it lacks (cuDNN) may show only then."""
        encoder, decoder = (open_session(folder, name, info, provider, threads) for name in (ENCODER, DECODER))
        codec = cls(info, encoder, decoder, provider)
        if provider != "cpu":
            codec.decode(codec.encode(np.zeros((1, *codec.loop_shape), np.float32))[0])
        return codec

    @property
    def loop_shape(self) -> tuple[int, ...]:
        """The shape of one loop: (S, 27), or (S,) of a melody."""
        (letters,) = GRAPHS[self.encoding][ENCODER][0].values()
        return shape_of(letters, self.info, 0)[1:]

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of what one loop is drawn with: (S, 9), or (S,) of a melody."""
        return shape_of(GRAPHS[self.encoding][DECODER][0]["noise"], self.info, 0)[1:]

    @property
    def can_force(self) -> bool:
        """Whether `decode` can be shown a true loop step by step; the first bundles of drums that were exported cannot."""
        return self._decoder.inputs >= set(OPTIONAL)

    def encode(self, loops: Array) -> tuple[Array, Array]:
        """Returns mean and standard deviation of the latents, each (B, Z), of groove tensors (B, S, 27) or melody classes (B, S)."""
        if loops.shape[1:] != self.loop_shape:
            raise BundleError(
                f"This bundle reads loops of shape {self.loop_shape}, not {loops.shape[1:]}; give it such, or choose another."
            )
        mean, scale = self._run(ENCODER, dict.fromkeys(GRAPHS[self.encoding][ENCODER][0], loops), len(loops))
        return mean, scale

    def decode(
        self,
        latent: Array,
        noise: Array | None = None,
        temperature: float = 0.0,
        locked_hits: Array | None = None,
        locked: Array | None = None,
        thresholds: Array | None = None,
        known: Array | None = None,
        forced: Array | None = None,
    ) -> Array:
        """Returns groove tensors (B, S, 27) or melody classes (B, S), written from latents (B, Z).

        `noise`, uniform in [0, 1), (B, S, 9) or for melodies (B, S), decides what is drawn; a `temperature` below `COLDEST`
        needs none and writes what is likeliest. Drums only: where `locked` (B, S, 9) is 1, `locked_hits` (B, S, 9) are kept;
        `thresholds` (9,) are by default the bundle's. Where `forced` (B, S) is 1, the next step sees that step of the loops
        `known` instead of the one written here: 1 everywhere is teacher forcing, which needs `can_force`.
        """
        if forced is not None and not self.can_force:
            raise BundleError("This bundle cannot be shown a true loop step by step; export its run again with drumvae-export onnx.")
        if temperature < COLDEST:
            temperature, noise = COLDEST, None
        elif noise is None:
            raise ValueError(f"a temperature of {temperature:g} needs noise to draw with")
        given = {
            "latent": latent,
            "noise": noise,
            "temperature": np.full(len(latent), temperature, np.float32),
            "thresholds": np.array(self.info.thresholds if thresholds is None else thresholds, np.float32),
            "locked_hits": locked_hits,
            "locked": locked,
            "known": known,
            "forced": forced,
        }
        (loops,) = self._run(DECODER, {name: self._filled(name, given[name], len(latent)) for name in self._decoder.inputs}, len(latent))
        return loops

    def _run(self, graph: str, feeds: dict[str, Array], count: int) -> list[Array]:
        """Runs a graph on any number of loops, some at once."""
        session = self._encoder if graph == ENCODER else self._decoder
        shapes, outputs = GRAPHS[self.encoding][graph]
        if not count:  # which ONNX Runtime does not survive
            return [np.zeros(shape_of(letters, self.info, 0), np.float32) for letters in outputs.values()]
        runs = []
        for first in range(0, count, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            runs.append(session.run({name: value[part] if shapes[name][0] == "B" else value for name, value in feeds.items()}))
        return [np.concatenate(parts) for parts in zip(*runs, strict=True)] if len(runs) > 1 else runs[0]

    def _filled(self, name: str, value: Array | None, count: int) -> Array:
        """Returns an input of the decoder, or what stands for nothing in its place."""
        if value is not None:
            return value
        shape = shape_of(GRAPHS[self.encoding][DECODER][0][name], self.info, count)
        return np.full(shape, _EVEN if name == "noise" else 0, np.float32)
