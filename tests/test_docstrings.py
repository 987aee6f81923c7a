"""The examples in docstrings give the results that they show."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = ("trainer", "export", "live")
NEEDS_TORCH = ("drumvae.models", "drumvae.trainer.training", "drumvae.export.onnx")


def modules_with_examples() -> list[str]:
    """Returns the names of the modules whose source has an example."""
    paths = [path for folder in ("drumvae", *STAGES) for path in sorted((ROOT / folder).rglob("*.py")) if ">>> " in path.read_text("utf-8")]
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in paths]
    return [".".join(part if part[0] == "drumvae" else ("drumvae", *part)) for part in parts]


def test_there_are_examples() -> None:
    assert modules_with_examples()


@pytest.mark.parametrize("name", modules_with_examples())
def test_every_example_gives_what_it_shows(name: str) -> None:
    if name.startswith(NEEDS_TORCH):
        pytest.importorskip("torch")
    failed, tried = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert (failed, tried > 0) == (0, True)
