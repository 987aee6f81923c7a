"""Windows and their labels in, what a drummer is shown and what it should play out. NumPy; every draw comes from the place in a step.

n windows, S steps, V = 9 voices, Z latent size, T styles, R bars.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.inputs import tap_of

from ..data.augment import draw_left_out, drop_notes, scale_velocities, shift_timing
from ..data.labels import Labels, WindowLabels
from .config import TrainConfig
from .vae_batches import BLOCK

T = TypeVar("T")

KINDS = ("humanize", "drumify", "infill", "continue", "generate", "reconstruct")
"""What a lesson can be about."""
PARTS = 3
"""Parts of the rhythms that are read; a reader of taps learns from one of them, so that not all of them learn the same.

In the first, every window is drawn as often as any other; in the last, every take, however few windows it has; the others are between.
"""
_TEMPO_TOLD = 0.9
"""How often readers of taps are told the tempo, which a stage always knows."""


class DrummerBatch(NamedTuple, Generic[T]):
    """Holds a batch of lessons, in arrays or in tensors."""

    target: T
    """What should be played; (n, S, 27)."""
    read: T
    """What the encoder reads, where it reads; (n, S, 27)."""
    has_latent: T
    """1 where the encoder reads; (n,)."""
    hit_mask: T
    """1 where hits are shown; (n, S, V)."""
    expression_mask: T
    """1 where it is shown how they are played; (n, S, V)."""
    tap: T
    """The loop as it would be tapped; (n, S, 3)."""
    has_tap: T
    """1 where that is shown; (n,)."""
    style: T
    """(n, T)."""
    bpm: T
    """0 where it is not told; (n,)."""
    density: T
    """Hits a bar, 0 where it is not told; (n,)."""
    fill: T
    """0 where it is not told; (n, R)."""
    noise: T
    """Standard normal, for the draw of the latent; (n, Z)."""
    rhythm: T
    """What readers of taps read, a tap of other windows than the rest of the lesson; (n, S, 3)."""
    expected: T
    """The hits that it was tapped of; (n, S, V)."""
    rhythm_style: T
    """(n, T)."""
    rhythm_bpm: T
    """0 where it is not told; (n,)."""
    part: T
    """Which of the readers read it, of `PARTS`; (n,)."""


class BatchBuilder:
    """Draws lessons from a corpus."""

    def __init__(
        self, config: TrainConfig, labeller: WindowLabels, loops: Callable[[NDArray[np.int64]], Array], windows: NDArray[np.int64]
    ) -> None:
        """`windows` (n,) are all that there are to learn from."""
        self._config, self._labeller, self._loops, self._windows = config, labeller, loops, windows
        crowd = labeller.windows_per_take(windows).astype(np.float64)
        self._chances = [np.cumsum(crowd ** -(part / (PARTS - 1))) for part in range(PARTS)]

    def lesson(self, windows: NDArray[np.int64], seed: int, step: int, first: int) -> DrummerBatch[Array]:
        """Returns the lesson of windows that stand at places `first` and up of a step; the same for the same seed, step and place."""
        drawn: list[DrummerBatch[Array]] = []
        place, end = first, first + len(windows)
        while place < end:
            block = place // BLOCK
            inside = slice(place % BLOCK, min(end - block * BLOCK, BLOCK))
            padded = np.full(BLOCK, windows[0])
            padded[inside] = windows[place - first : place - first + inside.stop - inside.start]
            whole = self._block(padded, np.random.default_rng([seed, step, block]))
            drawn.append(DrummerBatch(*(array[inside] for array in whole)))
            place += inside.stop - inside.start
        return DrummerBatch(*(np.concatenate(arrays) for arrays in zip(*drawn, strict=True)))

    def _block(self, windows: NDArray[np.int64], random: np.random.Generator) -> DrummerBatch[Array]:
        config, count = self._config, len(windows)
        noise = random.standard_normal((count, config.model.latent_size), np.float32)
        shares = [getattr(config, f"{kind}_share") for kind in KINDS[:-1]]
        kind = np.searchsorted(np.cumsum(shares), random.random(count), "right")
        target, labels = self._played(windows, kind, random)
        has_latent = (kind == KINDS.index("reconstruct")).astype(np.float32)
        hit_mask, expression_mask = _shown(kind, target, random)
        has_tap = (kind == KINDS.index("drumify")).astype(np.float32)
        tap = self._tapped(target, random)
        kept = random.random((*target.shape[:2], VOICE_COUNT)) >= config.input_hit_drop
        read = np.asarray(target * np.tile(kept, 3) * has_latent[:, None, None], np.float32)
        style, bpm, density, fill = _told(target, labels, random, config.conditions_keep)
        rhythm = self._rhythm(count, random)
        return DrummerBatch(target, read, has_latent, hit_mask, expression_mask, tap, has_tap, style, bpm, density, fill, noise, *rhythm)

    def _rhythm(self, count: int, random: np.random.Generator) -> tuple[Array, Array, Array, Array, Array]:
        """Returns what readers of taps read and should expect, the styles and tempi that they are told, and which of them read it."""
        part = np.arange(count) % PARTS
        chances = random.random(count)
        drawn = [np.searchsorted(self._chances[p], chance * self._chances[p][-1], "right") for p, chance in zip(part, chances, strict=True)]
        loops, labels = self._played(self._windows[drawn], np.full(count, KINDS.index("drumify")), random)
        style = labels.style * (random.random((count, 1)) < self._config.taps_styled)
        bpm = labels.bpm * (random.random(count) < _TEMPO_TOLD)
        tap, hits = self._tapped(loops, random), loops[..., :VOICE_COUNT]
        return tap, hits, np.asarray(style, np.float32), np.asarray(bpm, np.float32), np.asarray(part, np.float32)

    def _tapped(self, loops: Array, random: np.random.Generator) -> Array:
        """Returns taps of loops; some miss hits."""
        config = self._config
        thinned = random.random((len(loops), 1, 1)) < config.taps_thinned
        return tap_of(np.where(thinned, drop_notes(loops, random, config.tap_dropout), loops))

    def _played(self, windows: NDArray[np.int64], kind: NDArray[np.int64], random: np.random.Generator) -> tuple[Array, Labels]:
        """Returns windows as they are played this time; the second half of some comes from elsewhere in the take."""
        config = self._config
        loops, labels = self._loops(windows), self._labeller.for_windows(windows)
        others = self._labeller.same_take(windows, random.random(len(windows), np.float32))
        mixed = (random.random(len(windows)) < config.mixed_halves) & (kind != KINDS.index("generate"))
        half = loops.shape[1] // 2
        loops = np.where(mixed[:, None, None] & (np.arange(loops.shape[1]) >= half)[:, None], self._loops(others), loops)
        bars = labels.fill.shape[1]
        fill = np.where(mixed[:, None] & (np.arange(bars) >= bars // 2), self._labeller.for_windows(others).fill, labels.fill)
        if config.velocity_scaling:
            loops = scale_velocities(loops, random, config.velocity_scaling)
        if config.timing_shift:
            loops = shift_timing(loops, random, config.timing_shift)
        return loops, labels._replace(fill=fill)


def _shown(kind: NDArray[np.int64], target: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Returns which hits are shown and of which it is shown how they are played, each (n, S, V)."""
    count, steps = target.shape[:2]
    left_out = np.maximum(draw_left_out(random, target), random.random((count, VOICE_COUNT)) < random.random((count, 1)) * 0.4)
    kept = np.broadcast_to(1 - left_out[:, None], (count, steps, VOICE_COUNT))
    bars = steps // STEPS_PER_BAR
    until = random.integers(1, bars, count) * STEPS_PER_BAR
    begun = np.broadcast_to((np.arange(steps) < until[:, None])[..., None], kept.shape)
    hit_mask, expression_mask = np.zeros(kept.shape, np.float32), np.zeros(kept.shape, np.float32)
    for name, hits, feel in (("humanize", np.ones_like(kept), None), ("infill", kept, kept), ("continue", begun, begun)):
        mine = kind == KINDS.index(name)
        hit_mask[mine] = hits[mine]
        if feel is not None:
            expression_mask[mine] = feel[mine]
    return hit_mask, expression_mask


def _told(target: Array, labels: Labels, random: np.random.Generator, keep: float) -> tuple[Array, Array, Array, Array]:
    """Returns style, tempo, density and fills, each left out of some windows, and all of them of some."""
    count = len(target)
    told = (random.random((4, count)) < keep) & (random.random(count) < 0.85)
    bars = target.shape[1] // STEPS_PER_BAR
    density = target[..., :VOICE_COUNT].sum(axis=(1, 2)) / bars * np.exp(0.1 * random.standard_normal(count))
    told[1] |= random.random(count) < 0.5  # the tempo is what a stage always knows
    return (
        np.asarray(labels.style * told[0][:, None], np.float32),
        np.asarray(labels.bpm * told[1], np.float32),
        np.asarray(density * told[2], np.float32),
        np.asarray(labels.fill * told[3][:, None], np.float32),
    )
