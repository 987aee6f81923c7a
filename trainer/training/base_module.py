"""What every model is taught by: costs of a batch in, a loss and scores out. A LightningModule; the loop around it is Lightning's.

B batch, S steps, V = 9 voices.
"""

import math
from abc import abstractmethod
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from drumvae.util.errors import RunError

from .config import TrainConfig
from .datamodule import Batch
from .lr_schedule import learning_rate_factor
from .metrics import SUMS, compute_metrics, metric_sums

_LOOK_EVERY = 10  # steps between looks at whether the loss is still a number; a look waits for the device


class DrumModule(L.LightningModule):
    """Trains and validates what its children know how to cost and to write."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self._first_bad_step: Tensor | None = None
        self._finite = True
        self._sums: dict[str, Tensor] = {}

    @abstractmethod
    def batch_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Returns the costs of a batch of training, "loss" among them."""

    @abstractmethod
    def validation_losses(self, loops: Tensor, bpm: Tensor) -> dict[str, Tensor]:
        """Returns the costs of loops at tempi (B,), without chance, "loss" among them."""

    @abstractmethod
    def write_for(self, task: str, loops: Tensor, bpm: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the likeliest loops for a task's view of loops, and 1 in the cells (B, S, V) of drums that were given."""

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
        costs = self.batch_losses(batch)
        self._notice(costs["loss"].detach())
        self._log_costs("train", costs, len(batch[0]), prog_bar=True)
        return costs["loss"]

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
        """Writes every window without chance for every task, and counts the loss."""
        loops, bpm = batch
        for task in self.config.learned_tasks:
            written, locked = self.write_for(task, loops, bpm)
            asked = 1 - locked.repeat(1, 1, 3) if task == "infill" else torch.ones_like(loops)  # what was given earns nothing
            self._sums[task] += metric_sums(written * asked, loops * asked, bpm)
        costs = self.validation_losses(loops, bpm)
        self._finite = self._finite and bool(costs["loss"].isfinite())
        self._log_costs("validation", costs, len(loops))

    def on_validation_epoch_end(self) -> None:
        if self.trainer.strategy.reduce_boolean_decision(not self._finite, all=False):
            raise RunError(_no_number(f"in the validation after step {self.global_step}", self.config))
        parts = []
        for task, sums in self._sums.items():
            scores = compute_metrics(self.trainer.strategy.reduce(sums, reduce_op="sum"))
            used = {name: value for name, value in scores.items() if name == "f1" or self.config.model.encoding == "groove"}
            if task == "humanize":
                used.pop("f1")  # the hits are given
            for name, value in used.items():
                self.log(f"validation/{task}_{name}", value, sync_dist=True)
            parts.append(_worth(used))
        self.log("validation/score", sum(parts) / len(parts), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        config = self.config
        optimizer: torch.optim.Optimizer = torch.optim.Adam(self.parameters(), config.learning_rate)
        if config.optimiser == "adamw":
            optimizer = torch.optim.AdamW(self.parameters(), config.learning_rate, weight_decay=config.weight_decay)
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


def _worth(scores: dict[str, Any]) -> float:
    """Returns one figure of a task to choose the best checkpoint by: higher is better.

    F1 (1 where the hits are given), less a quarter of the errors of feel in units that weigh them alike: a fifth of the velocity
    range, 20 ms.
    """
    errors = scores.get("velocity_error", 0.0) / 0.2 + scores.get("timing_error_ms", 0.0) / 20
    return float(scores.get("f1", 1.0) - 0.25 * errors) if math.isfinite(errors) else -1.0
