"""Builds the model that a configuration describes."""

from .config import DrummerConfig, ModelConfig, VAEConfig
from .drummer import Drummer
from .vae import LoopVAE

Model = LoopVAE | Drummer


def new_model(config: ModelConfig) -> Model:
    """Returns a model with initial weights."""
    match config:
        case DrummerConfig():
            return Drummer(config)
        case VAEConfig():
            return LoopVAE(config)
    raise TypeError(f"{type(config).__name__} has no model")
