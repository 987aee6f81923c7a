"""Writes files atomically, and checks that a folder can be written to before a long task begins."""

from contextlib import suppress
from pathlib import Path

from .errors import DataError


def check_writable(folder: Path, what: str, advice: str) -> None:
    """Makes a folder and writes a probe file into it; raises DataError, which ends with the advice, if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".drumvae-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(f"{what} cannot be written into {folder} ({error.strerror or error}); {advice}.") from None


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a temporary file beside a path, and renames it when it is complete; raises DataError if that fails.

    The temporary file is removed after any failure: a full disk, or a signal handler that raises.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror or error}).") from None
    finally:
        with suppress(OSError):
            part.unlink()
