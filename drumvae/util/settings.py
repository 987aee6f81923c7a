"""Converts tables of settings to frozen dataclasses with checked names and types, and writes them as TOML."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_type_hints

from .errors import RunError, nearest

T = TypeVar("T")

_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    tuple[int, ...]: "a list of whole numbers",
    tuple[str, ...]: "a list of texts in quotes",
}


def from_table(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Returns a dataclass of a parsed TOML or JSON table; a field whose class has `from_dict` is read from a nested table by it.

    Args:
        cls: The dataclass.
        values: The table; missing fields keep their defaults.
        where: A prefix of the names in errors.

    Raises:
        RunError: A field is unknown, or a value has the wrong type.
    """
    kinds = get_type_hints(cls)
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    arguments = {}
    for name, value in values.items():
        if name not in names:
            raise RunError(f"There is no setting {where}{name}; {nearest(name, names)}")
        arguments[name] = _value(kinds[name], value, where + name)
    return cls(**arguments)


def _value(kind: Any, value: Any, name: str) -> Any:
    if hasattr(kind, "from_dict"):
        if not isinstance(value, Mapping):
            raise RunError(f"The setting {name} is {value!r}; it is a table: write [{name}] and its settings below, or {name}.x=1.")
        return kind.from_dict(value)
    if kind is float and type(value) is int:
        return float(value)
    items = {tuple[int, ...]: int, tuple[str, ...]: str}.get(kind)
    if items and isinstance(value, list | tuple) and all(type(item) is items for item in value):
        return tuple(value)
    if type(value) is not kind:
        raise RunError(f"The setting {name} is {value!r}; it is {_KINDS[kind]}.")
    return value


def to_toml(values: Mapping[str, Any]) -> str:
    """Returns a table of settings as TOML; it needs the extra `train`."""
    import tomli_w

    return tomli_w.dumps(values)
