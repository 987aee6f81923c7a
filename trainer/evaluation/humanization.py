"""Scores how closely a model plays given hits like people: errors, distributions and standard deviations of velocity and timing.

n windows, S steps. All hits are given, so every system is scored on the same ones.
"""

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.grid import Array

from .baselines import Predictor
from .expression import EXPRESSION_DISTANCES, TIMING_BIN_MS, TIMING_RANGE_MS, VELOCITY_BINS, expression_metrics, expression_sums
from .reconstruction import MODEL_BATCH
from .table import Table, Tallies, TaskScores
from .windows import Windows

MEAN, SAMPLED = "model, mean latent", "model, sampled"
SAMPLE_SEED = 0
_BY_VOICE = ("timing_error_ms_by_voice", "timing_distance_ms_by_voice", "timing_spread_ratio_by_voice", "velocity_spread_ratio_by_voice")
_ABOUT = (
    "The input is hits without velocity and timing; a drummer also gets the tempo. MAE: over all true hits. JSD: Jensen-Shannon"
    f" divergence, over bins of {2 * TIMING_BIN_MS:g} ms and of 1/{VELOCITY_BINS // 2} of the velocity range. Wasserstein: order 1, from"
    f" bins of {TIMING_BIN_MS:g} ms (to ±{TIMING_RANGE_MS:g} ms) and 1/{VELOCITY_BINS}. JSD, Wasserstein and std are taken by voice and"
    " averaged by hits. Sampled: the latent is drawn from its posterior; a drummer samples at temperature 1."
)


def score_humanization(engine: Engine, split: Windows, baselines: dict[str, Predictor]) -> TaskScores:
    """Scores velocity and timing for given hits, from the mean latent and from a latent drawn from the posterior."""
    tallies = Tallies(split.take_count)
    for block in split.blocks("Humanizing", MODEL_BATCH):
        true, indices = split.loops(block), np.arange(block.start, block.stop)
        predicted = humanized(engine, true, split.bpm[block], SAMPLE_SEED + block.start)
        for system, grooves in (predicted | {name: baseline(true, indices) for name, baseline in baselines.items()}).items():
            tallies.add(system, expression_sums(grooves, true, split.step_ms(block)), split.takes[block])
    rows = tallies.rows(expression_metrics, EXPRESSION_DISTANCES | {f"{name}_by_voice" for name in EXPRESSION_DISTANCES})
    bins = {
        f"{label} {what}": tallies.sums[system][f"{source}_{what}_bins"].sum(axis=(0, 1))
        for label, system, source in (("human", MEAN, "true"), (MEAN, MEAN, "predicted"), (SAMPLED, SAMPLED, "predicted"))
        for what in ("timing", "velocity")
    }
    return TaskScores({"feel": Table(_ABOUT, rows, by_voice=_BY_VOICE)}, {"draw_seed": SAMPLE_SEED}, bins)


def humanized(engine: Engine, true: Array, bpm: Array, seed: int) -> dict[str, Array]:
    """Returns the most likely velocities and timing of some hits, and a sample of them.

    Args:
        engine: The model.
        true: Groove tensors (n, S, 27), of which only the hits are read.
        bpm: Tempi in beats a minute (n,), a condition of a drummer.
        seed: The seed of the sample.

    Returns:
        Groove tensors (n, S, 27) by the names `MEAN` and `SAMPLED`.
    """
    return {MEAN: engine.humanize_loops(true, bpm), SAMPLED: engine.humanize_loops(true, bpm, seed, 1.0)}
