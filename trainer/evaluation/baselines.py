"""Training statistics in, trivial predictions out: what a model must beat to have learned anything.

n windows, S steps. Loops are groove tensors (n, S, 27) or melody classes (n, S).
"""

from collections.abc import Callable

import numpy as np

from drumvae.music.encoding import VOICE_COUNT, groove_to_arrays
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.inputs import tapped_hits

from .bootstrap import Values, ratio
from .marginals import DRAWN_BINS, Marginals, cell_spread, likeliest
from .windows import Numbers

Answer = Callable[[Array, Numbers], Array]
"""Takes true windows and their places in the split, returns what is written for them."""


def silence(true: Array, _: Numbers) -> Array:
    """Writes nothing."""
    return np.zeros_like(true)


def first_bar_repeated(true: Array, _: Numbers) -> Array:
    """Writes the first bar again and again; the first bar itself is therefore right."""
    bars = true.shape[1] // STEPS_PER_BAR
    return np.concatenate([true[:, :STEPS_PER_BAR]] * bars, axis=1)


def true_bar_before(true: Array, _: Numbers) -> Array:
    """Writes in every bar what people played in the bar before, and nothing in the first: what teacher forcing has to beat."""
    return np.concatenate([np.zeros_like(true[:, :STEPS_PER_BAR]), true[:, :-STEPS_PER_BAR]], axis=1)


def always(groove: Array) -> Answer:
    """Returns an answer that is the same groove (S, 27) for every window."""
    return lambda true, _: np.broadcast_to(groove, true.shape)


def template(hits: Array, marginals: Marginals) -> Array:
    """Returns the groove (S, 27) of some hits (S, 9), each with its mean feel."""
    return with_feel(hits, *marginals.mean_feel())


def with_feel(hits: Array, velocities: Array, offsets: Array) -> Array:
    """Returns groove tensors (..., S, 27) of hits (..., S, 9), with velocities and offsets (in tensor units) that fit them."""
    return np.concatenate([hits, hits * velocities, hits * offsets], axis=-1, dtype=np.float32)


def feel_baselines(marginals: Marginals) -> dict[str, Answer]:
    """Returns ways to play given hits: on the grid, at the mean offset, at each cell's mean, and drawn as the voice is played."""
    velocity, offset = marginals.mean_hit()
    shape = (marginals.steps, VOICE_COUNT)
    flat, straight, late = (np.full(shape, value, np.float32) for value in (velocity, 0, offset))
    return {
        "quantised, mean velocity": lambda true, _: with_feel(_hits(true), flat, straight),
        "mean offset, mean velocity": lambda true, _: with_feel(_hits(true), flat, late),
        "means by step and voice": lambda true, _: with_feel(_hits(true), *marginals.mean_feel()),
        "drawn from the voice's training hits": _drawn_feel(marginals),
    }


def _drawn_feel(marginals: Marginals) -> Answer:
    """Returns an answer that draws every hit's velocity and offset by themselves from the training hits of its voice."""
    ceilings = [_ceilings(bins) for bins in (marginals.velocity_bins, marginals.offset_bins)]

    def answer(true: Array, places: Numbers) -> Array:
        draw = np.random.default_rng([1, int(places[0])])
        velocity, offset = (_draw_bins(c, true.shape[:2], draw) for c in ceilings)
        return with_feel(_hits(true), velocity, 2 * offset - 1)

    return answer


def _ceilings(bins: Values) -> Values:
    """Returns cumulative shares (9, bins); of a voice without hits, even ones."""
    return np.cumsum(ratio(bins, bins.sum(axis=1, keepdims=True), 1 / bins.shape[1]), axis=1)


def _draw_bins(ceilings: Values, shape: tuple[int, ...], draw: np.random.Generator) -> Array:
    """Returns values in [0, 1), (n, S, 9), each anywhere in a bin that is drawn by its share."""
    chances = draw.random((*shape, VOICE_COUNT))
    bins = np.stack([np.searchsorted(ceilings[v], chances[..., v], "right") for v in range(VOICE_COUNT)], axis=-1)
    return np.asarray((np.minimum(bins, DRAWN_BINS - 1) + draw.random(bins.shape)) / DRAWN_BINS, np.float32)


def tap_on_commonest_voice(marginals: Marginals) -> Answer:
    """Returns an answer that writes each tap on the voice that is tapped most on its step in training."""
    commonest = np.eye(VOICE_COUNT, dtype=np.float32)[marginals.tapped.argmax(axis=1)]  # (S, 9)
    return lambda true, _: copied_tap(true, commonest)


def template_at_taps(marginals: Marginals) -> Answer:
    """Returns an answer that writes, on tapped steps, the hits that are likeliest there in training, with the tap's feel."""
    taps = marginals.tapped.sum(axis=1, keepdims=True)  # (S, 1)
    hits = likeliest(ratio(marginals.hits, taps, 0.0), taps)
    return lambda true, _: copied_tap(true, hits)


def copied_tap(true: Array, hits: Array) -> Array:
    """Returns grooves (n, S, 27) of the hits (..., S, 9) that fall on tapped steps, each with the velocity and offset of its step's tap."""
    taken = tapped_hits(true)
    tap = [(block * taken).sum(axis=-1, keepdims=True) for block in np.split(true, 3, axis=-1)]  # (n, S, 1)
    return with_feel(np.asarray(tap[0] * hits, np.float32), tap[1], tap[2])


def drawn_cells(marginals: Marginals, count: int, draw: np.random.Generator) -> Array:
    """Returns grooves (count, S, 27) in which every cell is drawn by itself, as often and with such a feel as in training."""
    shape = (count, marginals.steps, VOICE_COUNT)
    hits = (draw.random(shape) < marginals.chances).astype(np.float32)
    velocities, offsets = (
        mean + spread * draw.standard_normal(shape, np.float32)
        for mean, spread in zip(marginals.mean_feel(), cell_spread(marginals), strict=True)
    )
    return with_feel(hits, np.clip(velocities, 0, 1), np.clip(offsets, -1, 1))


def _hits(true: Array) -> Array:
    return groove_to_arrays(true)[0]
