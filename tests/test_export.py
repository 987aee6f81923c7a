import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from drumvae.bundle import read_bundle  # noqa: E402
from drumvae.checkpoint import FORMAT, KEY, load_trained  # noqa: E402
from drumvae.engine import Engine  # noqa: E402
from drumvae.errors import BundleError  # noqa: E402
from drumvae.export import onnx_bundle  # noqa: E402
from drumvae.export.convert import halve  # noqa: E402
from drumvae.export.onnx_bundle import export_bundle  # noqa: E402
from drumvae.export.verify import Parity, compare  # noqa: E402
from drumvae.models.config import ModelConfig  # noqa: E402
from drumvae.models.vae import GrooveVAE  # noqa: E402
from drumvae.trainer.presets import TrainConfig  # noqa: E402

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

BARE = ModelConfig(steps=16, latent_size=8, encoder_units=(8,), decoder_units=(8, 8))
FULL = replace(BARE, bar_readout=True, position_size=4, show_hits=True, feel_units=8)


def checkpoint(path: Path, model: ModelConfig) -> Path:
    """Writes a checkpoint of a fresh model, as training would."""
    torch.manual_seed(0)
    config = TrainConfig(preset="tiny", model=model)
    vae = GrooveVAE(model)
    for parameter in vae.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    windows = torch.rand(5, 16, 27)
    windows[..., :9] = windows[..., :9].round()
    described = {"format": FORMAT, "preset": "tiny", "tasks": ["generate", "humanize"], "config": config.to_dict(), "windows": windows}
    described["facts"] = {"data": "MIDI files", "validation": {"hit_f1": 0.5}, "step": 1}
    torch.save({"state_dict": {f"vae.{k}": v for k, v in vae.state_dict().items()}, KEY: described}, path)
    return path


@pytest.fixture(scope="module", params=[BARE, FULL], ids=["published", "stage"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Parity]:
    folder = tmp_path_factory.mktemp("export")
    path = checkpoint(folder / "best.ckpt", request.param)
    return path, folder / "bundle", export_bundle(path, folder / "bundle", print)


def test_every_kind_of_model_plays_the_same_after_export(exported: tuple[Path, Path, Parity]) -> None:
    parity = exported[2]
    assert parity.loops == 64 + 5
    assert parity.hit_differences == 0
    assert parity.value_difference < 1e-4


def test_a_bundle_describes_the_run_it_came_from(exported: tuple[Path, Path, Parity]) -> None:
    info = read_bundle(exported[1])
    assert (info.preset, info.tasks, info.steps, info.latent_size) == ("tiny", ("generate", "humanize"), 16, 8)
    assert info.scores == {"hit_f1": 0.5}
    assert "CC BY" not in info.licence


def test_graphs_hold_no_path_of_the_machine_that_made_them(exported: tuple[Path, Path, Parity]) -> None:
    here = os.fsencode(Path(onnx_bundle.__file__).parent.parent)
    assert all(here not in path.read_bytes() for path in exported[1].iterdir())


def test_a_model_that_differs_is_found(exported: tuple[Path, Path, Parity]) -> None:
    trained = load_trained(exported[0])
    halve(trained.model)
    assert compare(Engine.load(exported[1], "cpu"), trained.model, trained.windows).kept
    trained.model.decoder.hits.bias.data += 1
    parity = compare(Engine.load(exported[1], "cpu"), trained.model, trained.windows)
    assert parity.hit_differences > 0
    assert not parity.kept


def test_an_export_that_differs_leaves_nothing_behind(
    exported: tuple[Path, Path, Parity], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        onnx_bundle, "write_graphs", lambda *_: [Path(_[2] / p.name).write_bytes(p.read_bytes()) for p in exported[1].glob("*.onnx")]
    )
    monkeypatch.setattr(onnx_bundle, "compare", lambda *_: Parity(1, 3, 0.0))
    with pytest.raises(BundleError, match="3 hits"):
        export_bundle(exported[0], tmp_path / "bundle", print)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_is_there_is_not_overwritten_unasked(exported: tuple[Path, Path, Parity]) -> None:
    with pytest.raises(BundleError, match="--replace"):
        export_bundle(exported[0], exported[1], print)


def test_nothing_but_a_bundle_is_ever_replaced(exported: tuple[Path, Path, Parity], tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("years of work")
    for place in (precious, precious / "file"):
        with pytest.raises(BundleError, match="is no bundle"):
            export_bundle(exported[0], place, print, replace=True)
    assert (precious / "file").read_text() == "years of work"


def test_a_bundle_is_replaced_when_asked(exported: tuple[Path, Path, Parity]) -> None:
    assert export_bundle(exported[0], exported[1], print, replace=True).kept
    assert sorted(path.name for path in exported[1].parent.iterdir()) == ["best.ckpt", "bundle"]
    assert Engine.load(exported[1], "cpu").info.preset == "tiny"


def test_a_batch_of_any_size_is_decoded(exported: tuple[Path, Path, Parity]) -> None:
    engine = Engine.load(exported[1], "cpu")
    for count in (1, 3, 65):
        assert engine.decode(np.zeros((count, 8), np.float32), np.full((count, 16, 9), 0.5, np.float32)).shape == (count, 16, 27)


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
def test_the_whole_line_runs_on_real_grooves(gmd: Path, tmp_path: Path) -> None:
    """Trains a few steps, exports, and plays the demo with what came out, each by its own command."""

    def run(module: str, *arguments: str) -> str:
        result = subprocess.run([sys.executable, "-m", f"drumvae.{module}", *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        return result.stdout

    run("trainer", "--data", str(gmd), "--max-steps", "3", "--batch-size", "32")
    run("export", "onnx", "--out", "bundle")
    run("live", "--bundle", "bundle", "--demo", "--bpm", "240")
    assert (tmp_path / "demo.mid").stat().st_size > 100
