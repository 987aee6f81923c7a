"""Runs the graphs of a bundle with ONNX Runtime, without torch.

B loops, S steps, Z latent size. A loop is a groove tensor (S, 27), or the classes (S,) of a melody, always as float32.
"""

import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np

from ..bundle.format import BundleInfo, default_bundle, read_bundle, shape_of
from ..bundle.schema import DECODER, ENCODER, TAP_MODEL
from ..music.grid import Array
from ..music.sampling import MIN_TEMPERATURE
from ..util.errors import BundleError
from .providers import candidates, provider_reason
from .session import Session, open_session

NO_CONDITIONING: Mapping[str, Array] = MappingProxyType({})
_NEUTRAL_NOISE = np.float32(0.5)
_MAX_BATCH = 256  # loops in one run of a graph; larger batches take more memory and no less time per loop
_TIMED_RUNS, _MAX_TIMING_S = 5, 0.15  # for measuring a provider, after one warm-up run
_TIMED_BATCH = 64  # loops in a timed run where all cores may work


class Graphs(NamedTuple):
    """Holds the sessions of a bundle's graphs, by file name, opened on one provider."""

    sessions: Mapping[str, Session]
    provider: str


class OnnxModel:
    """Encodes and decodes loops with a bundle's graphs, and falls back to the CPU where another provider fails.

    Thread-safe: no.
    Realtime-safe: no.
    """

    def __init__(self, info: BundleInfo, graphs: Graphs, fallback: Graphs | None = None, reason: str = "") -> None:
        """Takes open graphs; `fallback` replaces them after a failure, and `reason` is a sentence that explains the provider."""
        self.info, self.graphs, self.provider_reason = info, graphs, reason
        self._fallback = fallback
        self._notice: str | None = None

    @classmethod
    def load(cls, bundle: Path | None = None, provider: str = "auto", threads: int = 1) -> Self:
        """Opens a bundle folder.

        Args:
            bundle: The folder; by default the bundle that ships with the package.
            provider: One of `drumvae.inference.providers.PROVIDERS`. "auto" times a few runs on each that works here and keeps the fastest.
            threads: Threads of a run: 1 for a live session, 0 for all cores.

        If a run on another provider fails, it is repeated on the CPU, and all later runs use the CPU. Its graphs are opened here too.

        Raises:
            BundleError: The bundle is not valid, or the provider is missing on this machine.
        """
        folder = bundle or default_bundle()
        info = read_bundle(folder)
        names = candidates(provider)
        cpu = Graphs({name: open_session(folder, name, info, "cpu", threads) for name in info.graphs}, "cpu")
        if names == ("cpu",):
            return cls(info, cpu, reason=provider_reason("cpu", {}, provider))
        opened = {"cpu": (cpu, _seconds_per_loop(info, cpu, threads))} if provider == "auto" else {}
        for name in names:
            with suppress(BundleError) if provider == "auto" else nullcontext():
                if name != "cpu":
                    opened[name] = _open_and_time(folder, info, name, threads)
        fastest = min(opened, key=lambda name: opened[name][1])
        reason = provider_reason(fastest, {name: seconds for name, (_, seconds) in opened.items()}, provider)
        return cls(info, opened[fastest][0], None if fastest == "cpu" else cpu, reason)

    @property
    def provider(self) -> str:
        """The provider that runs the graphs now."""
        return self.graphs.provider

    def pop_notice(self) -> str | None:
        """Returns a sentence once after the model fell back to the CPU, else None."""
        notice, self._notice = self._notice, None
        return notice

    @property
    def loop_shape(self) -> tuple[int, ...]:
        """The shape of one loop: (S, 27), or (S,) of a melody."""
        (letters,) = self.info.graphs[ENCODER][0].values()
        return shape_of(letters, self.info, 0)[1:]

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of the noise of one loop: (S, 9), or (S,) of a melody."""
        return shape_of(self.info.graphs[DECODER][0]["noise"], self.info, 0)[1:]

    def encode(self, loops: Array) -> tuple[Array, Array]:
        """Returns mean and standard deviation of the latents, each (B, Z), of groove tensors (B, S, 27) or melody classes (B, S)."""
        if loops.shape[1:] != self.loop_shape:
            raise BundleError(
                f"This bundle reads loops of shape {self.loop_shape}, not {loops.shape[1:]}; pass loops of that shape, or choose another."
            )
        mean, std = self._run(ENCODER, dict.fromkeys(self.info.graphs[ENCODER][0], loops), len(loops))
        return mean, std

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
        conditioning: Mapping[str, Array] = NO_CONDITIONING,
    ) -> Array:
        """Decodes latents into groove tensors (B, S, 27) or melody classes (B, S).

        A first axis of 1 in any input but the noise is repeated for all B loops. A graph that separates draws from conditions
        then computes the conditions once.

        Args:
            latent: Latents (B, Z).
            noise: Uniform in [0, 1), (B, S, 9) or for melodies (B, S); decides each draw.
            temperature: Spread of the draws. Below `MIN_TEMPERATURE` the result is the most likely loop and the noise is ignored.
            hit_values: Hits (B, S, 9), kept where `hit_mask` is 1; drums only.
            hit_mask: 0 or 1, (B, S, 9).
            thresholds: Probability from which a hit is written, (9,); by default the bundle's.
            teacher_target: Loops that are fed back where `teacher_forcing` is 1; 1 everywhere is teacher forcing.
            teacher_forcing: 0 or 1, (B, S).
            conditioning: Further inputs of a drummer's decoder by their names in the schema; a missing one counts as unknown.

        Raises:
            BundleError: The graph cannot run.
            ValueError: A temperature without noise.
        """
        if temperature < MIN_TEMPERATURE:
            temperature = MIN_TEMPERATURE
            noise = None if noise is None else np.full(noise.shape, _NEUTRAL_NOISE)
        elif noise is None:
            raise ValueError(f"a temperature of {temperature:g} needs noise to draw with")
        values = {
            "latent": latent,
            "noise": noise,
            "temperature": np.full(1, temperature, np.float32),
            "thresholds": np.array(self.info.thresholds if thresholds is None else thresholds, np.float32),
            "hit_values": hit_values,
            "hit_mask": hit_mask,
            "teacher_target": teacher_target,
            "teacher_forcing": teacher_forcing,
            **conditioning,
        }
        count = len(latent) if noise is None else len(noise)
        session = self.graphs.sessions[DECODER]
        feeds = {name: self._filled(name, values.get(name), count if name in session.per_draw else len(latent)) for name in session.inputs}
        (loops,) = self._run(DECODER, feeds, count)
        return loops

    def hit_probability(self, tap: Array, bpm: Array | None = None, style: Array | None = None) -> Array:
        """Returns the probability of every hit, (B, S, 9) in (0, 1), for taps (B, S, 3), tempi (B,) and styles (B, T).

        A tempo or style of 0 is unknown, which is the default.
        """
        unknown = np.zeros((len(tap), 1 + len(self.info.styles)), np.float32)
        conditioning = {"bpm": unknown[:, 0] if bpm is None else bpm, "style": unknown[:, 1:] if style is None else style}
        (probability,) = self._run(TAP_MODEL, {"tap": tap, **conditioning}, len(tap))
        return probability

    def _run(self, graph: str, feeds: dict[str, Array], count: int) -> list[Array]:
        """Runs a graph; after a failure on another provider, runs it on the CPU and stays there."""
        try:
            return self._run_batches(graph, feeds, count)
        except BundleError as error:
            if not self._fallback:
                raise
            self._notice = f"The model failed on {self.provider} and runs on the CPU from now on. {error}"
            self.graphs, self._fallback = self._fallback, None
            return self._run_batches(graph, feeds, count)

    def _run_batches(self, graph: str, feeds: dict[str, Array], count: int) -> list[Array]:
        """Runs a graph on any number of loops, in batches of at most `_MAX_BATCH`."""
        session = self.graphs.sessions[graph]
        shapes, outputs = self.info.graphs[graph]
        if not count:  # ONNX Runtime crashes on an empty batch
            return [np.zeros(shape_of(letters, self.info, 0), np.float32) for letters in outputs.values()]
        batched = {name for name, value in feeds.items() if shapes[name].is_batched and len(value) == count}
        runs = []
        for first in range(0, count, _MAX_BATCH):
            batch = slice(first, first + _MAX_BATCH)
            runs.append(session.run({name: value[batch] if name in batched else value for name, value in feeds.items()}))
        results = [np.concatenate(parts) for parts in zip(*runs, strict=True)] if len(runs) > 1 else runs[0]
        for (name, letters), result in zip(outputs.items(), results, strict=True):
            if result.shape != shape_of(letters, self.info, count):
                raise BundleError(f"{graph} violates the schema: its output {name} has the shape {result.shape}. Export it again.")
        return results

    def _filled(self, name: str, value: Array | None, rows: int) -> Array:
        """Returns an input of the decoder with a row for each loop; a missing one is filled with its neutral value."""
        tensor = self.info.graphs[DECODER].inputs[name]
        shape = shape_of(tensor, self.info, rows)
        if value is None:
            return np.full(shape, tensor.default, np.float32)
        return np.broadcast_to(value, shape) if len(value) == 1 < rows else value


def _open_and_time(folder: Path, info: BundleInfo, provider: str, threads: int) -> tuple[Graphs, float]:
    """Opens the graphs on a provider, and times a run: some faults, such as a missing cuDNN, show only then."""
    others = {name: open_session(folder, name, info, provider, threads) for name in info.graphs if name != DECODER}
    if provider == "cuda":
        with suppress(BundleError):  # a decoder that cannot be captured runs uncaptured
            captured = Graphs({**others, DECODER: open_session(folder, DECODER, info, provider, threads, capture=True)}, provider)
            return captured, _seconds_per_loop(info, captured, threads)
    graphs = Graphs({**others, DECODER: open_session(folder, DECODER, info, provider, threads)}, provider)
    return graphs, _seconds_per_loop(info, graphs, threads)


def _seconds_per_loop(info: BundleInfo, graphs: Graphs, threads: int) -> float:
    """Runs every graph once, and returns the least time of a few runs of the decoder, per loop, in seconds."""
    model = OnnxModel(info, graphs)
    loops = np.zeros((1 if threads == 1 else _TIMED_BATCH, *model.loop_shape), np.float32)
    model.decode(model.encode(loops)[0])  # warm-up
    if TAP_MODEL in info.graphs:
        model.hit_probability(loops[..., :3])
    latent = np.zeros((len(loops), info.latent_size), np.float32)
    start_s = time.perf_counter()
    runs_s: list[float] = []
    while not runs_s or (len(runs_s) < _TIMED_RUNS and time.perf_counter() - start_s < _MAX_TIMING_S):
        run_s = time.perf_counter()
        model.decode(latent)
        runs_s.append(time.perf_counter() - run_s)
    return min(runs_s) / len(loops)
