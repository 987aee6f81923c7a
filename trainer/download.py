"""The Groove MIDI Dataset out of the network, or a zip of MIDI files; a folder to read from comes out.

Both lie in the user's cache, the download under its own name and checked on every use, the unpacked zips under the sha256 of
their bytes. Everything is written to a temporary name and moved when it is whole, so that nothing half done is ever found.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

from platformdirs import user_cache_path

from drumvae.errors import DataError

URL_VARIABLE = "DRUMVAE_GMD_URL"
_CHUNK_BYTES = 1 << 16
_READ_SUFFIXES = (".mid", ".midi", ".csv")  # an archive with audio is gigabytes that nobody reads here
_BROKEN_ZIP = (BadZipFile, ZlibError, EOFError, NotImplementedError, RuntimeError, ValueError)  # two of them: encrypted, unknown method


@dataclass(frozen=True)
class Archive:
    """Names a file on the network and what it must hold."""

    url: str
    size_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


GROOVE = Archive(
    url="https://storage.googleapis.com/magentadata/datasets/groove/groove-v1.0.0-midionly.zip",
    size_bytes=3_260_318,
    sha256="651cbc524ffb891be1a3e46d89dc82a1cecb09a57c748c7b45b844c4841dcc1e",
)
"""Groove MIDI Dataset 1.0.0 without audio: 1,150 takes, CC BY 4.0."""


def groove_zip(progress: bool = True, url: str | None = None, archive: Archive = GROOVE, timeout_s: float = 30) -> Path:
    """Returns the archive in the user's cache, fetched first where it is not there whole.

    The address is `url`, else the variable DRUMVAE_GMD_URL, else the archive's own; what arrives must have the archive's sha256
    whatever its address. Raises DataError where it does not arrive whole within `timeout_s` of silence, or cannot be stored.
    """
    home = user_cache_path("drumvae") / archive.name
    with _storing(home):
        if not (home.is_file() and _sha256(home) == archive.sha256):
            with _part(home) as part:
                _fetch(url or os.environ.get(URL_VARIABLE) or archive.url, archive, part, progress, timeout_s)
                part.replace(home)
    return home


def source_folder(source: Path) -> Path:
    """Returns a folder as it is, and for a zip the folder in the user's cache that holds its MIDI files and tables.

    Raises DataError where there is nothing, where the file is not a whole zip, and where a member would land outside.
    """
    if source.is_dir():
        return source
    if not source.is_file():
        raise DataError(f"There is no folder or zip {source}; type --data FOLDER_OR_ZIP, or leave it out to fetch the Groove MIDI Dataset.")
    with _reading(source):
        home = user_cache_path("drumvae") / "unpacked" / _sha256(source)[:32]
    if not home.is_dir():
        _unpack(source, home)
    return home


def _fetch(url: str, archive: Archive, part: Path, progress: bool, timeout_s: float) -> None:
    """Writes what an address answers to a file; raises DataError unless it is the archive."""
    digest, size = hashlib.sha256(), 0
    with part.open("wb") as file:
        for chunk in _chunks(url, archive.size_bytes, progress, timeout_s):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    if size != archive.size_bytes:
        raise _not_fetched(url, f"{size:,} of {archive.size_bytes:,} bytes arrived" if size < archive.size_bytes else "the file is too long")
    if digest.hexdigest() != archive.sha256:
        raise _not_fetched(url, f"its sha256 is {digest.hexdigest()}, not {archive.sha256}")


def _chunks(url: str, expected_bytes: int, progress: bool, timeout_s: float) -> Iterator[bytes]:
    """Yields what an address answers, with a bar on stderr, and stops once it is longer than expected."""
    from urllib.request import urlopen

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not progress)
    size = 0
    try:
        with urlopen(url, timeout=timeout_s) as answer, bar:
            task = bar.add_task("Groove MIDI Dataset", total=expected_bytes)
            while size <= expected_bytes and (chunk := _receive(answer)):
                size += len(chunk)
                bar.update(task, advance=len(chunk))
                yield chunk
    except (HTTPException, ValueError) as error:  # ValueError: an address that is none
        raise _not_fetched(url, str(error) or type(error).__name__) from None
    except _NetworkError as error:
        raise _not_fetched(url, str(error)) from None
    except OSError as error:
        raise _not_fetched(url, str(getattr(error, "reason", None) or error)) from None
