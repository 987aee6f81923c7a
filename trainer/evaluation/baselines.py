"""Makes trivial predictions from training statistics: the baselines that a model has to beat.

n windows, S steps. Loops are groove tensors (n, S, 27) or melody classes (n, S).
"""

from collections.abc import Callable

import numpy as np

from drumvae.music.encoding import VOICE_COUNT, groove_to_arrays
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.inputs import tapped_hits

from .bootstrap import FloatArray, IntArray, ratio
from .marginals import BINS, Marginals, most_likely

Predictor = Callable[[Array, IntArray], Array]
"""Takes the true windows and their indices in the split, returns a prediction of each."""


def silence(true: Array, _: IntArray) -> Array:
    """Predicts no hit and no note."""
    return np.zeros_like(true)


def first_bar_repeated(true: Array, _: IntArray) -> Array:
    """Predicts the first bar for every bar; the first bar itself is therefore right."""
    bars = true.shape[1] // STEPS_PER_BAR
    return np.concatenate([true[:, :STEPS_PER_BAR]] * bars, axis=1)


def true_bar_before(true: Array, _: IntArray) -> Array:
    """Predicts the true bar before for every bar, and silence for the first: the baseline of teacher forcing."""
    return np.concatenate([np.zeros_like(true[:, :STEPS_PER_BAR]), true[:, :-STEPS_PER_BAR]], axis=1)


def constant(groove: Array) -> Predictor:
    """Returns a predictor of the same groove (S, 27) for every window."""
    return lambda true, _: np.broadcast_to(groove, true.shape)


def template(hits: Array, marginals: Marginals) -> Array:
    """Returns the groove (S, 27) of some hits (S, 9), each with the mean velocity and offset of its cell."""
    return to_groove(hits, *marginals.cell_means())


def to_groove(hits: Array, velocities: Array, offsets: Array) -> Array:
    """Returns groove tensors (..., S, 27) of hits (..., S, 9), with broadcastable velocities and offsets in tensor units."""
    return np.concatenate([hits, hits * velocities, hits * offsets], axis=-1, dtype=np.float32)


def expression_baselines(marginals: Marginals) -> dict[str, Predictor]:
    """Returns predictors of velocity and timing for given hits: quantised, constant, mean of the cell, and drawn by voice."""
    velocity, offset = marginals.mean_hit()
    shape = (marginals.hits.shape[0], VOICE_COUNT)
    flat, straight, late = (np.full(shape, value, np.float32) for value in (velocity, 0, offset))
    return {
        "quantised, mean velocity": lambda true, _: to_groove(_hits(true), flat, straight),
        "mean offset, mean velocity": lambda true, _: to_groove(_hits(true), flat, late),
        "means by step and voice": lambda true, _: to_groove(_hits(true), *marginals.cell_means()),
        "drawn from the voice's training hits": _drawn_expression(marginals),
    }


def _drawn_expression(marginals: Marginals) -> Predictor:
    """Returns a predictor that draws velocity and offset of every hit independently from the training hits of its voice."""
    cdfs = [_cdf(bins) for bins in (marginals.velocity_bins, marginals.offset_bins)]

    def predict(true: Array, indices: IntArray) -> Array:
        rng = np.random.default_rng([1, int(indices[0])])
        velocity, offset = (_draw_values(cdf, true.shape[:2], rng) for cdf in cdfs)
        return to_groove(_hits(true), velocity, 2 * offset - 1)

    return predict


def _cdf(bins: FloatArray) -> FloatArray:
    """Returns cumulative distributions (9, bins); uniform for a voice without hits."""
    return np.cumsum(ratio(bins, bins.sum(axis=1, keepdims=True), 1 / bins.shape[1]), axis=1)


def _draw_values(cdf: FloatArray, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Returns values in [0, 1), (n, S, 9): a bin drawn from its distribution and a uniform position within it."""
    uniform = rng.random((*shape, VOICE_COUNT))
    bins = np.stack([np.searchsorted(cdf[v], uniform[..., v], "right") for v in range(VOICE_COUNT)], axis=-1)
    return np.asarray((np.minimum(bins, BINS - 1) + rng.random(bins.shape)) / BINS, np.float32)


def tap_on_commonest_voice(marginals: Marginals) -> Predictor:
    """Returns a predictor that puts each tap on the voice that is tapped most on its step in training."""
    commonest = np.eye(VOICE_COUNT, dtype=np.float32)[marginals.tapped.argmax(axis=1)]  # (S, 9)
    return lambda true, _: copied_tap(true, commonest)


def template_at_taps(marginals: Marginals) -> Predictor:
    """Returns a predictor of the most likely hits of each tapped step, with the velocity and offset of the tap."""
    taps = marginals.tapped.sum(axis=1, keepdims=True)  # (S, 1)
    hits = most_likely(ratio(marginals.hits, taps, 0.0), taps)
    return lambda true, _: copied_tap(true, hits)


def copied_tap(true: Array, hits: Array) -> Array:
    """Returns grooves (n, S, 27) of those hits (..., S, 9) that are on tapped steps, with the velocity and offset of the tap."""
    taken = tapped_hits(true)
    tap = [(block * taken).sum(axis=-1, keepdims=True) for block in np.split(true, 3, axis=-1)]  # (n, S, 1)
    return to_groove(np.asarray(tap[0] * hits, np.float32), tap[1], tap[2])


def independent_cells(marginals: Marginals, count: int, rng: np.random.Generator) -> Array:
    """Returns grooves (count, S, 27) with every cell drawn independently from its training probability, mean and std."""
    shape = (count, *marginals.hits.shape)
    hits = (rng.random(shape) < marginals.probabilities).astype(np.float32)
    velocities, offsets = (
        mean + std * rng.standard_normal(shape, np.float32) for mean, std in zip(marginals.cell_means(), marginals.cell_stds(), strict=True)
    )
    return to_groove(hits, np.clip(velocities, 0, 1), np.clip(offsets, -1, 1))


def _hits(true: Array) -> Array:
    return groove_to_arrays(true)[0]
