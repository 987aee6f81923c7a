"""What is learned: a batch of examples in, a loss and scores out.

B batch, S steps, Z latent size.
"""

import math

import torch
from torch import Tensor

from drumvae.models.features import loop_features, previous_steps
from drumvae.models.vae import LoopVAE
from drumvae.music.encoding import PATTERN_CLASSES, VOICE_COUNT

from .base_module import DrumModule
from .config import TrainConfig
from .datamodule import Batch
from .losses import class_loss, divergence, groove_loss, kl_loss
from .lr_schedule import own_step_share
from .vae_batches import view_for


class VAEModule(DrumModule):
    """Teaches a LoopVAE to write what it reads, whole or as the configuration's tasks show it."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.vae = LoopVAE(config.model)

    def batch_losses(self, batch: Batch) -> dict[str, Tensor]:
        return self._costs(*batch)

    def validation_losses(self, loops: Tensor, bpm: Tensor) -> dict[str, Tensor]:
        """Returns the costs of the first task's view, from the mean latents."""
        task = self.config.learned_tasks[0]
        heard, _ = (torch.tensor(array).to(loops) for array in view_for(task, loops.cpu().numpy()))
        zeros = loops.new_zeros(len(loops), self.config.model.latent_size)
        given = loops.new_full((len(loops),), float(task == "humanize"))
        return self._costs(heard, loops, given, zeros, loops.new_zeros(len(loops), 0, 1))

    def write_for(self, task: str, loops: Tensor, bpm: Tensor) -> tuple[Tensor, Tensor]:
        heard, locked = (torch.tensor(array).to(loops) for array in view_for(task, loops.cpu().numpy()))
        lock = () if loops.dim() == 2 else (loops[..., :VOICE_COUNT], locked)
        return self.vae.write_back(heard, *lock), locked

    def _costs(self, heard: Tensor, target: Tensor, given: Tensor, noise: Tensor, chances: Tensor) -> dict[str, Tensor]:
        mean, scale = (value.float() for value in self.vae.encoder(heard))  # a divergence in halves is wrong by a factor
        features = loop_features(target, self.config.model.encoding)
        latent = mean + scale * noise
        seen = self._own_steps(latent, features, given, chances) if chances.shape[1] else None
        outputs = self.vae.decoder.teacher_forced(latent, features, given, seen)
        costs = self._answer_costs(outputs, target, features, given)
        nats = divergence(mean, scale)
        beta = self.config.beta * (1 - self.config.beta_rate ** max(self.global_step, 1))  # MusicVAE's annealing
        loss = sum(costs.values()) + kl_loss(nats, self.config.free_bits, beta)
        return {"loss": loss, **costs, "bits": nats.mean() / math.log(2)}

    def _own_steps(self, latent: Tensor, features: Tensor, given: Tensor, chances: Tensor) -> Tensor:
        """Returns what each step sees of the one before when the model's own drawn steps take the place of some true ones, (B, S, F).

        All are drawn at once from a teacher-forced pass (parallel scheduled sampling, Duckworth et al. 2019), which costs two
        passes and not one for each step.
        """
        share = own_step_share(self.global_step, self.config.scheduled_sampling) if self.training else 0.0
        with torch.no_grad():
            outputs = self.vae.decoder.teacher_forced(latent, features, given)
            own = self.vae.decoder.head.draw(outputs, chances[..., 1:])
        return previous_steps(torch.where(chances[..., :1] < share, own, features))

    def _answer_costs(self, outputs: Tensor, target: Tensor, features: Tensor, given: Tensor) -> dict[str, Tensor]:
        predicted = [part.float() for part in self.vae.decoder.head.predict(outputs, features)]
        if self.config.model.output == "categorical":
            return class_loss(predicted[0], loop_classes(target))
        logits, velocities, offsets = predicted
        if self.config.model.show_hits:  # what is shown need not be guessed
            keep = 1 - given[:, None, None]
            logits = logits * keep + (target[..., :VOICE_COUNT] * 40 - 20) * (1 - keep)
        return groove_loss(logits, velocities, offsets, target)


def loop_classes(loops: Tensor) -> Tensor:
    """Returns the class of every step, (B, S) whole numbers: of a melody itself, of grooves (B, S, 27) the sum of 2^voice."""
    if loops.dim() == 2:
        return loops.long()
    return (
        (loops[..., :VOICE_COUNT] * 2 ** torch.arange(VOICE_COUNT, device=loops.device)).sum(dim=-1).long().clamp(max=PATTERN_CLASSES - 1)
    )
