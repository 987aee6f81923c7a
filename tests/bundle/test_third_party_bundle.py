"""A third-party bundle plays if it matches the schema; otherwise it is refused with the rule that it breaks."""

import json
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from helpers.former import STAGE  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from drumvae.bundle.format import GOLDEN, METADATA_KEY, BundleInfo, default_bundle, read_bundle, sha256, write_bundle_json  # noqa: E402
from drumvae.bundle.schema import GRAPHS, TensorSpec  # noqa: E402
from drumvae.export.cli.onnx import app  # noqa: E402
from drumvae.inference.check import check_bundle  # noqa: E402
from drumvae.inference.engine import Engine  # noqa: E402
from drumvae.inference.golden import record  # noqa: E402
from drumvae.inference.strategy import seed_noise  # noqa: E402
from drumvae.live.generation.modes import Job  # noqa: E402
from drumvae.live.generation.supervisor import WorkerProcess  # noqa: E402
from drumvae.live.generation.worker_main import load_engine  # noqa: E402
from drumvae.music.encoding import grid_to_groove  # noqa: E402
from drumvae.util.errors import BundleError  # noqa: E402

pytestmark = pytest.mark.train  # onnx comes with that extra
Graph = Any
STEPS, LATENT = 64, 3
INFO = replace(
    read_bundle(STAGE),
    latent_size=LATENT,
    tasks=("generate", "reconstruct", "humanize"),
    thresholds=(0.5,) * 9,
    preset="third-party",
    training={},
    scores={},
    licence="CC0",
    version="none",
)


def value(tensor: TensorSpec) -> Graph:
    sizes = {"B": "batch", "S": STEPS, "V": 9, "G": 27, "Z": LATENT}
    return helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, [sizes[axis] for axis in tensor.axes])


def graph(name: str, nodes: list[Graph], weights: dict[str, np.ndarray], opset: int = 20, domain: str = "") -> Graph:
    inputs, outputs = GRAPHS["groove"][name]
    tensors = [numpy_helper.from_array(array, each) for each, array in weights.items()]
    made = helper.make_graph(nodes, name, *([value(tensor) for tensor in side.values()] for side in (inputs, outputs)), tensors)
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(made, opset_imports=opsets, ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: json.dumps(INFO.to_dict())})
    return model


def node(kind: str, inputs: str, output: str, **more: Any) -> Graph:
    return helper.make_node(kind, inputs.split(), [output], **more)


def decoder(**more: Any) -> Graph:
    """Writes a hit where the noise is below 0.2, unless the hit is given; the offset is tanh of the latent's first value."""
    nodes = [
        node("Less", "noise share", "drawn"),
        node("Cast", "drawn", "hit", to=TensorProto.FLOAT),
        node("Greater", "hit_mask half", "kept"),
        node("Where", "kept hit_values hit", "hits"),
        node("Mul", "hits loud", "velocities"),
        node("Slice", "latent zero one one", "first"),
        node("Tanh", "first", "late"),
        node("Unsqueeze", "late one", "later"),
        node("Mul", "hits later", "offsets"),
        node("Concat", "hits velocities offsets", "groove", axis=2),
    ]
    numbers = {"share": 0.2, "half": 0.5, "loud": 0.7}
    weights = {name: np.array(number, np.float32) for name, number in numbers.items()}
    return graph("decoder.onnx", nodes, weights | {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}, **more)


def encoder(
    nodes: list[Graph] | None = None, weights: dict[str, np.ndarray] | None = None, mean: list[Graph] | None = None, **more: Any
) -> Graph:
    """Writes the mean of the loop to every dimension, unless other nodes compute it from `column` (B, 1); the std is 1."""
    own = [
        node("ReduceMean", "groove axes", "flat", keepdims=0),
        node("Unsqueeze", "flat last", "column"),
        *(mean or [node("Mul", "column ones", "mean")]),
        node("Mul", "mean nothing", "none"),
        node("Add", "none ones", "std"),
    ]
    arrays = {"axes": np.array([1, 2], np.int64), "last": np.array([1], np.int64), "ones": np.ones((1, LATENT), np.float32)}
    arrays["nothing"] = np.array(0, np.float32)
    return graph("encoder.onnx", own + (nodes or []), arrays | (weights or {}), **more)


