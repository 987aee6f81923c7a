"""Encoder and decoder joined into the variational autoencoder that is trained and exported."""

import torch
from torch import Tensor, nn

from ..music.encoding import VOICE_COUNT
from ..music.sampling import MIN_TEMPERATURE
from .config import ModelConfig
from .decoder import Decoder
from .encoder import Encoder


class LoopVAE(nn.Module):
    """A latent model of loops: `encoder` and `decoder` are what gets exported."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def write_back(
        self, heard: Tensor, hit_values: Tensor | None = None, hit_mask: Tensor | None = None, thresholds: Tensor | None = None
    ) -> Tensor:
        """Returns the likeliest loops, written freely from the mean latents of what is heard; all as in `Decoder.forward`."""
        mean, _ = self.encoder(heard)
        middle = mean.new_full((len(mean), self.config.steps, VOICE_COUNT), 0.5)
        cold = mean.new_full((len(mean),), MIN_TEMPERATURE)
        result: Tensor = self.decoder(mean, middle, cold, thresholds, hit_values, hit_mask)
        return result
