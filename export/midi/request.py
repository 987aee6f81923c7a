"""What is asked for on the command line in, a checked wish out: a verb, its files, and what stands where nothing was said."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drumvae.music.kit import VOICES, Kit
from drumvae.util.errors import DrumVAEError, nearest

GENERATE = "generate"
LAST_BAR = -1


class OptionError(DrumVAEError):
    """Concerns what was asked for: options that do not go together."""


@dataclass(frozen=True)
class TaskSpec:
    """Says what a verb takes, and what it does where nothing is said."""

    takes: tuple[str, ...]
    count: int = 1
    amount: float = 1.0
    one_answer: bool = False
    """Whether at temperature 0 every seed gives the same."""


VERBS = {
    GENERATE: TaskSpec(("count", "seed", "temperature", "style", "density", "complexity", "fill", "fill-bars", "bpm", "kit"), count=4),
    "humanize": TaskSpec(("count", "seed", "temperature", "style", "amount", "input-kit"), one_answer=True),
    "drumify": TaskSpec(("count", "seed", "temperature", "style", "kit", "input-kit"), one_answer=True),
    "infill": TaskSpec(("voices", "count", "seed", "temperature", "style", "kit", "input-kit"), one_answer=True),
    "continue": TaskSpec(("count", "seed", "temperature", "style", "amount", "bpm", "kit", "input-kit"), count=4, amount=0.2),
    "vary": TaskSpec(("count", "seed", "temperature", "amount", "kit", "input-kit", "style"), count=4, amount=0.3),
    "interpolate": TaskSpec(("count", "bpm", "kit", "input-kit"), count=5),
}
"""Every verb by its option; without one, loops are generated."""


@dataclass(frozen=True)
class RenderRequest:
    """Holds what is to be made."""

    verb: str = GENERATE
    files: tuple[Path, ...] = ()
    count: int = 4
    seed: int = 0
    temperature: float | None = None
    """None is the bundle's own."""
    amount: float = 1.0
    voices: tuple[int, ...] = ()
    bpm: float | None = None
    """None is the file's own, or 120."""
    kit: Kit | None = None
    """What new notes are played on; None is what the file's are."""
    input_kit: Kit | None = None
    """What a file's notes are; None recognises it."""
    style: str | None = None
    """What is to be played, one of the bundle's styles; None leaves it to the model."""
    fills: tuple[int, ...] = ()
    """The bars of a loop that are fills, counted from 1, or from -1, the last one, back; empty leaves them to the model."""
    density: float = 1.0
    """0 to 2; 1 is as the model plays."""
    complexity: float = 0.0
    """-1 to 1; 0 is as the model plays."""

    @property
    def draws(self) -> bool:
        """Whether another seed would make something else."""
        return "seed" in VERBS[self.verb].takes and not (VERBS[self.verb].one_answer and self.temperature == 0)


def chosen_verb(files: Mapping[str, tuple[Path, ...]]) -> str:
    """Returns the one verb that files were given for, or that which needs none; raises WishError where there are two."""
    given = [verb for verb, paths in files.items() if paths]
    if len(given) > 1:
        raise OptionError(f"--{' and --'.join(given)} were asked for at once; type one of them, then the other.")
    return given[0] if given else GENERATE


def check_options(verb: str, given: set[str]) -> None:
    """Raises WishError where an option was given that a verb has no use for, or the one that it needs is missing."""
    takes = VERBS[verb].takes
    asked = "generating" if verb == GENERATE else f"--{verb}"
    for option in sorted(given - set(takes)):
        raise OptionError(f"--{option} was given, and {asked} has no use for it; it takes --{', --'.join(takes)}.")
    if "voices" in set(takes) - given:
        raise OptionError("--infill needs to know which voices to play anew; add for example --voices kick,closed-hat.")


def check_count(verb: str, count: int, temperature: float | None) -> None:
    """Raises WishError where a count makes no sense for a verb."""
    if verb == "interpolate" and count < 2:
        raise OptionError(f"{count} loop was asked for; from one loop to another there are two at least.")
    if count > 1 and temperature == 0 and VERBS[verb].one_answer:
        raise OptionError(f"{count} files at temperature 0 would all be the same; leave out --count, or give a --temperature above 0.")


def temperature_for(verb: str, count: int, temperature: float | None) -> float | None:
    """Returns the temperature asked for; else 0, the likeliest, or for new loops and several answers None, the bundle's own."""
    if temperature is None and verb != GENERATE and (count == 1 or not VERBS[verb].one_answer):
        return 0.0
    return temperature


def bars_named(last: bool, text: str | None) -> tuple[int, ...]:
    """Reads numbers of bars, from 1, with commas between them; `last` adds the last bar, -1. Raises WishError where one is no number."""
    parts = [part.strip() for part in (text or "").split(",")]
    if text is not None and not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise OptionError(f"--fill-bars was given {text!r}; bars are numbers from 1 with commas between them, such as --fill-bars 2,4.")
    return (*(int(part) for part in parts if part), *((LAST_BAR,) if last else ()))


def voices_named(text: str) -> tuple[int, ...]:
    """Reads names of voices with commas between them; raises WishError, with the nearest names, where one is none."""
    names = [voice.replace(" ", "-") for voice in VOICES]
    voices = []
    for part in filter(None, (part.strip().lower().replace(" ", "-").replace("_", "-") for part in text.split(","))):
        if part not in names:
            raise OptionError(f"There is no voice {part!r}; {nearest(part, names)}")
        voices.append(names.index(part))
    if not voices:
        raise OptionError(f"No voice was named; there is {', '.join(names)}.")
    return tuple(dict.fromkeys(voices))
