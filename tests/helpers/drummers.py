"""A small drummer's bundle of a model that was never trained: it plays noise, and answers to whatever it is told."""

import warnings
from pathlib import Path

from drumvae.bundle.format import BundleInfo, write_bundle_json
from drumvae.bundle.schema import DRUMMER
from drumvae.export.onnx.convert import halve, write_graphs
from drumvae.models.config import ModelConfig
from drumvae.music.kit import DEFAULT_KIT, VOICES

STYLES = ("funk", "jazz", "rock")
DENSITIES = tuple(float(hits) for hits in range(10, 32, 2))
TASKS = ("generate", "reconstruct", "humanize", "drumify", "infill")
SMALL = ModelConfig(
    family=DRUMMER,
    latent_size=8,
    styles=STYLES,
    width=16,
    heads=2,
    encoder_layers=1,
    context_layers=1,
    core_units=8,
    readers=2,
    reader_width=16,
    reader_layers=1,
)


def write_drummer(folder: Path) -> Path:
    """Writes a bundle of a fresh drummer, whose weights are large enough for style and tempo to be heard."""
    import torch

    from drumvae.models.drummer import Drummer

    torch.manual_seed(0)
    model = Drummer(SMALL).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    told = len(STYLES) + 2  # whether a density is told, and which: what was never trained may take it either way
    model.decoder.wanted.weight.data[:, told : told + 2] = 0
    halve(model)
    even = (0.5,) * len(VOICES)
    learned = (
        "groove",
        64,
        SMALL.latent_size,
        TASKS,
        DEFAULT_KIT,
        0.7,
        even,
        "small",
        {"config": {"model": SMALL.to_dict()}},
        {},
        "none",
        "0",
    )
    info = BundleInfo(*learned, family=DRUMMER, styles=STYLES, loop_factors=SMALL.moods, densities=DENSITIES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        write_graphs(model, info, folder)
    write_bundle_json(folder, info)
    return folder
