"""What a drummer expected and what was played in, costs in nats out; pure functions. B batch, S steps, V voices, N values, K moods."""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from drumvae.models.drummer import Feel

TYPICAL = (0.15, 0.3)
"""Errors of velocity (of 1) and offset (of half a sixteenth) that weigh alike."""


def hits_loss(logits: Tensor, hits: Tensor, locked: Tensor) -> Tensor:
    """Returns the mean log-loss of a window's hits (B, S, V) that were not shown."""
    cost = binary_cross_entropy_with_logits(logits, hits, reduction="none") * (1 - locked)
    return cost.sum(dim=(1, 2)).mean()


def tap_loss(odds: Tensor, hits: Tensor) -> Tensor:
    """Returns the log-loss of all hits (B, S, V)."""
    return binary_cross_entropy_with_logits(odds, hits, reduction="sum")


def loc_loss(feel: Feel, played: Tensor, asked: Tensor) -> Tensor:
    """Returns the mean absolute error of a window's middles, in typical errors; `played`, `asked` (B, S, 2 V), 1 where it counts."""
    velocities, offsets = ((feel.middle - played).abs() * asked).sum(dim=1).chunk(2, dim=-1)  # (B, V)
    return (velocities.sum(dim=-1) / TYPICAL[0] + offsets.sum(dim=-1) / TYPICAL[1]).mean()


def scale_loss(feel: Feel, played: Tensor, asked: Tensor) -> Tensor:
    """Returns the mean negative log-likelihood of a window under its spreads and moods, the middles taken as they are.

    The covariance is diag(s^2) + M M^T; its inverse and determinant follow from a K by K matrix (Woodbury's identity).
    """
    with torch.autocast(played.device.type, enabled=False):  # in halves the inner matrix would not stay positive
        return _spread_cost(Feel(*(part.float() for part in feel)), played.float(), asked.float())


def _spread_cost(feel: Feel, played: Tensor, asked: Tensor) -> Tensor:
    off = ((played - feel.middle.detach()) * asked).flatten(1)  # (B, N)
    spread = torch.where(asked.flatten(1) > 0, feel.spread.flatten(1), torch.ones_like(off))
    moods = (feel.moods * asked[..., None]).flatten(1, 2) / spread[..., None]  # (B, N, K)
    scaled = off / spread
    inner = moods.transpose(1, 2) @ moods + torch.eye(moods.shape[-1], device=off.device)
    lower, _ = torch.linalg.cholesky_ex(inner)  # what is no number goes on as such, and is noticed
    shared = torch.linalg.solve_triangular(lower, (moods.transpose(1, 2) @ scaled[..., None]), upper=False).squeeze(-1)
    apart = scaled.square().sum(dim=-1) - shared.square().sum(dim=-1)
    volume = 2 * (spread.log().sum(dim=-1) + torch.diagonal(lower, dim1=1, dim2=2).log().sum(dim=-1))
    nats: Tensor = 0.5 * (apart + volume + math.log(2 * math.pi) * asked.sum(dim=(1, 2)))
    return nats.mean()
