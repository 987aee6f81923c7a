"""The Groove MIDI Dataset out of the network, or a zip of MIDI files; a folder to read from comes out.

Both lie in the user's cache, the download under its own name and checked on every use, the unpacked zips under the sha256 of
their bytes. Everything is written to a temporary name and moved when it is whole, so that nothing half done is ever found.
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
    try:
        home = user_cache_path("drumvae") / "unpacked" / _sha256(source)[:32]
    except OSError as error:
        raise DataError(f"{source} cannot be read ({error.strerror or error}); type --data with a folder or zip that can.") from None
    if not home.is_dir():
        _unpack(source, home)
    return home


def _fetch(url: str, archive: Archive, part: Path, progress: bool, timeout_s: float) -> None:
    """Writes what an address answers to a file; raises DataError unless it is the archive."""
    digest, size = hashlib.sha256(), 0
    with part.open("wb") as file, closing(_chunks(url, archive.size_bytes, progress, timeout_s)) as chunks:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    if size < archive.size_bytes:
        raise _not_fetched(url, f"{size:,} of {archive.size_bytes:,} bytes arrived")
    if digest.hexdigest() != archive.sha256:
        raise _not_fetched(url, "what arrived is another file: its sha256 differs")


def _chunks(url: str, expected_bytes: int, progress: bool, timeout_s: float) -> Generator[bytes, None, None]:
    """Yields what an address answers, with a bar on stderr, and stops once it is longer than expected."""
    from urllib.request import urlopen

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=not progress)
    size = 0
    try:
        with urlopen(url, timeout=timeout_s) as answer, bar:
            task = bar.add_task("Groove MIDI Dataset", total=expected_bytes)
            while size <= expected_bytes and (chunk := answer.read1(_CHUNK_BYTES)):
                size += len(chunk)
                bar.update(task, advance=len(chunk))
                yield chunk
    except (OSError, HTTPException, ValueError) as error:  # ValueError: the address is none
        raise _not_fetched(url, _reason(error)) from None


def _reason(error: Exception) -> str:
    """Says in a few words what went wrong on the network."""
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
    with _storing(home), _part(home) as part, _reading(source), ZipFile(source) as archive:
        part.mkdir()
        for member in _members(archive, source):
            archive.extract(member, part)
        try:
            part.replace(home)
        except OSError:
            if not home.is_dir():  # else another process was faster, with the same bytes
                raise


def _members(archive: ZipFile, source: Path) -> list[ZipInfo]:
    """Returns what there is to read; raises DataError where any member, read or not, would land outside the folder."""
    for member in archive.infolist():
        name = member.filename
        if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
            raise DataError(
                f"{source} is refused: its member {name!r} would land outside its folder; unpack it yourself and type --data FOLDER."
            )
    wanted = [m for m in archive.infolist() if m.filename.lower().endswith(_READ_SUFFIXES) and not m.filename.startswith("__MACOSX/")]
    if not wanted:
        raise DataError(f"{source} holds no MIDI file (.mid); type --data with a folder or zip that does.")
    return wanted


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Turns every way in which a zip can be unreadable into a DataError."""
    try:
        yield
    except _BROKEN_ZIP as error:
        raise DataError(f"{source} is not a whole zip ({error or type(error).__name__}); fetch it again, or type --data FOLDER.") from None


@contextmanager
def _storing(home: Path) -> Iterator[None]:
    """Makes the folder that will hold a file, and turns a full or forbidden disk into a DataError."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"{home} cannot be written ({error.strerror or error}); free some space, or unpack the data elsewhere and type --data FOLDER."
        ) from None


@contextmanager
def _part(home: Path) -> Iterator[Path]:
    """Gives a name beside the final one, on the same disk, and removes what was not moved away from it."""
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="unfinished-", ignore_cleanup_errors=True) as unfinished:
        yield Path(unfinished) / home.name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
