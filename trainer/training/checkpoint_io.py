"""How a run writes its checkpoints: whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from drumvae.models.checkpoint import read_checkpoint
from drumvae.util.errors import RunError


class AtomicCheckpointIO(TorchCheckpointIO):
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
            trouble = f"The checkpoint {final.name} could not be written ({_reason(error)})"
            raise RunError(f"{trouble}; {kept}. Free some space and --resume.") from None

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "the disk took only part of it"
