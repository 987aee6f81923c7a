"""A checkpoint in, a verified bundle out: written beside its final name, compared, and only then moved there."""

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from drumvae import __version__
from drumvae.bundle.format import CARD, DECILES, DRUMMER, FILES, GOLDEN, PRECISIONS, BundleInfo, read_bundle, write_bundle_json
from drumvae.bundle.model_card import model_card
from drumvae.inference.engine import Engine
from drumvae.inference.golden import record
from drumvae.models.build import Model, new_model
from drumvae.models.bundle_weights import read_weights
from drumvae.models.checkpoint import Trained, load_trained
from drumvae.models.config import ModelConfig
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.kit import DEFAULT_KIT, VOICES
from drumvae.util.errors import BundleError, nearest

from .convert import halve, write_graphs
from .quantization_error import assert_within, quantization_error
from .verify import Parity, assert_parity, compare
from .windows import validation_windows

LICENCE = (
    "Weights: MIT. Trained on the Groove MIDI Dataset v1.0.0 by Jon Gillick, Adam Roberts, Jesse Engel, Douglas Eck and"
    " David Bamman (Google LLC), CC BY 4.0, https://magenta.tensorflow.org/datasets/groove"
)
TEMPERATURE = 0.7
"""Loops are drawn a little cooler than trained: at 1 their bars repeat each other less than a drummer's do."""
DRUMMER_TEMPERATURE = 0.85
"""The same for a drummer: of 0.7, 0.85 and 1 the one whose loops lie nearest to real windows (Frechet distance 4.5, 3.3, 3.9)."""
OWN_DATA_LICENCE = "As the grooves that it was trained on."


@dataclass(frozen=True)
class Rounding:
    """Says in what precision a bundle is written, and how far it may be from the whole model."""

    precision: str = "fp32"
    allowed: float = 0.0
    """Share of the hits that may differ."""
    data: Path | None = None
    """Folder of MIDI files to compare on; by default the windows that are kept in the checkpoint."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise BundleError(f"There is no precision {self.precision!r}; {nearest(self.precision, list(PRECISIONS))}")


WHOLE = Rounding()


def export_bundle(checkpoint: Path, out: Path, say: Callable[[str], None], replace: bool = False, rounding: Rounding = WHOLE) -> Parity:
    """Exports a checkpoint into a bundle folder and compares both on seeds and on the windows kept in the checkpoint.

    Raises BundleError where the folder is taken and `replace` is off, or the graphs differ from the model; then nothing is left.
    """
    _check_place(out, replace)
    trained = load_trained(checkpoint)
    if "thresholds" not in trained.facts and trained.model.config.encoding != "melody":
        say("This run did not end by itself, so that no thresholds were chosen: every hit likelier than not is played. --resume mends it.")
    halve(trained.model)
    info = bundle_info(trained)
    return write_bundle(trained.model, info, model_card(info), trained.windows, out, say, rounding)


def convert_bundle(bundle: Path, out: Path, say: Callable[[str], None], replace: bool = False, rounding: Rounding = WHOLE) -> Parity:
    """Exports the model of a bundle anew, in another precision or as this version exports; raises BundleError as `export_bundle`."""
    _check_place(out, replace)
    info = read_bundle(bundle)
    config, weights = read_weights(bundle)
    model = new_model(ModelConfig.from_dict(config["model"])).eval()
    model.load_state_dict(weights)
    engine = Engine.load(bundle, "cpu", threads=0)
    draw = np.random.default_rng(1)
    latent, noise = draw.standard_normal((64, info.latent_size), np.float32), draw.random((64, *engine.noise_shape), np.float32)
    card = bundle / CARD
    text = card.read_text("utf-8") if card.is_file() and rounding.precision == info.precision else None
    whole = dataclasses.replace(info, precision="fp32", version=__version__)
    return write_bundle(model, whole, text, engine.decode(latent, noise, 1.0), out, say, rounding, "loops of its own")


def write_bundle(
    model: Model,
    info: BundleInfo,
    card: str | None,
    windows: Array,
    out: Path,
    say: Callable[[str], None],
    rounding: Rounding,
    of_what: str = "validation windows",
) -> Parity:
    """Writes a model as a bundle, whole or rounded, once it is proved to play as the model does."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix="unfinished-") as unfinished:
            part = _written(model, info, Path(unfinished) / "bundle")
            parity = compare(Engine.load(part, "cpu"), model, windows)
            assert_parity(parity, say)
            if rounding.precision != "fp32":
                info = dataclasses.replace(info, precision=rounding.precision)
                rounded = _written(model, info, Path(unfinished) / "rounded")
                whole, lowered = (Engine.load(each, "cpu", threads=0) for each in (part, rounded))
                if rounding.data:
                    windows, of_what = validation_windows(rounding.data, info.steps), f"windows of {rounding.data}"
                assert_within(quantization_error(whole, lowered, windows, of_what), rounding.precision, rounding.allowed, say)
                part = rounded
            (part / GOLDEN).write_bytes(record(Engine.load(part, "cpu")))
            write_bundle_json(part, info)
            (part / CARD).write_text(model_card(info) if card is None or rounding.precision != "fp32" else card, "utf-8")
            if out.exists():
                out.replace(Path(unfinished) / "former")
            part.replace(out)
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(f"The bundle {out} cannot be written ({reason}); free some space or name another folder.") from None
    return parity


def _written(model: Model, info: BundleInfo, folder: Path) -> Path:
    folder.mkdir()
    write_graphs(model, info, folder)
    write_bundle_json(folder, info)
    return folder


def _check_place(out: Path, replace: bool) -> None:
    """Refuses to take the place of anything but a bundle, and of a bundle unasked."""
    if not out.exists():
        return
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not ("bundle.json" in found and found <= set(FILES)):
        raise BundleError(f"{out} is there already and is no bundle, so it is not replaced; name another folder with --out.")
    if not replace:
        raise BundleError(f"{out} is there already; name another folder with --out, or type --replace.")


def bundle_info(trained: Trained) -> BundleInfo:
    """Returns the description that goes into a bundle of a trained model."""
    facts: dict[str, Any] = dict(trained.facts)
    facts.pop("windows_bpm", None)
    by_task = {task: tuple(each) for task, each in facts.pop("thresholds_by_task", {}).items()}
    model = trained.model.config
    voices = 0 if model.encoding == "melody" else len(DEFAULT_KIT.output_notes)
    return BundleInfo(
        encoding=model.encoding,
        steps=model.steps,
        latent_size=model.latent_size,
        tasks=trained.tasks,
        kit=DEFAULT_KIT,
        temperature=DRUMMER_TEMPERATURE if model.family == DRUMMER else TEMPERATURE,
        thresholds=tuple(facts.pop("thresholds", [0.5] * voices))[:voices],
        preset=trained.preset,
        scores=facts.pop("validation", {}),
        training=facts | {"config": trained.config},
        licence=LICENCE if "Groove MIDI" in facts.get("data", "") else OWN_DATA_LICENCE,
        version=__version__,
        family=model.family,
        styles=model.styles,
        loop_factors=model.moods if model.family == DRUMMER else 0,
        densities=densities(trained.windows) if model.family == DRUMMER else (),
        thresholds_by_task=by_task,
    )


def densities(windows: Array) -> tuple[float, ...]:
    """Returns the deciles of how many hits a bar has in grooves (n, S, 27), the least and the most among them."""
    hits = windows[..., : len(VOICES)].sum(axis=(1, 2)) / (windows.shape[1] / STEPS_PER_BAR)
    return tuple(round(float(value), 2) for value in np.quantile(hits, np.linspace(0, 1, DECILES)))
