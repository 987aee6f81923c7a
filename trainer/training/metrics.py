"""Computes the validation metrics that choose a checkpoint. `drumvae-evaluate` measures an exported model in more detail.

n windows, S steps.
"""

import math

import torch
from torch import Tensor

from drumvae.music.encoding import MELODY_FIRST_PITCH, OFFSET_SCALE
from drumvae.music.grid import STEPS_PER_BEAT

SUMS = 5


def metric_sums(predicted: Tensor, target: Tensor, bpm: Tensor) -> Tensor:
    """Returns the sums of `compute_metrics`, (5,), which can be added over batches and processes.

    They are the numbers of matched, predicted and target hits, and the sums of velocity errors and of timing errors in ms over the
    matched hits. Loops are groove tensors (n, S, 27) at tempi (n,), or melody classes (n, S), whose hits are onsets of the same pitch.
    """
    if predicted.dim() == 2:
        hits, target_hits = predicted >= MELODY_FIRST_PITCH, target >= MELODY_FIRST_PITCH
        matched = hits & target_hits & (predicted == target)
        return torch.stack([matched.sum(), hits.sum(), target_hits.sum(), matched.sum() * 0, matched.sum() * 0]).double()
    (hits, velocities, offsets), (target_hits, target_velocities, target_offsets) = (x.chunk(3, dim=-1) for x in (predicted, target))
    matched = (hits > 0.5) & (target_hits > 0.5)
    step_ms = 60_000 / (bpm * STEPS_PER_BEAT)
    error_ms = (offsets - target_offsets).abs() / OFFSET_SCALE * step_ms[:, None, None]
    sums = [
        matched.sum(),
        (hits > 0.5).sum(),
        (target_hits > 0.5).sum(),
        ((velocities - target_velocities).abs() * matched).sum(),
        (error_ms * matched).sum(),
    ]
    return torch.stack([value.double() for value in sums])


def compute_metrics(sums: Tensor) -> dict[str, float]:
    """Returns the F1 of the hits, and mean velocity and timing errors over the matched hits; nan without a matched hit."""
    matched, predicted, target, velocity, timing = (float(value) for value in sums)
    return {
        "f1": 2 * matched / (predicted + target) if predicted + target else 0.0,
        "velocity_error": velocity / matched if matched else float("nan"),
        "timing_error_ms": timing / matched if matched else float("nan"),
    }


def checkpoint_score(metrics: dict[str, float]) -> float:
    """Returns the score of a task that chooses the best checkpoint; higher is better.

    The score is the F1 (1 if the hits are given) minus a quarter of the velocity and timing errors, in units of 0.2 and 20 ms.

    >>> checkpoint_score({"f1": 0.8, "velocity_error": 0.2, "timing_error_ms": 0.0})
    0.55
    """
    errors = metrics.get("velocity_error", 0.0) / 0.2 + metrics.get("timing_error_ms", 0.0) / 20
    return float(metrics.get("f1", 1.0) - 0.25 * errors) if math.isfinite(errors) else -1.0