def bundle(folder: Path, made: dict[str, Graph | bytes] | None = None, info: BundleInfo = INFO) -> Path:
    folder.mkdir()
    for name, model in ({"decoder.onnx": decoder(), "encoder.onnx": encoder()} | (made or {})).items():
        (folder / name).write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    write_bundle_json(folder, info)
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as raised:
        Engine.load(folder, "cpu")
    assert check_bundle(folder).broken == str(raised.value)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_third_party_bundle_that_matches_the_schema_plays(tmp_path: Path) -> None:
    engine = Engine.load(bundle(tmp_path / "bundle"), "cpu")
    (loop,) = engine.generate(seed=5, temperature=1.0)
    assert 0.1 < loop.hits.mean() < 0.3
    assert set(np.unique(loop.velocities)) == {0, np.float32(0.7)}
    assert engine.generate(5, 1.0) == [loop]
    humanized = engine.humanize(loop)
    assert np.array_equal(humanized.hits, loop.hits)
    assert engine.reconstruct(grid_to_groove(loop)[None]).shape == (1, 64, 27)


def test_the_description_and_the_graphs_explain_every_tensor() -> None:
    for name in ("decoder.onnx", "encoder.onnx"):
        values = json.loads(onnx.load(str(default_bundle() / name), load_external_data=False).metadata_props[0].value)
        beside = json.loads((default_bundle() / "bundle.json").read_text())
        assert {name: beside[name] for name in values} == values
        assert {"steps", "seeds", *(each for graph in GRAPHS["groove"].values() for shapes in graph for each in shapes)} <= set(
            values["meanings"]
        )
        for wanted in ("encoding", "kit", "tasks", "thresholds", "temperature", "scores", "training", "licence", "voices", "precision"):
            assert wanted in values


def test_the_engine_draws_the_documented_noise_of_a_seed() -> None:
    engine = Engine.load(provider="cpu")
    size = engine.info.latent_size
    assert "default_rng([s, n])" in INFO.to_dict()["meanings"]["seeds"]
    draw = np.random.default_rng([7, 1])
    latent = draw.standard_normal(size, np.float32)
    noise = draw.random((64, 9), np.float32)
    latents, noises = seed_noise(engine.model, 7, 2)
    assert np.array_equal(latents[1], latent)
    assert np.array_equal(noises[1], noise)


# what breaks a rule


def external(model: Graph) -> Graph:
    (model.graph.initializer[0]).data_location = TensorProto.EXTERNAL
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return model


def hidden_external() -> Graph:
    """Within a branch within an attribute."""
    tensor = external(encoder()).graph.initializer[0]
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=tensor)], "branch", [], [helper.make_tensor_value_info("c", 7, [2])]
    )
    return encoder([helper.make_node("If", ["yes"], ["unused"], then_branch=branch, else_branch=branch)], {"yes": np.array(True)})


def oversized_weight() -> Graph:
    model = encoder()
    weight = numpy_helper.from_array(np.ones(2, np.float32), "absurd")
    weight.dims[:] = [1 << 40, 1 << 20]
    model.graph.initializer.append(weight)
    return model


def weight_of_false_shape() -> Graph:
    model = encoder()
    weight = numpy_helper.from_array(np.ones(2, np.float32), "lying")
    weight.dims[:] = [1 << 20]
    model.graph.initializer.append(weight)
    return model


def with_function() -> Graph:
    model = encoder()
    model.functions.append(helper.make_function("mine", "f", ["x"], ["y"], [node("Relu", "x", "y")], [helper.make_opsetid("", 20)]))
    return model


BROKEN: dict[str, tuple[Callable[[], Graph | bytes], str]] = {
    "a later opset": (lambda: encoder(opset=99), "it is of opset 99, which ONNX Runtime .* does not know"),
    "an unknown operator": (lambda: encoder([node("Swing", "groove", "x")]), "knows no operator 'Swing' in opset 20"),
    "an operator of another domain": (
        lambda: encoder([node("Run", "groove", "x", domain="evil.ops")], domain="evil.ops"),
        "uses the operator 'Run' of 'evil.ops', and may use ONNX's own alone",
    ),
    "a function": (with_function, "defines functions"),
    "a truncated graph": (lambda: encoder().SerializeToString()[:-40], "is not an ONNX graph, or is cut short"),
    "nothing": (lambda: b"", "is not an ONNX graph, or is cut short"),
    "a page": (lambda: b"<html>not found</html>", "is not an ONNX graph, or is cut short"),
    "weights elsewhere": (lambda: external(encoder()), "keeps weights in other files"),
    "hidden weights elsewhere": (hidden_external, "keeps weights in other files"),
    "an absurd weight": (oversized_weight, r"holds a weight of the shape \[1099511627776, 1048576\]"),
    "a weight that is not there": (weight_of_false_shape, r"of the shape \[1048576\] in 8 bytes"),
    "another shape": (lambda: encoder_of_other_shape(), "violates the schema: its outputs are"),
    "another description": (lambda: with_other_metadata(), "has other metadata than its bundle.json"),
}


