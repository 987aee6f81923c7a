"""Writes a bundle of a small untrained drummer, whose random loops depend on all conditions."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drumvae.bundle.format import BundleInfo, write_bundle_json
from drumvae.bundle.schema import DRUMMER
from drumvae.bundle.tasks import TASKS
from drumvae.models.config import DrummerConfig
from drumvae.music.kit import DEFAULT_KIT, VOICES

if TYPE_CHECKING:
    import torch

STYLES = ("funk", "jazz", "rock")
DENSITIES = tuple(float(hits) for hits in range(10, 32, 2))
SMALL = DrummerConfig(
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


def random_grooves(count: int, seed: int = 0) -> "torch.Tensor":
    """Returns random groove tensors (count, 64, 27)."""
    import torch

    draw = np.random.default_rng(seed)
    hits = (draw.random((count, 64, 9)) < 0.2).astype(np.float32)
    expression = draw.random((count, 64, 18)).astype(np.float32)
    return torch.from_numpy(np.concatenate([hits, expression * np.tile(hits, 2)], axis=-1))


def write_drummer(folder: Path) -> Path:
    """Writes a bundle of a new drummer, with weights so large that style and tempo change its loops."""
    import torch

    from drumvae.export.onnx.convert import halve, write_graphs
    from drumvae.models.drummer import Drummer

    torch.manual_seed(0)
    model = Drummer(SMALL).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    density = len(STYLES) + 2  # two inputs: whether there is a density, and its value
    model.decoder.condition_proj.weight.data[:, density : density + 2] = 0  # untrained, more density could mean fewer hits
    halve(model)
    even = (0.5,) * len(VOICES)
    fields = (
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
    info = BundleInfo(*fields, family=DRUMMER, styles=STYLES, loop_factors=SMALL.moods, densities=DENSITIES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter
        write_graphs(model, info, folder)
    write_bundle_json(folder, info)
    return folder
