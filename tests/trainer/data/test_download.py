"""Tests the download of the data set against a server on the loopback address."""

import errno
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from drumvae.trainer.data import download
from drumvae.trainer.data.download import GROOVE, URL_VARIABLE, Archive, groove_zip, source_folder
from drumvae.util.errors import DataError


def zip_bytes(members: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CONTENT = zip_bytes({"groove/info.csv": b"split\n", "groove/drummer1/1.mid": b"MThd", "groove/README": b"words"})


@dataclass
class Server:
    """Serves one body, optionally with a wrong Content-Length, and records the requested paths."""

    url: str = ""
    body: bytes = CONTENT
    declared_bytes: int | None = None
    status: int = 200
    silent_s: float = 0.0
    requests: list[str] = field(default_factory=list)

    @property
    def archive(self) -> Archive:
        return Archive(f"{self.url}/groove.zip", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            time.sleep(state.silent_s)
            self.send_response(state.status)
            self.send_header("Content-Length", str(state.declared_bytes or len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache"
    monkeypatch.setattr(download, "user_cache_path", lambda name: home / name)
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    return home / "drumvae"


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_download_is_stored_under_its_own_name(server: Server, cache: Path) -> None:
    assert groove_zip(progress=False, archive=server.archive) == cache / "groove.zip"
    assert (cache / "groove.zip").read_bytes() == CONTENT
    assert files(cache) == ["groove.zip"]


def test_the_second_call_sends_no_request(server: Server) -> None:
    first = groove_zip(progress=False, archive=server.archive)
    assert groove_zip(progress=False, archive=server.archive) == first
    assert len(server.requests) == 1


def test_a_changed_file_in_the_cache_is_downloaded_again(server: Server) -> None:
    home = groove_zip(progress=False, archive=server.archive)
    home.write_bytes(b"changed")
    assert groove_zip(progress=False, archive=server.archive).read_bytes() == CONTENT


def test_the_progress_bar_is_on_stderr(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    groove_zip(archive=server.archive)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Groove MIDI Dataset" in shown.err


def test_the_url_argument_overrides_the_variable_which_overrides_the_archive(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = replace(server.archive, url="http://127.0.0.1:9/groove.zip")
    monkeypatch.setenv(URL_VARIABLE, f"{server.url}/variable.zip")
    home = groove_zip(progress=False, archive=elsewhere)
    home.unlink()
    groove_zip(progress=False, archive=elsewhere, url=f"{server.url}/argument.zip")
    assert server.requests == ["/variable.zip", "/argument.zip"]


BROKEN: dict[str, tuple[dict[str, object], str]] = {
    "truncated": ({"body": CONTENT[:100]}, r"\(100 of \d+ bytes arrived\)"),
    "cut off": ({"body": CONTENT[:100], "declared_bytes": len(CONTENT)}, r"\(100 of \d+ bytes arrived\)|IncompleteRead"),
    "another file": ({"body": CONTENT[:-1] + b"?"}, "its sha256 differs"),
    "too long": ({"body": CONTENT + bytes(1 << 20)}, "its sha256 differs"),
    "empty": ({"body": b""}, r"\(0 of"),
    "absent": ({"status": 404, "body": b"no"}, r"the server answers 404 Not Found"),
    "silent": ({"silent_s": 0.5}, "timed out"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_incomplete_or_wrong_download_is_never_cached(server: Server, cache: Path, case: str) -> None:
    values, sentence = BROKEN[case]
    for name, value in values.items():
        setattr(server, name, value)
    with pytest.raises(DataError, match=sentence) as caught:
        groove_zip(progress=False, archive=server.archive, timeout_s=0.2)
    assert "--data FOLDER_OR_ZIP" in str(caught.value)
    assert files(cache) == []


def test_a_download_after_a_failed_one_succeeds(server: Server) -> None:
    server.body = CONTENT[:100]
    with pytest.raises(DataError):
        groove_zip(progress=False, archive=server.archive)
    server.body = CONTENT
    assert groove_zip(progress=False, archive=server.archive).read_bytes() == CONTENT


def test_an_interrupt_leaves_no_files(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[bytes]:
        yield CONTENT[:50]
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        groove_zip(progress=False, archive=server.archive)
    assert files(cache) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/groove.zip", "nowhere", "ftp:/", "http://"])
def test_an_unreachable_address_is_one_sentence(url: str) -> None:
    with pytest.raises(DataError, match=r"did not arrive from .*--data FOLDER_OR_ZIP"):
        groove_zip(progress=False, url=url)


def test_a_full_disk_is_one_sentence(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_fetch", full)
    with pytest.raises(DataError, match=r"groove\.zip cannot be written \(No space left on device\).*--data"):
        groove_zip(progress=False, archive=server.archive)
    assert files(cache) == []


def test_a_file_in_place_of_the_cache_folder_is_one_sentence(server: Server, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        groove_zip(progress=False, archive=server.archive)


def test_the_archive_is_the_published_version() -> None:
    assert GROOVE.name == "groove-v1.0.0-midionly.zip"
    assert GROOVE.size_bytes == 3_260_318
    assert len(bytes.fromhex(GROOVE.sha256)) == 32


def test_a_folder_is_returned_unchanged(tmp_path: Path) -> None:
    assert source_folder(tmp_path) == tmp_path


def test_a_zip_is_unpacked_once_and_without_unused_files(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    folder = source_folder(tmp_path / "a.zip")
    assert files(folder) == ["groove/drummer1/1.mid", "groove/info.csv"]
    before = (folder / "groove").stat().st_mtime_ns
    assert source_folder(tmp_path / "a.zip") == folder
    assert (folder / "groove").stat().st_mtime_ns == before


def test_zips_of_one_name_and_different_bytes_never_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    first = source_folder(tmp_path / "a.zip")
    (tmp_path / "a.zip").write_bytes(zip_bytes({"other.mid": b"MThd"}))
    assert files(source_folder(tmp_path / "a.zip")) == ["other.mid"]
    assert files(first) == ["groove/drummer1/1.mid", "groove/info.csv"]


@pytest.mark.parametrize("name", ["../out.mid", "/out.mid", "a/../../out.mid", "..\\out.mid", "C:\\out.mid", "C:out.mid", "../notes.txt"])
def test_a_member_outside_the_folder_is_refused(tmp_path: Path, cache: Path, name: str) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"good.mid": b"MThd", name: b"MThd"}))
    with pytest.raises(DataError, match="would land outside its folder"):
        source_folder(tmp_path / "a.zip")
    assert files(cache) == []
    assert not list(tmp_path.rglob("out.mid"))


def broken_member() -> bytes:
    whole = bytearray(zip_bytes({"a.mid": b"MThd" * 50}))
    whole[60] ^= 0xFF
    return bytes(whole)


@pytest.mark.parametrize("content", [b"", b"no zip", CONTENT[:-30], broken_member()], ids=["empty", "text", "truncated", "changed"])
def test_a_broken_zip_is_one_sentence(tmp_path: Path, cache: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip is not a complete zip .*--data FOLDER"):
        source_folder(tmp_path / "a.zip")
    assert files(cache) == []


def test_a_zip_without_midi_files_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_bytes({"words.txt": b"", "__MACOSX/._1.mid": b""}))
    with pytest.raises(DataError, match="holds no MIDI file"):
        source_folder(tmp_path / "a.zip")


def test_a_missing_path_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder or zip .*--data FOLDER_OR_ZIP"):
        source_folder(tmp_path / "absent")
