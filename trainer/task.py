"""What is learned: a batch of examples in, a loss and scores out. A LightningModule; the loop around it is Lightning's.

B batch, S steps, Z latent size.
"""

import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from drumvae.errors import RunError
from drumvae.models.features import loop_features, previous_steps
from drumvae.models.vae import LoopVAE
from drumvae.tensors import PATTERN_CLASSES, VOICE_COUNT

from .config import TrainConfig
from .examples import view_for
from .losses import class_loss, divergence, divergence_cost, groove_loss
from .schedule import learning_rate_factor, own_step_share
from .tally import SUMS, tally, tally_scores
from .windows import Batch

_LOOK_EVERY = 10  # steps between looks at whether the loss is still a number; a look waits for the device


class LoopTask(L.LightningModule):
    """Teaches a LoopVAE to write what it reads, whole or as the configuration's tasks show it."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self.vae = LoopVAE(config.model)
        self._first_bad_step: Tensor | None = None
        self._finite = True
        self._sums: dict[str, Tensor] = {}

    def on_train_start(self) -> None:
        """Lets a resumed run follow the rate that the configuration says now, and not the one it was saved with."""
        scheduler = self.lr_schedulers()
        scheduler.base_lrs = [self.config.learning_rate] * len(scheduler.base_lrs)  # type: ignore[union-attr]
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self.config.learning_rate * learning_rate_factor(self.config, self.global_step)

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Seeds every dropout from the step, so that a resumed run draws what an uninterrupted one would have drawn."""
        torch.manual_seed(hash((self.config.seed, self.global_step, batch_index % self.config.accumulate, self.global_rank)))

    def training_step(self, batch: Batch, _: int) -> Tensor:
        heard, target, given, noise, chances = batch
        costs = self._costs(heard, target, given, noise, chances)
        self._notice(costs["loss"].detach())
        self._log_costs("train", costs, len(heard), prog_bar=True)
        return costs["loss"]

    def _costs(self, heard: Tensor, target: Tensor, given: Tensor, noise: Tensor, chances: Tensor) -> dict[str, Tensor]:
        mean, scale = (value.float() for value in self.vae.encoder(heard))  # a divergence in halves is wrong by a factor
        features = loop_features(target, self.config.model.encoding)
        latent = mean + scale * noise
        seen = self._own_steps(latent, features, given, chances) if chances.shape[1] else None
        outputs = self.vae.decoder.teacher_forced(latent, features, given, seen)
        costs = self._answer_costs(outputs, target, features, given)
        nats = divergence(mean, scale)
        beta = self.config.beta * (1 - self.config.beta_rate ** max(self.global_step, 1))  # MusicVAE's annealing
        loss = sum(costs.values()) + divergence_cost(nats, self.config.free_bits, beta)
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

    def _notice(self, loss: Tensor) -> None:
        """Stops training soon after a loss that is no number, and names its step."""
        here = torch.full_like(loss, self.global_step)
        before = torch.full_like(loss, math.inf) if self._first_bad_step is None else self._first_bad_step
        self._first_bad_step = torch.minimum(before, torch.where(torch.isfinite(loss), before, here))
        if self.global_step % _LOOK_EVERY == 0:
            self.look()

    def look(self) -> None:
        """Raises RunError, in every process, where the loss of a step so far was no number in any of them."""
        bad = self._first_bad_step is not None and math.isfinite(self._first_bad_step)
        if self.trainer.strategy.reduce_boolean_decision(bad, all=False):
            raise RunError(_no_number(f"at step {int(self._first_bad_step) if bad else self.global_step}", self.config))  # type: ignore[arg-type]

    def on_validation_epoch_start(self) -> None:
        self.look()
        self._finite = True
        self._sums = {task: torch.zeros(SUMS, dtype=torch.float64, device=self.device) for task in self.config.learned_tasks}

    def validation_step(self, batch: Batch, _: int) -> None:
        """Writes every window from its mean latent for every task, and counts the loss of the first task's view of it."""
        loops, bpm = batch
        for number, task in enumerate(self.config.learned_tasks):
            heard, locked = (torch.tensor(array).to(loops) for array in view_for(task, loops.cpu().numpy()))
            lock = () if loops.dim() == 2 else (loops[..., :VOICE_COUNT], locked)
            written = self.vae.write_back(heard, *lock)
            asked = 1 - locked.repeat(1, 1, 3) if task == "infill" else torch.ones_like(loops)  # what was given earns nothing
            self._sums[task] += tally(written * asked, loops * asked, bpm)
            if number == 0:
                zeros = loops.new_zeros(len(loops), self.config.model.latent_size)
                given = loops.new_full((len(loops),), float(task == "humanize"))
                costs = self._costs(heard, loops, given, zeros, loops.new_zeros(len(loops), 0, 1))
                self._finite = self._finite and bool(costs["loss"].isfinite())
                self._log_costs("validation", costs, len(loops))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.strategy.reduce_boolean_decision(not self._finite, all=False):
            raise RunError(_no_number(f"in the validation after step {self.global_step}", self.config))
        parts = []
        for task, sums in self._sums.items():
            scores = tally_scores(self.trainer.strategy.reduce(sums, reduce_op="sum"))
            used = {name: value for name, value in scores.items() if name == "f1" or self.config.model.encoding == "groove"}
            if task == "humanize":
                used.pop("f1")  # the hits are given
            for name, value in used.items():
                self.log(f"validation/{task}_{name}", value, sync_dist=True)
            parts.append(_worth(used))
        self.log("validation/score", sum(parts) / len(parts), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        config = self.config
        kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
        optimizer = kind(self.parameters(), config.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(config, step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log_costs(self, stage: str, costs: dict[str, Tensor], count: int, prog_bar: bool = False) -> None:
        shared = stage == "validation"  # one logged step of training need not wait for the other processes
        for name, cost in costs.items():
            self.log(f"{stage}/{name}", cost, batch_size=count, prog_bar=prog_bar and name == "loss", sync_dist=shared)


def _no_number(when: str, config: TrainConfig) -> str:
    return (
        f"The loss was no number {when}; the checkpoints written before are kept. Type --resume RUN with --set"
        f" learning_rate={config.learning_rate / 3:.2g}, or begin again with it where there is none, or look for what is odd in the data."
    )


def loop_classes(loops: Tensor) -> Tensor:
    """Returns the class of every step, (B, S) whole numbers: of a melody itself, of grooves (B, S, 27) the sum of 2^voice."""
    if loops.dim() == 2:
        return loops.long()
    return (
        (loops[..., :VOICE_COUNT] * 2 ** torch.arange(VOICE_COUNT, device=loops.device)).sum(dim=-1).long().clamp(max=PATTERN_CLASSES - 1)
    )


def _worth(scores: dict[str, Any]) -> float:
    """Returns one figure of a task to choose the best checkpoint by: higher is better.

    F1 (1 where the hits are given), less a quarter of the errors of feel in units that weigh them alike: a fifth of the velocity
    range, 20 ms.
    """
    errors = scores.get("velocity_error", 0.0) / 0.2 + scores.get("timing_error_ms", 0.0) / 20
    return float(scores.get("f1", 1.0) - 0.25 * errors) if math.isfinite(errors) else -1.0
