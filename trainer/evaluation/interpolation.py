"""A model and pairs of windows in, how evenly it leads from one to the other out, and whether the ends are what went in.

P pairs, S steps. Distances are counts: of cells of hits that differ, for melodies of steps.
"""

import numpy as np
from numpy.typing import NDArray

from drumvae.inference.engine import Engine
from drumvae.music.encoding import MELODY_CLASSES, MELODY_FIRST_PITCH
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.util.progress import watched

from .bootstrap import Sums, Values, ratio
from .features import pairs_of_bars
from .hits import Cells, hit_cells
from .table import Table, Tallies, TaskScores
from .windows import Numbers, Windows

PAIRS, LOOPS = 64, 9
PAIR_SEED = 0
_SAME = 1e-4  # a value may differ by this much for having been computed in another batch
_ABOUT = (
    f"{LOOPS} loops along the arc between two mean latents, each pair from two takes. Step: distance between neighbours over that of the"
    " ends (1/8 is even, 1 is a jump); path: their sum; monotone: pairs that never turn back; middle: against the ends."
)


def score_interpolation(engine: Engine, split: Windows, pairs: int = PAIRS) -> TaskScores:
    """Scores the paths between pairs of windows, beside a cut from one window to the other and cells switched one after the other."""
    tallies = Tallies(split.take_count)
    chosen = draw_pairs(split.takes, pairs, np.random.default_rng(PAIR_SEED))
    for first, last in watched(chosen, "Interpolating", len(chosen)):
        ends = split.loops(np.array([first, last]))
        path = engine.interpolate(ends[0], ends[1], LOOPS)
        exact = np.abs(engine.reconstruct(ends) - path[[0, -1]]).max() <= _SAME
        paths = {"model": path, "a cut in the middle": cut(ends, LOOPS), "cells switched one by one": switched(ends, LOOPS, int(first))}
        for system, loops in paths.items():
            sums = path_sums(loops, ends) | {"exact": float(exact) if system == "model" else np.nan}
            tallies.add(system, {name: np.array([value]) for name, value in sums.items()}, split.takes[[first]])
    facts = {"pairs": len(chosen), "loops": LOOPS, "pair_seed": PAIR_SEED}
    return TaskScores({"paths": Table(_ABOUT, tallies.rows(path_figures))}, facts)


def draw_pairs(takes: Numbers, count: int, draw: np.random.Generator) -> Numbers:
    """Returns places (P, 2) of two windows of different takes each, or of any two where there is one take."""
    pairs = draw.integers(len(takes), size=(count, 2))
    if len(set(takes.tolist())) > 1:
        for pair in pairs:
            while takes[pair[0]] == takes[pair[1]]:
                pair[1] = draw.integers(len(takes))
    return pairs


def cut(ends: Array, count: int) -> Array:
    """Returns `count` loops: the first of two for the first half, then the other."""
    return np.asarray(ends[(np.arange(count) >= count / 2).astype(int)])


def switched(ends: Array, count: int, seed: int) -> Array:
    """Returns `count` loops on the way between two, in which steps and voices change over one after the other, in a drawn order."""
    shape = hit_cells(ends[0]).shape if ends.ndim == 3 else ends[0].shape
    moments = np.random.default_rng(seed).random(shape) * (count - 1)
    if ends.ndim == 3:
        moments = np.tile(moments, 3)  # a cell's velocity and offset change with its hit
    changed = np.arange(count).reshape(-1, *[1] * moments.ndim) > moments
    return np.asarray(np.where(changed, ends[1], ends[0]))


def path_sums(loops: Array, ends: Array) -> dict[str, float]:
    """Returns what `path_figures` needs of one path (loops along it, the two windows that it should join)."""
    found, wanted = _cells(loops), _cells(ends)
    whole = float(_differing(loops[:1], loops[-1:])[0])
    steps = _differing(loops[1:], loops[:-1])
    away, left = _differing(loops, loops[:1]), _differing(loops, loops[-1:])
    reached = found[[0, -1]]
    share = {"largest": steps.max() / whole, "path": steps.sum() / whole} if whole else {"largest": 0.0, "path": 0.0}
    return share | {
        "pairs": 1.0,
        "moving": float(whole > 0),
        "monotone": float(whole > 0 and (np.diff(away) >= 0).all() and (np.diff(left) <= 0).all()),
        "matched": float((reached & wanted).sum()),
        "written_and_true": float(reached.sum() + wanted.sum()),
        "middle_hits": float(found[len(found) // 2].sum()),
        "end_hits": float(reached.sum() / 2),
        "middle_similarity": float(_similarity(found[[len(found) // 2]])[0]),
        "end_similarity": float(_similarity(reached).mean()),
    }


def path_figures(sums: Sums) -> Sums:
    """Returns means over pairs; the first three over pairs whose ends differ."""
    return {
        "largest_step": ratio(sums["largest"], sums["moving"]),
        "path_length": ratio(sums["path"], sums["moving"]),
        "monotone": ratio(sums["monotone"], sums["moving"]),
        "ends_exact": ratio(sums["exact"], sums["pairs"]),
        "ends_f1": ratio(sums["matched"] * 2, sums["written_and_true"]),
        "middle_hits_ratio": ratio(sums["middle_hits"], sums["end_hits"]),
        "middle_similarity_ratio": ratio(sums["middle_similarity"], sums["end_similarity"]),
    }


def _cells(loops: Array) -> Cells:
    """Returns what sounds in loops: hits (n, S, 9), or onsets by pitch (n, S, 90)."""
    if loops.ndim == 3:
        return hit_cells(loops)
    onsets: NDArray[np.bool_] = (loops[..., None] == np.arange(MELODY_CLASSES)) & (loops[..., None] >= MELODY_FIRST_PITCH)
    return onsets


def _differing(loops: Array, others: Array) -> Values:
    """Returns the distances (n,) of loops from others, of which there may be one."""
    different = (hit_cells(loops) != hit_cells(others)) if loops.ndim == 3 else (loops != others)[..., None]
    return np.asarray(different.sum(axis=(1, 2)), np.float64)


def _similarity(cells: Cells) -> Values:
    return pairs_of_bars(cells.reshape(len(cells), cells.shape[1] // STEPS_PER_BAR, -1))
