"""What is learned: a batch of windows in, a loss and scores out. A LightningModule; the loop around it is Lightning's.

B batch, S steps, V voices.
"""

import math
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from drumvae.models.vae import GrooveVAE, sample_latent
from drumvae.tensors import VOICE_COUNT

from .losses import divergence, divergence_cost, groove_loss
from .metrics import Scores, score
from .presets import TrainConfig

Batch = tuple[Tensor, Tensor]


class GrooveTask(L.LightningModule):
    """Teaches a GrooveVAE to write back what it reads, and to play what it reads without velocity and offset."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self.vae = GrooveVAE(config.model)
        self._written: list[tuple[np.ndarray[Any, Any], ...]] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        groove, _bpm = batch
        given = (torch.rand(len(groove), device=groove.device) < self.config.humanize_share).to(groove)
        costs = self._costs(self._heard(groove, given), groove, given)
        self._log_costs("train", costs, len(groove), prog_bar=True)
        return costs["loss"]

    def _heard(self, groove: Tensor, given: Tensor) -> Tensor:
        """Returns what the encoder reads: windows to humanize lose velocity and offset, the others may miss some hits."""
        hits, rest = groove[..., :VOICE_COUNT], groove[..., VOICE_COUNT:]
        plain = torch.cat([hits, torch.zeros_like(rest)], dim=-1)
        missed = (torch.rand_like(hits) >= self.config.input_hit_drop).to(groove).repeat(1, 1, 3)
        return torch.where(given[:, None, None] > 0, plain, groove * missed)

    def _costs(self, heard: Tensor, groove: Tensor, given: Tensor) -> dict[str, Tensor]:
        mean, scale = self.vae.encoder(heard)
        logits, velocities, offsets = self.vae.decoder.teacher_forced(sample_latent(mean, scale), groove, given)
        if self.config.model.show_hits:  # what is shown need not be guessed
            keep = 1 - given[:, None, None]
            logits = logits * keep + (groove[..., :VOICE_COUNT] * 40 - 20) * given[:, None, None]
        costs = groove_loss(logits, velocities, offsets, groove)
        nats = divergence(mean, scale)
        loss = sum(costs.values()) + divergence_cost(nats, self.config.free_bits, self.config.beta)
        return {"loss": loss, **costs, "bits": nats.mean() / math.log(2)}

    def validation_step(self, batch: Batch, _: int) -> None:
        """Writes every window freely from its mean latent, once as it was played and once from its hits alone."""
        groove, bpm = batch
        hits = groove[..., :VOICE_COUNT]
        all_locked, none_locked = torch.ones_like(hits), torch.zeros_like(hits)
        even = groove.new_full((VOICE_COUNT,), 0.5)
        plain = torch.cat([hits, torch.zeros_like(groove[..., VOICE_COUNT:])], dim=-1)
        reconstructed = self.vae.reconstruct(groove, even, none_locked)
        humanized = self.vae.reconstruct(plain, even, all_locked)
        self._log_costs("validation", self._costs(groove, groove, groove.new_zeros(len(groove))), len(groove), prog_bar=False)
        self._written.append(tuple(a.cpu().numpy() for a in (reconstructed, humanized, groove, bpm)))

    def on_validation_epoch_end(self) -> None:
        reconstructed, humanized, groove, bpm = (np.concatenate(arrays) for arrays in zip(*self._written, strict=True))
        self._written.clear()
        written, played = score(reconstructed, groove, bpm), score(humanized, groove, bpm)
        self.log("f1", written.f1, prog_bar=True, logger=False)
        self.log("validation/hit_f1", written.f1)
        self.log("validation/velocity_error", written.velocity_error)
        self.log("validation/timing_error_ms", written.timing_error_ms)
        if "humanize" in self.config.tasks:
            self.log("validation/humanize_velocity_error", played.velocity_error)
            self.log("validation/humanize_timing_error_ms", played.timing_error_ms)
        self.log("validation/score", _overall(written, played, self.config.tasks))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam with a rate that decays to a floor: (rate - floor) decay^step + floor, as in MusicVAE."""
        config = self.config
        optimizer = torch.optim.Adam(self.parameters(), config.learning_rate)
        floor = config.learning_rate_floor / config.learning_rate
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 - floor) * config.learning_rate_decay**step + floor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log_costs(self, stage: str, costs: dict[str, Tensor], count: int, prog_bar: bool) -> None:
        for name, cost in costs.items():
            self.log(f"{stage}/{name}", cost, batch_size=count, prog_bar=prog_bar and name == "loss")


def _overall(written: Scores, played: Scores, tasks: tuple[str, ...]) -> float:
    """Returns one figure to choose the best checkpoint by: higher is better.

    Reconstruction F1, less the errors of feel in units that weigh them alike: a fifth of the velocity range, 20 ms.
    """
    feel = played if "humanize" in tasks else written
    errors = feel.velocity_error / 0.2 + feel.timing_error_ms / 20
    return written.f1 - 0.25 * errors if math.isfinite(errors) else -1.0
