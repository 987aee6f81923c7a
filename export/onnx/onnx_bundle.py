"""Exports a checkpoint or a bundle to a new bundle: writes it to a temporary folder, verifies it, and moves it to its final place."""

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drumvae import __version__
from drumvae.bundle import defaults
from drumvae.bundle.format import CARD, DECILES, FILES, GOLDEN, JSON, PRECISIONS, BundleInfo, read_bundle, write_bundle_json
from drumvae.bundle.model_card import model_card
from drumvae.inference.engine import Engine
from drumvae.inference.golden import record
from drumvae.models.build import Model, new_model
from drumvae.models.bundle_weights import read_weights
from drumvae.models.checkpoint import Trained, load_trained
from drumvae.models.config import DrummerConfig, ModelConfig
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.kit import DEFAULT_KIT, VOICES
from drumvae.util.errors import BundleError, nearest

from .convert import halve, write_graphs
from .quantization_error import assert_within, quantization_error
from .verify import Parity, assert_parity, compare
from .windows import validation_windows

Say = Callable[[str], None]
"""Prints a sentence."""


@dataclass(frozen=True)
class Rounding:
    """The precision of a bundle's weights, and the allowed difference from the fp32 model."""

    precision: str = "fp32"
    allowed: float = 0.0
    """Largest share of the hits that may differ."""
    data: Path | None = None
    """Folder of MIDI files to compare on; by default the windows in the checkpoint."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise BundleError(f"There is no precision {self.precision!r}; {nearest(self.precision, list(PRECISIONS))}")


FP32 = Rounding()


@dataclass(frozen=True)
class Source:
    """Holds the model, the description and the comparison windows of a new bundle."""

    model: Model
    info: BundleInfo
    """The description of the bundle in fp32."""
    card: str | None
    """The model card; None to make one from the description."""
    windows: Array
    """Loops for the comparison with PyTorch, (n, S, 27) or (n, S)."""
    origin: str
    """A phrase that names the windows in messages."""


def export_bundle(checkpoint: Path, out: Path, say: Say, replace: bool = False, rounding: Rounding = FP32) -> Parity:
    """Exports a checkpoint, and compares the graphs with PyTorch on seeds and on the windows in the checkpoint.

    Args:
        checkpoint: A checkpoint or a run folder.
        out: The folder of the bundle.
        say: Called with each message.
        replace: Whether a bundle in `out` is replaced.
        rounding: The precision.

    Returns:
        The difference from the PyTorch model.

    Raises:
        BundleError: The folder exists already, or the graphs differ from the model; then nothing is written.
    """
    _check_target(out, replace)
    trained = load_trained(checkpoint)
    if "thresholds" not in trained.facts and trained.model.config.encoding != "melody":
        say("This run did not end by itself, so no thresholds were calibrated: every hit above 0.5 is played. --resume finishes it.")
    halve(trained.model)
    info = bundle_info(trained)
    return write_bundle(Source(trained.model, info, model_card(info), trained.windows, "validation windows"), out, say, rounding)


def convert_bundle(bundle: Path, out: Path, say: Say, replace: bool = False, rounding: Rounding = FP32) -> Parity:
    """Exports the model of a bundle again, in another precision or by this version; arguments and errors as in `export_bundle`."""
    _check_target(out, replace)
    info = read_bundle(bundle)
    config, weights = read_weights(bundle)
    model = new_model(ModelConfig.from_dict(config["model"])).eval()
    model.load_state_dict(weights)
    engine = Engine.load(bundle, "cpu", threads=0)
    generator = np.random.default_rng(1)
    latent = generator.standard_normal((64, info.latent_size), np.float32)
    windows = engine.decode(latent, generator.random((64, *engine.noise_shape), np.float32), 1.0)
    card = bundle / CARD
    text = card.read_text("utf-8") if card.is_file() and rounding.precision == info.precision else None
    fp32_info = dataclasses.replace(info, precision="fp32", version=__version__)
    return write_bundle(Source(model, fp32_info, text, windows, "loops of its own"), out, say, rounding)


def write_bundle(source: Source, out: Path, say: Say, rounding: Rounding) -> Parity:
    """Writes a bundle after verifying its graphs against the model; errors as in `export_bundle`."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix="unfinished-") as folder:
            unfinished = Path(folder)
            bundle = _write_graphs(source.model, source.info, unfinished / "bundle")
            parity = compare(Engine.load(bundle, "cpu"), source.model, source.windows)
            assert_parity(parity, say)
            info, card = source.info, source.card
            if rounding.precision != "fp32":
                info, card = dataclasses.replace(info, precision=rounding.precision), None
                bundle = _write_rounded(source, info, bundle, unfinished / "rounded", say, rounding)
            (bundle / GOLDEN).write_bytes(record(Engine.load(bundle, "cpu")))
            write_bundle_json(bundle, info)
            (bundle / CARD).write_text(model_card(info) if card is None else card, "utf-8")
            if out.exists():
                out.replace(unfinished / "former")
            bundle.replace(out)
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(f"The bundle {out} cannot be written ({reason}); free some space or name another folder.") from None
    return parity


