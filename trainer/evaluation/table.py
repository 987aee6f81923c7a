"""Sums of several systems in, tables of their figures out: what every task's scores are made of."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bootstrap import ManifestEntry, Sums, add_by_take, estimate
from .windows import Numbers


@dataclass(frozen=True)
class Table:
    """Holds figures of systems that were measured on the same windows."""

    about: str
    """What was measured, in a sentence or two."""
    rows: dict[str, ManifestEntry]
    """Figures by system, the model first."""
    missing: dict[str, str] = field(default_factory=dict)
    """Systems that could not be measured, and why."""
    by_voice: tuple[str, ...] = ()
    """Figures by voice that are worth a table of their own; the JSON has all of them."""


@dataclass(frozen=True)
class TaskScores:
    """Holds what was measured of one task."""

    tables: dict[str, Table]
    facts: dict[str, Any] = field(default_factory=dict)
    """What else should be kept: seeds, counts, bins."""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """What only a plot needs."""


class Tallies:
    """Adds up the sums of several systems, take by take, while windows pass through."""

    def __init__(self, take_count: int) -> None:
        self.take_count = take_count
        self.sums: dict[str, Sums] = {}

    def add(self, system: str, sums: Sums, takes: Numbers) -> None:
        """Adds the sums (n, ...) of windows that are cut from takes (n,)."""
        add_by_take(self.sums.setdefault(system, {}), sums, takes, self.take_count)

    def rows(self, figures: Callable[[Sums], Sums], distances: Collection[str] = ()) -> dict[str, ManifestEntry]:
        """Returns the figures of every system, with intervals over the takes that have windows here."""
        return {system: estimate(_present(sums), figures, distances) for system, sums in self.sums.items()}


def _present(sums: Sums) -> Sums:
    """Drops takes of which nothing was summed."""
    there = np.any([np.abs(values).reshape(len(values), -1).sum(axis=1) > 0 for values in sums.values()], axis=0)
    return {name: values[there] for name, values in sums.items()} if there.any() else sums
