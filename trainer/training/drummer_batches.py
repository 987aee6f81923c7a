"""Builds the training batches of a drummer: windows, the inputs that each task gives to the model, and taps for the tap model.

Only NumPy is needed. All random numbers are seeded by the position of a window in its step of the optimizer.
n windows, S steps, V = 9 voices, Z latent size, T styles, R bars.
"""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.inputs import tap_of

from ..data.augment import draw_left_out, drop_notes, scale_velocities, shift_timing
from ..data.labels import Labels, WindowLabels
from .config import TrainConfig
from .vae_batches import BLOCK, blocks

T = TypeVar("T")

TASKS = ("humanize", "drumify", "infill", "continue", "generate", "reconstruct")
"""All training tasks. Each has a share in the configuration; the last one has the rest."""
TAP_GROUPS = 3
"""Groups of taps. Each member of the tap ensemble trains on one group only, so that the members differ.

In the first group all windows are equally likely. In the last group all takes are equally likely, whatever their number of windows. The
groups in between are weighted accordingly.
"""
_CONDITIONED = 0.85
"""Share of the windows that have any conditions other than the tempo."""
_TEMPO_KNOWN = 0.5
"""Additional probability that a window has its tempo, which is always known in a live session."""
_TAP_TEMPO_KNOWN = 0.9
"""Share of the taps with a tempo."""


class TapBatch(NamedTuple, Generic[T]):
    """Taps for the tap model, from other windows than the rest of the batch."""

    tap: T
    """(n, S, 3)."""
    hits: T
    """The hits to predict; (n, S, V)."""
    style: T
    """One-hot, all 0 if unknown; (n, T)."""
    bpm: T
    """Beats a minute, 0 if unknown; (n,)."""
    group: T
    """The group of each tap, from 0 to TAP_GROUPS - 1; (n,)."""


class DrummerBatch(NamedTuple, Generic[T]):
    """A batch of windows with the model's inputs, in arrays or tensors."""

    target: T
    """The loops to predict; (n, S, 27)."""
    view: T
    """The loops that the encoder reads if the window has a latent, else 0; (n, S, 27)."""
    noise: T
    """Standard normal noise of the latent sample; (n, Z)."""
    inputs: dict[str, T]
    """The decoder's conditioning inputs by their names in the bundle's schema, as in `drumvae.models.drummer.Conditioning`; (n, ...)."""
    taps: TapBatch[T]


def map_batches(function: Callable[..., Any], *batches: Any) -> Any:
    """Returns a batch whose arrays are `function` of the corresponding arrays of all batches.

    >>> map_batches(lambda a, b: a + b, {"x": 1}, {"x": 2})
    {'x': 3}
    """
    first = batches[0]
    if isinstance(first, dict):
        return {name: map_batches(function, *(batch[name] for batch in batches)) for name in first}
    if isinstance(first, tuple):
        return type(first)(*(map_batches(function, *fields) for fields in zip(*batches, strict=True)))
    return function(*batches)


