"""A drummer that learned nothing, exported for real: small and quick to make, and bound by every promise all the same."""

from pathlib import Path

from drumvae.bundle import DRUMMER, TASKS, BundleInfo, write_bundle_json
from drumvae.kit import DEFAULT_KIT

STYLES = ("rock", "jazz")
DENSITIES = tuple(float(hits) for hits in range(10, 32, 2))


def write_small_drummer(folder: Path) -> None:
    """Writes the bundle of a small drummer with random weights into a folder; needs torch."""
    import torch

    from drumvae.export.convert import halve, write_graphs
    from drumvae.models.config import ModelConfig
    from drumvae.models.drummer import Drummer

    torch.manual_seed(0)
    config = ModelConfig(family=DRUMMER, width=16, heads=2, latent_size=8, core_units=8, styles=STYLES, moods=2)
    model = Drummer(config).eval()
    halve(model)
    training = {"config": {"preset": "drummer_4bar", "model": config.to_dict()}}
    told = ("drummer_4bar", training, {}, "MIT", "0")
    info = BundleInfo(
        "groove",
        64,
        8,
        TASKS,
        DEFAULT_KIT,
        1.0,
        (0.8,) * 9,
        *told,
        family=DRUMMER,
        styles=STYLES,
        moods=2,
        densities=DENSITIES,
    )
    write_graphs(model, info, folder)
    write_bundle_json(folder, info)
