"""Collects the sums of several systems (the model and its baselines) and returns tables of their metrics."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bootstrap import IntArray, Metrics, Sums, add_by_take, estimate


@dataclass(frozen=True)
class Table:
    """Holds metrics of systems that were measured on the same windows."""

    about: str
    """What was measured, in a sentence or two."""
    rows: dict[str, Metrics]
    """Metrics by system, the model first."""
    missing: dict[str, str] = field(default_factory=dict)
    """Systems that could not be measured, and why."""
    by_voice: tuple[str, ...] = ()
    """Metrics by voice that the Markdown shows; the JSON has all of them."""


@dataclass(frozen=True)
class TaskScores:
    """Holds the scores of one task."""

    tables: dict[str, Table]
    facts: dict[str, Any] = field(default_factory=dict)
    """Seeds, counts and other settings of the measurement."""
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Data of plots."""


class Tallies:
    """Adds up the sums of several systems by take, while windows pass through.

    >>> tallies = Tallies(take_count=2)
    >>> tallies.add("model", {"right": np.array([1.0, 3.0]), "all": np.array([4.0, 4.0])}, np.array([0, 1]))
    >>> float(tallies.rows(lambda sums: {"share": sums["right"] / sums["all"]})["model"]["share"].value)
    0.5
    """

    def __init__(self, take_count: int) -> None:
        self.take_count = take_count
        self.sums: dict[str, Sums] = {}

    def add(self, system: str, sums: Sums, takes: IntArray) -> None:
        """Adds the sums (n, ...) of windows of takes (n,)."""
        add_by_take(self.sums.setdefault(system, {}), sums, takes, self.take_count)

    def rows(self, metrics: Callable[[Sums], Sums], distances: Collection[str] = ()) -> dict[str, Metrics]:
        """Returns the metrics of every system, with intervals over the takes that have windows here."""
        return {system: estimate(_nonempty(sums), metrics, distances) for system, sums in self.sums.items()}


def _nonempty(sums: Sums) -> Sums:
    """Drops takes whose sums are all 0."""
    present = np.any([np.abs(values).reshape(len(values), -1).sum(axis=1) > 0 for values in sums.values()], axis=0)
    return {name: values[present] for name, values in sums.items()} if present.any() else sums