def encoder_of_other_shape() -> Graph:
    model = encoder()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = LATENT + 1
    return model


def with_other_metadata() -> Graph:
    model = encoder()
    del model.metadata_props[:]
    return model


@pytest.mark.parametrize("what", BROKEN)
def test_a_graph_that_breaks_a_rule_is_refused_with_the_rule(tmp_path: Path, what: str) -> None:
    make, rule = BROKEN[what]
    assert re.search(rule, refused(bundle(tmp_path / "bundle", {"encoder.onnx": make()})))


def test_a_shape_larger_than_memory_is_not_allocated(tmp_path: Path) -> None:
    """Forty gigabytes, which a machine might even lend: the graph is opened, and the run refused by the limit that all graphs share."""
    mean = [node("ConstantOfShape", "size", "much"), node("ReduceSum", "much", "sum", keepdims=0), node("Mul", "column ones", "row")]
    model = encoder(mean=[*mean, node("Add", "row sum", "mean")], weights={"size": np.array([10 << 30], np.int64)})
    engine = Engine.load(bundle(tmp_path / "bundle", {"encoder.onnx": model}), "cpu")
    with pytest.raises(BundleError, match=r"could not be run \(.*ConstantOfShape.*") as raised:
        engine.encode(np.zeros((1, 64, 27), np.float32))
    assert "asks for more memory than" in str(raised.value)


def test_a_graph_whose_output_has_another_shape_than_declared_is_refused(tmp_path: Path) -> None:
    mean = [node("Shape", "column", "here"), node("Mul", "here wider", "there"), node("Expand", "column there", "mean")]
    model = encoder(mean=mean, weights={"wider": np.array([1, LATENT + 2], np.int64)})
    with pytest.raises(BundleError, match=r"violates the schema: its output mean has the shape \(1, 5\)|cannot be opened|could not be run"):
        Engine.load(bundle(tmp_path / "bundle", {"encoder.onnx": model}), "cpu").encode(np.zeros((1, 64, 27), np.float32))


def test_an_output_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    model = decoder()
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.array(np.nan, np.float32), "loud"))
    engine = Engine.load(bundle(tmp_path / "bundle", {"decoder.onnx": model}), "cpu")
    with pytest.raises(BundleError, match="wrote values into groove that are not finite"):
        engine.generate(0)


# the folder


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "bundle.json").read_text())
    change(values)
    (folder / "bundle.json").write_text(json.dumps(values))


@pytest.mark.parametrize("name", ["../outside.onnx", "/etc/passwd", "..\\outside.onnx", "sub/decoder.onnx", "more.onnx"])
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = bundle(tmp_path / "bundle")
    (tmp_path / "outside.onnx").write_bytes(b"precious")
    rewrite(folder, lambda v: v["graphs"].update({name: sha256(tmp_path / "outside.onnx")}))
    assert f"it names the file {name!r}" in refused(folder)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle")
    outside = (folder / "encoder.onnx").rename(tmp_path / "outside.onnx")
    try:
        (folder / "encoder.onnx").symlink_to(outside)
    except OSError:
        pytest.skip("no links can be made here")
    assert "is a link out of the bundle" in refused(folder)


def test_a_bundle_may_itself_be_reached_by_a_link(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle")
    try:
        (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("no links can be made here")
    assert Engine.load(tmp_path / "link", "cpu").info.preset == "third-party"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda v: v.update(format=1), "of format 1, and this version reads format 2 alone. Type drumvae-export onnx to make a new one"),
        (lambda v: v.update(format=3, graphs={"weights.bin": ""}), "of format 3, and this version reads format 2 alone"),
        (lambda v: v.update(steps=10**12), "it has 1000000000000 steps"),
        (lambda v: v.update(latent_size=10**15), "latent dimensions, of at most 4096 and 65536"),
        (lambda v: v.update(steps=True, latent_size=-1), "latent dimensions"),
        (lambda v: v.update(temperature=float("inf")), "its temperature is inf"),
        (lambda v: v.update(precision="int3"), "its precision is 'int3'"),
        (lambda v: v.update(graphs=[]), "names no decoder.onnx"),
        (lambda v: v.update(kit=[]), "kit is not a table of nine voices"),
        (lambda v: v.update(tasks=3), "wrong kind"),
    ],
)
def test_a_description_that_breaks_a_rule_is_refused_with_the_rule(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], rule: str
) -> None:
    folder = bundle(tmp_path / "bundle")
    rewrite(folder, change)
    assert rule in refused(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', "null", "[" * 100_000, "\x00"])
def test_json_without_a_description_is_refused_with_one_sentence(tmp_path: Path, text: str) -> None:
    folder = bundle(tmp_path / "bundle")
    (folder / "bundle.json").write_text(text)
    assert "cannot be read" in refused(folder)


# check and show


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_bundle(), tmp_path / "shipped"))


