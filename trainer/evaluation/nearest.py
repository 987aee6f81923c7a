"""Finds the training window nearest to each of some queries, block by block, so that the corpus may be larger than memory.

n queries, m training windows, S steps, F numbers that are compared. Distances are squared: between cells of 0 and 1 they count the
cells that differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumvae.music.encoding import MELODY_CLASSES, VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.music.inputs import tap_of

from .bootstrap import IntArray
from .windows import BLOCK, Windows

Key = Callable[[Array], Array]
"""Makes the vectors (m, F) that are compared from loops."""


@dataclass(frozen=True)
class NearestQuery:
    """Holds the vectors whose nearest training windows are wanted."""

    key: Key
    """Makes the vectors of training windows."""
    queries: Array
    """The vectors of the queries; (n, F)."""


@dataclass(frozen=True)
class NearestResult:
    """Holds the nearest training window of each query."""

    indices: IntArray
    """The index of the nearest window among the training windows, the first one on a tie; (n,)."""
    distances: Array
    """Its squared distance; (n,)."""


def find_nearest(train: Windows, searches: Sequence[NearestQuery]) -> list[NearestResult]:
    """Returns the result of several searches in one pass over the training windows; compares two blocks at a time.

    scikit-learn's `pairwise_distances_argmin_min` takes twice as long for a block and specifies no order on a tie.
    """
    results = [NearestResult(np.zeros(len(s.queries), np.int64), np.full(len(s.queries), np.inf, np.float32)) for s in searches]
    for block in train.blocks("Searching for the nearest training windows"):
        loops = train.loops(block)
        for search, best in zip(searches, results, strict=True):
            if len(search.queries):
                _update(best, search.queries, search.key(loops), block.start)
    return results


def _update(best: NearestResult, queries: Array, vectors: Array, first_index: int) -> None:
    """Replaces, in place, results that are further away than one of the vectors (m, F) of a block."""
    norms = (vectors**2).sum(axis=1)
    for first in range(0, len(queries), BLOCK):
        rows = slice(first, first + BLOCK)
        some = queries[rows]
        distances = norms - 2 * some @ vectors.T  # (n, m), without the queries' own norms
        index = distances.argmin(axis=1)
        nearest = np.maximum(distances[np.arange(len(some)), index] + (some**2).sum(axis=1), 0)
        nearer = nearest < best.distances[rows]
        best.distances[rows] = np.where(nearer, nearest, best.distances[rows])
        best.indices[rows] = np.where(nearer, index + first_index, best.indices[rows])


def hits_key(grooves: Array) -> Array:
    """Returns the hits of groove tensors (m, S, 27) as 0 and 1; F is 9 S."""
    return _flat(grooves[..., :VOICE_COUNT] > 0.5)


def tap_key(grooves: Array) -> Array:
    """Returns the taps of groove tensors (m, S, 27), their hits, velocities and offsets in tensor units; F is 3 S."""
    return _flat(tap_of(grooves))


def others_key(left_out: int) -> Key:
    """Returns a key of the hits of all voices but one."""

    def key(grooves: Array) -> Array:
        hits = grooves[..., :VOICE_COUNT] > 0.5
        hits[..., left_out] = False
        return _flat(hits)

    return key


def melody_key(melodies: Array) -> Array:
    """Returns melody classes (m, S) one-hot, scaled so that a squared distance counts the steps that differ; F is 90 S."""
    same = melodies[..., None] == np.arange(MELODY_CLASSES)
    return _flat(same) * np.float32(np.sqrt(0.5))


def _flat(values: Array | NDArray[np.bool_]) -> Array:
    return values.reshape(len(values), -1).astype(np.float32)
