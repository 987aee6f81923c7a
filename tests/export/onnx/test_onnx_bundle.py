import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import onnx  # noqa: E402
from helpers.checkpoints import KINDS, PLAIN, checkpoint, loops  # noqa: E402
from helpers.former import STAGE  # noqa: E402

from drumvae.bundle.format import default_bundle, read_bundle  # noqa: E402
from drumvae.export.onnx import onnx_bundle, verify  # noqa: E402
from drumvae.export.onnx.convert import halve  # noqa: E402
from drumvae.export.onnx.onnx_bundle import export_bundle  # noqa: E402
from drumvae.export.onnx.verify import Parity, compare  # noqa: E402
from drumvae.inference.engine import Engine  # noqa: E402
from drumvae.models.build import new_model  # noqa: E402
from drumvae.models.bundle_weights import read_weights  # noqa: E402
from drumvae.models.checkpoint import load_trained  # noqa: E402
from drumvae.models.config import ModelConfig, VAEConfig  # noqa: E402
from drumvae.util.errors import BundleError  # noqa: E402

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Exported(NamedTuple):
    checkpoint: Path
    bundle: Path
    parity: Parity
    config: VAEConfig


def export(folder: Path, model: VAEConfig) -> Exported:
    path = checkpoint(folder / "best.ckpt", model)
    return Exported(path, folder / "bundle", export_bundle(path, folder / "bundle", print), model)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(tmp_path_factory.mktemp("export"), PLAIN)


@pytest.fixture(scope="module", params=KINDS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, one: Exported) -> Exported:
    model = KINDS[request.param]
    return one if model is PLAIN else export(tmp_path_factory.mktemp("export"), model)


@pytest.fixture
def ready(one: Exported, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """An export whose graphs are made already, so that making them again costs nothing."""

    def write_graphs(model: object, info: object, folder: Path) -> None:
        for path in one.bundle.glob("*.onnx"):
            (folder / path.name).write_bytes(path.read_bytes())

    monkeypatch.setattr(onnx_bundle, "write_graphs", write_graphs)
    return one


def test_every_kind_of_model_plays_the_same_after_export(exported: Exported) -> None:
    assert exported.parity.loops == 64 + 5
    assert exported.parity.hit_differences == 0
    assert exported.parity.value_difference < 1e-4


def test_every_weight_is_read_back_from_a_bundle_unchanged(exported: Exported) -> None:
    trained = load_trained(exported.checkpoint)
    halve(trained.model)
    config, weights = read_weights(exported.bundle)
    assert config["preset"] == "tiny"
    assert ModelConfig.from_dict(config["model"]) == exported.config
    expected = trained.model.state_dict()
    assert weights.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(weights[name], expected[name])] == []


def test_graphs_have_no_branches_and_no_paths_of_the_exporting_machine(exported: Exported) -> None:
    here = os.fsencode(Path(onnx_bundle.__file__).parent.parent)
    for path in exported.bundle.glob("*.onnx"):
        assert not {"If", "Loop", "Scan"} & {node.op_type for node in onnx.load(str(path)).graph.node}
        assert here not in path.read_bytes()


def test_a_batch_of_any_size_is_decoded(exported: Exported) -> None:
    engine = Engine.load(exported.bundle, "cpu")
    for count in (1, 3, 65):
        assert engine.decode(np.zeros((count, 8), np.float32)).shape == (count, *engine.loop_shape)


def test_a_teacher_forced_step_is_seen_by_the_next_step(exported: Exported) -> None:
    engine = Engine.load(exported.bundle, "cpu")
    draw = np.random.default_rng(0)
    latent, noise = draw.standard_normal((8, 8), np.float32), draw.random((8, *engine.noise_shape), np.float32)
    free = engine.decode(latent, noise, 1.0)
    forced = np.zeros(free.shape[:2], np.float32)
    forced[:, 8] = 1
    other = loops(exported.config, 8).numpy()
    shown = engine.decode(latent, noise, 1.0, teacher_target=other, teacher_forcing=forced)
    assert np.array_equal(free[:, :9], shown[:, :9])
    assert np.array_equal(engine.decode(latent, noise, 1.0, teacher_target=free, teacher_forcing=np.ones_like(forced)), free)
    assert not np.array_equal(free[:, 9:], shown[:, 9:])


