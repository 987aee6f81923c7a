import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drumvae.bundle.format import GRAPHS, TASKS, default_bundle, read_bundle, sha256, shape_of, write_bundle_json
from drumvae.inference.engine import Engine
from drumvae.util.errors import BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


def rewrite(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((bundle / "bundle.json").read_text())
    change(values)
    (bundle / "bundle.json").write_text(json.dumps(values))


def test_the_default_bundle_keeps_the_contract() -> None:
    info = read_bundle(default_bundle())
    assert info.steps == 64
    assert set(info.tasks) == set(TASKS)
    assert len(info.styles) == 18
    assert "CC BY 4.0" in info.licence


def test_the_default_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in default_bundle().iterdir()) <= 12e6


def test_a_bundle_comes_back_as_it_was_written(bundle: Path) -> None:
    info = read_bundle(bundle)
    write_bundle_json(bundle, info)
    assert read_bundle(bundle) == info


@pytest.mark.parametrize("name", ["decoder.onnx", "encoder.onnx", "tap_model.onnx"])
def test_a_changed_byte_is_found(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        Engine.load(bundle, "cpu")


@pytest.mark.parametrize("name", ["decoder.onnx", "encoder.onnx", "tap_model.onnx", "bundle.json"])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=name):
        Engine.load(bundle, "cpu")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere does not exist"):
        Engine.load(tmp_path / "nowhere", "cpu")


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        (lambda v: v.update(format=99), "format 99"),
        (lambda v: v.pop("kit"), "lacks kit"),
        (lambda v: v.update(encoding="image"), "encoding is 'image'"),
        (lambda v: v.update(encoding="melody"), "thresholds are not 0"),
        (lambda v: v.update(voices=["kick"]), "its voices are"),
        (lambda v: v.update(tasks=["dance"]), "dance"),
        (lambda v: v.update(thresholds=[0.5]), "thresholds"),
        (lambda v: v.update(temperature=0), "temperature"),
        (lambda v: v["kit"]["input_notes"][0].append(64), "other pitches"),
        (lambda v: v.update(steps="many"), "it has many steps"),
        (lambda v: v.update(thresholds=7), "wrong kind"),
        (lambda v: v.update(graphs={}), "names no decoder.onnx and no encoder.onnx"),
        (lambda v: v["graphs"].pop("tap_model.onnx"), "names no tap_model.onnx"),
    ],
)
def test_a_broken_clause_is_named(bundle: Path, change: Callable[[dict[str, Any]], object], clause: str) -> None:
    rewrite(bundle, change)
    with pytest.raises(BundleError, match=clause):
        read_bundle(bundle)


def test_json_that_is_no_json_is_refused(bundle: Path) -> None:
    (bundle / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(bundle)


def test_drums_of_either_encoding_have_the_same_contract_and_melodies_their_own(bundle: Path) -> None:
    assert GRAPHS["groove"] == GRAPHS["pattern"]
    rewrite(bundle, lambda v: v.update(encoding="melody", thresholds=[]))
    with pytest.raises(BundleError, match="does not keep the contract"):
        Engine.load(bundle, "cpu")


@pytest.mark.parametrize("steps", [16, 256])
def test_a_shape_is_told_by_letters(steps: int) -> None:
    info = replace(read_bundle(default_bundle()), steps=steps)
    assert shape_of("BSG", info, 3) == (3, steps, 27)
    assert shape_of("V", info, 3) == (9,)


def test_graphs_of_other_shapes_are_refused(bundle: Path) -> None:
    rewrite(bundle, lambda v: v.update(latent_size=128))
    with pytest.raises(BundleError, match=r"inputs are .*'latent'.*128"):
        Engine.load(bundle, "cpu")


def test_a_graph_in_the_place_of_the_other_is_refused(bundle: Path) -> None:
    shutil.copy(bundle / "encoder.onnx", bundle / "decoder.onnx")
    rewrite(bundle, lambda v: v["graphs"].update({"decoder.onnx": sha256(bundle / "decoder.onnx")}))
    with pytest.raises(BundleError, match="does not keep the contract"):
        Engine.load(bundle, "cpu")


def test_a_description_that_differs_from_the_graphs_own_is_refused(bundle: Path) -> None:
    rewrite(bundle, lambda v: v.update(preset="another"))
    with pytest.raises(BundleError, match="describes itself otherwise"):
        Engine.load(bundle, "cpu")


def test_a_file_that_is_no_graph_is_refused(bundle: Path) -> None:
    (bundle / "encoder.onnx").write_bytes(b"not a graph")
    rewrite(bundle, lambda v: v["graphs"].update({"encoder.onnx": sha256(bundle / "encoder.onnx")}))
    with pytest.raises(BundleError, match="is no ONNX graph, or is cut short"):
        Engine.load(bundle, "cpu")
