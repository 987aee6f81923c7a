"""Reads control maps from TOML files and updates them; comments and other lines stay as they are.

channel = 1             # from 1 to 16; without it, any
[cc]
21 = "temperature"
[note]
"16:36" = "recall 1"    # on channel 16, instead of the default above
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
    """Reads a file; raises DrumVAEError with its name if it cannot be read or is not a control map."""
    try:
        return parse_map(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DrumVAEError(f"The map of controls {path} cannot be read ({reason}); name a TOML file.") from None
    except DrumVAEError as error:
        raise DrumVAEError(f"In the map of controls {path}: {error}") from None


def parse_map(text: str) -> ControlMap:
    """Reads the text of a file; raises DrumVAEError if it is not a control map."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # no TOML, a number with too many digits, endless brackets
        duplicate = _duplicate(text)
        if duplicate:
            raise DrumVAEError(f"{duplicate.sentence} is bound twice; leave one of them out.") from None
        raise DrumVAEError(f'It is no TOML ({error}); a line below [cc] looks like 21 = "temperature".') from None
    for name in table:
        if name not in ("channel", *MESSAGE_TYPES):
            raise DrumVAEError(f"There is no setting {name!r}; {nearest(name, ['channel', *MESSAGE_TYPES])}")
    channel = table.get("channel")
    if channel is not None and (type(channel) is not int or channel not in CHANNELS):
        raise DrumVAEError(f"The channel is {channel!r}; it is a number from 1 to 16, or left out for any.")
    bindings: dict[Binding, Action] = {}
    for message_type in MESSAGE_TYPES:
        _read_table(message_type, table.get(message_type, {}), channel, bindings)
    return ControlMap(bindings)


def to_toml(controls: ControlMap) -> str:
    """Returns the TOML text of a map."""
    tables = {name: [_line(b, a) for b, a in controls.bindings.items() if b.message_type == name] for name in MESSAGE_TYPES}
    return "\n".join(f"[{name}]\n" + "".join(lines) for name, lines in tables.items())


def updated(text: str, controls: ControlMap) -> str:
    """Returns the text of a file with the bindings of a map; comments and all other lines stay.

    New bindings go to the top of their table. A file that does not have one binding per line is rewritten completely.
    """
    old, channel = parse_map(text).bindings, tomllib.loads(text).get("channel")
    new = {
        message_type: [_line(b, a) for b, a in controls.bindings.items() if b.message_type == message_type and old.get(b) is not a]
        for message_type in MESSAGE_TYPES
    }
    gone = {binding for binding, action in old.items() if controls.bindings.get(binding) is not action}
    out = []
    for line, message_type, heading, key in _walk(text):
        binding = parse_key(message_type, key, channel) if message_type else None
        if binding not in gone:
            out.append(line + "\n")
        if heading and message_type:
            out += new.pop(message_type, [])
    out += [f"\n[{message_type}]\n" + "".join(lines) for message_type, lines in new.items() if lines]
    try:
        return "".join(out) if parse_map("".join(out)) == controls else to_toml(controls)
    except DrumVAEError:
        return to_toml(controls)


def parse_key(message_type: MessageType, key: str, channel: int | None) -> Binding | None:
    """Reads a key such as `21` or `16:36`; returns None for any other text. `channel` is the default."""
    match = _KEY.fullmatch(key)
    return Binding(message_type, int(match[2]), int(match[1]) if match[1] else channel) if match else None


def _read_table(message_type: MessageType, table: Any, channel: int | None, bindings: dict[Binding, Action]) -> None:
    if not isinstance(table, dict):
        raise DrumVAEError(
            f'The setting {message_type} is {table!r}; write [{message_type}] on a line, and below it lines such as 21 = "next".'
        )
    for key, name in table.items():
        binding = parse_key(message_type, key, channel)
        if binding is None:
            raise DrumVAEError(f'The key {key!r} below [{message_type}] is no number; write 21, or "16:21" for channel 16 alone.')
        if not isinstance(name, str):
            raise DrumVAEError(f'{binding.sentence} is bound to {name!r}; an action is a text in quotes, such as "next".')
        if name not in ACTIONS:
            raise DrumVAEError(f"There is no action {name!r} for {binding.title}; {nearest(name, list(ACTIONS))}")
        if binding in bindings:  # 21 and 021
            raise DrumVAEError(f"{binding.sentence} is bound twice; leave one of them out.")
        bindings[binding] = ACTIONS[name]


def _walk(text: str) -> Iterator[tuple[str, MessageType | None, bool, str]]:
    """Yields every line, the message type of its table, whether it is a heading, and its key."""
    message_type: MessageType | None = None
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading:
            message_type = next((message_type for message_type in MESSAGE_TYPES if message_type == heading[1]), None)
        yield line, message_type, bool(heading), line.partition("=")[0].strip(" \t\"'")


def _duplicate(text: str) -> Binding | None:
    """Returns the first binding that a table has twice; the TOML parser rejects it without its name."""
    seen: set[Binding] = set()
    for _, message_type, _, key in _walk(text):
        binding = parse_key(message_type, key, None) if message_type else None
        if binding in seen:
            return binding
        if binding:
            seen.add(binding)
    return None


def _line(binding: Binding, action: Action) -> str:
    key = f'"{binding.channel}:{binding.number}"' if binding.channel else str(binding.number)
    return f'{key} = "{action.name}"\n'
