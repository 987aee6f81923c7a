"""Where files go: a folder tried before the work that is to be kept there, and bytes written so that a file is whole or not there."""

from contextlib import suppress
from pathlib import Path

from .errors import DataError


def check_writable(folder: Path, what: str, advice: str) -> None:
    """Makes a folder and tries to write into it; raises DataError, which ends in the advice, where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".drumvae-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataError(f"{what} cannot be written into {folder} ({error.strerror or error}); {advice}.") from None


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file under another name and moves it when it is whole; raises DataError where it cannot be written.

    Whatever ends it, a full disk or a signal that raises, what was begun is removed.
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
