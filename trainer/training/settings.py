"""Reads settings from TOML files and from the command line."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drumvae.util.errors import RunError


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file of settings. Raises RunError if it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"The configuration {path} cannot be read ({reason}); name a TOML file with --config.") from None
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"The configuration {path} is not TOML ({error}); a line looks like batch_size = 128.") from None


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Parses settings into a table. Raises RunError for one without a name or value, and for contradictions.

    >>> parse_settings(["model.latent_size=128", "seed=1"])
    {'model': {'latent_size': 128}, 'seed': 1}
    """
    table: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        *parents, last = name.strip().split(".")
        if not equals or not last or len(parents) > 1:
            raise RunError(f"The setting {setting!r} is not NAME=VALUE; type for example --set model.latent_size=128.")
        target = table.setdefault(parents[0], {}) if parents else table
        if not isinstance(target, dict) or isinstance(target.get(last), dict):
            raise RunError(f"The setting {setting!r} contradicts an earlier one; give each setting once.")
        target[last] = _parse_value(text.strip())
    return table


def _parse_value(text: str) -> Any:
    """Parses a TOML value; anything else, such as a bare word, is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
