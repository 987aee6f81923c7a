"""Caches test data that is slow to make, such as an exported bundle, between test runs."""

import hashlib
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("drumvae/models", "drumvae/music", "drumvae/bundle", "drumvae/inference", "export/onnx", "tests/helpers")
"""The code that decides the contents of an exported bundle."""


def code_hash() -> str:
    """Returns a hash of the code that makes a bundle and of the versions of the libraries it uses."""
    digest = hashlib.sha256()
    for path in sorted(path for source in SOURCES for path in (ROOT / source).rglob("*.py")):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    digest.update(" ".join(version(name) for name in ("torch", "onnx", "onnxscript", "numpy")).encode())
    return digest.hexdigest()[:16]


def cached_folder(cache: Path, name: str, make: Callable[[Path], object]) -> Path:
    """Returns a folder that `make` filled, in this run or in an earlier one with the same code.

    Args:
        cache: The folder of the cache; processes of one run may share it.
        name: The folder's name; folders of the same name from other versions of the code are removed.
        make: Fills the empty folder that it is given.
    """
    from filelock import FileLock

    home = cache / f"{name}-{code_hash()}"
    with FileLock(cache / f"{name}.lock"):  # the processes of one run wait for the first
        if not home.is_dir():
            for stale in cache.glob(f"{name}-*"):
                shutil.rmtree(stale)
            part = cache / f"{name}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(home)
    return home
