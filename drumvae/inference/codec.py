"""Loops as arrays in, latents out, and back: the graphs of a bundle, run by ONNX Runtime. No torch.

B loops, S steps, Z latent size. A loop is a groove tensor (S, 27), or the classes (S,) of a melody, always as float32.
"""

import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np

from ..bundle.format import DECODER, ENCODER, OPTIONAL, TAP_MODEL, BundleInfo, default_bundle, read_bundle, shape_of
from ..music.grid import Array
from ..util.errors import BundleError
from .providers import candidates
from .session import Session, open_session

NO_CONDITIONS: Mapping[str, Array] = MappingProxyType({})
MIN_TEMPERATURE = 1e-3
"""The temperature below which what is likeliest is written, whatever the noise."""
_EVEN = np.float32(0.5)
_AT_ONCE = 256  # loops in one run of a graph: more take more memory and no less time each
_RUNS, _LONGEST_S = 5, 0.15  # by which a provider is measured, after one run that warms it up
_BATCH = 64  # loops in such a run where every core may work


class Graphs(NamedTuple):
    """Holds the graphs of a bundle by name, opened on one provider."""

    sessions: Mapping[str, Session]
    provider: str


class Codec:
    """Encodes and decodes loops; one thread at a time may call it."""

    def __init__(self, info: BundleInfo, graphs: Graphs, spare: Graphs | None = None, chosen: str = "") -> None:
        self.info = info
        self.tasks, self.encoding, self.steps, self.styles = info.tasks, info.encoding, info.steps, info.styles
        self._sessions, self.provider = graphs
        """Where it runs now."""
        self.chosen = chosen
        """Why it runs there: a sentence."""
        self._spare = spare
        self._news: str | None = None

    @classmethod
    def load(cls, bundle: Path | None = None, provider: str = "auto", threads: int = 1) -> Self:
        """Opens a bundle folder, by default the model that ships.

        `provider` is one of `drumvae.inference.providers.PROVIDERS`; "auto" takes the fastest, by a few runs of each that is here and
        works. `threads` is 1 on stage and 0 for every core. What is not the CPU has the CPU for a spare: where a run fails, this and
        all further ones happen there. Raises BundleError where the bundle is not whole or the provider is absent.
        """
        folder = bundle or default_bundle()
        info = read_bundle(folder)
        cls = cls.for_bundle(info)
        names = candidates(provider)
        cpu = Graphs({name: open_session(folder, name, info, "cpu", threads) for name in info.graphs}, "cpu")
        if names == ("cpu",):
            return cls(info, cpu, chosen=_why("cpu", {}, provider))
        opened = {"cpu": cls._timed(info, cpu, threads)} if provider == "auto" else {}
        for name in names:
            with suppress(BundleError) if provider == "auto" else nullcontext():
                if name != "cpu":
                    opened[name] = cls._opened(folder, info, name, threads)
        taken = min(opened, key=lambda name: opened[name][1])
        spare = None if taken == "cpu" else cpu
        return cls(info, opened[taken][0], spare, _why(taken, {name: took_s for name, (_, took_s) in opened.items()}, provider))

    @classmethod
    def for_bundle(cls, info: BundleInfo) -> type[Self]:
        """Returns the class that plays such a bundle."""
        return cls

    @classmethod
    def _opened(cls, folder: Path, info: BundleInfo, provider: str, threads: int) -> tuple[Graphs, float]:
        """Opens the graphs, and returns how many seconds a run takes; what a provider lacks, such as cuDNN, may show only then."""
        others = {name: open_session(folder, name, info, provider, threads) for name in info.graphs if name != DECODER}
        if provider == "cuda":
            with suppress(BundleError):  # where it cannot be captured, it runs uncaptured
                captured = open_session(folder, DECODER, info, provider, threads, capture=True)
                return cls._timed(info, Graphs({**others, DECODER: captured}, provider), threads)
        return cls._timed(info, Graphs({**others, DECODER: open_session(folder, DECODER, info, provider, threads)}, provider), threads)

    @classmethod
    def _timed(cls, info: BundleInfo, graphs: Graphs, threads: int) -> tuple[Graphs, float]:
        codec = cls(info, graphs)
        loops = np.zeros((1 if threads == 1 else _BATCH, *codec.loop_shape), np.float32)
        codec.decode(codec.encode(loops)[0])  # warms up, and finds what a provider cannot do
        if TAP_MODEL in info.graphs:
            codec.hit_probability(loops[..., :3])
        began = time.perf_counter()
        took_s: list[float] = []
        while not took_s or (len(took_s) < _RUNS and time.perf_counter() - began < _LONGEST_S):
            at_s = time.perf_counter()
            codec.decode(np.zeros((len(loops), info.latent_size), np.float32))
            took_s.append(time.perf_counter() - at_s)
        return graphs, min(took_s) / len(loops)

    def pop_notice(self) -> str | None:
        """Returns what changed since it was last asked, in a sentence: that it went over to the CPU."""
        news, self._news = self._news, None
        return news

    @property
    def loop_shape(self) -> tuple[int, ...]:
        """The shape of one loop: (S, 27), or (S,) of a melody."""
        (letters,) = self.info.graphs[ENCODER][0].values()
        return shape_of(letters, self.info, 0)[1:]

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of what one loop is drawn with: (S, 9), or (S,) of a melody."""
        return shape_of(self.info.graphs[DECODER][0]["noise"], self.info, 0)[1:]

    @property
    def has_teacher_forcing(self) -> bool:
        """Whether `decode` can be shown a true loop step by step; the first bundles of drums that were exported cannot."""
        return self._sessions[DECODER].inputs >= set(OPTIONAL)

    def encode(self, loops: Array) -> tuple[Array, Array]:
        """Returns mean and standard deviation of the latents, each (B, Z), of groove tensors (B, S, 27) or melody classes (B, S)."""
        if loops.shape[1:] != self.loop_shape:
            raise BundleError(
                f"This bundle reads loops of shape {self.loop_shape}, not {loops.shape[1:]}; give it such, or choose another."
            )
        mean, scale = self._run(ENCODER, dict.fromkeys(self.info.graphs[ENCODER][0], loops), len(loops))
        return mean, scale

    def decode(
        self,
        latent: Array,
        noise: Array | None = None,
        temperature: float = 0.0,
        hit_values: Array | None = None,
        hit_mask: Array | None = None,
        thresholds: Array | None = None,
        teacher_target: Array | None = None,
        teacher_forcing: Array | None = None,
        told: Mapping[str, Array] = NO_CONDITIONS,
    ) -> Array:
        """Returns groove tensors (B, S, 27) or melody classes (B, S), written from latents (B, Z).

        `noise`, uniform in [0, 1), (B, S, 9) or for melodies (B, S), decides what is drawn; a `temperature` below `MIN_TEMPERATURE`
        needs none and writes what is likeliest. Drums only: where `hit_mask` (B, S, 9) is 1, `hit_values` (B, S, 9) are kept;
        `thresholds` (9,) are by default the bundle's. Where `teacher_forcing` (B, S) is 1, the next step sees that step of the loops
        `teacher_target` instead of the one written here: 1 everywhere is teacher forcing, which needs `has_teacher_forcing`. `told`
        holds what else a drummer's decoder reads, by the names of its contract; what is not there is unknown.
        """
        if teacher_forcing is not None and not self.has_teacher_forcing:
            raise BundleError("This bundle cannot be shown a true loop step by step; export its run again with drumvae-export onnx.")
        if temperature < MIN_TEMPERATURE:
            temperature, noise = MIN_TEMPERATURE, None
        elif noise is None:
            raise ValueError(f"a temperature of {temperature:g} needs noise to draw with")
        given = {
            "latent": latent,
            "noise": noise,
            "temperature": np.full(len(latent), temperature, np.float32),
            "thresholds": np.array(self.info.thresholds if thresholds is None else thresholds, np.float32),
            "hit_values": hit_values,
            "hit_mask": hit_mask,
            "teacher_target": teacher_target,
            "teacher_forcing": teacher_forcing,
            "has_latent": np.ones(len(latent), np.float32),
            **told,
        }
        (loops,) = self._run(
            DECODER, {name: self._filled(name, given.get(name), len(latent)) for name in self._sessions[DECODER].inputs}, len(latent)
        )
        return loops

    def hit_probability(self, tap: Array, bpm: Array | None = None, style: Array | None = None) -> Array:
        """Returns how likely a drummer finds hits, (B, S, 9) in (0, 1), for a tap (B, S, 3), at tempi (B,) and in styles (B, T).

        Tempi and styles are unknown where they are 0, and by default.
        """
        unknown = np.zeros((len(tap), 1 + len(self.styles)), np.float32)
        told = {"bpm": unknown[:, 0] if bpm is None else bpm, "style": unknown[:, 1:] if style is None else style}
        (expected,) = self._run(TAP_MODEL, {"tap": tap, **told}, len(tap))
        return expected

    def _run(self, graph: str, feeds: dict[str, Array], count: int) -> list[Array]:
        """Runs a graph, on the CPU where the provider fails: this time and from then on."""
        try:
            return self._ran(graph, feeds, count)
        except BundleError as error:
            if not self._spare:
                raise
            self._news = f"The model failed on {self.provider} and runs on the CPU from now on. {error}"
            self._sessions, self.provider = self._spare
            self._spare = None
            return self._ran(graph, feeds, count)

    def _ran(self, graph: str, feeds: dict[str, Array], count: int) -> list[Array]:
        """Runs a graph on any number of loops, some at once."""
        session = self._sessions[graph]
        shapes, outputs = self.info.graphs[graph]
        if not count:  # which ONNX Runtime does not survive
            return [np.zeros(shape_of(letters, self.info, 0), np.float32) for letters in outputs.values()]
        runs = []
        for first in range(0, count, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            runs.append(session.run({name: value[part] if shapes[name][0] == "B" else value for name, value in feeds.items()}))
        results = [np.concatenate(parts) for parts in zip(*runs, strict=True)] if len(runs) > 1 else runs[0]
        for (name, letters), result in zip(outputs.items(), results, strict=True):
            if result.shape != shape_of(letters, self.info, count):
                raise BundleError(f"{graph} does not keep the contract: it wrote {name} in the shape {result.shape}. Export it again.")
        return results

    def _filled(self, name: str, value: Array | None, count: int) -> Array:
        """Returns an input of the decoder, or what stands for nothing in its place."""
        if value is not None:
            return value
        shape = shape_of(self.info.graphs[DECODER][0][name], self.info, count)
        return np.full(shape, _EVEN if name == "noise" else 0, np.float32)


def _why(taken: str, took_s: dict[str, float], wanted: str) -> str:
    """Returns why a bundle runs where it does, in a sentence."""
    if wanted != "auto":
        return f"{taken}, as asked for"
    if len(took_s) < 2:
        return f"{taken}, which is all that works on this machine"
    figures = ", ".join(f"{1000 * each:.2g} ms on {name}" for name, each in sorted(took_s.items(), key=lambda item: item[1]))
    return f"{taken}, the fastest here: a loop takes {figures}"
