"""Resolves the options of the command line to the configuration, checkpoint and weights of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drumvae.util.errors import RunError

from .config import TrainConfig
from .presets import DEFAULT, preset
from .settings import parse_settings, read_toml

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ResolvedRun:
    """The configuration of a run, and the state that it starts from."""

    config: TrainConfig
    checkpoint: Path | None = None
    """The checkpoint to resume from."""
    weights: "dict[str, Tensor] | None" = None
    """The initial weights of a run that fine-tunes."""


def resolve_run(
    preset_name: str | None,
    file: Path | None,
    settings: Sequence[str],
    options: dict[str, Any],
    fine_tune: Path | None,
    resume: Path | None,
) -> ResolvedRun:
    """Merges all sources of a configuration; later ones override earlier ones.

    Args:
        preset_name: The preset to start from, or None for the default. A run that is resumed or fine-tuned provides its own.
        file: A TOML file of settings.
        settings: Single settings, such as "model.latent_size=128".
        options: The options of the command line that are settings, by name.
        fine_tune: A bundle or run that provides the initial weights.
        resume: A run folder or checkpoint to resume.

    Raises:
        RunError: If a setting is unknown or has the wrong type, or if two options contradict each other.
    """
    if fine_tune and resume:
        raise RunError("--from starts a new run and --resume continues an old one; choose one of them.")
    table = read_toml(file) if file else {}
    name = preset_name or table.get("preset")
    if not isinstance(name, str | None):
        raise RunError(f"The setting preset is {name!r}; it is a text in quotes.")
    base = _base_run(name, fine_tune, resume)
    file_settings = {key: value for key, value in table.items() if key not in ("preset", "about")}
    config = base.config.changed(file_settings).changed(parse_settings(settings)).changed(options)
    _check_sizes(config, base, resume or fine_tune)
    return ResolvedRun(config, base.checkpoint, base.weights)


def _base_run(name: str | None, fine_tune: Path | None, resume: Path | None) -> ResolvedRun:
    """Returns the run before its settings are changed: a preset, a resumed run or a fine-tuned model."""
    if name:
        preset(name)  # raises RunError for an unknown name
    if resume:
        return _resumed_run(name, resume)
    return _fine_tuned_run(name, fine_tune) if fine_tune else ResolvedRun(preset(name or DEFAULT))


def _resumed_run(name: str | None, resume: Path) -> ResolvedRun:
    from drumvae.models.checkpoint import LAST, load_trained

    checkpoint = resume / LAST if resume.is_dir() else resume
    config = TrainConfig.from_dict(load_trained(checkpoint).config)
    _check_preset(name, config, resume)
    return ResolvedRun(config, checkpoint)


def _fine_tuned_run(name: str | None, source: Path) -> ResolvedRun:
    from drumvae.models.bundle_weights import read_weights
    from drumvae.models.checkpoint import load_trained

    if (source / "bundle.json").is_file():
        table, weights = read_weights(source)
    else:
        trained = load_trained(source)
        table, weights = trained.config, trained.model.state_dict()
    config = TrainConfig.from_dict(table)
    _check_preset(name, config, source)
    return ResolvedRun(config, weights=weights)


def _check_preset(name: str | None, config: TrainConfig, source: Path) -> None:
    if name and name != config.preset:
        raise RunError(f"{source} was trained as {config.preset}, not as {name}; omit --preset, or start a new run.")


def _check_sizes(config: TrainConfig, base: ResolvedRun, source: Path | None) -> None:
    """Raises RunError if a setting changes the shape of existing weights."""
    before = base.config.model.to_dict()
    changed = [key for key, value in config.model.to_dict().items() if value != before.get(key) and not key.endswith("_keep")]
    if (base.checkpoint or base.weights) and changed:
        raise RunError(f"The weights of {source} have other sizes: model.{changed[0]} cannot be changed; train a new run instead.")
