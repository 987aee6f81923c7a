"""Compares two sets of loops that should be the same: of two machines, of two backends, or of two precisions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..music.encoding import VOICE_COUNT
from ..music.grid import Array


@dataclass(frozen=True)
class LoopDifference:
    """Says how far loops are from the expected ones.

    >>> same = np.zeros((1, 16, 27), np.float32)
    >>> compare_loops(same, same)
    LoopDifference(loops_differing=0, steps_differing=0, hits_differing=0, hits=0, value=0.0)
    """

    loops_differing: int = 0
    steps_differing: int = 0
    hits_differing: int = 0
    """Cells (loop, step, voice) whose hit differs, or steps of a melody whose class does."""
    hits: int = 0
    """Hits of the expected loops, or steps of melodies."""
    value: float = 0.0
    """Largest absolute difference of a value, up to the first step that differs: after it, another loop follows."""

    def __add__(self, other: "LoopDifference") -> "LoopDifference":
        """Returns the difference over the loops of both: counts add up, and the larger value stays."""
        return LoopDifference(
            self.loops_differing + other.loops_differing,
            self.steps_differing + other.steps_differing,
            self.hits_differing + other.hits_differing,
            self.hits + other.hits,
            float(np.maximum(self.value, other.value)),  # which keeps a NaN
        )


def compare_loops(expected: Array, found: Array, counted: NDArray[np.bool_] | None = None) -> LoopDifference:
    """Compares groove tensors (B, S, 27) or melody classes (B, S), on the steps where `counted` (B, S) is True, by default on all."""
    hits = hits_of(expected)
    counted = np.ones(hits.shape[:2], np.bool_) if counted is None else counted
    differing = (hits != hits_of(found)) & counted[..., None]
    steps = differing.any(axis=2)
    same = counted & ~np.logical_or.accumulate(steps, axis=1)
    return LoopDifference(
        loops_differing=int(steps.any(axis=1).sum()),
        steps_differing=int(steps.sum()),
        hits_differing=int(differing.sum()),
        hits=int((hits > 0).sum()) if expected.ndim == 3 else hits.size,
        value=float(np.abs(found - expected)[same].max(initial=0)),
    )


def hits_of(loops: Array) -> Array:
    """Returns the values that must be identical: the hits (B, S, 9) of grooves, or the classes (B, S, 1) of melodies."""
    return loops[..., :VOICE_COUNT] if loops.ndim == 3 else loops[..., None]
