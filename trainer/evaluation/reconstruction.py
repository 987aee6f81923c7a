"""Scores how well a model reconstructs loops from their latents, teacher-forced and free-running, beside trivial predictions.

n windows, S steps. A free-running decoder continues its own output, a teacher-forced one the true loop.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.grid import STEPS_PER_BAR, Array

from .baselines import Predictor
from .bootstrap import FloatArray, Sums
from .hits import groove_metrics, hit_metrics, hit_sums
from .melody import melody_metrics, melody_sums
from .table import Table, Tallies, TaskScores
from .windows import Windows

MODEL_BATCH = 256
"""Windows in one run of the model."""
FREE, FORCED = "model, free-running", "model, teacher-forced"
_ABOUT = (
    "Decoded from the mean latent. Free-running: every step follows the model's own output. Teacher-forced: every step follows the true"
    " loop, which the baseline of the true bar before also sees."
)


@dataclass(frozen=True)
class Scorer:
    """Holds the functions that score loops of an encoding."""

    sums: Callable[[Array, Array, FloatArray], Sums]
    """Takes predicted loops, true loops and their step in ms (n, 1, 1)."""
    metrics: Callable[[Sums], Sums]


SCORERS = {
    "groove": Scorer(hit_sums, groove_metrics),
    "pattern": Scorer(hit_sums, hit_metrics),
    "melody": Scorer(lambda predicted, true, _: melody_sums(predicted, true), melody_metrics),
}


def score_reconstruction(engine: Engine, split: Windows, baselines: dict[str, Predictor]) -> TaskScores:
    """Scores reconstructions from mean latents, on all bars and on all but the first, which one baseline copies."""
    scorer = SCORERS[engine.encoding]
    whole, later = Tallies(split.take_count), Tallies(split.take_count)
    for block in split.blocks("Reconstructing", MODEL_BATCH):
        true, step_ms, takes = split.loops(block), split.step_ms(block), split.takes[block]
        mean, _ = engine.encode(true)
        forced = engine.decode(mean, teacher_target=true, teacher_forcing=np.ones(true.shape[:2], np.float32))
        predicted = {FREE: engine.decode(mean), FORCED: forced}
        predicted |= {name: baseline(true, np.arange(block.start, block.stop)) for name, baseline in baselines.items()}
        for system, loops in predicted.items():
            whole.add(system, scorer.sums(loops, true, step_ms), takes)
            later.add(system, scorer.sums(loops[:, STEPS_PER_BAR:], true[:, STEPS_PER_BAR:], step_ms), takes)
    tables = {"all bars": Table(_ABOUT, whole.rows(scorer.metrics), by_voice=("f1_by_voice",))}
    if engine.steps > STEPS_PER_BAR:
        about = "Without the first bar, which the baseline of the repeated first bar copies."
        tables["later bars"] = Table(about, later.rows(scorer.metrics))
    return TaskScores(tables)
