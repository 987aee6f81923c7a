"""Reads the checkpoints of training runs. They hold plain dicts and tensors, and no pickled objects."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..music.grid import Array
from ..util.errors import RunError
from .build import Model, new_model
from .config import ModelConfig

FORMAT = 3
"""The version of drumvae's own entries in a checkpoint; another one is refused."""
KEY = "drumvae"
"""The key of these entries: format, version, preset, tasks, config, facts, windows."""
RUNS = Path("runs")
"""The default folder of runs."""
BEST, LAST = "best.ckpt", "last.ckpt"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, weights only; raises RunError if it is missing, broken, or from another version."""
    if not path.is_file():
        raise RunError(f"There is no checkpoint {path}; train one with drumvae-train.")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many ways to say that a file is not its own
        raise RunError(f"{path} is not a whole checkpoint ({type(error).__name__}); use another one, or train again.") from None
    described = checkpoint.get(KEY) if isinstance(checkpoint, dict) else None
    described = described if isinstance(described, dict) else {}
    found = described.get("format")
    if found != FORMAT:
        other = "train again, or use the version that wrote it"
        raise RunError(f"{path} is a checkpoint of format {found}, this version reads {FORMAT}; {other}.")
    missing = [name for name in ("preset", "tasks", "config", "facts", "windows") if name not in described]
    if missing or not isinstance(checkpoint.get("state_dict"), dict):
        raise RunError(f"{path} is not a whole checkpoint: it lacks {', '.join(missing) or 'weights'}; use another one, or train again.")
    return checkpoint


@dataclass(frozen=True)
class Trained:
    """A model from a checkpoint, ready to be exported."""

    model: Model
    """In evaluation mode, on the CPU."""
    preset: str
    tasks: tuple[str, ...]
    config: dict[str, Any]
    """The whole configuration of the run."""
    facts: dict[str, Any]
    """Data, step, epoch, machine, thresholds, scores on validation."""
    windows: Array
    """A few validation windows to compare an export on: groove tensors (n, S, 27), or classes (n, S) of melodies; float32."""


def load_trained(path: Path) -> Trained:
    """Reads a checkpoint, or a run's best one, into a model; raises RunError as `read_checkpoint`, and where the weights do not fit."""
    path = path / BEST if path.is_dir() else path
    checkpoint = read_checkpoint(path)
    kept = checkpoint[KEY]
    try:
        model = new_model(ModelConfig.from_dict(kept["config"]["model"]))
        model.load_state_dict({name.removeprefix("vae."): value for name, value in checkpoint["state_dict"].items()})
        windows = kept["windows"].to(torch.float32).numpy()
        return Trained(model.eval(), kept["preset"], tuple(kept["tasks"]), kept["config"], kept["facts"], windows)
    except (RunError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise RunError(f"{path} does not hold the model that it describes ({reason}); use another one, or train again.") from None


def newest_run(runs: Path = RUNS) -> Path:
    """Returns the run folder whose best checkpoint is the newest; raises RunError if there is none."""
    found = sorted(runs.glob(f"*/{BEST}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise RunError(f"There is no trained run in {runs}; train one with drumvae-train, or name a run.")
    return found[-1].parent
