"""Builds the model that a configuration describes."""

from .config import ModelConfig
from .drummer import Drummer
from .vae import LoopVAE

Model = LoopVAE | Drummer


def new_model(config: ModelConfig) -> Model:
    """Returns a model with initial weights."""
    return Drummer(config) if config.family == "drummer" else LoopVAE(config)