def _write_rounded(source: Source, info: BundleInfo, fp32: Path, folder: Path, say: Say, rounding: Rounding) -> Path:
    """Writes the graphs in the precision of a description; raises BundleError if they differ too much from those in `fp32`."""
    rounded = _write_graphs(source.model, info, folder)
    windows, origin = source.windows, source.origin
    if rounding.data:
        windows, origin = validation_windows(rounding.data, info.steps), f"windows of {rounding.data}"
    expected, found = (Engine.load(each, "cpu", threads=0) for each in (fp32, rounded))
    assert_within(quantization_error(expected, found, windows, origin), rounding.precision, rounding.allowed, say)
    return rounded


def _write_graphs(model: Model, info: BundleInfo, folder: Path) -> Path:
    folder.mkdir()
    write_graphs(model, info, folder)
    write_bundle_json(folder, info)
    return folder


def _check_target(out: Path, replace: bool) -> None:
    """Refuses to replace anything but a bundle, and a bundle unless `replace` is set."""
    if not out.exists():
        return
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not (JSON in found and found <= set(FILES)):
        raise BundleError(f"{out} is there already and is no bundle, so it is not replaced; name another folder with --out.")
    if not replace:
        raise BundleError(f"{out} is there already; name another folder with --out, or type --replace.")


def bundle_info(trained: Trained) -> BundleInfo:
    """Returns the description of a bundle of a trained model."""
    facts: dict[str, Any] = dict(trained.facts)
    facts.pop("windows_bpm", None)
    by_task = {task: tuple(each) for task, each in facts.pop("thresholds_by_task", {}).items()}
    model = trained.model.config
    drummer, voice_count = model if isinstance(model, DrummerConfig) else None, 0 if model.encoding == "melody" else len(VOICES)
    return BundleInfo(
        encoding=model.encoding,
        steps=model.steps,
        latent_size=model.latent_size,
        tasks=trained.tasks,
        kit=DEFAULT_KIT,
        temperature=defaults.TEMPERATURES[model.family],
        thresholds=tuple(facts.pop("thresholds", [0.5] * voice_count))[:voice_count],
        preset=trained.preset,
        scores=facts.pop("validation", {}),
        training=facts | {"config": trained.config},
        licence=defaults.licence(facts.get("data", "")),
        version=__version__,
        family=model.family,
        styles=drummer.styles if drummer else (),
        loop_factors=drummer.moods if drummer else 0,
        densities=densities(trained.windows) if drummer else (),
        thresholds_by_task=by_task,
    )


def densities(windows: Array) -> tuple[float, ...]:
    """Returns the minimum, the deciles and the maximum of the hits in a bar of grooves (n, S, 27)."""
    hits = windows[..., : len(VOICES)].sum(axis=(1, 2)) / (windows.shape[1] / STEPS_PER_BAR)
    return tuple(round(float(value), 2) for value in np.quantile(hits, np.linspace(0, 1, DECILES)))