def test_a_bundle_describes_the_run_it_came_from(exported: Exported) -> None:
    info = read_bundle(exported.bundle)
    assert (info.preset, info.tasks, info.latent_size) == ("tiny", ("generate", "reconstruct"), 8)
    assert (info.encoding, info.steps) == (exported.config.encoding, exported.config.steps)
    assert len(info.thresholds) == (0 if info.encoding == "melody" else 9)
    assert info.scores == {"hit_f1": 0.5}
    assert "CC BY" not in info.licence


def test_a_bundle_generates_loops_of_its_encoding(exported: Exported) -> None:
    engine, steps = Engine.load(exported.bundle, "cpu"), exported.config.steps
    if exported.config.encoding == "melody":
        melodies = engine.generate_melodies(1, 1.0, count=3)
        assert melodies.shape == (3, steps)
        assert set(np.unique(melodies)) <= set(range(90))
        assert np.array_equal(melodies[1], engine.generate_melodies(1, 1.0, count=2)[1])
        with pytest.raises(BundleError, match="writes melodies and was asked to generate drums"):
            engine.generate(1)
    else:
        assert [grid.steps for grid in engine.generate(1, count=2)] == [steps, steps]
        with pytest.raises(BundleError, match="writes drums and was asked to generate melodies"):
            engine.generate_melodies(1)


def test_a_model_that_differs_fails_the_parity_test(one: Exported) -> None:
    trained = load_trained(one.checkpoint)
    halve(trained.model)
    assert compare(Engine.load(one.bundle, "cpu"), trained.model, trained.windows).within_tolerance
    trained.model.decoder.head.hits.bias.data += 1
    parity = compare(Engine.load(one.bundle, "cpu"), trained.model, trained.windows)
    assert parity.hit_differences > 0
    assert not parity.within_tolerance


