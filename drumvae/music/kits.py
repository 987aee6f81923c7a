"""Reads kits by name from kits.toml, or from a user's TOML file in the same format."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..util.errors import DrumVAEError, nearest
from .kit import DEFAULT_KIT, VOICES, Kit

InputNotes = dict[int, list[int]]
"""Input notes by voice."""


class KitError(DrumVAEError):
    """Concerns a kit: an unknown name, or a file that is not a kit."""


@dataclass(frozen=True)
class KitRow:
    """Holds a known kit and its description."""

    kit: Kit
    title: str
    """The name of the instrument."""
    trap: str
    """A warning about notes that the instrument maps differently, or about a setting of the instrument."""


@cache
def known_kits() -> Mapping[str, KitRow]:
    """Returns every known kit by its name, the default first; the file is read once."""
    rows: dict[str, KitRow] = {}
    for name, table in tomllib.loads((files("drumvae.music") / "kits.toml").read_text("utf-8")).items():
        rows[name] = KitRow(_kit(name, table, rows), table["title"], table["trap"])
    return rows


def kit_rows() -> list[KitRow]:
    """Returns every known kit, the default first, as the rows of a table."""
    return list(known_kits().values())


def kit_named(text: str) -> Kit:
    """Returns a known kit by its name or title in any case and punctuation, or the kit of a TOML file.

    Raises KitError, with the nearest names, if there is neither, and as `read_kit`.
    """
    for name, row in known_kits().items():
        if _folded(text) in (_folded(name), _folded(row.title)):
            return row.kit
    path = Path(text)
    if path.suffix != ".toml" and not os.path.isfile(path):  # noqa: PTH113  # false, not an error, for an overlong name
        raise KitError(f"There is no kit {text!r}, nor a file of that name; {nearest(text, list(known_kits()))}")
    return read_kit(path)


def read_kit(path: Path) -> Kit:
    """Reads a kit from a TOML file and names it after the file; raises KitError that names the problem."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KitError(f"The kit {path} cannot be read ({reason}); name a TOML file or one of {', '.join(known_kits())}.") from None
    except (ValueError, RecursionError) as error:  # not TOML, a number with too many digits, too deeply nested brackets
        raise KitError(f"The kit {path} is no TOML ({error}); a line looks like kick = 36.") from None
    try:
        return _kit(path.stem, table, known_kits())
    except ValueError as error:
        raise KitError(f"The kit {path} cannot be played: {error}") from None


def _kit(name: str, table: Mapping[str, Any], known: Mapping[str, KitRow]) -> Kit:
    """Builds a kit from its table and its base; raises ValueError that names the problem."""
    base = _base(table.get("base", DEFAULT_KIT.name), known)
    voices = _voices(table)
    chokes = _pitches(table["chokes"], "chokes") if "chokes" in table else base.chokes
    output_notes = list(base.output_notes)
    named: InputNotes = {}
    for voice, value in voices.items():
        if "plays" in value:
            output_notes[voice] = _pitch(value["plays"], f"what {VOICES[voice]} plays")
        if "hears" in value:
            named[voice] = _pitches(value["hears"], f"what {VOICES[voice]} hears")
    moved = {voice: [output_notes[voice]] for voice, value in voices.items() if "plays" in value}
    return Kit(name, _input_notes(named, moved, base, chokes), tuple(output_notes), tuple(chokes))


def _input_notes(named: InputNotes, moved: InputNotes, base: Kit, chokes: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    """Returns the input notes of every voice: those in the table, else its new output note and the free input notes of the base."""
    input_notes = [list(named.get(voice, ())) for voice in range(len(VOICES))]
    taken = {pitch for pitches in named.values() for pitch in pitches}
    for offered in (moved, dict(enumerate(base.input_notes))):
        for voice, pitches in offered.items():
            free = [] if voice in named else [pitch for pitch in pitches if pitch not in taken and pitch not in chokes]
            input_notes[voice] += free
            taken.update(free)
    return tuple(map(tuple, input_notes))


def _base(name: object, known: Mapping[str, KitRow]) -> Kit:
    if name == DEFAULT_KIT.name:
        return DEFAULT_KIT
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"its base {name!r} is no known kit; {nearest(str(name), [DEFAULT_KIT.name, *known])}")
    return known[name].kit


def _voices(table: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Returns the `plays` and `hears` of each voice in a table; raises ValueError on an unknown key."""
    voices: dict[int, Mapping[str, Any]] = {}
    for key, value in table.items():
        voice = key.replace("-", " ").replace("_", " ")
        if key in ("title", "trap", "base", "chokes"):
            continue
        if voice not in VOICES:
            names = [name.replace(" ", "-") for name in VOICES]
            raise ValueError(f"{key!r} is no voice; {nearest(key, [*names, 'base', 'chokes', 'title', 'trap'])}")
        if VOICES.index(voice) in voices:
            raise ValueError(f"it names {voice} twice; leave one out.")
        value = value if isinstance(value, Mapping) else {"plays": value}
        for part in value:
            if part not in ("plays", "hears"):
                raise ValueError(f"{part!r} is nothing that {voice} does; {nearest(part, ['plays', 'hears'])}")
        voices[VOICES.index(voice)] = value
    return voices


def _pitches(values: object, what: str) -> list[int]:
    if not isinstance(values, list):
        raise ValueError(f"{what} is {values!r}; type a list of notes, such as [42, 44].")
    return list(dict.fromkeys(_pitch(value, what) for value in values))


def _pitch(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value <= 127:
        raise ValueError(f"{what} is {value!r}; a note is a whole number of 0 to 127.")
    return value


def _folded(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))
