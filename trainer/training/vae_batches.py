"""Builds the training batches of the LSTM models, and the input views of all tasks. Only NumPy is needed.

All random numbers are seeded by the position of a window in its step of the optimizer.
n windows, S steps, Z latent size. Loops are groove tensors (n, S, 27) or melody classes (n, S).
"""

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.music.inputs import to_tap, without_feel, without_voices

from ..data.augment import draw_left_out, drop_notes, scale_velocities, shift_timing
from .config import TrainConfig

T = TypeVar("T")

BLOCK = 32
"""Windows that share a generator, so that several processes together draw the same numbers as one process."""


class VAEBatch(NamedTuple, Generic[T]):
    """A batch of windows with the random numbers of its training step, in arrays or tensors."""

    view: T
    """Loops that the encoder reads."""
    target: T
    """Loops that the decoder should reconstruct."""
    given: T
    """1 for a window whose hits are given to the decoder (humanize), else 0; (n,)."""
    noise: T
    """Standard normal noise of the latent sample; (n, Z)."""
    uniform: T
    """Uniform in [0, 1), for scheduled sampling: one choice and nine samples for each step; (n, S, 10), or (n, 0, 10) without it."""


def build_vae_batch(config: TrainConfig, loops: Array, seed: int, step: int, first: int) -> VAEBatch[Array]:
    """Returns the batch of windows at positions `first` and up in a step of the optimizer.

    The same seed, step and position give the same result, however a step is divided among processes and micro-batches.

    Args:
        config: The configuration of the run.
        loops: The windows, (n, S, 27) or (n, S).
        seed: The seed of the run.
        step: The step of the optimizer, from 0.
        first: The position of the first window in the step.
    """
    parts: list[VAEBatch[Array]] = []
    for rows, block, inside in blocks(first, len(loops)):
        padded = np.zeros((BLOCK, *loops.shape[1:]), np.float32)
        padded[inside] = loops[rows]
        whole = _build_block(config, padded, np.random.default_rng([seed, step, block]))
        parts.append(VAEBatch(*(array[inside] for array in whole)))
    return VAEBatch(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def blocks(first: int, count: int) -> Iterator[tuple[slice, int, slice]]:
    """Yields for each block of the positions `first` to `first + count`: its rows in the batch, its number, and its part of the block.

    >>> list(blocks(30, 4))
    [(slice(0, 2, None), 0, slice(30, 32, None)), (slice(2, 4, None), 1, slice(0, 2, None))]
    """
    position, end = first, first + count
    while position < end:
        block = position // BLOCK
        inside = slice(position % BLOCK, min(end - block * BLOCK, BLOCK))
        size = inside.stop - inside.start
        yield slice(position - first, position - first + size), block, inside
        position += size


def _build_block(config: TrainConfig, loops: Array, random: np.random.Generator) -> VAEBatch[Array]:
    noise = random.standard_normal((len(loops), config.model.latent_size), np.float32)
    uniform = random.random((len(loops), config.model.steps if config.scheduled_sampling else 0, VOICE_COUNT + 1), np.float32)
    if config.model.encoding == "melody":
        return VAEBatch(loops, loops, np.zeros(len(loops), np.float32), noise, uniform)
    target = loops
    if config.velocity_scaling:
        target = scale_velocities(target, random, config.velocity_scaling)
    if config.timing_shift:
        target = shift_timing(target, random, config.timing_shift)
    task = np.searchsorted(
        np.cumsum([config.humanize_share, config.drumify_share, config.infill_share]), random.random(len(loops)), "right"
    )
    views = [
        without_feel(target),
        to_tap(drop_notes(target, random, config.tap_dropout)) if config.drumify_share else target,
        without_voices(target, draw_left_out(random, target)) if config.infill_share else target,
        _drop_input_hits(target, random, config.input_hit_drop),
    ]
    view = np.stack(views)[task, np.arange(len(loops))]
    return VAEBatch(view, target, (task == 0).astype(np.float32), noise, uniform)


def _drop_input_hits(groove: Array, random: np.random.Generator, share: float) -> Array:
    kept = random.random((*groove.shape[:2], VOICE_COUNT)) >= share
    return np.asarray(groove * np.tile(kept, 3), np.float32)


def view_for(task: str, loops: Array) -> tuple[Array, Array]:
    """Returns the input loops of a task, without randomness, and a mask (n, S, 9) that is 1 in the cells whose hits the task gives.

    The infill task removes one voice from each window; the same windows always lose the same voices.
    """
    if task == "reconstruct":
        return loops, np.zeros((*loops.shape[:2], VOICE_COUNT), np.float32)
    if task == "humanize":
        return without_feel(loops), np.ones((*loops.shape[:2], VOICE_COUNT), np.float32)
    if task == "drumify":
        return to_tap(loops), np.zeros((*loops.shape[:2], VOICE_COUNT), np.float32)
    left_out = draw_left_out(np.random.default_rng(0), loops)
    kept = np.broadcast_to(1 - left_out[:, None], (*loops.shape[:2], VOICE_COUNT))
    return without_voices(loops, left_out), np.asarray(kept, np.float32)
