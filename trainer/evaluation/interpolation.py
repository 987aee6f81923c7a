"""Scores interpolations between pairs of windows: how even the path is, and whether its ends are the windows.

P pairs, S steps. Distances are counts of cells that differ in their hits; for melodies, of steps.
"""

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import MELODY_CLASSES, MELODY_FIRST_PITCH
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.util.progress import watched

from .bootstrap import FloatArray, IntArray, Mask, Sums, ratio
from .features import bar_similarity
from .hits import hit_mask
from .table import Table, Tallies, TaskScores
from .windows import Windows

PAIRS, LOOPS = 64, 9
PAIR_SEED = 0
_TOLERANCE = 1e-4  # of a value that is computed in another batch
_ABOUT = (
    f"{LOOPS} loops along the arc between two mean latents, each pair from two takes. Largest step and path length: distances between"
    " neighbouring loops, as ratios to the distance of the ends (an even path has steps of 1/8, a cut one step of 1). Monotone: pairs"
    " whose path never turns back. Middle: ratio of the middle loop to the ends."
)


def score_interpolation(engine: Engine, split: Windows, pairs: int = PAIRS) -> TaskScores:
    """Scores paths between pairs of windows, beside a cut between them and a path that switches cells in random order."""
    tallies = Tallies(split.take_count)
    chosen = draw_pairs(split.takes, pairs, np.random.default_rng(PAIR_SEED))
    for first, last in watched(chosen, "Interpolating", len(chosen)):
        ends = split.loops(np.array([first, last]))
        path = engine.interpolate(ends[0], ends[1], LOOPS)
        exact = np.abs(engine.reconstruct(ends) - path[[0, -1]]).max() <= _TOLERANCE
        paths = {"model": path, "a cut in the middle": cut(ends, LOOPS), "cells switched one by one": switched(ends, LOOPS, int(first))}
        for system, loops in paths.items():
            sums = path_sums(loops, ends) | {"exact": float(exact) if system == "model" else np.nan}
            tallies.add(system, {name: np.array([value]) for name, value in sums.items()}, split.takes[[first]])
    facts = {"pairs": len(chosen), "loops": LOOPS, "pair_seed": PAIR_SEED}
    return TaskScores({"paths": Table(_ABOUT, tallies.rows(path_metrics))}, facts)


def draw_pairs(takes: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """Returns indices (P, 2) of two windows of different takes, or of any two windows if there is one take."""
    pairs = rng.integers(len(takes), size=(count, 2))
    if len(set(takes.tolist())) > 1:
        for pair in pairs:
            while takes[pair[0]] == takes[pair[1]]:
                pair[1] = rng.integers(len(takes))
    return pairs


def cut(ends: Array, count: int) -> Array:
    """Returns `count` loops: the first of two for the first half, then the other."""
    return np.asarray(ends[(np.arange(count) >= count / 2).astype(int)])


def switched(ends: Array, count: int, seed: int) -> Array:
    """Returns `count` loops between two, along which cells (for melodies steps) switch one after another, in random order."""
    shape = hit_mask(ends[0]).shape if ends.ndim == 3 else ends[0].shape
    switch_at = np.random.default_rng(seed).random(shape) * (count - 1)
    if ends.ndim == 3:
        switch_at = np.tile(switch_at, 3)  # a cell's velocity and offset switch with its hit
    has_switched = np.arange(count).reshape(-1, *[1] * switch_at.ndim) > switch_at
    return np.asarray(np.where(has_switched, ends[1], ends[0]))


def path_sums(loops: Array, ends: Array) -> dict[str, float]:
    """Returns the sums of one path for `path_metrics`, from the loops along it and the two windows that it connects."""
    cells, wanted = _cells(loops), _cells(ends)
    whole = float(_distances(loops[:1], loops[-1:])[0])
    steps = _distances(loops[1:], loops[:-1])
    from_start, to_end = _distances(loops, loops[:1]), _distances(loops, loops[-1:])
    path_ends = cells[[0, -1]]
    shares = {"largest": steps.max() / whole, "path": steps.sum() / whole} if whole else {"largest": 0.0, "path": 0.0}
    return shares | {
        "pairs": 1.0,
        "moving": float(whole > 0),
        "monotone": float(whole > 0 and (np.diff(from_start) >= 0).all() and (np.diff(to_end) <= 0).all()),
        "matched": float((path_ends & wanted).sum()),
        "predicted_and_true": float(path_ends.sum() + wanted.sum()),
        "middle_hits": float(cells[len(cells) // 2].sum()),
        "end_hits": float(path_ends.sum() / 2),
        "middle_similarity": float(_bar_similarity(cells[[len(cells) // 2]])[0]),
        "end_similarity": float(_bar_similarity(path_ends).mean()),
    }


def path_metrics(sums: Sums) -> Sums:
    """Returns means over pairs; the first three over pairs whose ends differ."""
    return {
        "largest_step": ratio(sums["largest"], sums["moving"]),
        "path_length": ratio(sums["path"], sums["moving"]),
        "monotone": ratio(sums["monotone"], sums["moving"]),
        "ends_exact": ratio(sums["exact"], sums["pairs"]),
        "ends_f1": ratio(sums["matched"] * 2, sums["predicted_and_true"]),
        "middle_hits_ratio": ratio(sums["middle_hits"], sums["end_hits"]),
        "middle_similarity_ratio": ratio(sums["middle_similarity"], sums["end_similarity"]),
    }


def _cells(loops: Array) -> Mask:
    """Returns hits (n, S, 9) of grooves, or onsets by pitch (n, S, 90) of melodies."""
    if loops.ndim == 3:
        return hit_mask(loops)
    return np.asarray((loops[..., None] == np.arange(MELODY_CLASSES)) & (loops[..., None] >= MELODY_FIRST_PITCH))


def _distances(loops: Array, others: Array) -> FloatArray:
    """Returns the distances (n,) between loops and others, which may be a single one."""
    different = (hit_mask(loops) != hit_mask(others)) if loops.ndim == 3 else (loops != others)[..., None]
    return np.asarray(different.sum(axis=(1, 2)), np.float64)


def _bar_similarity(cells: Mask) -> FloatArray:
    return bar_similarity(cells.reshape(len(cells), cells.shape[1] // STEPS_PER_BAR, -1))
