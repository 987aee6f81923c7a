"""A checkpoint in, a verified bundle out: written beside its final name, compared, and only then moved there."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drumvae import __version__
from drumvae.bundle import CARD, DECODER, ENCODER, BundleInfo, write_bundle_json
from drumvae.checkpoint import Trained, load_trained
from drumvae.engine import Engine
from drumvae.errors import BundleError
from drumvae.kit import DEFAULT_KIT

from .card import model_card
from .convert import halve, write_graphs
from .verify import Parity, compare, require

LICENCE = (
    "Weights: MIT. Trained on the Groove MIDI Dataset v1.0.0 by Jon Gillick, Adam Roberts, Jesse Engel, Douglas Eck and"
    " David Bamman (Google LLC), CC BY 4.0, https://magenta.tensorflow.org/datasets/groove"
)
TEMPERATURE = 0.7
"""Loops are drawn a little cooler than trained: at 1 their bars repeat each other less than a drummer's do."""
OWN_DATA_LICENCE = "As the grooves that it was trained on."


def export_bundle(checkpoint: Path, out: Path, say: Callable[[str], None], replace: bool = False) -> Parity:
    """Exports a checkpoint into a bundle folder and compares both on seeds and on the windows kept in the checkpoint.

    Raises BundleError where the folder is taken and `replace` is off, or the graphs differ from the model; then nothing is left.
    """
    _check_place(out, replace)
    trained = load_trained(checkpoint)
    if "thresholds" not in trained.facts and trained.model.config.encoding != "melody":
        say("This run did not end by itself, so that no thresholds were chosen: every hit likelier than not is played. --resume mends it.")
    halve(trained.model)
    info = bundle_info(trained)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix="unfinished-") as unfinished:
            part = Path(unfinished) / "bundle"
            part.mkdir()
            write_graphs(trained.model, info, part)
            write_bundle_json(part, info)
            (part / CARD).write_text(model_card(info), "utf-8")
            parity = compare(Engine.load(part, "cpu"), trained.model, trained.windows)
            require(parity, say)
            if out.exists():
                out.replace(Path(unfinished) / "former")
            part.replace(out)
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(f"The bundle {out} cannot be written ({reason}); free some space or name another folder.") from None
    return parity


def _check_place(out: Path, replace: bool) -> None:
    """Refuses to take the place of anything but a bundle, and of a bundle unasked."""
    if not out.exists():
        return
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not ("bundle.json" in found and found <= {"bundle.json", CARD, DECODER, ENCODER}):
        raise BundleError(f"{out} is there already and is no bundle, so it is not replaced; name another folder with --out.")
    if not replace:
        raise BundleError(f"{out} is there already; name another folder with --out, or type --replace.")


def bundle_info(trained: Trained) -> BundleInfo:
    """Returns the description that goes into a bundle of a trained model."""
    facts: dict[str, Any] = dict(trained.facts)
    model = trained.model.config
    voices = 0 if model.encoding == "melody" else len(DEFAULT_KIT.played)
    return BundleInfo(
        encoding=model.encoding,
        steps=model.steps,
        latent_size=model.latent_size,
        tasks=trained.tasks,
        kit=DEFAULT_KIT,
        temperature=TEMPERATURE,
        thresholds=tuple(facts.pop("thresholds", [0.5] * voices))[:voices],
        preset=trained.preset,
        scores=facts.pop("validation", {}),
        training=facts | {"config": trained.config},
        licence=LICENCE if "Groove MIDI" in facts.get("data", "") else OWN_DATA_LICENCE,
        version=__version__,
    )
