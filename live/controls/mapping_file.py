"""A TOML file in, a map of controls out, and back, with what else stands in the file left as it is.

channel = 1             # from 1 to 16; without it, any
[cc]
21 = "temperature"
[note]
"16:36" = "recall 1"    # this one on channel 16, whatever stands above
"""

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from drumvae.util.errors import DrumVAEError, nearest

from .actions import ACTIONS, Action
from .mapping import CHANNELS, MESSAGE_TYPES, Binding, ControlMap, MessageType

_KEY = re.compile(r"(?:([0-9]{1,9}):)?([0-9]{1,9})")
_HEADING = re.compile(r"\s*\[\s*(\w*)")


def default_text() -> str:
    """Returns the file that ships with the package."""
    return (files("drumvae.live.controls") / "default.toml").read_text("utf-8")


def default_map() -> ControlMap:
    """Returns the map that ships with the package."""
    return parse_map(default_text())


def read_map(path: Path) -> ControlMap:
    """Reads a file; raises DrumVAEError, in one sentence that names it, where it cannot be read or is no map."""
    try:
        return parse_map(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DrumVAEError(f"The map of controls {path} cannot be read ({reason}); name a TOML file.") from None
    except DrumVAEError as error:
        raise DrumVAEError(f"In the map of controls {path}: {error}") from None


def parse_map(text: str) -> ControlMap:
    """Reads the text of a file; raises DrumVAEError where it is no map."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML, a number of too many digits, brackets within brackets without end
        double = _double(text)
        if double:
            raise DrumVAEError(f"{double.sentence} is bound twice; leave one of them out.") from None
        raise DrumVAEError(f'It is no TOML ({error}); a line below [cc] looks like 21 = "temperature".') from None
    for name in table:
        if name not in ("channel", *MESSAGE_TYPES):
            raise DrumVAEError(f"There is no setting {name!r}; {nearest(name, ['channel', *MESSAGE_TYPES])}")
    channel = table.get("channel")
    if channel is not None and (type(channel) is not int or channel not in CHANNELS):
        raise DrumVAEError(f"The channel is {channel!r}; it is a number from 1 to 16, or left out for any.")
    bindings: dict[Binding, Action] = {}
    for sort in MESSAGE_TYPES:
        _read_table(sort, table.get(sort, {}), channel, bindings)
    return ControlMap(bindings)


def to_toml(controls: ControlMap) -> str:
    """Returns the text of a file that reads as a map."""
    return "\n".join(
        f"[{sort}]\n" + "".join(_line(b, a) for b, a in controls.bindings.items() if b.message_type == sort) for sort in MESSAGE_TYPES
    )


def updated(text: str, controls: ControlMap) -> str:
    """Returns the text of a file with its bindings changed to a map's; its comments and all other lines stay.

    What is new stands first below its heading. A file that is written in another way than a line a binding is written anew.
    """
    old, channel = parse_map(text).bindings, tomllib.loads(text).get("channel")
    new = {
        sort: [_line(b, a) for b, a in controls.bindings.items() if b.message_type == sort and old.get(b) is not a]
        for sort in MESSAGE_TYPES
    }
    gone = {binding for binding, action in old.items() if controls.bindings.get(binding) is not action}
    out = []
    for line, sort, heading, key in _walk(text):
        binding = parse_key(sort, key, channel) if sort else None
        if binding not in gone:
            out.append(line + "\n")
        if heading and sort:
            out += new.pop(sort, [])
    out += [f"\n[{sort}]\n" + "".join(lines) for sort, lines in new.items() if lines]
    try:
        return "".join(out) if parse_map("".join(out)) == controls else to_toml(controls)
    except DrumVAEError:
        return to_toml(controls)


def parse_key(sort: MessageType, key: str, channel: int | None) -> Binding | None:
    """Reads a key such as `21` or `16:36`; None where it is neither. `channel` is the one of a key that names none."""
    match = _KEY.fullmatch(key)
    return Binding(sort, int(match[2]), int(match[1]) if match[1] else channel) if match else None


def _read_table(sort: MessageType, table: Any, channel: int | None, bindings: dict[Binding, Action]) -> None:
    if not isinstance(table, dict):
        raise DrumVAEError(f'The setting {sort} is {table!r}; write [{sort}] on a line, and below it lines such as 21 = "next".')
    for key, name in table.items():
        binding = parse_key(sort, key, channel)
        if binding is None:
            raise DrumVAEError(f'The key {key!r} below [{sort}] is no number; write 21, or "16:21" for channel 16 alone.')
        if not isinstance(name, str):
            raise DrumVAEError(f'{binding.sentence} is bound to {name!r}; an action is a text in quotes, such as "next".')
        if name not in ACTIONS:
            raise DrumVAEError(f"There is no action {name!r} for {binding.title}; {nearest(name, list(ACTIONS))}")
        if binding in bindings:  # 21 and 021
            raise DrumVAEError(f"{binding.sentence} is bound twice; leave one of them out.")
        bindings[binding] = ACTIONS[name]


def _walk(text: str) -> Iterator[tuple[str, MessageType | None, bool, str]]:
    """Yields every line, the table it stands in where that is one of bindings, whether it is a heading, and its key."""
    sort: MessageType | None = None
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading:
            sort = next((sort for sort in MESSAGE_TYPES if sort == heading[1]), None)
        yield line, sort, bool(heading), line.partition("=")[0].strip(" \t\"'")


def _double(text: str) -> Binding | None:
    """Finds the first key that stands twice below a heading, which the parser refuses without naming it."""
    seen: set[Binding] = set()
    for _, sort, _, key in _walk(text):
        binding = parse_key(sort, key, None) if sort else None
        if binding in seen:
            return binding
        if binding:
            seen.add(binding)
    return None


def _line(binding: Binding, action: Action) -> str:
    key = f'"{binding.channel}:{binding.number}"' if binding.channel else str(binding.number)
    return f'{key} = "{action.name}"\n'
