"""Reconstruction losses and KL divergence of the LSTM models, in nats. B batch, S steps, V voices, Z latent size."""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from drumvae.music.encoding import VOICE_COUNT


def groove_loss(logits: Tensor, velocities: Tensor, offsets: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Returns the mean losses of a window: "hits", "velocity", "timing".

    Cross-entropy of the hits and squared errors of velocity and offset, summed over steps and voices (Magenta's GrooveLstmDecoder).
    Unlike there, velocity and offset count only at hits: counted over empty cells, they train a model to play softly and on the grid.

    Args:
        logits: Logits of the hits, (B, S, V).
        velocities: Predicted velocities in [0, 1], (B, S, V).
        offsets: Predicted offsets in [-1, 1], (B, S, V).
        target: Groove tensor, (B, S, 3 V).
    """
    hits, target_velocities, target_offsets = torch.split(target, VOICE_COUNT, dim=-1)
    losses = {
        "hits": binary_cross_entropy_with_logits(logits, hits, reduction="none"),
        "velocity": hits * (velocities - target_velocities) ** 2,
        "timing": hits * (offsets - target_offsets) ** 2,
    }
    return {name: loss.sum(dim=(1, 2)).mean() for name, loss in losses.items()}


def class_loss(logits: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Returns the mean loss "classes" of a window, its cross-entropy summed over the steps; `logits` (B, S, C), `classes` (B, S) int64."""
    return {"classes": cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="sum") / len(logits)}


def divergence(mean: Tensor, std: Tensor) -> Tensor:
    """Returns KL(N(mean, std^2) || N(0, 1)) of each window in nats, (B,); `mean` and `std` (B, Z)."""
    return 0.5 * (mean**2 + std**2 - 1 - 2 * torch.log(std + 1e-8)).sum(dim=-1)


def kl_loss(nats: Tensor, free_bits: float, beta: float) -> Tensor:
    """Returns beta times the mean divergence above the free bits of the whole latent (after Kingma et al. 2016)."""
    return beta * (nats - free_bits * math.log(2)).clamp(min=0).mean()