def test_a_valid_bundle_passes_as_text_and_as_json(shipped: Path) -> None:
    result = run("check", str(shipped))
    assert result.exit_code == 0
    assert "plays as it did where it was exported" in result.output
    assert "This bundle is valid and plays here." in result.output
    found = json.loads(run("check", str(shipped), "--json").stdout)
    (cpu,) = [each for each in found["providers"] if each["provider"] == "cpu"]
    assert (found["ok"], found["broken"], cpu["works"], cpu["hits_that_differ"]) == (True, None, True, 0)
    assert cpu["hits"] > 100
    assert 0 < cpu["p50_ms"] <= cpu["p99_ms"]


def test_a_bundle_without_golden_outputs_plays_and_the_check_reports_it(shipped: Path) -> None:
    (shipped / GOLDEN).unlink()
    rewrite(shipped, lambda v: v["graphs"].pop(GOLDEN))
    found = check_bundle(shipped)
    assert found.broken is None
    assert any("golden outputs: none" in line for line in found.passed)


@pytest.mark.parametrize("place", ["a hit", "a hit probability"])
def test_a_bundle_that_differs_from_its_golden_outputs_fails_the_check(shipped: Path, place: str) -> None:
    whole = zlib.decompress((shipped / GOLDEN).read_bytes())
    arrays = np.frombuffer(whole, "<f4").copy()
    changed = 4 * (read_bundle(shipped).latent_size + 64 * 9) if place == "a hit" else -1  # the first after latents and noise, or the last
    arrays[changed] = 1 - arrays[changed]
    (shipped / GOLDEN).write_bytes(zlib.compress(arrays.tobytes()))
    rewrite(shipped, lambda v: v["graphs"].update({GOLDEN: sha256(shipped / GOLDEN)}))
    found = check_bundle(shipped)
    assert found.broken is not None
    assert "plays differently here than where it was exported" in found.broken
    assert found.to_json()["ok"] is False


@pytest.mark.parametrize("data", [b"", b"junk", zlib.compress(b"short"), zlib.compress(bytes(50_000_000))])
def test_golden_outputs_that_are_not_whole_are_refused_and_allocate_no_memory(shipped: Path, data: bytes) -> None:
    (shipped / GOLDEN).write_bytes(data)
    rewrite(shipped, lambda v: v["graphs"].update({GOLDEN: sha256(shipped / GOLDEN)}))
    assert "are not whole" in str(check_bundle(shipped).broken)


def test_recording_the_same_model_again_gives_the_same_file(shipped: Path) -> None:
    assert record(Engine.load(shipped, "cpu")) == (shipped / GOLDEN).read_bytes()


def test_the_check_of_a_broken_bundle_ends_with_its_error(tmp_path: Path) -> None:
    result = run("check", str(bundle(tmp_path / "bundle", {"encoder.onnx": external(encoder())})))
    assert isinstance(result.exception, BundleError)
    assert "keeps weights in other files" in str(result.exception)


def test_the_card_is_shown_without_control_characters(shipped: Path) -> None:
    assert "drummer_4bar" in run("show", str(shipped)).output
    (shipped / "CARD.md").write_text("# mine\n\x1b[2J\x1b]0;owned\x07\ttext")
    assert run("show", str(shipped)).output == "# mine\n[2J]0;owned\ttext\n"
    (shipped / "CARD.md").unlink()
    assert "drummer_4bar, a drumvae bundle" in run("show", str(shipped)).output


def test_a_loop_that_is_not_finite_never_leaves_the_models_process(tmp_path: Path) -> None:
    """The loop is dropped, and the error says that the last one continues."""
    model = decoder()
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.array(np.nan, np.float32), "loud"))
    generator = WorkerProcess(partial(load_engine, bundle(tmp_path / "bundle", {"decoder.onnx": model}), "cpu"))
    generator.start()
    try:
        generator.submit(Job(0, 1, "generate"))
        generator.wait_for_first(60)
        assert generator.poll() is None
        assert not generator.busy
        assert generator.error is not None
        assert "not finite" in generator.error
        assert generator.error.endswith("the last loop plays on.")
        assert generator.restarts == 0
    finally:
        generator.close()
