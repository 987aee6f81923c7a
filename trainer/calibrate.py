"""A trained model and validation windows in, a threshold for each voice out, with which it plays as many hits as people do."""

import numpy as np
import torch
from torch import Tensor

from drumvae.models.vae import LoopVAE
from drumvae.tensors import VOICE_COUNT

ROUNDS = 7  # halvings of a span of 8 in log odds: to 0.06
_REACH = 4.0


def calibrate(model: LoopVAE, heard: Tensor, true: Tensor) -> list[float]:
    """Returns thresholds in (0, 1), one for each voice, from what is heard and the true grooves, each (n, S, 27).

    The log odds of every threshold are halved in on, beginning at 0.5, until the likeliest hits, written freely from the mean
    latent, are as many as the true ones. Voices lean on each other, so that the last halving need not be the best: the one with
    the fewest hits too many or too few is kept. A voice that nobody plays keeps 0.5.
    """
    low, high = torch.full((VOICE_COUNT,), -_REACH), torch.full((VOICE_COUNT,), _REACH)
    wanted = true[..., :VOICE_COUNT].sum(dim=(0, 1))
    best, least = torch.zeros(VOICE_COUNT), float("inf")
    for _ in range(ROUNDS):
        middle = torch.where(wanted > 0, (low + high) / 2, torch.zeros(VOICE_COUNT))
        written = model.write_back(heard, thresholds=torch.sigmoid(middle))[..., :VOICE_COUNT].sum(dim=(0, 1))
        error = float((written - wanted).abs().sum())
        best, least = (middle, error) if error < least else (best, least)
        too_many = written > wanted
        low, high = torch.where(too_many, middle, low), torch.where(too_many, high, middle)
    return [round(float(t), 4) for t in np.asarray(torch.sigmoid(best))]
