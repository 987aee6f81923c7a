"""A name or a TOML file in, a Kit out.

The known kits are data, kits.toml, which the user's own files look like.
"""

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

Heard = dict[int, list[int]]
"""The pitches that voices hear, by voice."""


class KitError(DrumVAEError):
    """Concerns a kit: an unknown name, a file that is none."""


@dataclass(frozen=True)
class KitRow:
    """Holds a known kit and the words about it."""

    kit: Kit
    title: str
    """The name of the instrument."""
    trap: str
    """What goes wrong with other notes, or has to be set there."""


@cache
def known_kits() -> Mapping[str, KitRow]:
    """Returns every known kit by the name to type, the default first; read from the package once."""
    rows: dict[str, KitRow] = {}
    for name, table in tomllib.loads((files("drumvae.music") / "kits.toml").read_text("utf-8")).items():
        rows[name] = KitRow(_kit(name, table, rows), table["title"], table["trap"])
    return rows


def kit_rows() -> list[KitRow]:
    """Returns every known kit, the default first, as the rows of a table."""
    return list(known_kits().values())


def kit_named(text: str) -> Kit:
    """Returns a known kit, by its name or title in any spelling, or that of a TOML file.

    Raises KitError, with the nearest names, where it is neither, and with the clause that is broken where a file is no kit.
    """
    for name, row in known_kits().items():
        if _folded(text) in (_folded(name), _folded(row.title)):
            return row.kit
    path = Path(text)
    if path.suffix != ".toml" and not os.path.isfile(path):  # noqa: PTH113  # which is false, and no error, for an overlong name
        raise KitError(f"There is no kit {text!r}, nor a file of that name; {nearest(text, list(known_kits()))}")
    return read_kit(path)


def read_kit(path: Path) -> Kit:
    """Reads a kit from a TOML file and names it after the file; raises KitError, with what to type, where it is none."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KitError(f"The kit {path} cannot be read ({reason}); name a TOML file or one of {', '.join(known_kits())}.") from None
    except (ValueError, RecursionError) as error:  # no TOML, a number of too many digits, brackets within brackets without end
        raise KitError(f"The kit {path} is no TOML ({error}); a line looks like kick = 36.") from None
    try:
        return _kit(path.stem, table, known_kits())
    except ValueError as error:
        raise KitError(f"The kit {path} cannot be played: {error}") from None


def _kit(name: str, table: Mapping[str, Any], known: Mapping[str, KitRow]) -> Kit:
    """Builds a kit from its table upon its base; raises ValueError with the clause that is broken."""
    base = _base(table.get("base", DEFAULT_KIT.name), known)
    voices = _voices(table)
    chokes = _pitches(table["chokes"], "chokes") if "chokes" in table else base.chokes
    played = list(base.output_notes)
    named: Heard = {}
    for voice, value in voices.items():
        if "plays" in value:
            played[voice] = _pitch(value["plays"], f"what {VOICES[voice]} plays")
        if "hears" in value:
            named[voice] = _pitches(value["hears"], f"what {VOICES[voice]} hears")
    moved = {voice: [played[voice]] for voice, value in voices.items() if "plays" in value}
    return Kit(name, _heard(named, moved, base, chokes), tuple(played), tuple(chokes))


def _heard(named: Heard, moved: Heard, base: Kit, chokes: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    """Gives every voice its pitches: those named for it; else the one that it newly plays, and those of the base that are still free."""
    heard = [list(named.get(voice, ())) for voice in range(len(VOICES))]
    taken = {pitch for pitches in named.values() for pitch in pitches}
    for offered in (moved, dict(enumerate(base.input_notes))):
        for voice, pitches in offered.items():
            free = [] if voice in named else [pitch for pitch in pitches if pitch not in taken and pitch not in chokes]
            heard[voice] += free
            taken.update(free)
    return tuple(map(tuple, heard))


def _base(name: object, known: Mapping[str, KitRow]) -> Kit:
    if name == DEFAULT_KIT.name:
        return DEFAULT_KIT
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"its base {name!r} is no known kit; {nearest(str(name), [DEFAULT_KIT.name, *known])}")
    return known[name].kit


def _voices(table: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Returns what a table says of each voice, as a table of `plays` and `hears`; raises ValueError on any key that is unknown."""
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
