"""A trained model and validation windows in, a threshold for each voice out, with which it plays as many hits as people do."""

import numpy as np
import torch
from torch import Tensor

from drumvae.models.vae import GrooveVAE
from drumvae.tensors import VOICE_COUNT

ROUNDS = 7  # halvings of a span of 8 in log odds: to 0.06
_REACH = 4.0


def calibrate(model: GrooveVAE, grooves: Tensor) -> list[float]:
    """Returns thresholds in (0, 1), one for each voice, from groove tensors (n, S, 27).

    The log odds of every threshold are halved in on until the likeliest hits, written freely from the mean latent, are as many as
    the true ones. A voice that nobody plays keeps 0.5.
    """
    low, high = torch.full((VOICE_COUNT,), -_REACH), torch.full((VOICE_COUNT,), _REACH)
    wanted = grooves[..., :VOICE_COUNT].sum(dim=(0, 1))
    none_locked = torch.zeros_like(grooves[..., :VOICE_COUNT])
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        written = model.reconstruct(grooves, torch.sigmoid(middle), none_locked)[..., :VOICE_COUNT].sum(dim=(0, 1))
        too_many = written > wanted
        low, high = torch.where(too_many, middle, low), torch.where(too_many, high, middle)
    found = torch.where(wanted > 0, torch.sigmoid((low + high) / 2), torch.tensor(0.5))
    return [round(float(t), 4) for t in np.asarray(found)]
