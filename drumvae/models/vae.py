"""Encoder and decoder joined into the variational autoencoder that is trained and exported."""

import torch
from torch import Tensor, nn

from drumvae.tensors import VOICE_COUNT

from .config import ModelConfig
from .decoder import GrooveDecoder
from .encoder import GrooveEncoder


class GrooveVAE(nn.Module):
    """A latent model of loops: `encoder` and `decoder` are what gets exported."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = GrooveEncoder(config)
        self.decoder = GrooveDecoder(config)

    @torch.no_grad()
    def reconstruct(self, groove: Tensor, thresholds: Tensor, locked: Tensor) -> Tensor:
        """Returns loops (B, S, 27) written freely from the mean latents of groove tensors (B, S, 27).

        `locked` (B, S, V) is 1 where the groove's own hits are kept; `thresholds` (V,).
        """
        mean, _ = self.encoder(groove)
        hits = groove[..., :VOICE_COUNT]
        middle = torch.full_like(hits, 0.5)
        result: Tensor = self.decoder(mean, middle, torch.ones_like(mean[:, 0]), thresholds, hits, locked)
        return result


def sample_latent(mean: Tensor, scale: Tensor) -> Tensor:
    """Draws a latent (B, Z) from the posterior, differentiably."""
    return mean + scale * torch.randn_like(scale)
