"""Writes checkpoints atomically.

Lightning's own `TorchCheckpointIO` builds the whole file in memory, writes it to the system's temporary folder and moves it without
fsync. From another disk that is a copy, so that a full disk or a power failure would damage the only checkpoint.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from drumvae.models.checkpoint import read_checkpoint
from drumvae.util.errors import RunError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file beside it and renames that, so that a full disk keeps the previous one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None) -> None:
        final = Path(path)
        temporary = final.with_suffix(".part")
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
            temporary.unlink(missing_ok=True)
            kept = f"the last complete one is kept in {final}" if final.exists() else "none was written before it"
            failure = f"The checkpoint {final.name} could not be written ({_reason(error)})"
            raise RunError(f"{failure}; {kept}. Free some space and --resume.") from None

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "the disk took only part of it"
