"""What a model wrote and what it should have written in, costs in nats out; pure functions. B batch, S steps, V voices."""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from drumvae.music.encoding import VOICE_COUNT


def groove_loss(logits: Tensor, velocities: Tensor, offsets: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Returns the mean cost of a window by part: "hits", "velocity", "timing".

    `logits`, `velocities`, `offsets` (B, S, V); `target` a groove tensor (B, S, 3 V). Log-loss on hits, squared error on
    velocity and offset, summed over steps and voices (Magenta's GrooveLstmDecoder). Unlike there, velocity and offset cost
    nothing where there is no hit: counted over empty cells, they teach a model to play softly and on the grid.
    """
    hits, true_velocities, true_offsets = torch.split(target, VOICE_COUNT, dim=-1)
    costs = {
        "hits": binary_cross_entropy_with_logits(logits, hits, reduction="none"),
        "velocity": hits * (velocities - true_velocities) ** 2,
        "timing": hits * (offsets - true_offsets) ** 2,
    }
    return {name: cost.sum(dim=(1, 2)).mean() for name, cost in costs.items()}


def class_loss(logits: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Returns the mean cross-entropy of a window, summed over its steps: "classes". `logits` (B, S, C), `classes` (B, S) whole numbers."""
    return {"classes": cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="sum") / len(logits)}


def divergence(mean: Tensor, scale: Tensor) -> Tensor:
    """Returns KL(N(mean, scale) || N(0, 1)) of each window in nats, (B,), from mean and standard deviation (B, Z)."""
    return 0.5 * (mean**2 + scale**2 - 1 - 2 * torch.log(scale + 1e-8)).sum(dim=-1)


def kl_loss(nats: Tensor, free_bits: float, beta: float) -> Tensor:
    """Returns beta times the divergence above the free bits, mean over the batch (Kingma et al. 2016, on the whole latent)."""
    return beta * (nats - free_bits * math.log(2)).clamp(min=0).mean()
