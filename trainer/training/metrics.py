"""Loops that a model wrote beside the true ones in, sums out that can be added over batches and processes, and scores of the sums.

n windows, S steps. These are the quick scores that choose a checkpoint; `drumvae-evaluate` measures the exported model with care.
"""

import torch
from torch import Tensor

from drumvae.music.encoding import MELODY_FIRST_PITCH, OFFSET_SCALE
from drumvae.music.grid import STEPS_PER_BEAT

SUMS = 5


def metric_sums(written: Tensor, true: Tensor, bpm: Tensor) -> Tensor:
    """Returns matched hits, written hits, true hits, and over the matched ones the errors of velocity and of timing in ms; (5,).

    Loops are groove tensors (n, S, 27) at tempi (n,), or melody classes (n, S), whose hits are onsets of the right pitch.
    """
    if written.dim() == 2:
        hits, true_hits = written >= MELODY_FIRST_PITCH, true >= MELODY_FIRST_PITCH
        both = hits & true_hits & (written == true)
        return torch.stack([both.sum(), hits.sum(), true_hits.sum(), both.sum() * 0, both.sum() * 0]).double()
    (hits, velocities, offsets), (true_hits, true_velocities, true_offsets) = (loops.chunk(3, dim=-1) for loops in (written, true))
    both = (hits > 0.5) & (true_hits > 0.5)
    step_ms = 60_000 / (bpm * STEPS_PER_BEAT)
    off_ms = (offsets - true_offsets).abs() / OFFSET_SCALE * step_ms[:, None, None]
    sums = [
        both.sum(),
        (hits > 0.5).sum(),
        (true_hits > 0.5).sum(),
        ((velocities - true_velocities).abs() * both).sum(),
        (off_ms * both).sum(),
    ]
    return torch.stack([value.double() for value in sums])


def compute_metrics(sums: Tensor) -> dict[str, float]:
    """Returns F1 of the hits over all cells, and mean errors over the matched hits, nan where none matched."""
    matched, written, true, velocity, timing = (float(value) for value in sums)
    return {
        "f1": 2 * matched / (written + true) if written + true else 0.0,
        "velocity_error": velocity / matched if matched else float("nan"),
        "timing_error_ms": timing / matched if matched else float("nan"),
    }
