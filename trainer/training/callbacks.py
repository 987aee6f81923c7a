"""Lightning callbacks: the metadata of checkpoints, the limits of a run, and its progress bar."""

import platform
import signal
import time
from types import FrameType
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, RichProgressBar
from numpy.typing import NDArray

from drumvae import __version__
from drumvae.models.checkpoint import FORMAT, KEY

from ..data.corpus import Corpus
from .config import TrainConfig
from .datamodule import evenly_spaced

CHECKPOINT_WINDOWS = 256
"""Validation windows in a checkpoint, to compare an export on and to calibrate thresholds on."""


class CheckpointMetadata(Callback):
    """Adds to each checkpoint the configuration of the model, the origin of its weights and some validation windows."""

    def __init__(self, config: TrainConfig, corpus: Corpus, validation: NDArray[np.int64]) -> None:
        """Takes the metadata windows from `validation`, the indices of the validation windows, (n,)."""
        windows = evenly_spaced(validation, CHECKPOINT_WINDOWS)
        self.config = config
        self.windows = torch.from_numpy(corpus.loops(windows))  # (n, S, 27) or (n, S)
        self.facts = _facts(corpus) | {"windows_bpm": [float(bpm) for bpm in corpus.window_bpm[windows]]}
        self.earlier_minutes, self.start_s = 0.0, time.monotonic()

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        metrics = {name.split("/")[1]: float(v) for name, v in trainer.callback_metrics.items() if name.startswith("validation/")}
        checkpoint[KEY] = {
            "format": FORMAT,
            "version": __version__,
            "preset": self.config.preset,
            "tasks": list(self.config.tasks),
            "config": self.config.to_dict(),
            "facts": self.facts | {"minutes": self.minutes(), "step": trainer.global_step, "validation": metrics},
            "windows": self.windows,
        }

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.earlier_minutes = float(checkpoint[KEY]["facts"].get("minutes", 0.0))

    def minutes(self) -> float:
        """Returns the training time of the run in minutes, including the sessions before a resume."""
        return self.earlier_minutes + (time.monotonic() - self.start_s) / 60


def _facts(corpus: Corpus) -> dict[str, Any]:
    """Returns the entries of a model card about the data and the machine."""
    splits = sorted({take.split for take in corpus.takes})
    return {
        "data": corpus.source,
        "takes": {split: sum(take.split == split for take in corpus.takes) for split in splits},
        "windows": {split: len(corpus.windows(split)) for split in splits},
        "bars": corpus.options.bars,
        "machine": _machine(),
        "started": time.strftime("%Y-%m-%d"),
    }


def _machine() -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return f"{platform.system()} {platform.machine()}, {device}, torch {torch.__version__}"


class RunLimits(Callback):
    """Ends training after a number of steps or minutes, or on Ctrl-C, with a final validation.

    Lightning's own limits differ: `max_steps` ends without a validation, `Timer` counts the time before a resume, and an interrupt
    exits without saving.
    """

    def __init__(self, max_steps: int, max_minutes: float | None) -> None:
        self.max_steps = max_steps
        self.deadline_s = time.monotonic() + max_minutes * 60 if max_minutes else None
        self.interrupted = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._previous_handler = signal.signal(signal.SIGINT, self._interrupt)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        signal.signal(signal.SIGINT, self._previous_handler)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # the step of the optimizer is not complete
        late = self.deadline_s is not None and time.monotonic() > self.deadline_s
        stop = late or self.interrupted or trainer.global_step >= self.max_steps
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Stops after the current step; a second Ctrl-C stops immediately."""
        signal.signal(signal.SIGINT, self._previous_handler)
        self.interrupted = True


class RunProgressBar(RichProgressBar):
    """Shows the progress of the whole run, the loss, the score and the speed, without the logger's version."""

    def __init__(self, micro_batches: int) -> None:
        super().__init__(leave=True)
        self.micro_batches = micro_batches

    @property
    def total_train_batches(self) -> int:
        """The number of micro-batches of the whole run."""
        return self.micro_batches

    def _get_train_description(self, current_epoch: int) -> str:
        return "Training"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}
