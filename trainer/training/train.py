"""A corpus and a configuration in, a run folder of checkpoints, curves and logs out. The loop itself is Lightning's."""

import logging
import platform
import shutil
import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from drumvae import __version__
from drumvae.models.checkpoint import BEST, FORMAT, KEY, load_trained, read_checkpoint
from drumvae.models.drummer import Drummer
from drumvae.music.grid import LOOP_STEPS
from drumvae.util.errors import RunError

from ..data.corpus import Corpus
from .base_module import DrumModule
from .calibrate import calibrate, spread_factors
from .callbacks import LastCheckpoint, RunLimits
from .checkpoint_io import AtomicCheckpointIO
from .config import TrainConfig
from .curve import KeepCurve
from .datamodule import WindowData, micro_batch_size, spread
from .distributed import first_process, launched
from .drummer_module import DrummerModule, played_loosely, write_for
from .vae_batches import view_for
from .vae_module import VAEModule

KEPT_WINDOWS = 256  # validation windows kept in a checkpoint, to compare an export on, and to find thresholds
SPREAD_WINDOWS = 4096  # of validation, by which it is found how widely a drummer's playing spreads: rare voices need many
CONFIG = "config.toml"
FREE_TASKS = ("reconstruct", "drumify", "infill")
"""What thresholds are found for: where hits are written without chance."""


@dataclass(frozen=True)
class RunOptions:
    """Says when to stop beside what the configuration says, what to start from, and on how many devices."""

    minutes: float | None = None
    """Wall time after which training ends, validates and saves."""
    resume: Path | None = None
    """A checkpoint to go on from."""
    weights: dict[str, torch.Tensor] | None = None
    """Weights of a model to begin with."""
    devices: int | None = None
    """Processes on this machine, one for each GPU; on a CPU, processes. By default every GPU, or one process."""
    nodes: int = 1
    """Machines."""


def train(config: TrainConfig, corpus: Corpus, run: Path, limits: RunOptions = RunOptions(), progress: bool = True) -> dict[str, float]:
    """Trains until the steps, the patience or the minutes are used up, or Ctrl-C; returns the last scores on validation.

    Leaves in `run`: `best.ckpt`, `last.ckpt`, `config.toml`, `curve.csv` and TensorBoard's log. Raises RunError where the corpus
    is smaller than a batch, the loss is no number, the device has too little memory or the disk is full; what was kept stays.
    """
    _quieten()
    L.seed_everything(config.seed, verbose=False)
    if first_process():
        run.mkdir(parents=True, exist_ok=True)
        config.save(run / CONFIG)
    data = WindowData(config, corpus)
    numbers = spread(data.validation, KEPT_WINDOWS)
    kept = torch.from_numpy(corpus.loops(numbers))
    facts = _facts(corpus) | {"windows_bpm": [float(bpm) for bpm in corpus.window_bpm[numbers]]}
    task = (DrummerTrainingModule if config.model.family == "drummer" else VAETrainingModule)(config).keep(facts, kept)
    if limits.weights:
        task.vae.load_state_dict(limits.weights)
    trainer = _new_trainer(config, run, limits, progress, _validate_every(config, len(data.training)))
    try:
        trainer.fit(task, data, ckpt_path=str(limits.resume) if limits.resume else None, weights_only=True)
    except torch.OutOfMemoryError:
        raise RunError(_out_of_memory(config, trainer.world_size)) from None
    if trainer.is_global_zero:
        if limits.resume and not (run / BEST).exists():  # resumed into another folder, and never better than before
            shutil.copyfile(limits.resume, run / BEST)
        if corpus.options.kind == "drums":
            _calibrate(run / BEST, corpus)
    trainer.strategy.barrier()
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("validation/")}


def _new_trainer(config: TrainConfig, run: Path, limits: RunOptions, progress: bool, validate_every: int) -> L.Trainer:
    names: dict[str, Any] = {"enable_version_counter": False, "auto_insert_metric_name": False}
    callbacks: list[Callback] = [
        ModelCheckpoint(run, BEST.removesuffix(".ckpt"), monitor="validation/score", mode="max", **names),
        LastCheckpoint(run),  # after the best, of which it notes the score
        EarlyStopping("validation/score", patience=config.patience, mode="max", check_finite=False),
        RunLimits(config.max_steps, limits.minutes),
        KeepCurve(run),
    ]
    callbacks += [EMAWeightAveraging(decay=config.averaging)] if config.averaging else []
    callbacks += [RunProgressBar(config.max_steps * config.accumulate)] if progress else []
    devices, nodes = _processes(limits)
    return L.Trainer(
        accelerator=_accelerator(),
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if nodes > 1 or (isinstance(devices, int) and devices > 1) else "auto",
        precision=config.precision,  # type: ignore[arg-type]  # one of config.PRECISIONS
        accumulate_grad_batches=config.accumulate,
        use_distributed_sampler=False,  # ours knows its process
        max_epochs=-1,  # the loader has no end; StopInTime counts the steps
        val_check_interval=validate_every * config.accumulate,
        check_val_every_n_epoch=None,
        callbacks=callbacks,
        logger=TensorBoardLogger(run, name="", version="tensorboard"),
        gradient_clip_val=config.gradient_clip or None,
        plugins=[AtomicCheckpointIO()],
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=progress,
    )


