"""Morphs one grid into another by a model's reconstructions of both and its output for a position between them.

A model reconstructs no grid exactly. Its output therefore never replaces the grids themselves: it only decides which hits change, where
its output changes on the way from one grid to the other.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .grid import Array, Grid


def latent_morph(first: Grid, last: Grid, outputs: tuple[Grid, Grid, Grid], position: float) -> Grid:
    """Returns the grid at a position between two grids of the same length, as a latent model decides it.

    A cell where the model's output at the position equals only its output for one end is that end's. A cell where it equals both is
    undecided, and switches from first to last in the order of `_switch_order`. A cell where it equals neither is the model's. A hit of
    both grids keeps its cell, and its velocity and offset are interpolated.

    Args:
        first: The grid at position 0.
        last: The grid at position 1.
        outputs: The model's output for the first grid, for the position, and for the last grid.
        position: 0 to 1.
    """
    near, here, far = (grid.hits for grid in outputs)
    switched = np.where(_switch_order(first, last) < position, last.hits, first.hits)
    as_first, as_last = here == near, here == far
    hits = np.select([as_first & as_last, as_first, as_last], [switched, first.hits, last.hits], here)
    return Grid(hits, *_expression(first, last, outputs[1], position))


def staggered_morph(first: Grid, last: Grid, outputs: tuple[Grid, Grid, Grid], position: float) -> Grid:
    """Returns the grid at a position between two grids of the same length; that share of the cells that differ has switched.

    It is for a model that reconstructs grids so well that its output switches everywhere at one position. Cells where its output at
    the position is already that of the last grid switch first, the others in the order of `_switch_order`.

    Args:
        first: The grid at position 0.
        last: The grid at position 1.
        outputs: The model's output for the first grid, for the position, and for the last grid.
        position: 0 to 1.
    """
    near, here, far = (grid.hits for grid in outputs)
    early = (here == far) & (here != near)
    hits = np.where(_switch_order(first, last, early) < position, last.hits, first.hits)
    return Grid(hits, *_expression(first, last, outputs[1], position))


def _expression(first: Grid, last: Grid, output: Grid, position: float) -> Iterator[Array]:
    """Yields velocities and offsets: interpolated where both grids have the hit, else of the grid that has it, else of the model."""
    for here, there, new in zip(first.arrays()[1:], last.arrays()[1:], output.arrays()[1:], strict=True):
        alone = np.where(first.hits > 0, here, np.where(last.hits > 0, there, new))
        yield np.asarray(np.where(first.hits * last.hits > 0, here + np.float32(position) * (there - here), alone), np.float32)


def _switch_order(first: Grid, last: Grid, early: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Returns the position, in (0, 1) and evenly spaced, at which each cell switches where two grids differ; 0 elsewhere.

    The softest hits disappear first and the loudest appear first, so that the backbone is the last to go and the first to arrive.
    Equal ones switch in a fixed random order, not from the start of the loop to its end. `early` cells switch before all others.
    """
    differ = first.hits != last.hits
    importance = np.where(first.hits > 0, first.velocities, 1 - last.velocities)[differ]
    later = np.zeros(importance.size) if early is None else ~early[differ]
    order = np.lexsort((np.random.default_rng(0).permutation(importance.size), importance, later))
    ranks = np.empty(importance.size)
    ranks[order] = (np.arange(importance.size) + 0.5) / max(importance.size, 1)
    positions = np.zeros(differ.shape)
    positions[differ] = ranks
    return positions
