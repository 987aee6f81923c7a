"""A place to write in, a verdict out, before the work that is to be kept there and not after it."""

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
