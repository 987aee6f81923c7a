"""A configuration in, the model that it describes out."""

from .config import ModelConfig
from .drummer import Drummer
from .vae import LoopVAE

Model = LoopVAE | Drummer


def new_model(config: ModelConfig) -> Model:
    """Returns a model with first weights."""
    return Drummer(config) if config.family == "drummer" else LoopVAE(config)
