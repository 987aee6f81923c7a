"""A model and windows in, how people-like it plays hits that are given out: errors, distributions and spread of the feel.

n windows, S steps. All hits are given, so every system is scored on the same ones.
"""

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.grid import Array

from .baselines import Answer
from .feel import FEEL_DISTANCES, TIMING_BIN_MS, TIMING_REACH_MS, VELOCITY_BINS, feel_sums, spread_figures
from .reconstruction import MODEL_BATCH
from .table import Table, Tallies, TaskScores
from .windows import Windows

MEAN, SAMPLED = "model, mean latent", "model, sampled"
DRAW_SEED = 0
_BY_VOICE = ("timing_error_ms_by_voice", "timing_distance_ms_by_voice", "timing_spread_ratio_by_voice", "velocity_spread_ratio_by_voice")
_ABOUT = (
    "Hits are read without velocity and timing and played; a drummer is told the tempo. Errors are means over all true hits. Divergence is"
    f" Jensen-Shannon, in bits, over bins of {2 * TIMING_BIN_MS:g} ms and of 1/{VELOCITY_BINS // 2} of the velocity range; distance is"
    f" Wasserstein's, from bins of {TIMING_BIN_MS:g} ms (to ±{TIMING_REACH_MS:g} ms) and 1/{VELOCITY_BINS}; spread is a standard deviation."
    " These are taken voice by voice and averaged by hits. Sampled: the latent is drawn from its posterior, or what a drummer draws at 1."
)


def score_humanizing(engine: Engine, split: Windows, baselines: dict[str, Answer]) -> TaskScores:
    """Scores the feel that the model gives to hits, from the mean latent and from one drawn from its posterior."""
    tallies = Tallies(split.take_count)
    for places in split.blocks("Humanizing", MODEL_BATCH):
        true, numbers = split.loops(places), np.arange(places.start, places.stop)
        played = humanized(engine, true, split.bpm[places], DRAW_SEED + places.start)
        for system, grooves in (played | {name: answer(true, numbers) for name, answer in baselines.items()}).items():
            tallies.add(system, feel_sums(grooves, true, split.step_ms(places)), split.takes[places])
    rows = tallies.rows(spread_figures, FEEL_DISTANCES | {f"{name}_by_voice" for name in FEEL_DISTANCES})
    bins = {
        f"{who} {what}": tallies.sums[system][f"{kind}_{what}_bins"].sum(axis=(0, 1))
        for who, system, kind in (("real", MEAN, "true"), (MEAN, MEAN, "played"), (SAMPLED, SAMPLED, "played"))
        for what in ("timing", "velocity")
    }
    return TaskScores({"feel": Table(_ABOUT, rows, by_voice=_BY_VOICE)}, {"draw_seed": DRAW_SEED}, bins)


def humanized(engine: Engine, true: Array, bpm: Array, seed: int) -> dict[str, Array]:
    """Returns what the model plays for the hits of groove tensors (n, S, 27) at tempi (n,): the likeliest, and drawn around it."""
    return {MEAN: engine.humanize_loops(true, bpm), SAMPLED: engine.humanize_loops(true, bpm, seed, 1.0)}
