"""What a trained model writes of validation windows in, figures for each voice out: so that it plays as much and as loosely as people.

Thresholds make as many hits as people play, and the right ones; factors make velocities and offsets spread as theirs do.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from drumvae.music.encoding import VOICE_COUNT
from drumvae.util.progress import watched

ROUNDS = 7  # halvings: of a span of 8 in log odds to 0.06, of one from a half to double to one in a hundred
DENSITY_TOLERANCE = 0.1
"""How far the number of hits may be from the true one, as a share of it."""
_REACH = 4.0
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


Write = Callable[[Tensor], Tensor]
"""Returns the grooves (n, S, 27) that are written with thresholds (V,), or played with factors of their spreads (2 V,)."""


def calibrate(write: Write, true: Tensor) -> list[float]:
    """Returns thresholds in (0, 1), one for each voice, from what is written with some and the true grooves (n, S, 27).

    Two wishes pull apart: every voice played as often as people play it, and hits that are right. A rare voice of which the model is
    never sure reaches its number only by guessing. So the log odds that give each voice its number are found first, by halving, and
    then taken whole, in part or not at all: whatever has the best F1 with a number of hits in all that is right to a tenth, or, where
    none is, the nearest number. A voice that nobody plays keeps 0.5.
    """
    asked = _log_odds_by_number(write, true)
    shares = watched(_SHARES, "Choosing thresholds", len(_SHARES))
    tried = [(asked * share, *_judged(write, true, asked * share)) for share in shares]
    return [round(float(threshold), 4) for threshold in torch.sigmoid(chosen(tried))]


def chosen(tried: list[tuple[Tensor, float, float]]) -> Tensor:
    """Returns the log odds with the best F1 among those whose number of hits is near, else those whose number is nearest.

    Every entry holds log odds, their F1, and how far their number of hits is from the true one, as a share of it.
    """
    near = [entry for entry in tried if entry[2] <= DENSITY_TOLERANCE]
    return (max(near, key=lambda entry: entry[1]) if near else min(tried, key=lambda entry: entry[2]))[0]


def spread_factors(play: Write, true: Tensor) -> Tensor:
    """Returns factors (2 V,) of the spreads of velocities and offsets, 0.5 to 2, at which they vary as the true ones do.

    `play` returns the hits of the true grooves (n, S, 27) as they are played with factors. What varies is a voice's whole, over all
    windows, so that what lies between them counts too. A voice that nobody plays keeps 1.
    """
    low, high = true.new_full((2 * VOICE_COUNT,), 0.5), true.new_full((2 * VOICE_COUNT,), 2.0)
    hits = true[..., :VOICE_COUNT].repeat(1, 1, 2)
    wanted = _deviation(true[..., VOICE_COUNT:], hits)
    for _ in watched(range(ROUNDS), "Finding spreads", ROUNDS):
        middle = (low * high).sqrt()
        too_wide = _deviation(play(middle)[..., VOICE_COUNT:], hits) > wanted
        low, high = torch.where(too_wide, low, middle), torch.where(too_wide, middle, high)
    return torch.where(wanted > 0, (low * high).sqrt(), torch.ones_like(low))


def _deviation(values: Tensor, hits: Tensor) -> Tensor:
    """Returns the standard deviations (2 V,) of values (n, S, 2 V) over all hits."""
    count = hits.sum(dim=(0, 1)).clamp(min=1)
    mean = (values * hits).sum(dim=(0, 1)) / count
    return (((values - mean).square() * hits).sum(dim=(0, 1)) / count).sqrt()


def _log_odds_by_number(write: Write, true: Tensor) -> Tensor:
    """Returns log odds (V,) at which every voice is written about as often as it is played; voices lean on each other."""
    low, high = true.new_full((VOICE_COUNT,), -_REACH), true.new_full((VOICE_COUNT,), _REACH)
    wanted = true[..., :VOICE_COUNT].sum(dim=(0, 1))
    for _ in watched(range(ROUNDS), "Finding thresholds", ROUNDS):
        middle = (low + high) / 2
        too_many = _hits(write, middle).sum(dim=(0, 1)) > wanted
        low, high = torch.where(too_many, middle, low), torch.where(too_many, high, middle)
    return torch.where(wanted > 0, (low + high) / 2, torch.zeros_like(low))


def _judged(write: Write, true: Tensor, log_odds: Tensor) -> tuple[float, float]:
    """Returns F1, and how far the number of hits in all is from the true one, as a share of it."""
    hits, true_hits = _hits(write, log_odds), true[..., :VOICE_COUNT]
    written, played = float(hits.sum()), float(true_hits.sum())
    return 2 * float((hits * true_hits).sum()) / max(written + played, 1), abs(written - played) / max(played, 1)


def _hits(write: Write, log_odds: Tensor) -> Tensor:
    return write(torch.sigmoid(log_odds))[..., :VOICE_COUNT]
