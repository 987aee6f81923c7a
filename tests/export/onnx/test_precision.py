"""A rounded model is smaller and differs little from the fp32 model; one that differs too much is refused."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import onnx  # noqa: E402
from helpers.checkpoints import KINDS, PLAIN, checkpoint  # noqa: E402
from onnx import numpy_helper  # noqa: E402

from drumvae.bundle.format import default_bundle, read_bundle  # noqa: E402
from drumvae.export.onnx.onnx_bundle import Rounding, convert_bundle, export_bundle  # noqa: E402
from drumvae.export.onnx.quantization_error import QuantizationError, assert_within, quantization_error  # noqa: E402
from drumvae.export.onnx.windows import validation_windows  # noqa: E402
from drumvae.inference.check import check_bundle  # noqa: E402
from drumvae.inference.engine import Engine  # noqa: E402
from drumvae.models.bundle_weights import read_weights  # noqa: E402
from drumvae.models.config import VAEConfig  # noqa: E402
from drumvae.util.errors import BundleError  # noqa: E402

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
WIDE = replace(PLAIN, latent_size=32, encoder_units=(32,), decoder_units=(32, 32))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An fp32 bundle whose weights are large enough to be worth rounding."""
    folder = tmp_path_factory.mktemp("whole")
    export_bundle(checkpoint(folder / "best.ckpt", WIDE), folder / "bundle", print)
    return folder / "bundle"


@pytest.fixture(scope="module", params=["fp16", "int8"])
def rounded(request: pytest.FixtureRequest, whole: Path) -> Path:
    convert_bundle(whole, whole.parent / request.param, print, rounding=Rounding(request.param, 1.0))
    return whole.parent / request.param


def weights_size(folder: Path) -> int:
    return sum(sum(len(each.raw_data) for each in onnx.load(str(path)).graph.initializer) for path in folder.glob("*.onnx"))


def test_a_rounded_bundle_is_smaller_names_its_precision_and_passes_its_check(whole: Path, rounded: Path) -> None:
    info = read_bundle(rounded)
    assert info == replace(read_bundle(whole), precision=rounded.name)
    assert weights_size(rounded) < {"fp16": 0.6, "int8": 0.4}[rounded.name] * weights_size(whole)
    assert check_bundle(rounded).broken is None
    assert rounded.name in (rounded / "CARD.md").read_text()


def test_a_rounded_model_writes_nearly_the_loops_of_the_whole_one(whole: Path, rounded: Path) -> None:
    engines = [Engine.load(folder, "cpu") for folder in (whole, rounded)]
    found = quantization_error(*engines, None, "")
    assert found.windows == 1000
    assert 0 < found.value < {"fp16": 0.05, "int8": 1.0}[rounded.name]
    assert found.share < {"fp16": 0.01, "int8": 0.25}[rounded.name]


def test_a_rounded_model_gives_a_seed_the_same_loops_for_any_count(rounded: Path) -> None:
    engine = Engine.load(rounded, "cpu")
    many = engine.generate(seed=3, temperature=1.0, count=40)
    assert [engine.generate(3, 1.0, count)[-1] for count in (1, 7, 40)] == [many[0], many[6], many[39]]


@pytest.mark.parametrize("rounded", ["int8"], indirect=True)
def test_products_of_bytes_do_not_overflow_16_bits(whole: Path, rounded: Path) -> None:
    """Processors without dot products of bytes add two products in 16 bits."""
    graph = onnx.load(str(rounded / "decoder.onnx")).graph
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    multiplied = [weights[node.input[1]] for node in graph.node if node.op_type == "MatMulInteger"]
    assert len(multiplied) == 3 * 16  # two layers' own states and what is between them, at each of 16 steps
    assert 2 * 255 * max(int(np.abs(each.astype(np.int16)).max()) for each in multiplied) < 2**15


def test_weights_of_a_rounded_bundle_are_not_trained_further(rounded: Path) -> None:
    with pytest.raises(BundleError, match=f"holds its weights rounded, as {rounded.name}; begin with the one"):
        read_weights(rounded)


def test_a_larger_departure_than_allowed_leaves_no_files_and_names_the_option(whole: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(
        BundleError, match=r"departs from fp32 in [\d.]+% of the hits, and 0.00% was allowed.*--allow-difference [\d.]+"
    ) as raised:
        convert_bundle(whole, tmp_path / "int8", said.append, rounding=Rounding("int8"))
    assert list(tmp_path.iterdir()) == []
    assert re.search(r"int8 beside fp32, 64 loops of its own: \d+ of \d+ hits differ", said[-1])
    typed = float(re.findall(r"--allow-difference (\d\.\d+)", str(raised.value))[0])
    convert_bundle(whole, tmp_path / "int8", print, rounding=Rounding("int8", typed))
    assert (tmp_path / "int8").is_dir()


@pytest.mark.parametrize(("differing", "allowed", "kept"), [(0, 0.0, True), (1, 0.0, False), (10, 0.1, True), (11, 0.1, False)])
def test_only_an_allowed_departure_is_accepted(differing: int, allowed: float, kept: bool) -> None:
    found = QuantizationError(5, "windows", 100, differing, 1, 0.5)
    if kept:
        assert_within(found, "int8", allowed, print)
    else:
        with pytest.raises(BundleError, match="departs from fp32"):
            assert_within(found, "int8", allowed, print)


@pytest.mark.parametrize(("kind", "precision"), [("conducted patterns", "int8"), ("melodies", "fp16")])
def test_classes_and_melodies_can_be_rounded(tmp_path: Path, kind: str, precision: str) -> None:
    config: VAEConfig = replace(KINDS[kind], decoder_units=(32,), latent_size=32)
    export_bundle(checkpoint(tmp_path / "best.ckpt", config), tmp_path / precision, print, rounding=Rounding(precision, 1.0))
    assert Engine.load(tmp_path / precision, "cpu").info.precision == precision
    assert check_bundle(tmp_path / precision).broken is None


def test_an_unknown_precision_names_the_nearest() -> None:
    with pytest.raises(BundleError, match="did you mean int8"):
        Rounding("int9")


def test_a_bundle_converted_to_its_own_precision_holds_the_same_weights(whole: Path, tmp_path: Path) -> None:
    convert_bundle(whole, tmp_path / "again", print, rounding=Rounding("fp32"))
    before, after = (read_weights(folder)[1] for folder in (whole, tmp_path / "again"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (tmp_path / "again" / "golden.bin").read_bytes() == (whole / "golden.bin").read_bytes()


def test_windows_of_takes_begin_at_every_bar(midi_folder: Path) -> None:
    windows = validation_windows(midi_folder, 64)
    assert windows.shape == (10 * 5, 64, 27)  # ten takes of eight bars
    assert len(validation_windows(midi_folder, 64, most=7)) == 7


@pytest.mark.gmd
def test_the_shipped_model_in_int8_writes_nearly_the_same_loops_for_real_windows(gmd: Path, tmp_path: Path) -> None:
    """Two hits of a hundred may differ, and the whole bundle has a third of the size."""
    if gmd.suffix == ".zip":
        pytest.skip("needs the data set as a folder")
    convert_bundle(default_bundle(), tmp_path / "int8", print, rounding=Rounding("int8", 0.02, gmd))
    assert sum(path.stat().st_size for path in (tmp_path / "int8").iterdir()) <= 4e6
