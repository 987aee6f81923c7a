"""What is looked for and the training windows in, for each the nearest window out; block by block, whatever the corpus's size.

n queries, m training windows, S steps, F numbers that are compared. Distances are squared, so between cells of 0 and 1 they count the
cells that differ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumvae.music.encoding import MELODY_CLASSES, VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.music.inputs import tap_of

from .windows import BLOCK, Numbers, Windows

Key = Callable[[Array], Array]
"""Makes what is compared, (m, F), of loops."""


@dataclass(frozen=True)
class NearestQuery:
    """Asks for the training windows nearest to some queries."""

    key: Key
    """What is compared of a training window."""
    queries: Array
    """The same of what is looked for; (n, F)."""


@dataclass(frozen=True)
class NearestResult:
    """Answers a search."""

    places: Numbers
    """The nearest window's place among the training windows, the first of equals; (n,)."""
    distances: Array
    """Its squared distance; (n,)."""


def find_nearest(train: Windows, searches: Sequence[NearestQuery]) -> list[NearestResult]:
    """Answers several searches in one pass over the training windows; no more than two blocks are compared at once."""
    found = [NearestResult(np.zeros(len(s.queries), np.int64), np.full(len(s.queries), np.inf, np.float32)) for s in searches]
    for block in train.blocks("Looking for the nearest training windows"):
        loops = train.loops(block)
        for search, best in zip(searches, found, strict=True):
            if len(search.queries):
                _improve(best, search, search.key(loops), block.start)
    return found


def _improve(best: NearestResult, search: NearestQuery, known: Array, first_place: int) -> None:
    """Takes over, in place, what is nearer among some training windows (m, F)."""
    sizes = (known**2).sum(axis=1)
    for first in range(0, len(search.queries), BLOCK):
        rows = slice(first, first + BLOCK)
        wanted = search.queries[rows]
        distances = sizes - 2 * wanted @ known.T  # (n, m), but for the queries' own size
        place = distances.argmin(axis=1)
        nearest = np.maximum(distances[np.arange(len(wanted)), place] + (wanted**2).sum(axis=1), 0)
        nearer = nearest < best.distances[rows]
        best.distances[rows] = np.where(nearer, nearest, best.distances[rows])
        best.places[rows] = np.where(nearer, place + first_place, best.places[rows])


def hits_key(grooves: Array) -> Array:
    """Compares which cells of groove tensors (m, S, 27) have a hit; F is 9 S."""
    return _flat(grooves[..., :VOICE_COUNT] > 0.5)


def tap_key(grooves: Array) -> Array:
    """Compares the taps of groove tensors (m, S, 27): when, how loud and how late they are, in tensor units; F is 3 S."""
    return _flat(tap_of(grooves))


def others_key(left_out: int) -> Key:
    """Returns a key that compares the hits of all voices but one."""

    def key(grooves: Array) -> Array:
        hits = grooves[..., :VOICE_COUNT] > 0.5
        hits[..., left_out] = False
        return _flat(hits)

    return key


def melody_key(melodies: Array) -> Array:
    """Compares the classes of melodies (m, S), scaled so that a squared distance counts the steps that differ; F is 90 S."""
    same = melodies[..., None] == np.arange(MELODY_CLASSES)
    return _flat(same) * np.float32(np.sqrt(0.5))


def _flat(values: Array | NDArray[np.bool_]) -> Array:
    return values.reshape(len(values), -1).astype(np.float32)