class BatchBuilder:
    """Builds the batches of a training run."""

    def __init__(
        self, config: TrainConfig, labels: WindowLabels, loops: Callable[[NDArray[np.int64]], Array], windows: NDArray[np.int64]
    ) -> None:
        """Prepares to draw taps from the training windows.

        Args:
            config: The configuration of the run.
            labels: The labels of all windows of the corpus.
            loops: Returns groove tensors (n, S, 27) of windows (n,).
            windows: The indices of all training windows.
        """
        self._config, self._labels, self._loops, self._windows = config, labels, loops, windows
        per_take = labels.windows_per_take(windows).astype(np.float64)
        self._cumulative_weights = [np.cumsum(per_take ** -(group / (TAP_GROUPS - 1))) for group in range(TAP_GROUPS)]

    def build(self, windows: NDArray[np.int64], seed: int, step: int, first: int) -> DrummerBatch[Array]:
        """Returns the batch of windows at positions `first` and up in a step of the optimizer.

        The same seed, step and position give the same result, however a step is divided among processes and micro-batches.

        Args:
            windows: The indices of the windows, (n,).
            seed: The seed of the run.
            step: The step of the optimizer, from 0.
            first: The position of the first window in the step.
        """
        parts: list[DrummerBatch[Array]] = []
        for rows, block, inside in blocks(first, len(windows)):
            padded = np.full(BLOCK, windows[0])
            padded[inside] = windows[rows]
            whole = self._build_block(padded, np.random.default_rng([seed, step, block]))
            parts.append(map_batches(lambda array, inside=inside: array[inside], whole))
        result: DrummerBatch[Array] = map_batches(lambda *arrays: np.concatenate(arrays), *parts)
        return result

    def _build_block(self, windows: NDArray[np.int64], random: np.random.Generator) -> DrummerBatch[Array]:
        config, count = self._config, len(windows)
        noise = random.standard_normal((count, config.model.latent_size), np.float32)
        shares = [getattr(config, f"{task}_share") for task in TASKS[:-1]]
        task = np.searchsorted(np.cumsum(shares), random.random(count), "right")
        target, labels = self._augment(windows, task, random)
        has_latent = (task == TASKS.index("reconstruct")).astype(np.float32)
        hit_mask, expression_mask = _draw_masks(task, target, random)
        has_tap = (task == TASKS.index("drumify")).astype(np.float32)
        tap = self._taps(target, random)
        kept = random.random((*target.shape[:2], VOICE_COUNT)) >= config.input_hit_drop
        view = np.asarray(target * np.tile(kept, 3) * has_latent[:, None, None], np.float32)
        conditions = _draw_conditions(target, labels, random, config.conditions_keep)
        inputs = given_inputs(target, hit_mask, expression_mask)
        inputs |= {"has_latent": has_latent, "tap": tap, "has_tap": has_tap} | conditions
        return DrummerBatch(target, view, noise, inputs, self._tap_batch(count, random))

    def _tap_batch(self, count: int, random: np.random.Generator) -> TapBatch[Array]:
        group = np.arange(count) % TAP_GROUPS
        uniform = random.random(count)
        weights = [self._cumulative_weights[number] for number in group]
        drawn = [np.searchsorted(each, value * each[-1], "right") for each, value in zip(weights, uniform, strict=True)]
        loops, labels = self._augment(self._windows[drawn], np.full(count, TASKS.index("drumify")), random)
        style = labels.style * (random.random((count, 1)) < self._config.taps_styled)
        bpm = labels.bpm * (random.random(count) < _TAP_TEMPO_KNOWN)
        batch = (self._taps(loops, random), loops[..., :VOICE_COUNT], style, bpm, group)
        return TapBatch(*(np.asarray(array, np.float32) for array in batch))

    def _taps(self, loops: Array, random: np.random.Generator) -> Array:
        """Returns taps of loops, some of them without all hits."""
        config = self._config
        thinned = random.random((len(loops), 1, 1)) < config.taps_thinned
        return tap_of(np.where(thinned, drop_notes(loops, random, config.tap_dropout), loops))

    def _augment(self, windows: NDArray[np.int64], task: NDArray[np.int64], random: np.random.Generator) -> tuple[Array, Labels]:
        """Returns augmented windows and their labels; some windows get the second half of another window of their take."""
        config = self._config
        loops, labels = self._loops(windows), self._labels.for_windows(windows)
        others = self._labels.same_take(windows, random.random(len(windows), np.float32))
        mixed = (random.random(len(windows)) < config.mixed_halves) & (task != TASKS.index("generate"))
        half = loops.shape[1] // 2
        loops = np.where(mixed[:, None, None] & (np.arange(loops.shape[1]) >= half)[:, None], self._loops(others), loops)
        bars = labels.fill.shape[1]
        fill = np.where(mixed[:, None] & (np.arange(bars) >= bars // 2), self._labels.for_windows(others).fill, labels.fill)
        if config.velocity_scaling:
            loops = scale_velocities(loops, random, config.velocity_scaling)
        if config.timing_shift:
            loops = shift_timing(loops, random, config.timing_shift)
        return loops, labels._replace(fill=fill)


def given_inputs(target: Any, hit_mask: Any, expression_mask: Any) -> dict[str, Any]:
    """Returns the decoder inputs that are masked parts of the target, in arrays or tensors.

    Args:
        target: The loops, (n, S, 27).
        hit_mask: 1 in the cells whose hits are given, (n, S, V).
        expression_mask: 1 in the cells whose velocity and offset are given, (n, S, V).
    """
    count, steps = target.shape[:2]
    expression = target[..., VOICE_COUNT:].reshape(count, steps, 2, VOICE_COUNT) * expression_mask[:, :, None]
    return {
        "hit_values": target[..., :VOICE_COUNT] * hit_mask,
        "hit_mask": hit_mask,
        "expression": expression.reshape(count, steps, 2 * VOICE_COUNT),
        "expression_mask": expression_mask,
    }


def _draw_masks(task: NDArray[np.int64], target: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Returns 1 in the cells whose hits are given, and in those whose velocity and offset are given too, each (n, S, V)."""
    count, steps = target.shape[:2]
    left_out = np.maximum(draw_left_out(random, target), random.random((count, VOICE_COUNT)) < random.random((count, 1)) * 0.4)
    kept = np.broadcast_to(1 - left_out[:, None], (count, steps, VOICE_COUNT))
    bars = steps // STEPS_PER_BAR
    end = random.integers(1, bars, count) * STEPS_PER_BAR
    beginning = np.broadcast_to((np.arange(steps) < end[:, None])[..., None], kept.shape)
    hit_mask, expression_mask = np.zeros(kept.shape, np.float32), np.zeros(kept.shape, np.float32)
    for name, hits, expression in (("humanize", np.ones_like(kept), None), ("infill", kept, kept), ("continue", beginning, beginning)):
        selected = task == TASKS.index(name)
        hit_mask[selected] = hits[selected]
        if expression is not None:
            expression_mask[selected] = expression[selected]
    return hit_mask, expression_mask


def _draw_conditions(target: Array, labels: Labels, random: np.random.Generator, keep: float) -> dict[str, Array]:
    """Returns the conditions of windows; a dropped condition is 0."""
    count, bars = len(target), target.shape[1] // STEPS_PER_BAR
    density = target[..., :VOICE_COUNT].sum(axis=(1, 2)) / bars
    values = {"style": labels.style, "bpm": labels.bpm, "density": density, "fill": labels.fill}
    kept = dict(zip(values, (random.random((len(values), count)) < keep) & (random.random(count) < _CONDITIONED), strict=True))
    values["density"] = density * np.exp(0.1 * random.standard_normal(count))  # a request is never exact
    kept["bpm"] |= random.random(count) < _TEMPO_KNOWN
    return {name: np.asarray((value.T * kept[name]).T, np.float32) for name, value in values.items()}
