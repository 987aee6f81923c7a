"""The LightningModule of the LSTM models. B batch, S steps, F features of a step, V voices, Z latent size."""

import math

import torch
from torch import Tensor

from drumvae.models.config import VAEConfig
from drumvae.models.features import loop_features, previous_steps
from drumvae.models.vae import LoopVAE
from drumvae.music.encoding import PATTERN_CLASSES, VOICE_COUNT

from .base_module import DrumModule
from .config import TrainConfig
from .losses import class_loss, divergence, groove_loss, kl_loss
from .lr_schedule import scheduled_sampling_share
from .vae_batches import VAEBatch, view_for


class VAEModule(DrumModule):
    """Trains a LoopVAE to reconstruct loops from the input views of the configuration's tasks."""

    vae: LoopVAE

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        assert isinstance(config.model, VAEConfig)
        self.vae = LoopVAE(config.model)

    def batch_losses(self, batch: VAEBatch[Tensor]) -> dict[str, Tensor]:
        target, given = batch.target, batch.given
        mean, std = (value.float() for value in self.vae.encoder(batch.view))  # half precision would distort the divergence
        features = loop_features(target, self.config.model.encoding)
        latent = mean + std * batch.noise
        previous = self._sampled_previous(latent, features, given, batch.uniform) if batch.uniform.shape[1] else None
        outputs = self.vae.decoder.teacher_forced(latent, features, given, previous)
        losses = self._reconstruction_losses(outputs, target, features, given)
        nats = divergence(mean, std)
        beta = self.config.beta * (1 - self.config.beta_rate ** max(self.global_step, 1))  # annealed as in MusicVAE
        loss = sum(losses.values()) + kl_loss(nats, self.config.free_bits, beta)
        return {"loss": loss, **losses, "bits": nats.mean() / math.log(2)}

    def validation_losses(self, loops: Tensor, bpm: Tensor) -> dict[str, Tensor]:
        """Returns the losses for the first task, with the mean latents."""
        task = self.config.learned_tasks[0]
        view, _ = self._view(task, loops)
        zeros = loops.new_zeros(len(loops), self.config.model.latent_size)
        given = loops.new_full((len(loops),), float(task == "humanize"))
        return self.batch_losses(VAEBatch(view, loops, given, zeros, loops.new_zeros(len(loops), 0, 1)))

    def predict_loops(self, task: str, loops: Tensor, bpm: Tensor) -> tuple[Tensor, Tensor]:
        view, fixed = self._view(task, loops)
        given_hits = () if loops.dim() == 2 else (loops[..., :VOICE_COUNT], fixed)
        return self.vae.reconstruct(view, *given_hits), fixed

    def _view(self, task: str, loops: Tensor) -> tuple[Tensor, Tensor]:
        view, fixed = (torch.tensor(array).to(loops) for array in view_for(task, loops.cpu().numpy()))
        return view, fixed

    def _sampled_previous(self, latent: Tensor, features: Tensor, given: Tensor, uniform: Tensor) -> Tensor:
        """Returns the previous steps that the decoder reads, (B, S, F), some of them replaced by samples of the model.

        All steps are sampled at once from a teacher-forced pass (parallel scheduled sampling, Duckworth et al. 2019), so that two
        passes suffice.
        """
        share = scheduled_sampling_share(self.global_step, self.config.scheduled_sampling) if self.training else 0.0
        with torch.no_grad():
            outputs = self.vae.decoder.teacher_forced(latent, features, given)
            samples = self.vae.decoder.head.sample(outputs, uniform[..., 1:])
        return previous_steps(torch.where(uniform[..., :1] < share, samples, features))

    def _reconstruction_losses(self, outputs: Tensor, target: Tensor, features: Tensor, given: Tensor) -> dict[str, Tensor]:
        predicted = [part.float() for part in self.vae.decoder.head.predict(outputs, features)]
        if self.config.model.output == "categorical":
            return class_loss(predicted[0], loop_classes(target))
        logits, velocities, offsets = predicted
        if self.vae.config.show_hits:  # given hits are not predicted, so their loss is about 0
            keep = 1 - given[:, None, None]
            logits = logits * keep + (target[..., :VOICE_COUNT] * 40 - 20) * (1 - keep)
        return groove_loss(logits, velocities, offsets, target)


def loop_classes(loops: Tensor) -> Tensor:
    """Returns the class of each step, (B, S) int64: the melody class, or the sum of 2^voice over the hits of grooves (B, S, 27)."""
    if loops.dim() == 2:
        return loops.long()
    return (
        (loops[..., :VOICE_COUNT] * 2 ** torch.arange(VOICE_COUNT, device=loops.device)).sum(dim=-1).long().clamp(max=PATTERN_CLASSES - 1)
    )
