"""Two grids, and what a model writes for them and for a place between, in; the grid at that place out. Pure.

A model writes no grid back exactly. What it writes is therefore never taken for the grid itself: only where it changes its mind
on the way from one to the other does a hit change for its sake.
"""

import numpy as np
from numpy.typing import NDArray

from .grid import Array, Grid


def latent_morph(first: Grid, last: Grid, written: tuple[Grid, Grid, Grid], share: float) -> Grid:
    """Returns the grid that stands `share`, 0 to 1, of the way from one grid to another of as many steps.

    `written` is what the model makes of the first, of the place between, and of the last. A cell where it still writes what it
    wrote for the first is the first's, one where it writes already what it wrote for the last is the last's. Where it writes the
    same for both, the cell is none of its business: there the two are exchanged hit by hit, in the order of `_turns`. What it
    writes between and for neither is played as it wrote it. A hit of both keeps its place, and its velocity and offset glide.
    """
    near, here, far = (grid.hits for grid in written)
    turned = np.where(_turns(first, last) < share, last.hits, first.hits)
    as_first, as_last = here == near, here == far
    hits = np.select([as_first & as_last, as_first, as_last], [turned, first.hits, last.hits], here)
    feels = zip(first.arrays()[1:], last.arrays()[1:], written[1].arrays()[1:], strict=True)
    return Grid(hits, *(_feel(*arrays, first, last, share) for arrays in feels))


def staggered_morph(first: Grid, last: Grid, written: tuple[Grid, Grid, Grid], share: float) -> Grid:
    """Returns the grid that stands `share`, 0 to 1, of the way from one grid to another: so many of the cells that differ have turned.

    As `latent_morph`, of a model that writes grids back so well that it changes its mind about everything at once: where it writes already
    what it wrote for the last, cells turn first, the rest in the order of `_turns`.
    """
    near, here, far = (grid.hits for grid in written)
    early = (here == far) & (here != near)
    hits = np.where(_turns(first, last, early) < share, last.hits, first.hits)
    feels = zip(first.arrays()[1:], last.arrays()[1:], written[1].arrays()[1:], strict=True)
    return Grid(hits, *(_feel(*arrays, first, last, share) for arrays in feels))


def _feel(here: Array, there: Array, new: Array, first: Grid, last: Grid, share: float) -> Array:
    """Returns velocities or offsets: of both, on the way; of the one that has the hit; or of the model where neither has."""
    alone = np.where(first.hits > 0, here, np.where(last.hits > 0, there, new))
    return np.asarray(np.where(first.hits * last.hits > 0, here + np.float32(share) * (there - here), alone), np.float32)


def _turns(first: Grid, last: Grid, early: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Returns, in (0, 1), the share of the way at which each cell where two grids differ turns from one to the other: evenly spread.

    The softest hits leave first and the loudest come first, so that the backbone is the last to go and the first to be there.
    Equal ones turn in an order that is drawn, always the same one: not from the loop's beginning to its end. What is `early` turns
    before all others.
    """
    differ = first.hits != last.hits
    importance = np.where(first.hits > 0, first.velocities, 1 - last.velocities)[differ]
    later = np.zeros(importance.size) if early is None else ~early[differ]
    order = np.lexsort((np.random.default_rng(0).permutation(importance.size), importance, later))
    ranks = np.empty(importance.size)
    ranks[order] = (np.arange(importance.size) + 0.5) / max(importance.size, 1)
    turns = np.zeros(differ.shape)
    turns[differ] = ranks
    return turns
