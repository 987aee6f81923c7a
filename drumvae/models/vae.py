"""Joins encoder and decoder into the variational autoencoder that is trained and exported."""

import torch
from torch import Tensor, nn

from ..music.encoding import VOICE_COUNT
from ..music.sampling import MIN_TEMPERATURE
from .config import VAEConfig
from .decoder import Decoder
from .encoder import Encoder


class LoopVAE(nn.Module):
    """A variational autoencoder of loops; `encoder` and `decoder` are exported."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def reconstruct(
        self, loops: Tensor, hit_values: Tensor | None = None, hit_mask: Tensor | None = None, thresholds: Tensor | None = None
    ) -> Tensor:
        """Returns the most likely loops for the mean latents of loops.

        Args:
            loops: Groove tensors (B, S, 27) or melody classes (B, S).
            hit_values: As in `Decoder.forward`.
            hit_mask: As in `Decoder.forward`.
            thresholds: As in `Decoder.forward`.
        """
        mean, _ = self.encoder(loops)
        neutral_noise = mean.new_full((len(mean), self.config.steps, VOICE_COUNT), 0.5)
        temperature = mean.new_full((len(mean),), MIN_TEMPERATURE)
        result: Tensor = self.decoder(mean, neutral_noise, temperature, thresholds, hit_values, hit_mask)
        return result
