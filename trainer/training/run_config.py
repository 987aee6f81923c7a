"""What the command line asks for in, the configuration of the run and what it begins with out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drumvae.util.errors import RunError

from .config import TrainConfig, parse_settings, read_toml
from .presets import DEFAULT, preset

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ResolvedRun:
    """Says what a run begins with."""

    config: TrainConfig
    checkpoint: Path | None = None
    """A checkpoint to go on from."""
    weights: "dict[str, Tensor] | None" = None
    """Weights to begin with."""


def resolve(
    name: str | None, file: Path | None, settings: Sequence[str], options: dict[str, Any], start: Path | None, resume: Path | None
) -> ResolvedRun:
    """Returns the configuration: the preset, or that of what is resumed or fine-tuned, then the file, the settings, the options.

    Raises RunError where a setting is unknown or of the wrong type, and where two of them contradict each other.
    """
    if start and resume:
        raise RunError("--from begins a new run and --resume goes on with an old one; choose one of them.")
    table = read_toml(file) if file else {}
    wanted = name or table.get("preset")
    if not isinstance(wanted, str | None):
        raise RunError(f"The setting preset is {wanted!r}; it is a text in quotes.")
    base, checkpoint, weights = _base(wanted, start, resume)
    config = (
        base.changed({k: v for k, v in table.items() if k not in ("preset", "about")}).changed(parse_settings(settings)).changed(options)
    )
    changed = [k for k, v in config.model.to_dict().items() if v != base.model.to_dict()[k] and not k.endswith("_keep")]
    if (checkpoint or weights) and changed:
        raise RunError(f"The weights of {resume or start} have other sizes: model.{changed[0]} cannot be changed; train anew without them.")
    return ResolvedRun(config, checkpoint, weights)


def _base(wanted: str | None, start: Path | None, resume: Path | None) -> tuple[TrainConfig, Path | None, "dict[str, Tensor] | None"]:
    if wanted:
        preset(wanted)  # which says so where there is none
    if not start and not resume:
        return preset(wanted or DEFAULT), None, None
    from drumvae.models.checkpoint import LAST, load_trained

    if resume:
        checkpoint = resume / LAST if resume.is_dir() else resume
        config = TrainConfig.from_dict(load_trained(checkpoint).config)
        _agree(wanted, config, resume)
        return config, checkpoint, None
    assert start
    if (start / "bundle.json").is_file():
        from drumvae.models.bundle_weights import read_weights

        table, weights = read_weights(start)
        config = TrainConfig.from_dict(table)
        _agree(wanted, config, start)
        return config, None, weights
    trained = load_trained(start)
    config = TrainConfig.from_dict(trained.config)
    _agree(wanted, config, start)
    return config, None, trained.model.state_dict()


def _agree(wanted: str | None, config: TrainConfig, source: Path) -> None:
    if wanted and wanted != config.preset:
        raise RunError(f"{source} was trained as {config.preset}, not as {wanted}; leave --preset out, or begin a run of its own.")
