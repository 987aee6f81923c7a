"""Losses of a drummer, in nats. B batch, S steps, V voices, N = 2 S V values, K low-rank factors."""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from drumvae.models.drummer import ExpressionDistribution

TYPICAL_ERRORS = (0.15, 0.3)
"""Errors of velocity (in units of 1) and offset (in half sixteenths) that have the same weight."""


def hits_loss(logits: Tensor, hits: Tensor, hit_mask: Tensor) -> Tensor:
    """Returns the mean cross-entropy of a window's hits that are not given; all arguments (B, S, V)."""
    loss = binary_cross_entropy_with_logits(logits, hits, reduction="none") * (1 - hit_mask)
    return loss.sum(dim=(1, 2)).mean()


def tap_loss(logits: Tensor, hits: Tensor) -> Tensor:
    """Returns the cross-entropy of all hits (B, S, V)."""
    return binary_cross_entropy_with_logits(logits, hits, reduction="sum")


def loc_loss(distribution: ExpressionDistribution, expression: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean absolute error of a window's locations, in typical errors; `expression` (B, S, 2 V), `mask` 1 where it counts."""
    velocities, offsets = ((distribution.loc - expression).abs() * mask).sum(dim=1).chunk(2, dim=-1)  # (B, V)
    return (velocities.sum(dim=-1) / TYPICAL_ERRORS[0] + offsets.sum(dim=-1) / TYPICAL_ERRORS[1]).mean()


def scale_loss(distribution: ExpressionDistribution, expression: Tensor, mask: Tensor) -> Tensor:
    """Returns the mean negative log-likelihood of a window, without a gradient for the locations.

    The covariance is diag(s^2) + M M^T; its inverse and determinant follow from a K by K matrix (Woodbury's identity).
    """
    with torch.autocast(expression.device.type, enabled=False):  # in half precision, the inner matrix is not positive definite
        return _low_rank_nll(ExpressionDistribution(*(part.float() for part in distribution)), expression.float(), mask.float())


def _low_rank_nll(distribution: ExpressionDistribution, expression: Tensor, mask: Tensor) -> Tensor:
    error = ((expression - distribution.loc.detach()) * mask).flatten(1)  # (B, N)
    scale = torch.where(mask.flatten(1) > 0, distribution.scale.flatten(1), torch.ones_like(error))
    factors = (distribution.factors * mask[..., None]).flatten(1, 2) / scale[..., None]  # (B, N, K)
    scaled = error / scale
    inner = factors.transpose(1, 2) @ factors + torch.eye(factors.shape[-1], device=error.device)
    lower, _ = torch.linalg.cholesky_ex(inner)  # does not raise for nan, which the check of the loss reports
    shared = torch.linalg.solve_triangular(lower, (factors.transpose(1, 2) @ scaled[..., None]), upper=False).squeeze(-1)
    distance = scaled.square().sum(dim=-1) - shared.square().sum(dim=-1)
    log_det = 2 * (scale.log().sum(dim=-1) + torch.diagonal(lower, dim1=1, dim2=2).log().sum(dim=-1))
    nats: Tensor = 0.5 * (distance + log_det + math.log(2 * math.pi) * mask.sum(dim=(1, 2)))
    return nats.mean()
