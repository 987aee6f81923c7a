"""A drummer in, what its amounts do to what is measured out: whether a control means what it says."""

from collections.abc import Callable, Sequence

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.conditions import Conditions
from drumvae.music.grid import STEPS_PER_BAR, Grid
from drumvae.music.kit import VOICES

from .bootstrap import Estimate, ManifestEntry
from .table import Table

LOOPS = 64
SEED = 0
_TOMS = [VOICES.index(name) for name in ("low tom", "mid tom", "high tom")]


def control_tables(engine: Engine) -> dict[str, Table]:
    """Returns a table of what is measured at several places of each control, over loops of the same seeds."""
    loops = engine.generate(SEED, count=8)
    measured: dict[str, tuple[Sequence[float], Callable[[float], float]]] = {
        "density: hits a bar": ((0.25, 0.5, 1, 1.5, 2), lambda amount: hits_a_bar(engine.generate(SEED, count=LOOPS, density=amount))),
        "hits a bar asked for: hits a bar": (
            (8, 14, 20, 28),
            lambda amount: hits_a_bar(engine.generate(SEED, count=LOOPS, conditions=Conditions(hits_a_bar=amount))),
        ),
        "complexity: share of the hits on weak sixteenths": (
            (-1, -0.5, 0, 0.5, 1),
            lambda amount: on_weak_steps(engine.generate(SEED, count=LOOPS, complexity=amount)),
        ),
        "a fill in the last bar (0 no, 1 yes): hits of toms there": (
            (0, 1),
            lambda amount: toms_in_the_last_bar(
                engine.generate(SEED, count=LOOPS, conditions=Conditions(fill=(False,) * 3 + (amount > 0,)))
            ),
        ),
        "vary: share of the hits that stay": (
            (0, 0.25, 0.5, 0.75, 1),
            lambda amount: float(np.mean([alike(loop, engine.vary(loop, amount, seed)) for seed, loop in enumerate(loops)])),
        ),
        "humanize: how far offsets move, in sixteenths": (
            (0, 0.25, 0.5, 1),
            lambda amount: float(np.mean([moved(loop, engine.humanize(loop, amount)) for loop in loops])),
        ),
    }
    rows: dict[str, ManifestEntry] = {}
    for name, (amounts, measure) in measured.items():
        rows[name] = {f"{amount:g}": Estimate(np.asarray(measure(amount)), np.asarray(np.nan), np.asarray(np.nan)) for amount in amounts}
    return {f"control, {name}": Table("Over loops of the same seeds.", {"model": row}) for name, row in rows.items()}


def _filled(last: float) -> Conditions:
    return Conditions(fill=(False, False, False, last > 0))


def hits_a_bar(loops: Sequence[Grid]) -> float:
    """Returns how many hits a bar has."""
    return float(np.mean([loop.hits.sum() / (loop.steps / STEPS_PER_BAR) for loop in loops]))


def on_weak_steps(loops: Sequence[Grid]) -> float:
    """Returns the share of all hits that lie on the second and fourth sixteenth of a beat."""
    hits = np.concatenate([loop.hits for loop in loops])
    weak = np.isin(np.arange(len(hits)) % 4, (1, 3))
    return float(hits[weak].sum() / max(hits.sum(), 1))


def toms_in_the_last_bar(loops: Sequence[Grid]) -> float:
    """Returns how many hits of toms the last bar has."""
    return float(np.mean([loop.hits[-STEPS_PER_BAR:, _TOMS].sum() for loop in loops]))


def alike(one: Grid, other: Grid) -> float:
    """Returns the share of the hits of both grids that both have."""
    return float((one.hits * other.hits).sum() / max(np.maximum(one.hits, other.hits).sum(), 1))


def moved(one: Grid, other: Grid) -> float:
    """Returns how far the offsets of hits are apart, in sixteenths."""
    return float(np.abs(one.offsets - other.offsets).sum() / max(one.hits.sum(), 1))
