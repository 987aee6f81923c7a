"""Fixtures that many tests share, and the skips of tests whose requirements are missing."""

import os
from pathlib import Path

import pytest
from helpers.grooves import GROOVE

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # one worker a core: more threads would wait for each other

from drumvae.inference.engine import Engine
from drumvae.midi.io import write_midi
from drumvae.music.grid import Grid

SLOW_TESTS = Path(__file__).parent / "slow_tests.txt"
"""Tests that take more than a second, one name per line; a name without parameters selects all of its parameters."""
SLOW_MARKS = ("jack", "gmd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as slow the tests that need JACK or the data set, and those listed in slow_tests.txt."""
    listed = {line for line in SLOW_TESTS.read_text("utf-8").splitlines() if line and not line.startswith("#")}
    for item in items:
        if any(item.get_closest_marker(mark) for mark in SLOW_MARKS) or not listed.isdisjoint((item.nodeid, item.nodeid.split("[")[0])):
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
