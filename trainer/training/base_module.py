"""The LightningModule that all models share: losses, validation metrics, optimizer, and a check that the loss is finite.

B batch, S steps, V = 9 voices.
"""

import math
from abc import abstractmethod
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from drumvae.util.errors import RunError

from .config import TrainConfig
from .lr_schedule import learning_rate_factor
from .metrics import SUMS, checkpoint_score, compute_metrics, metric_sums

_CHECK_EVERY = 10  # steps between checks that the loss is finite; a check waits for the device


class DrumModule(L.LightningModule):
    """Trains and validates a model; its subclasses define the losses and the predictions."""

    vae: nn.Module
    """The model that is trained, a LoopVAE or a Drummer; checkpoints hold its weights under this name."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self._first_bad_step: Tensor | None = None
        self._validation_finite = True
        self._sums: dict[str, Tensor] = {}

    @abstractmethod
    def batch_losses(self, batch: Any) -> dict[str, Tensor]:
        """Returns the losses of a training batch by name; the sum to minimize is "loss"."""

    @abstractmethod
    def validation_losses(self, loops: Tensor, bpm: Tensor) -> dict[str, Tensor]:
        """Returns the losses of loops at tempi (B,), without randomness; the sum is "loss"."""

    @abstractmethod
    def predict_loops(self, task: str, loops: Tensor, bpm: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the most likely loops for a task, and a mask (B, S, V) that is 1 in the cells whose hits the task gives."""

    def on_train_start(self) -> None:
        """Applies the configured learning rate to a resumed run in place of the saved one."""
        scheduler = self.lr_schedulers()
        scheduler.base_lrs = [self.config.learning_rate] * len(scheduler.base_lrs)  # type: ignore[union-attr]
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self.config.learning_rate * learning_rate_factor(self.config, self.global_step)

    def on_train_batch_start(self, batch: Any, batch_index: int) -> None:
        """Seeds dropout from the step, so that a resumed run draws the same numbers as an uninterrupted one."""
        torch.manual_seed(hash((self.config.seed, self.global_step, batch_index % self.config.accumulate, self.global_rank)))

    def training_step(self, batch: Any, _: int) -> Tensor:
        losses = self.batch_losses(batch)
        self._record_loss(losses["loss"].detach())
        self._log_losses("train", losses, len(batch.target), prog_bar=True)
        return losses["loss"]

    def _record_loss(self, loss: Tensor) -> None:
        """Records the first step whose loss is not finite, and checks for one every few steps."""
        step = torch.full_like(loss, self.global_step)
        before = torch.full_like(loss, math.inf) if self._first_bad_step is None else self._first_bad_step
        self._first_bad_step = torch.minimum(before, torch.where(torch.isfinite(loss), before, step))
        if self.global_step % _CHECK_EVERY == 0:
            self.check_losses()

    def check_losses(self) -> None:
        """Raises RunError in all processes if the training loss was not finite in any of them."""
        bad = self._first_bad_step is not None and math.isfinite(self._first_bad_step)
        if self.trainer.strategy.reduce_boolean_decision(bad, all=False):
            raise RunError(_not_finite(f"at step {int(self._first_bad_step) if bad else self.global_step}", self.config))  # type: ignore[arg-type]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses to save weights after a loss that was not finite."""
        self.check_losses()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Sets Lightning's batch counters to the start of the step: `accumulate` may have changed, or the step was incomplete."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts.update(dict.fromkeys(counts, checkpoint["global_step"] * self.config.accumulate))

    def on_validation_epoch_start(self) -> None:
        self.check_losses()
        self._validation_finite = True
        self._sums = {task: torch.zeros(SUMS, dtype=torch.float64, device=self.device) for task in self.config.learned_tasks}

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Predicts all windows for all tasks, without randomness, and computes the loss."""
        loops, bpm = batch
        for task in self.config.learned_tasks:
            predicted, given = self.predict_loops(task, loops, bpm)
            scored = 1 - given.repeat(1, 1, 3) if task == "infill" else torch.ones_like(loops)  # the given voices are not scored
            self._sums[task] += metric_sums(predicted * scored, loops * scored, bpm)
        losses = self.validation_losses(loops, bpm)
        self._validation_finite = self._validation_finite and bool(losses["loss"].isfinite())
        self._log_losses("validation", losses, len(loops))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.strategy.reduce_boolean_decision(not self._validation_finite, all=False):
            raise RunError(_not_finite(f"in the validation after step {self.global_step}", self.config))
        scores = []
        for task, sums in self._sums.items():
            metrics = compute_metrics(self.trainer.strategy.reduce(sums, reduce_op="sum"))
            used = {name: value for name, value in metrics.items() if name == "f1" or self.config.model.encoding == "groove"}
            if task == "humanize":
                used.pop("f1")  # the hits are given
            for name, value in used.items():
                self.log(f"validation/{task}_{name}", value, sync_dist=True)
            scores.append(checkpoint_score(used))
        self.log("validation/score", sum(scores) / len(scores), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        config = self.config
        optimizer: torch.optim.Optimizer = torch.optim.Adam(self.parameters(), config.learning_rate)
        if config.optimiser == "adamw":
            optimizer = torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(config, step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _log_losses(self, stage: str, losses: dict[str, Tensor], count: int, prog_bar: bool = False) -> None:
        sync = stage == "validation"  # a training loss is logged without waiting for the other processes
        for name, loss in losses.items():
            self.log(f"{stage}/{name}", loss, batch_size=count, prog_bar=prog_bar and name == "loss", sync_dist=sync)


def _not_finite(when: str, config: TrainConfig) -> str:
    return (
        f"The loss was not finite {when}; the checkpoints written before are kept. Type --resume RUN with --set"
        f" learning_rate={config.learning_rate / 3:.2g}, or start again with it if there is none, or look for unusual takes in the data."
    )
