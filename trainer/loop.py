"""A corpus and a configuration in, a run folder of checkpoints and logs out. The loop itself is Lightning's."""

import json
import logging
import math
import platform
import shutil
import signal
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from drumvae import __version__
from drumvae.checkpoint import BEST, FORMAT, KEY, load_trained, read_checkpoint

from .calibrate import calibrate
from .checkpoints import WholeFileIO
from .corpus import Corpus
from .presets import TrainConfig
from .task import GrooveTask
from .windows import Windows, new_loader

VALIDATION_BATCH = 512
KEPT_WINDOWS = 256  # validation windows kept in a checkpoint, to compare an export on, and to find thresholds


@dataclass(frozen=True)
class Limits:
    """Says when to stop beside what the configuration says, and what to start from."""

    minutes: float | None = None
    """Wall time after which training ends, validates and saves."""
    resume: Path | None = None
    """A checkpoint to go on from."""


def train(config: TrainConfig, corpus: Corpus, run: Path, limits: Limits = Limits(), progress: bool = True) -> dict[str, float]:
    """Trains until the steps, the patience or the minutes are used up, or Ctrl-C; returns the last scores on validation.

    Leaves in `run`: `best.ckpt`, `last.ckpt`, `config.json` and TensorBoard's log. Raises RunError where the disk is full.
    """
    _quieten()
    L.seed_everything(config.seed, verbose=False)
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(config.to_dict(), indent=2), "utf-8")
    training, validation = Windows(corpus, "train"), Windows(corpus, "validation")
    keeper = ModelCheckpoint(
        run,
        BEST.removesuffix(".ckpt"),
        monitor="validation/score",
        mode="max",
        save_last=True,
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )
    callbacks: list[Callback] = [
        keeper,
        EarlyStopping("validation/score", patience=config.patience, mode="max"),
        StopInTime(config.max_steps, limits.minutes),
    ]
    callbacks += [EMAWeightAveraging(decay=config.averaging)] if config.averaging else []
    callbacks += [Bar(leave=True)] if progress else []
    loader = new_loader(training, config.batch_size, shuffle=True)
    trainer = L.Trainer(
        max_epochs=math.ceil(config.max_steps / len(loader)) + bool(limits.resume),  # a resumed run may begin within an epoch
        callbacks=callbacks,
        logger=TensorBoardLogger(run, name="", version="tensorboard"),
        gradient_clip_val=config.gradient_clip or None,
        plugins=[WholeFileIO()],
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=progress,
    )
    task = KeptTask(config, _facts(corpus), validation.batch(list(range(0, len(validation), max(len(validation) // KEPT_WINDOWS, 1))))[0])
    trainer.fit(
        task,
        loader,
        new_loader(validation, VALIDATION_BATCH, shuffle=False),
        ckpt_path=str(limits.resume) if limits.resume else None,
        weights_only=True,
    )
    if limits.resume and not (run / BEST).exists():  # resumed into another folder, and never better than before
        shutil.copyfile(limits.resume, run / BEST)
    _keep_thresholds(run / BEST, task.windows)
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("validation/")}


class KeptTask(GrooveTask):
    """Adds to every checkpoint what is needed to rebuild the model and to say where it came from."""

    def __init__(self, config: TrainConfig, facts: dict[str, Any], windows: torch.Tensor) -> None:
        super().__init__(config)
        self.facts = {"minutes": 0.0} | facts
        self.windows = windows  # (n, S, 27)
        self.began_s = time.monotonic()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        scores = {name.split("/")[1]: float(v) for name, v in self.trainer.callback_metrics.items() if name.startswith("validation/")}
        config = self.config
        checkpoint[KEY] = {
            "format": FORMAT,
            "version": __version__,
            "preset": config.preset,
            "tasks": list(config.tasks),
            "config": config.to_dict(),
            "facts": self.facts | {"minutes": self._minutes(), "step": self.global_step, "epoch": self.current_epoch, "validation": scores},
            "windows": self.windows,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on counting the minutes where the resumed run stopped."""
        self.facts["minutes"] = checkpoint[KEY]["facts"].get("minutes", 0.0)

    def _minutes(self) -> float:
        return float(self.facts["minutes"]) + (time.monotonic() - self.began_s) / 60


class Bar(RichProgressBar):
    """Shows the loss, the score and the speed, and no bookkeeping."""

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


class StopInTime(Callback):
    """Ends training after a number of steps or minutes, or on Ctrl-C, with a last validation, so that nothing is lost."""

    def __init__(self, max_steps: int, minutes: float | None) -> None:
        self.max_steps = max_steps
        self.deadline_s = time.monotonic() + minutes * 60 if minutes else None
        self.interrupted = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._before = signal.signal(signal.SIGINT, self._interrupt)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        signal.signal(signal.SIGINT, self._before)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        late = self.deadline_s is not None and time.monotonic() > self.deadline_s
        if late or self.interrupted or trainer.global_step >= self.max_steps:
            trainer.should_stop = True

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Stops after this step; a second Ctrl-C stops at once."""
        signal.signal(signal.SIGINT, self._before)
        self.interrupted = True


def _keep_thresholds(path: Path, windows: torch.Tensor) -> None:
    """Finds the best checkpoint's thresholds and writes them into it."""
    checkpoint = read_checkpoint(path)
    checkpoint[KEY]["facts"]["thresholds"] = calibrate(load_trained(path).model, windows)
    WholeFileIO().save_checkpoint(checkpoint, path)


def _facts(corpus: Corpus) -> dict[str, Any]:
    """Returns what a model card says of the data and the machine."""
    counts = {split: sum(take.split == split for take in corpus.takes) for split in sorted({take.split for take in corpus.takes})}
    return {
        "data": corpus.source,
        "takes": counts,
        "windows": {split: len(corpus.windows(split)) for split in counts},
        "bars": corpus.options.bars,
        "machine": _machine(),
        "started": time.strftime("%Y-%m-%d"),
    }


def _machine() -> str:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return f"{platform.system()} {platform.machine()}, {device}, torch {torch.__version__}"


def _quieten() -> None:
    """Leaves the screen to the progress bar: advice about workers and tips are not for the person who trains."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own, about the torch beside it
    warnings.filterwarnings("ignore", message=".*The dirpath has changed.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
