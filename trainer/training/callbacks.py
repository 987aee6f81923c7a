"""Callbacks that say when a run ends and keep its last state, so that nothing is lost."""

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, Checkpoint

from drumvae.models.checkpoint import LAST

SAVE_EVERY_S = 600.0


def ends_step(trainer: L.Trainer, batch_index: int) -> bool:
    """Says whether a step of the optimiser ends with this part; a run that stops or is saved within one could not go on exactly."""
    return (batch_index + 1) % trainer.accumulate_grad_batches == 0


class LastCheckpoint(Checkpoint):
    """Writes `last.ckpt` at every validation, and every ten minutes between them."""

    def __init__(self, run: Path) -> None:
        self.path = run / LAST
        self.saved_s = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if ends_step(trainer, batch_idx) and trainer.strategy.broadcast(time.monotonic() > self.saved_s + SAVE_EVERY_S):
            pl_module.look()  # type: ignore[operator]  # a LoopTask's: what is no number is not kept
            self._save(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self.saved_s = time.monotonic()


class RunLimits(Callback):
    """Ends training after a number of steps or minutes, or on Ctrl-C, with a last validation."""

    def __init__(self, max_steps: int, minutes: float | None) -> None:
        self.max_steps = max_steps
        self.deadline_s = time.monotonic() + minutes * 60 if minutes else None
        self.interrupted = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._before = signal.signal(signal.SIGINT, self._interrupt)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        signal.signal(signal.SIGINT, self._before)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not ends_step(trainer, batch_idx):
            return
        late = self.deadline_s is not None and time.monotonic() > self.deadline_s
        wanted = late or self.interrupted or trainer.global_step >= self.max_steps
        if trainer.strategy.reduce_boolean_decision(wanted, all=False):
            trainer.should_stop = True

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Stops after this step; a second Ctrl-C stops at once."""
        signal.signal(signal.SIGINT, self._before)
        self.interrupted = True
