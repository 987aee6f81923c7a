"""Measures the effect of each control of a drummer on its loops."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.conditions import Conditions
from drumvae.music.grid import STEPS_PER_BAR, Grid
from drumvae.music.kit import VOICES

from .bootstrap import without_interval
from .table import Table

LOOPS = 64
SEED = 0
_TOMS = [VOICES.index(name) for name in ("low tom", "mid tom", "high tom")]


def control_tables(engine: Engine) -> dict[str, Table]:
    """Returns a table for each control, with a measurement at several values of it over loops of the same seeds."""
    loops = engine.generate(SEED, count=8)

    def generate(**settings: Any) -> Sequence[Grid]:
        return engine.generate(SEED, count=LOOPS, **settings)

    measurements: dict[str, tuple[Sequence[float], Callable[[float], float]]] = {
        "density: hits a bar": ((0.25, 0.5, 1, 1.5, 2), lambda value: hits_per_bar(generate(density=value))),
        "hits a bar asked for: hits a bar": (
            (8, 14, 20, 28),
            lambda value: hits_per_bar(generate(conditions=Conditions(hits_a_bar=value))),
        ),
        "complexity: share of the hits on weak sixteenths": (
            (-1, -0.5, 0, 0.5, 1),
            lambda value: weak_sixteenth_share(generate(complexity=value)),
        ),
        "a fill in the last bar (0 no, 1 yes): hits of toms there": (
            (0, 1),
            lambda value: toms_in_last_bar(generate(conditions=Conditions(fill=(False,) * 3 + (value > 0,)))),
        ),
        "vary: share of the hits that stay": (
            (0, 0.25, 0.5, 0.75, 1),
            lambda value: float(np.mean([hit_similarity(loop, engine.vary(loop, value, seed)) for seed, loop in enumerate(loops)])),
        ),
        "humanize: how far offsets move, in sixteenths": (
            (0, 0.25, 0.5, 1),
            lambda value: float(np.mean([offset_change(loop, engine.humanize(loop, value)) for loop in loops])),
        ),
    }
    return {
        f"control, {name}": Table(
            "Over loops of the same seeds.", {"model": {f"{value:g}": without_interval(measure(value)) for value in values}}
        )
        for name, (values, measure) in measurements.items()
    }


def hits_per_bar(loops: Sequence[Grid]) -> float:
    """Returns the mean number of hits in a bar."""
    return float(np.mean([loop.hits.sum() / (loop.steps / STEPS_PER_BAR) for loop in loops]))


def weak_sixteenth_share(loops: Sequence[Grid]) -> float:
    """Returns the share of all hits on the second and fourth sixteenth of a beat."""
    hits = np.concatenate([loop.hits for loop in loops])
    weak = np.isin(np.arange(len(hits)) % 4, (1, 3))
    return float(hits[weak].sum() / max(hits.sum(), 1))


def toms_in_last_bar(loops: Sequence[Grid]) -> float:
    """Returns the mean number of tom hits in the last bar."""
    return float(np.mean([loop.hits[-STEPS_PER_BAR:, _TOMS].sum() for loop in loops]))


def hit_similarity(one: Grid, other: Grid) -> float:
    """Returns the Jaccard index of the hits of two grids."""
    return float((one.hits * other.hits).sum() / max(np.maximum(one.hits, other.hits).sum(), 1))


def offset_change(one: Grid, other: Grid) -> float:
    """Returns the mean absolute difference of the offsets of hits, in sixteenths."""
    return float(np.abs(one.offsets - other.offsets).sum() / max(one.hits.sum(), 1))