def test_a_model_that_ignores_given_hits_fails_the_parity_test(one: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = load_trained(one.checkpoint)
    halve(trained.model)
    forward = type(trained.model.decoder).forward

    def without_given_hits(self: object, **inputs: "torch.Tensor") -> "torch.Tensor":
        return forward(self, **(inputs | {"hit_mask": torch.zeros_like(inputs["hit_mask"])} if "hit_mask" in inputs else inputs))

    monkeypatch.setattr(type(trained.model.decoder), "forward", without_given_hits)
    assert compare(Engine.load(one.bundle, "cpu"), trained.model, trained.windows).hit_differences > 0


def test_a_draw_that_the_tolerance_could_change_is_not_compared(one: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head's biases are off by less than the tolerance: where that turns a draw, the loops part, and nobody is to blame."""
    monkeypatch.setattr(verify, "TOLERANCE", 0.05)
    trained = load_trained(one.checkpoint)
    halve(trained.model)
    engine = Engine.load(one.bundle, "cpu")
    trained.model.decoder.head.hits.bias.data += 0.03
    latent = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32)
    inputs = {"latent": latent, "noise": np.random.default_rng(1).random((64, 16, 9), np.float32)}
    with torch.no_grad():
        off = trained.model.decoder(**{name: torch.from_numpy(value) for name, value in inputs.items()}, temperature=torch.ones(64)).numpy()
    assert (engine.decode(**inputs, temperature=1.0)[..., :9] != off[..., :9]).any()
    assert compare(engine, trained.model, trained.windows).within_tolerance
    trained.model.decoder.head.hits.bias.data += 0.5
    assert not compare(engine, trained.model, trained.windows).within_tolerance


def test_an_export_that_differs_leaves_no_files(ready: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_bundle, "compare", lambda *_: Parity(1, 3, 0.0))
    with pytest.raises(BundleError, match="hits on 3 steps"):
        export_bundle(ready.checkpoint, tmp_path / "bundle", print)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_not_replaced_without_the_option(ready: Exported) -> None:
    with pytest.raises(BundleError, match="--replace"):
        export_bundle(ready.checkpoint, ready.bundle, print)


def test_nothing_but_a_bundle_is_ever_replaced(ready: Exported, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("years of work")
    for place in (precious, precious / "file"):
        with pytest.raises(BundleError, match="is no bundle"):
            export_bundle(ready.checkpoint, place, print, replace=True)
    assert (precious / "file").read_text() == "years of work"


def test_a_bundle_is_replaced_with_the_option(ready: Exported) -> None:
    assert export_bundle(ready.checkpoint, ready.bundle, print, replace=True).within_tolerance
    assert sorted(path.name for path in ready.bundle.parent.iterdir()) == ["best.ckpt", "bundle"]
    assert Engine.load(ready.bundle, "cpu").info.preset == "tiny"


@pytest.mark.parametrize("bundle", [default_bundle(), STAGE], ids=["drummer", "lstm"])
def test_a_model_restored_from_a_bundle_plays_the_same(bundle: Path) -> None:
    config, weights = read_weights(bundle)
    model = new_model(ModelConfig.from_dict(config["model"])).eval()
    model.load_state_dict(weights)
    engine = Engine.load(bundle, "cpu", threads=0)
    size = engine.info.latent_size
    windows = np.stack([engine.decode(np.random.default_rng(seed).standard_normal((1, size), np.float32))[0] for seed in range(4)])
    assert compare(engine, model, windows).within_tolerance


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.tap_model.members[0].out_proj[1].bias.data.add_(0.1),
        lambda model: model.decoder.scale_correction.mul_(1.5),
        lambda model: model.decoder.expression_head[1].bias.data[18:].add_(0.2),  # scales and factors
    ],
    ids=["what it expects of taps", "how loosely it plays", "its spreads"],
)
def test_a_drummer_that_differs_only_in_sampling_or_taps_fails_the_parity_test(change: Callable[[Any], object]) -> None:
    config, weights = read_weights(default_bundle())
    model = new_model(ModelConfig.from_dict(config["model"])).eval()
    model.load_state_dict(weights)
    change(model)
    engine = Engine.load(default_bundle(), "cpu", threads=0)
    parity = compare(engine, model, loops(ModelConfig.from_dict(config["model"]), 2).numpy())
    assert parity.hit_differences == 0
    assert not parity.within_tolerance


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"decoder_units": [8, 7]}, "does not hold decoder"),
        ({"decoder_units": [8, 6, 6]}, "does not hold decoder"),
        ({"x": 1}, "no setting model.x"),
    ],
)
def test_weights_that_do_not_fit_the_described_model_are_named(
    one: Exported, tmp_path: Path, model: dict[str, object], sentence: str
) -> None:
    bundle = Path(shutil.copytree(one.bundle, tmp_path / "bundle"))
    values = json.loads((bundle / "bundle.json").read_text())
    values["training"]["config"]["model"] |= model
    (bundle / "bundle.json").write_text(json.dumps(values))
    with pytest.raises(BundleError, match=sentence):
        read_weights(bundle)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [([], "train one with drumvae-train"), (["nowhere"], "There is no checkpoint nowhere"), (["--ouut", "x"], "--out")],
)
def test_bad_input_is_one_sentence_and_status_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = subprocess.run([sys.executable, "-m", "drumvae.export", "onnx", *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.gmd
def test_training_and_export_run_on_real_grooves(gmd: Path, tmp_path: Path) -> None:
    """Trains a few steps, exports, and plays the demo with what came out, each by its own command."""

    def run(module: str, *arguments: str) -> str:
        result = subprocess.run([sys.executable, "-m", f"drumvae.{module}", *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return result.stdout

    narrow = ("--set", "model.width=16", "--set", "model.core_units=8", "--set", "validation_windows=32")
    run("trainer", "--data", str(gmd), "--max-steps", "3", "--batch-size", "32", *narrow)
    assert "Next: drumvae-live --bundle bundle --demo" in run("export", "onnx", "--out", "bundle")
    run("live", "--bundle", "bundle", "--demo", "--bpm", "240")
    assert (tmp_path / "demo.mid").stat().st_size > 100
