"""Downloads the Groove MIDI Dataset and unpacks zips of MIDI files into the user's cache.

The download keeps its own name and is checked on each use; unpacked zips are named by the sha256 of their bytes. Everything is
written under a temporary name and renamed when it is complete.
"""

import hashlib
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath, PureWindowsPath
from zipfile import BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError

from platformdirs import user_cache_path

from drumvae.util.errors import DataError

URL_VARIABLE = "DRUMVAE_GMD_URL"
_CHUNK_BYTES = 1 << 16
_READ_SUFFIXES = (".mid", ".midi", ".csv")  # an archive with audio has gigabytes that are not needed
_BROKEN_ZIP = (
    BadZipFile,
    ZlibError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)  # RuntimeError: encrypted; NotImplementedError: unknown method


@dataclass(frozen=True)
class Archive:
    """A file on the network, with its expected size and hash."""

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
    """Returns the path of the archive in the user's cache, and downloads it first if it is missing or changed.

    Args:
        progress: Whether to show a progress bar on stderr.
        url: The address; by default the variable DRUMVAE_GMD_URL, else the archive's own. The sha256 is checked in any case.
        archive: The file to download.
        timeout_s: Longest time without data, in seconds.

    Raises:
        DataError: If the download is incomplete or another file, or cannot be stored.
    """
    home = user_cache_path("drumvae") / archive.name
    with _writing(home):
        if not (home.is_file() and _sha256(home) == archive.sha256):
            with _temporary(home) as part:
                _fetch(url or os.environ.get(URL_VARIABLE) or archive.url, archive, part, progress, timeout_s)
                part.replace(home)
    return home


def source_folder(source: Path) -> Path:
    """Returns a folder unchanged, and for a zip the folder in the user's cache with its MIDI and CSV files.

    Raises DataError if the path does not exist, is not a complete zip, or has a member outside its folder.
    """
    if source.is_dir():
        return source
    if not source.is_file():
        raise DataError(f"There is no folder or zip {source}; type --data FOLDER_OR_ZIP, or omit it to download the Groove MIDI Dataset.")
    try:
        home = user_cache_path("drumvae") / "unpacked" / _sha256(source)[:32]
    except OSError as error:
        raise DataError(f"{source} cannot be read ({error.strerror or error}); type --data with a folder or zip that can.") from None
    if not home.is_dir():
        _unpack(source, home)
    return home


def _fetch(url: str, archive: Archive, part: Path, progress: bool, timeout_s: float) -> None:
    """Downloads a URL into a file. Raises DataError unless its size and sha256 are those of the archive."""
    digest, size = hashlib.sha256(), 0
    with part.open("wb") as file, closing(_chunks(url, archive.size_bytes, progress, timeout_s)) as chunks:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    if size < archive.size_bytes:
        raise _not_fetched(url, f"{size:,} of {archive.size_bytes:,} bytes arrived")
    if digest.hexdigest() != archive.sha256:
        raise _not_fetched(url, "it is another file: its sha256 differs")


def _chunks(url: str, expected_bytes: int, progress: bool, timeout_s: float) -> Generator[bytes, None, None]:
    """Yields the bytes of a URL, with a progress bar on stderr. Stops when there are more than expected."""
    from urllib.request import urlopen

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not progress)
    size = 0
    try:
        with urlopen(url, timeout=timeout_s) as response, bar:
            task = bar.add_task("Groove MIDI Dataset", total=expected_bytes)
            while size <= expected_bytes and (chunk := response.read1(_CHUNK_BYTES)):
                size += len(chunk)
                bar.update(task, advance=len(chunk))
                yield chunk
    except (OSError, HTTPException, ValueError) as error:  # ValueError: not a URL
        raise _not_fetched(url, _reason(error)) from None


def _reason(error: Exception) -> str:
    """Returns the reason of a network error in a few words."""
    from urllib.error import HTTPError

    if isinstance(error, HTTPError):
        error.close()
        return f"the server answers {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def _not_fetched(url: str, reason: str) -> DataError:
    return DataError(
        f"The Groove MIDI Dataset did not arrive from {url} ({reason}); try again, or fetch it yourself and type --data FOLDER_OR_ZIP."
    )


def _unpack(source: Path, home: Path) -> None:
    with _writing(home), _temporary(home) as part, _reading(source), ZipFile(source) as archive:
        part.mkdir()
        for member in _members(archive, source):
            archive.extract(member, part)
        try:
            part.replace(home)
        except OSError:
            if not home.is_dir():  # otherwise another process unpacked the same bytes first
                raise


def _members(archive: ZipFile, source: Path) -> list[ZipInfo]:
    """Returns the members to extract. Raises DataError if any member, extracted or not, has a path outside the folder."""
    for member in archive.infolist():
        name = member.filename
        if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
            raise DataError(
                f"{source} is refused: its member {name!r} would land outside its folder; unpack it yourself and type --data FOLDER."
            )
    members = [m for m in archive.infolist() if m.filename.lower().endswith(_READ_SUFFIXES) and not m.filename.startswith("__MACOSX/")]
    if not members:
        raise DataError(f"{source} holds no MIDI file (.mid); type --data with a folder or zip that does.")
    return members


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Converts the exceptions of an unreadable zip to a DataError."""
    try:
        yield
    except _BROKEN_ZIP as error:
        raise DataError(
            f"{source} is not a complete zip ({error or type(error).__name__}); fetch it again, or type --data FOLDER."
        ) from None


@contextmanager
def _writing(home: Path) -> Iterator[None]:
    """Creates the parent folder of a file, and converts OSError to DataError."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"{home} cannot be written ({error.strerror or error}); free some space, or unpack the data elsewhere and type --data FOLDER."
        ) from None


@contextmanager
def _temporary(home: Path) -> Iterator[Path]:
    """Yields a temporary path on the same disk as the final one, and removes it unless it was renamed."""
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="unfinished-", ignore_cleanup_errors=True) as unfinished:
        yield Path(unfinished) / home.name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
