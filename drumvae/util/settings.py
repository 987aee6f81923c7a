"""A table of values in, a frozen dataclass out: every field known and of its own type, or a sentence that says which is not."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
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
    """Returns a dataclass of a table such as TOML or JSON gives; a field that is a dataclass itself is read from a table in it.

    `where` is put before the names in errors. Raises RunError on an unknown field and on a value of the wrong type.
    """
    kinds = get_type_hints(cls)
    known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    read = {}
    for name, value in values.items():
        if name not in known:
            raise RunError(f"There is no setting {where}{name}; {nearest(name, known)}")
        read[name] = _value(kinds[name], value, where + name)
    return cls(**read)


def _value(kind: Any, value: Any, name: str) -> Any:
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise RunError(f"The setting {name} is {value!r}; it is a table: write [{name}] and its settings below, or {name}.x=1.")
        return from_table(kind, value, f"{name}.")  # type: ignore[arg-type]
    if kind is float and type(value) is int:
        return float(value)
    items = {tuple[int, ...]: int, tuple[str, ...]: str}.get(kind)
    if items and isinstance(value, list | tuple) and all(type(item) is items for item in value):
        return tuple(value)
    if type(value) is not kind:
        raise RunError(f"The setting {name} is {value!r}; it is {_KINDS[kind]}.")
    return value


def to_toml(values: Mapping[str, Any]) -> str:
    """Returns a table of plain values, and of such tables one level down, as TOML."""
    plain = [f"{name} = {_toml(value)}" for name, value in values.items() if not isinstance(value, Mapping)]
    tables = [f"\n[{name}]\n" + to_toml(value).rstrip() for name, value in values.items() if isinstance(value, Mapping)]
    return "\n".join(plain + tables) + "\n"


def _toml(value: Any) -> str:
    import json

    return f"[{', '.join(map(_toml, value))}]" if isinstance(value, list | tuple) else json.dumps(value)
