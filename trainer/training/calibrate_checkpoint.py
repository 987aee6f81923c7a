"""Calibrates the hit thresholds and the expression scale of a checkpoint on validation windows."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drumvae.bundle.tasks import GENERATE, RECONSTRUCT, TASK_TABLE
from drumvae.models.checkpoint import KEY, load_trained, read_checkpoint
from drumvae.models.drummer import Drummer
from drumvae.music.grid import LOOP_STEPS

from ..data.corpus import Corpus
from .calibrate import find_scale_factors, find_thresholds
from .checkpoint_io import AtomicCheckpointIO
from .datamodule import evenly_spaced
from .drummer_module import predict_loops, sample_expression
from .vae_batches import view_for

SCALE_WINDOWS = 4096
"""Validation windows for the scale factors; rare voices need many."""


def calibrate_checkpoint(path: Path, corpus: Corpus) -> None:
    """Adds thresholds to a checkpoint of drums, and scale factors to that of a drummer."""
    checkpoint = read_checkpoint(path)
    trained = load_trained(path)
    every = slice(None, None, max(trained.windows.shape[1] // LOOP_STEPS, 1))  # fewer of longer loops
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, facts = trained.model.to(device), checkpoint[KEY]["facts"]
    windows = trained.windows[every].copy()
    target = torch.from_numpy(windows).to(device)
    if isinstance(model, Drummer):
        bpm = torch.from_numpy(np.asarray(facts["windows_bpm"], np.float32)[every]).to(device)
        facts |= _drummer_thresholds(model, trained.tasks, target, bpm)
        checkpoint["state_dict"]["vae.decoder.scale_correction"] = _scale_factors(model, corpus, device).cpu()
    else:
        task = next(task for task in trained.tasks if task != GENERATE)
        view = torch.from_numpy(np.ascontiguousarray(view_for(task, windows)[0])).to(device)
        facts["thresholds"] = find_thresholds(lambda thresholds: model.reconstruct(view, thresholds=thresholds), target)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)


def _drummer_thresholds(model: Drummer, tasks: tuple[str, ...], target: Tensor, bpm: Tensor) -> dict[str, object]:
    def predict(task: str, thresholds: Tensor) -> Tensor:
        return predict_loops(model, task, target, bpm, thresholds)[0]

    by_task = {task: find_thresholds(partial(predict, task), target) for task in tasks if TASK_TABLE[task].chooses_hits}
    return {"thresholds": by_task[RECONSTRUCT], "thresholds_by_task": by_task}


def _scale_factors(model: Drummer, corpus: Corpus, device: str) -> Tensor:
    windows = evenly_spaced(corpus.windows("validation"), SCALE_WINDOWS)
    loops = torch.from_numpy(corpus.loops(windows)).to(device)
    bpm = torch.from_numpy(np.asarray(corpus.window_bpm[windows], np.float32)).to(device)
    return find_scale_factors(sample_expression(model, loops, bpm), loops)
