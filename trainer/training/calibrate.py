"""Calibrates each voice's hit threshold and expression scale to the number of hits and the standard deviation of human playing."""

from collections.abc import Callable

import torch
from torch import Tensor

from drumvae.music.encoding import VOICE_COUNT
from drumvae.util.progress import watched

ROUNDS = 7  # bisections: log odds to within 0.06 of a range of 8, factors to within 1 % of a range from 0.5 to 2
DENSITY_TOLERANCE = 0.1
"""Allowed relative error of the number of hits."""
_MAX_LOG_ODDS = 4.0
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)

Predict = Callable[[Tensor], Tensor]
"""Returns grooves (n, S, 27) for thresholds (V,), or for scale factors of velocities and offsets (2 V,)."""


def find_thresholds(predict: Predict, target: Tensor) -> list[float]:
    """Returns a threshold in (0, 1) for each voice, from predictions with other thresholds and the target grooves (n, S, 27).

    Two aims conflict: each voice should play as often as in the target, and its hits should be correct. A model that is never sure
    of a rare voice reaches its number of hits only by guessing. Bisection therefore first finds the log odds at which each voice has
    its number of hits. Then a share of these log odds is chosen, by F1 and number of hits. A voice without target hits keeps 0.5.
    """
    log_odds = _log_odds_for_density(predict, target)
    shares = watched(_SHARES, "Choosing thresholds", len(_SHARES))
    candidates = [(log_odds * share, *_evaluate(predict, target, log_odds * share)) for share in shares]
    return [round(float(threshold), 4) for threshold in torch.sigmoid(choose_log_odds(candidates))]


def choose_log_odds(candidates: list[tuple[Tensor, float, float]]) -> Tensor:
    """Returns the log odds with the best F1 among those within the density tolerance, else those with the best density.

    A candidate is its log odds, their F1, and the relative error of their number of hits.
    """
    near = [candidate for candidate in candidates if candidate[2] <= DENSITY_TOLERANCE]
    return (max(near, key=lambda candidate: candidate[1]) if near else min(candidates, key=lambda candidate: candidate[2]))[0]


def find_scale_factors(predict: Predict, target: Tensor) -> Tensor:
    """Returns factors (2 V,) from 0.5 to 2 at which velocities and offsets have the standard deviation of the target.

    `predict` returns the hits of the target grooves (n, S, 27) with velocities and offsets sampled with the factors. The standard
    deviation of a voice is taken over all windows, so that differences between windows count too. A voice without hits keeps 1.
    """
    low, high = target.new_full((2 * VOICE_COUNT,), 0.5), target.new_full((2 * VOICE_COUNT,), 2.0)
    hits = target[..., :VOICE_COUNT].repeat(1, 1, 2)
    target_std = _masked_std(target[..., VOICE_COUNT:], hits)
    for _ in watched(range(ROUNDS), "Finding scale factors", ROUNDS):
        middle = (low * high).sqrt()
        too_wide = _masked_std(predict(middle)[..., VOICE_COUNT:], hits) > target_std
        low, high = torch.where(too_wide, low, middle), torch.where(too_wide, middle, high)
    return torch.where(target_std > 0, (low * high).sqrt(), torch.ones_like(low))


def _masked_std(values: Tensor, hits: Tensor) -> Tensor:
    """Returns the standard deviations (2 V,) of values (n, S, 2 V) over all hits."""
    count = hits.sum(dim=(0, 1)).clamp(min=1)
    mean = (values * hits).sum(dim=(0, 1)) / count
    return (((values - mean).square() * hits).sum(dim=(0, 1)) / count).sqrt()


def _log_odds_for_density(predict: Predict, target: Tensor) -> Tensor:
    """Returns log odds (V,) at which each voice has about its number of hits; all voices are searched together."""
    low, high = target.new_full((VOICE_COUNT,), -_MAX_LOG_ODDS), target.new_full((VOICE_COUNT,), _MAX_LOG_ODDS)
    target_count = target[..., :VOICE_COUNT].sum(dim=(0, 1))
    for _ in watched(range(ROUNDS), "Finding thresholds", ROUNDS):
        middle = (low + high) / 2
        too_many = _hits(predict, middle).sum(dim=(0, 1)) > target_count
        low, high = torch.where(too_many, middle, low), torch.where(too_many, high, middle)
    return torch.where(target_count > 0, (low + high) / 2, torch.zeros_like(low))


def _evaluate(predict: Predict, target: Tensor, log_odds: Tensor) -> tuple[float, float]:
    """Returns F1 and the relative error of the total number of hits."""
    hits, target_hits = _hits(predict, log_odds), target[..., :VOICE_COUNT]
    count, target_count = float(hits.sum()), float(target_hits.sum())
    return 2 * float((hits * target_hits).sum()) / max(count + target_count, 1), abs(count - target_count) / max(target_count, 1)


def _hits(predict: Predict, log_odds: Tensor) -> Tensor:
    return predict(torch.sigmoid(log_odds))[..., :VOICE_COUNT]
