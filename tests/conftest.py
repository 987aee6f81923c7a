"""Fixtures that many tests share, and the skips of tests whose requirements are missing."""

import os
from pathlib import Path

import pytest
from helpers.grooves import GROOVE

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models of the tests are small: more threads only wait for each other

from drumvae.inference.engine import Engine
from drumvae.midi.io import write_midi
from drumvae.music.grid import Grid

SLOW_TESTS = Path(__file__).parent / "slow_tests.txt"
"""Tests that take more than a second, one per line: a file, or a test with or without its parameters."""
SLOW_MARKS = ("jack", "gmd")
EXPORT_FIXTURE = "drummer_bundle"
"""The fixture that exports a model, which takes many seconds unless the bundle is cached."""


def _listed() -> set[str]:
    return {line for line in SLOW_TESTS.read_text("utf-8").splitlines() if line and not line.startswith("#")}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves out the files that are slow as a whole where no slow test is wanted: importing Lightning alone takes seconds."""
    whole = collection_path.is_file() and collection_path.relative_to(SLOW_TESTS.parents[1]).as_posix() in _listed()
    return True if whole and config.option.markexpr == "not slow" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as slow the tests that need JACK, the data set or an export, and those listed in slow_tests.txt."""
    listed = _listed()
    for item in items:
        marked = any(item.get_closest_marker(mark) for mark in SLOW_MARKS)
        exports = EXPORT_FIXTURE in getattr(item, "fixturenames", ())
        names = (item.nodeid, item.nodeid.split("[")[0], item.nodeid.split("::")[0])
        if marked or exports or not listed.isdisjoint(names):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def groove() -> Grid:
    """A four-bar groove, on the grid."""
    return Grid.from_text(GROOVE)


@pytest.fixture(scope="session")
def gmd() -> Path:
    """The Groove MIDI Dataset: a folder or a zip."""
    where = os.environ.get("DRUMVAE_GMD")
    if where and Path(where).exists():
        return Path(where).resolve()  # commands run in other folders
    if os.environ.get("DRUMVAE_REQUIRE_GMD"):
        pytest.fail("the data set is required here: DRUMVAE_GMD names no folder or zip")
    pytest.skip("needs the Groove MIDI Dataset: set DRUMVAE_GMD to its folder or zip")


@pytest.fixture(scope="session")
def bundle_cache(request: pytest.FixtureRequest) -> Path:
    """The folder in which exported bundles are cached between runs."""
    return Path(request.config.cache.mkdir("bundles"))


@pytest.fixture(scope="session")
def drummer_bundle(bundle_cache: Path) -> Path:
    """The folder of a bundle with styles; exporting it takes seconds."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from helpers.cached import cached_folder
    from helpers.drummers import write_drummer

    return cached_folder(bundle_cache, "drummer", write_drummer)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine of the bundle that ships; loading it takes more than a second."""
    return Engine.load(provider="cpu")


@pytest.fixture(scope="session")
def drummer(drummer_bundle: Path) -> Engine:
    """The engine of that bundle."""
    return Engine.load(drummer_bundle, "cpu")


@pytest.fixture(scope="session")
def midi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ten takes of eight bars each, no two alike."""
    folder = tmp_path_factory.mktemp("takes")
    base = Grid.from_text(GROOVE)
    for number in range(10):
        rolled = [Grid(*(array[[*range(number, 64), *range(number)]] for array in base.arrays())) for _ in range(2)]
        write_midi(folder / f"take{number}.mid", rolled, 90 + 10 * number)
    return folder
