"""Where a run keeps its weights: plain dicts and tensors, written whole or not at all, read without unpickling anything else."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from drumvae.errors import RunError
from drumvae.models.vae import GrooveVAE

from .presets import TrainConfig

FORMAT = 1
"""Of what drumvae adds to a checkpoint; a reader refuses any other."""
KEY = "drumvae"


class WholeFileIO(TorchCheckpointIO):
    """Writes a checkpoint beside its name and moves it there, so that a full disk leaves the last good one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None) -> None:
        final = Path(path)
        part = final.with_suffix(".part")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(final)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
            part.unlink(missing_ok=True)
            kept = f"the last good one is kept in {final}" if final.exists() else "none was written before it"
            raise RunError(f"The checkpoint {final.name} could not be written ({_reason(error)}); {kept}. Free some space and --resume.") from None

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, weights only; raises RunError where it is missing, broken, or from another version."""
    if not path.is_file():
        raise RunError(f"There is no checkpoint {path}; train one with drumvae-train.")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many ways to say that a file is not its own
        raise RunError(f"{path} is not a whole checkpoint ({type(error).__name__}); use another one, or train again.") from None
    found = checkpoint.get(KEY, {}).get("format") if isinstance(checkpoint, dict) else None
    if found != FORMAT:
        raise RunError(f"{path} is a checkpoint of format {found}, this version reads {FORMAT}; train again, or use the version that wrote it.")
    return checkpoint


@dataclass(frozen=True)
class Trained:
    """A model out of a checkpoint, ready to be exported."""

    model: GrooveVAE
    config: TrainConfig
    facts: dict[str, Any]
    """Data, step, epoch, scores on validation."""


def load_trained(path: Path) -> Trained:
    """Reads a checkpoint into a model in evaluation mode; raises RunError as `read_checkpoint`, and where the weights do not fit."""
    checkpoint = read_checkpoint(path)
    kept = checkpoint[KEY]
    config = TrainConfig.from_dict(kept["config"])
    model = GrooveVAE(config.model)
    weights = {name.removeprefix("vae."): value for name, value in checkpoint["state_dict"].items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError:
        raise RunError(f"The weights in {path} do not fit its own description; train again.") from None
    return Trained(model.eval(), config, kept["facts"])


def newest_run(runs: Path) -> Path:
    """Returns the run folder whose best checkpoint is the newest; raises RunError where there is none."""
    found = sorted(runs.glob("*/best.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise RunError(f"There is no trained run in {runs}; train one with drumvae-train, or name a run.")
    return found[-1].parent


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "the disk took only part of it"
