"""Reads the presets of presets.toml."""

import tomllib
from functools import cache
from importlib.resources import files

from drumvae.util.errors import RunError, nearest

from .config import TrainConfig

DEFAULT = "drummer_4bar"
"""The preset that is trained by default; it made the bundle that ships."""


@cache
def presets() -> dict[str, TrainConfig]:
    """Returns the configurations of all presets by name."""
    tables = tomllib.loads((files("drumvae.trainer.training") / "presets.toml").read_text("utf-8"))
    return {name: TrainConfig.from_dict({"preset": name} | table) for name, table in tables.items()}


def preset(name: str) -> TrainConfig:
    """Returns the configuration of a preset. Raises RunError with the nearest names if there is none.

    >>> preset("groovae_4bar").batch_size
    512
    """
    if name not in presets():
        raise RunError(f"There is no preset {name!r}; {nearest(name, list(presets()))}")
    return presets()[name]


def parameter_count(config: TrainConfig) -> int:
    """Returns the number of parameters of a configuration's model, built without memory on torch's meta device."""
    import torch

    from drumvae.models.build import new_model

    with torch.device("meta"):
        return sum(parameter.numel() for parameter in new_model(config.model).parameters())
