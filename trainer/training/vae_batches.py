"""Windows in, what a model is asked and what it should answer out. NumPy; every draw comes from the window's place in its step.

n windows, S steps, Z latent size. Loops are groove tensors (n, S, 27) or melody classes (n, S).
"""

from typing import NamedTuple

import numpy as np

from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.music.inputs import to_tap, without_feel, without_voices

from ..data.augment import draw_left_out, drop_notes, scale_velocities, shift_timing
from .config import TrainConfig

BLOCK = 32
"""Windows that share a generator: a process draws for its own part of a step, and gets what one process would have drawn there."""


class Example(NamedTuple):
    """Holds a batch of questions and answers."""

    heard: Array
    """What the encoder reads; loops."""
    target: Array
    """What should be written; loops."""
    given: Array
    """1 where a window's hits are given beforehand (humanize); (n,)."""
    noise: Array
    """Standard normal, for the draw of the latent; (n, Z)."""
    chances: Array
    """Uniform in [0, 1): whether a step sees what the model wrote, and nine draws of what that is; (n, S, 10), or (n, 0, 10)."""


def draw_example(config: TrainConfig, loops: Array, seed: int, step: int, first: int) -> Example:
    """Returns the example of some windows that stand at places `first` and up of a step of the optimiser.

    The same seed, step and place give the same example, whichever process asks and however a step is divided.
    """
    drawn: list[Example] = []
    place, end = first, first + len(loops)
    while place < end:
        block = place // BLOCK
        inside = slice(place % BLOCK, min(end - block * BLOCK, BLOCK))
        count = inside.stop - inside.start
        padded = np.zeros((BLOCK, *loops.shape[1:]), np.float32)
        padded[inside] = loops[place - first : place - first + count]
        whole = _draw_block(config, padded, np.random.default_rng([seed, step, block]))
        drawn.append(Example(*(array[inside] for array in whole)))
        place += count
    return Example(*(np.concatenate(arrays) for arrays in zip(*drawn, strict=True)))


def _draw_block(config: TrainConfig, loops: Array, random: np.random.Generator) -> Example:
    noise = random.standard_normal((len(loops), config.model.latent_size), np.float32)
    chances = random.random((len(loops), config.model.steps if config.scheduled_sampling else 0, VOICE_COUNT + 1), np.float32)
    if config.model.encoding == "melody":
        return Example(loops, loops, np.zeros(len(loops), np.float32), noise, chances)
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
        _with_hits_missed(target, random, config.input_hit_drop),
    ]
    heard = np.stack(views)[task, np.arange(len(loops))]
    return Example(heard, target, (task == 0).astype(np.float32), noise, chances)


def _with_hits_missed(groove: Array, random: np.random.Generator, share: float) -> Array:
    kept = random.random((*groove.shape[:2], VOICE_COUNT)) >= share
    return np.asarray(groove * np.tile(kept, 3), np.float32)


def view_for(task: str, loops: Array) -> tuple[Array, Array]:
    """Returns what the encoder reads of loops for a task, without chance, and 1 in the cells (n, S, 9) that are given beforehand.

    To infill, each window lacks one of its voices, the same at every call with the same windows.
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
