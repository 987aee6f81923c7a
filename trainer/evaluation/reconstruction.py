"""A model and windows in, how well it writes back what it reads out: teacher-forced and freely, beside trivial predictions.

n windows, S steps. Freely: every step is written after what the model wrote itself. Teacher-forced: after what people played.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.grid import STEPS_PER_BAR, Array

from .baselines import Answer
from .bootstrap import Sums, Values
from .hits import hit_and_feel_figures, hit_figures, hit_sums
from .melody import melody_figures, melody_sums
from .table import Table, Tallies, TaskScores
from .windows import Windows

MODEL_BATCH = 256
"""Windows that a model reads at once."""
FREE, FORCED = "model, free-running", "model, teacher-forced"
_ABOUT = (
    "Written from the mean latent of what was read: freely, after what the model wrote itself, or teacher-forced, after what people"
    " played, as a repetition of the true bar before also is."
)
CANNOT_FORCE = "this bundle was exported before its decoder could be shown the true loop; export its run again"


@dataclass(frozen=True)
class Measure:
    """Says how loops of an encoding are scored."""

    sums: Callable[[Array, Array, Values], Sums]
    """Takes what was written, the true loops and their step in ms (n, 1, 1)."""
    figures: Callable[[Sums], Sums]


MEASURES = {
    "groove": Measure(hit_sums, hit_and_feel_figures),
    "pattern": Measure(hit_sums, hit_figures),
    "melody": Measure(lambda written, true, _: melody_sums(written, true), melody_figures),
}


def score_reconstruction(engine: Engine, split: Windows, baselines: dict[str, Answer]) -> TaskScores:
    """Scores what the model writes from its mean latents, on all bars and on all but the first, which one baseline copies."""
    measure = MEASURES[engine.encoding]
    whole, later = Tallies(split.take_count), Tallies(split.take_count)
    for places in split.blocks("Reconstructing", MODEL_BATCH):
        true, step_ms, takes = split.loops(places), split.step_ms(places), split.takes[places]
        mean, _ = engine.encode(true)
        numbers = np.arange(places.start, places.stop)
        for system, written in (_written(engine, true, mean) | {n: b(true, numbers) for n, b in baselines.items()}).items():
            whole.add(system, measure.sums(written, true, step_ms), takes)
            later.add(system, measure.sums(written[:, STEPS_PER_BAR:], true[:, STEPS_PER_BAR:], step_ms), takes)
    rows = whole.rows(measure.figures)
    tables = {"all bars": Table(_ABOUT, rows, by_voice=("f1_by_voice",))}
    if engine.steps > STEPS_PER_BAR:
        tables["later bars"] = Table("The same without the first bar, which a repetition gets for nothing.", later.rows(measure.figures))
    return TaskScores(tables)


def _written(engine: Engine, true: Array, mean: Array) -> dict[str, Array]:
    forced = engine.decode(mean, teacher_target=true, teacher_forcing=np.ones(true.shape[:2], np.float32))
    return {FREE: engine.decode(mean), FORCED: forced}