def _validate_every(config: TrainConfig, windows: int) -> int:
    """Returns the steps between validations."""
    return config.validate_every or min(max(windows // config.batch_size, 100), 1000)


def _accelerator() -> str:
    """Returns "gpu" where there is an NVIDIA one; Apple's lacks the double precision that sums are kept in."""
    return "gpu" if torch.cuda.is_available() else "cpu"


def _processes(limits: RunOptions) -> tuple[int | str, int]:
    """Returns processes a machine and machines: what torchrun started, where it did, else what was asked for."""
    started = launched()
    if started:
        return started
    if limits.devices is None:
        return "auto" if torch.cuda.is_available() else 1, limits.nodes
    return limits.devices, limits.nodes


class CheckpointMetadata(DrumModule):
    """Adds to every checkpoint what is needed to rebuild the model and to say where it came from."""

    facts: dict[str, Any]
    windows: torch.Tensor  # (n, S, 27) or (n, S)
    began_s: float

    def keep(self, facts: dict[str, Any], windows: torch.Tensor) -> Self:
        """Says what is kept beside the weights."""
        self.facts = {"minutes": 0.0} | facts
        self.windows = windows
        self.began_s = time.monotonic()
        return self

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        scores = {name.split("/")[1]: float(v) for name, v in self.trainer.callback_metrics.items() if name.startswith("validation/")}
        config = self.config
        checkpoint[KEY] = {
            "format": FORMAT,
            "version": __version__,
            "preset": config.preset,
            "tasks": list(config.tasks),
            "config": config.to_dict(),
            "facts": self.facts | {"minutes": self.minutes(), "step": self.global_step, "validation": scores},
            "windows": self.windows,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Goes on counting the minutes where the resumed run stopped, and the parts as they are now divided."""
        self.facts["minutes"] = checkpoint[KEY]["facts"].get("minutes", 0.0)
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts.update(dict.fromkeys(counts, checkpoint["global_step"] * self.config.accumulate))

    def minutes(self) -> float:
        """Returns how long the run has trained, earlier sittings counted in."""
        return float(self.facts["minutes"]) + (time.monotonic() - self.began_s) / 60


class VAETrainingModule(CheckpointMetadata, VAEModule):
    """Teaches the systems that were published."""


class DrummerTrainingModule(CheckpointMetadata, DrummerModule):
    """Teaches a drummer."""


class RunProgressBar(RichProgressBar):
    """Shows how far the whole run is, the loss, the score and the speed, and no bookkeeping."""

    def __init__(self, parts: int) -> None:
        super().__init__(leave=True)
        self.parts = parts

    @property
    def total_train_batches(self) -> int:
        """The parts that will be read in all."""
        return self.parts

    def _get_train_description(self, current_epoch: int) -> str:
        return "Training"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


def _out_of_memory(config: TrainConfig, world: int) -> str:
    size = micro_batch_size(config, world)
    if size == 1:
        return "The device has too little memory for one window of this model; choose a smaller preset, or --set model.decoder_units=[256]."
    parts = next(parts for parts in range(2 * config.accumulate, config.batch_size + 1) if config.batch_size % (parts * world) == 0)
    fits = config.batch_size // (parts * world)
    advice = f"type --set accumulate={parts}, which reads {fits} and trains the same"
    return f"The device has too little memory for {size} windows at once; {advice}."


def _calibrate(path: Path, corpus: Corpus) -> None:
    """Finds the best checkpoint's thresholds, and how loosely a drummer plays, on validation windows, and writes them into it."""
    checkpoint = read_checkpoint(path)
    trained = load_trained(path)
    some = slice(None, None, max(trained.windows.shape[1] // LOOP_STEPS, 1))  # of longer loops fewer
    windows = trained.windows[some]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, facts = trained.model.to(device), checkpoint[KEY]["facts"]
    if isinstance(model, Drummer):
        bpm = torch.from_numpy(np.asarray(facts["windows_bpm"], np.float32)[some]).to(device)
        true = torch.from_numpy(windows.copy()).to(device)
        by_task = {task: calibrate(partial(_written, model, task, true, bpm), true) for task in trained.tasks if task in FREE_TASKS}
        facts |= {"thresholds": by_task["reconstruct"], "thresholds_by_task": by_task}
        validation = spread(corpus.windows("validation"), SPREAD_WINDOWS)
        loops = torch.from_numpy(corpus.loops(validation)).to(device)
        told = torch.from_numpy(np.asarray(corpus.window_bpm[validation], np.float32)).to(device)
        factors = spread_factors(played_loosely(model, loops, told), loops)
        checkpoint["state_dict"]["vae.decoder.loosen"] = factors.cpu()
    else:
        task = next(task for task in trained.tasks if task != "generate")
        heard, true = (torch.from_numpy(loops).to(device) for loops in (np.ascontiguousarray(view_for(task, windows)[0]), windows.copy()))
        facts["thresholds"] = calibrate(lambda thresholds: model.write_back(heard, thresholds=thresholds), true)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)


def _written(model: Drummer, task: str, true: torch.Tensor, bpm: torch.Tensor, thresholds: torch.Tensor) -> torch.Tensor:
    return write_for(model, task, true, bpm, thresholds)[0]


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
