"""The name of a preset in, its configuration out. The presets themselves are data: presets.toml."""

import tomllib
from functools import cache
from importlib.resources import files

from drumvae.models.config import LAGS, READ_SIZE, TAP_FEATURES, ModelConfig
from drumvae.music.grid import STEPS_PER_BAR
from drumvae.util.errors import RunError, nearest

from .config import TrainConfig

DEFAULT = "drummer_4bar"
"""What is trained when nobody says otherwise: the model that ships."""


@cache
def presets() -> dict[str, TrainConfig]:
    """Returns every preset by name."""
    tables = tomllib.loads((files("drumvae.trainer.training") / "presets.toml").read_text("utf-8"))
    return {name: TrainConfig.from_dict({"preset": name} | table) for name, table in tables.items()}


def preset(name: str) -> TrainConfig:
    """Returns a preset; raises RunError with the nearest names where there is none."""
    if name not in presets():
        raise RunError(f"There is no preset {name!r}; {nearest(name, list(presets()))}")
    return presets()[name]


def parameter_count(config: TrainConfig) -> int:
    """Returns how many parameters a preset's model has, from its sizes alone: four gates of weights and two biases a layer."""
    model = config.model
    if model.family == "drummer":
        return _drummer_parameters(model)
    count, size = 0, model.feature_size
    for units in model.encoder_units:
        count, size = count + 2 * _lstm(size, units), 2 * units
    read = size * (model.steps // 16 if model.bar_readout else 1)
    count += 2 * model.latent_size * (read + 1)
    if model.plan == "conductor":
        size = model.latent_size
        for units in model.conductor_units:
            count, size = count + _lstm(size, units), units
        count += 2 * sum(model.conductor_units) * (model.latent_size + 1)
    elif model.plan == "segments":
        count += model.segments * model.segment_size * (model.latent_size + 1)
    count += model.steps * model.position_size + 2 * sum(model.decoder_units) * (model.plan_size + 1)
    size = model.feature_size + (10 if model.show_hits else 0) + model.position_size + model.plan_size
    for units in model.decoder_units:
        count, size = count + _lstm(size, units), units
    return count + _head(config, size)


def _drummer_parameters(model: ModelConfig) -> int:
    """Counts what `drumvae.models.drummer` has: of width D, a transformer layer has 8 D^2 + 11 D."""
    width, units, places = model.width, model.core_units, model.steps * READ_SIZE
    layers = model.encoder_layers + model.context_layers + model.feel_layers
    count = layers * (8 * width**2 + 11 * width) + 2 * (STEPS_PER_BAR + model.steps // STEPS_PER_BAR) * width
    encoder = 28 * width + 2 * width + (width + 1) * READ_SIZE + 2 * (places + 1) * model.latent_size
    shown = (5 * 9 + 3 + 1 + 2 + 1) * width + (len(model.styles) + 5 + 1) * width
    latent = (model.latent_size + 1) * places + (READ_SIZE + 1) * width
    core = (width + 1) * 3 * units + len(LAGS) * 9 * 3 * units + (units + 1) * 3 * units
    hits = (width + 1) * 9 + units * 9 + len(LAGS) * 9 * 9 + 2 * width
    feel = 10 * width + 2 * width + (width + 1) * 18 * (2 + model.moods)
    return count + encoder + shown + latent + core + hits + feel + _reader_parameters(model)


def _reader_parameters(model: ModelConfig) -> int:
    """Counts what the readers of `drumvae.models.listener` have."""
    width = model.reader_width
    places = (STEPS_PER_BAR + model.steps // STEPS_PER_BAR) * width
    told = (TAP_FEATURES + 1 + width + 1 + len(model.styles) + 2 + 1) * width
    recurrent = model.readers // 2
    layers = (model.readers * model.reader_layers - recurrent) * (8 * width**2 + 11 * width) + recurrent * 2 * _lstm(width, width // 2)
    return layers + model.readers * (told + places + 2 * width + 9 * (width + 1))


def _lstm(size: int, units: int) -> int:
    return 4 * units * (size + units + 2)


def _head(config: TrainConfig, size: int) -> int:
    model = config.model
    if model.output == "categorical":
        return model.classes * (size + 1)
    feel = model.feel_units * (size + 9 + 1) + 18 * (model.feel_units + 1) if model.feel_units else 18 * (size + 1)
    return 9 * (size + 1) + feel
