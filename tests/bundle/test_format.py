import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drumvae.bundle.format import default_bundle, read_bundle, sha256, shape_of, write_bundle_json
from drumvae.bundle.schema import GRAPHS, TensorSpec
from drumvae.bundle.tasks import TASKS
from drumvae.inference.engine import Engine
from drumvae.util.errors import BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


def rewrite(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((bundle / "bundle.json").read_text())
    change(values)
    (bundle / "bundle.json").write_text(json.dumps(values))


def test_the_default_bundle_matches_the_schema() -> None:
    info = read_bundle(default_bundle())
    assert info.steps == 64
    assert set(info.tasks) == set(TASKS)
    assert len(info.styles) == 18
    assert "CC BY 4.0" in info.licence


def test_the_default_bundle_is_small() -> None:
    assert sum(path.stat().st_size for path in default_bundle().iterdir()) <= 12e6


def test_a_bundle_reads_back_as_written(bundle: Path) -> None:
    info = read_bundle(bundle)
    write_bundle_json(bundle, info)
    assert read_bundle(bundle) == info


@pytest.mark.parametrize("name", ["decoder.onnx", "encoder.onnx", "tap_model.onnx"])
def test_a_changed_byte_is_detected(bundle: Path, name: str) -> None:
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


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nowhere does not exist"):
        Engine.load(tmp_path / "nowhere", "cpu")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda v: v.update(format=99), "format 99"),
        (lambda v: v.pop("kit"), "lacks kit"),
        (lambda v: v.update(encoding="image"), "encoding is 'image'"),
        (lambda v: v.update(encoding="melody"), "thresholds are not 0"),
        (lambda v: v.update(voices=["kick"]), "its voices are"),
        (lambda v: v.update(tasks=["dance"]), "dance"),
        (lambda v: v.update(thresholds=[0.5]), "thresholds"),
        (lambda v: v.update(temperature=0), "temperature"),
        (lambda v: v["kit"]["input_notes"][0].append(64), "other input notes"),
        (lambda v: v.update(steps="many"), "it has many steps"),
        (lambda v: v.update(thresholds=7), "wrong kind"),
        (lambda v: v.update(graphs={}), "names no decoder.onnx and no encoder.onnx"),
        (lambda v: v["graphs"].pop("tap_model.onnx"), "names no tap_model.onnx"),
    ],
)
def test_a_broken_rule_is_named(bundle: Path, change: Callable[[dict[str, Any]], object], rule: str) -> None:
    rewrite(bundle, change)
    with pytest.raises(BundleError, match=rule):
        read_bundle(bundle)


def test_invalid_json_is_refused(bundle: Path) -> None:
    (bundle / "bundle.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(bundle)


def test_both_drum_encodings_have_the_same_graphs_and_melodies_have_others(bundle: Path) -> None:
    assert GRAPHS["groove"] == GRAPHS["pattern"]
    rewrite(bundle, lambda v: v.update(encoding="melody", thresholds=[]))
    with pytest.raises(BundleError, match="violates the schema"):
        Engine.load(bundle, "cpu")


@pytest.mark.parametrize("steps", [16, 256])
def test_a_shape_follows_from_axes_and_the_sizes_of_a_bundle(steps: int) -> None:
    info = replace(read_bundle(default_bundle()), steps=steps)
    assert shape_of(TensorSpec("groove", "BSG", ""), info, 3) == (3, steps, 27)
    assert shape_of(TensorSpec("thresholds", "V", ""), info, 3) == (9,)


def test_graphs_of_other_shapes_are_refused(bundle: Path) -> None:
    rewrite(bundle, lambda v: v.update(latent_size=128))
    with pytest.raises(BundleError, match=r"inputs are .*'latent'.*128"):
        Engine.load(bundle, "cpu")


def test_a_graph_under_the_name_of_another_is_refused(bundle: Path) -> None:
    shutil.copy(bundle / "encoder.onnx", bundle / "decoder.onnx")
    rewrite(bundle, lambda v: v["graphs"].update({"decoder.onnx": sha256(bundle / "decoder.onnx")}))
    with pytest.raises(BundleError, match="violates the schema"):
        Engine.load(bundle, "cpu")


def test_a_description_that_differs_from_the_metadata_of_the_graphs_is_refused(bundle: Path) -> None:
    rewrite(bundle, lambda v: v.update(preset="another"))
    with pytest.raises(BundleError, match="has other metadata than its bundle"):
        Engine.load(bundle, "cpu")


def test_a_file_that_is_not_a_graph_is_refused(bundle: Path) -> None:
    (bundle / "encoder.onnx").write_bytes(b"not a graph")
    rewrite(bundle, lambda v: v["graphs"].update({"encoder.onnx": sha256(bundle / "encoder.onnx")}))
    with pytest.raises(BundleError, match="is not an ONNX graph, or is cut short"):
        Engine.load(bundle, "cpu")
