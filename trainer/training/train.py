"""Trains a model: prepares data, module and Lightning's Trainer, fits, and calibrates the best checkpoint."""

import logging
import shutil
import warnings
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from drumvae.models.checkpoint import BEST, LAST
from drumvae.models.config import DrummerConfig
from drumvae.util.errors import RunError

from ..data.corpus import Corpus
from .base_module import DrumModule
from .calibrate_checkpoint import calibrate_checkpoint
from .callbacks import CheckpointMetadata, RunLimits, RunProgressBar
from .checkpoint_io import AtomicCheckpointIO
from .config import TrainConfig
from .curve import CurveLogger
from .datamodule import WindowData, micro_batch_size
from .distributed import is_first_process, torchrun_layout
from .drummer_module import DrummerModule
from .vae_module import VAEModule

CONFIG = "config.toml"
SAVE_EVERY = timedelta(minutes=10)
"""Interval between writes of `last.ckpt`, in addition to those at each validation."""


@dataclass(frozen=True)
class RunOptions:
    """Options of one session of a run. They are not saved with its configuration."""

    max_minutes: float | None = None
    """Wall time of this session, after which training ends with a validation."""
    resume: Path | None = None
    """The checkpoint to resume from."""
    weights: dict[str, torch.Tensor] | None = None
    """Initial weights of the model, for fine-tuning."""
    devices: int | None = None
    """Processes on this machine, one for each GPU; on a CPU, processes. By default all GPUs, or one process."""
    nodes: int = 1
    """Number of machines."""


def train(config: TrainConfig, corpus: Corpus, run: Path, options: RunOptions = RunOptions(), progress: bool = True) -> dict[str, float]:
    """Trains until the last step, the patience or the time limit is reached, or Ctrl-C is pressed.

    Args:
        config: The configuration of the run.
        corpus: The takes to train and to validate on.
        run: The folder for `best.ckpt`, `last.ckpt`, `config.toml`, `curve.csv` and the TensorBoard log.
        options: Limits of this session, checkpoint to resume from, devices.
        progress: Whether to show a progress bar.

    Returns:
        The last validation metrics by name.

    Raises:
        RunError: If the corpus is smaller than a batch, the loss is not finite, or memory or disk space is insufficient. Checkpoints
            that were written before are kept.
    """
    _silence_lightning()
    L.seed_everything(config.seed, verbose=False)
    if is_first_process():
        run.mkdir(parents=True, exist_ok=True)
        config.save(run / CONFIG)
    data = WindowData(config, corpus)
    module: DrumModule = DrummerModule(config) if isinstance(config.model, DrummerConfig) else VAEModule(config)
    if options.weights:
        module.vae.load_state_dict(options.weights)
    trainer = _new_trainer(config, data, run, options, progress)
    try:
        trainer.fit(module, data, ckpt_path=str(options.resume) if options.resume else None, weights_only=True)
    except torch.OutOfMemoryError:
        raise RunError(_out_of_memory(config, trainer.world_size)) from None
    if trainer.is_global_zero:
        if options.resume and not (run / BEST).exists():  # resumed into another folder without a better score
            shutil.copyfile(options.resume, run / BEST)
        if corpus.options.kind == "drums":
            calibrate_checkpoint(run / BEST, corpus)
    trainer.strategy.barrier()
    return {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("validation/")}


def _new_trainer(config: TrainConfig, data: WindowData, run: Path, options: RunOptions, progress: bool) -> L.Trainer:
    devices, nodes = _devices(options)
    return L.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",  # Apple's GPU lacks float64, which the metric sums need
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if nodes > 1 or (isinstance(devices, int) and devices > 1) else "auto",
        precision=config.precision,  # type: ignore[arg-type]  # one of config.PRECISIONS
        accumulate_grad_batches=config.accumulate,
        use_distributed_sampler=False,  # BatchSampler divides the windows among the processes
        max_epochs=-1,  # the loader is endless; RunLimits counts the steps
        val_check_interval=_validation_interval(config, len(data.training)) * config.accumulate,
        check_val_every_n_epoch=None,
        callbacks=_callbacks(config, data, run, options, progress),
        logger=TensorBoardLogger(run, name="", version="tensorboard"),
        gradient_clip_val=config.gradient_clip or None,
        plugins=[AtomicCheckpointIO()],
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_model_summary=False,
        enable_progress_bar=progress,
    )


def _callbacks(config: TrainConfig, data: WindowData, run: Path, options: RunOptions, progress: bool) -> list[Callback]:
    metadata = CheckpointMetadata(config, data.corpus, data.validation)
    names: dict[str, Any] = {"enable_version_counter": False, "auto_insert_metric_name": False}
    best, last = BEST.removesuffix(".ckpt"), LAST.removesuffix(".ckpt")
    callbacks: list[Callback] = [
        metadata,
        ModelCheckpoint(run, best, monitor="validation/score", mode="max", **names),
        ModelCheckpoint(run, last, **names),  # at each validation
        ModelCheckpoint(run, last, train_time_interval=SAVE_EVERY, **names),
        EarlyStopping("validation/score", patience=config.patience, mode="max", check_finite=False),
        RunLimits(config.max_steps, options.max_minutes),
        CurveLogger(run, metadata.minutes),
    ]
    callbacks += [EMAWeightAveraging(decay=config.averaging)] if config.averaging else []
    callbacks += [RunProgressBar(config.max_steps * config.accumulate)] if progress else []
    return callbacks


def _validation_interval(config: TrainConfig, windows: int) -> int:
    """Returns the number of steps between validations."""
    return config.validate_every or min(max(windows // config.batch_size, 100), 1000)


def _devices(options: RunOptions) -> tuple[int | str, int]:
    """Returns the processes on each machine and the number of machines, from torchrun if it started this process."""
    if layout := torchrun_layout():
        return layout
    if options.devices is None:
        return "auto" if torch.cuda.is_available() else 1, options.nodes
    return options.devices, options.nodes


def _out_of_memory(config: TrainConfig, world_size: int) -> str:
    size = micro_batch_size(config, world_size)
    if size == 1:
        smaller_model = "model.width=64" if isinstance(config.model, DrummerConfig) else "model.decoder_units=[256]"
        return f"The device has too little memory for one window of this model; choose a smaller preset, or --set {smaller_model}."
    divisors = range(2 * config.accumulate, config.batch_size + 1)
    accumulate = next(parts for parts in divisors if config.batch_size % (parts * world_size) == 0)
    smaller = config.batch_size // (accumulate * world_size)
    advice = f"type --set accumulate={accumulate}, which reads {smaller} and trains the same"
    return f"The device has too little memory for {size} windows at once; {advice}."


def _silence_lightning() -> None:
    """Hides Lightning's log messages, and those of its warnings that do not apply to this trainer."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # about Lightning's use of torch
    warnings.filterwarnings("ignore", message=".*The dirpath has changed.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*is smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
