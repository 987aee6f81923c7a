"""Checks the options of `drumvae-export midi` and holds them as one request: a task, its files, and defaults for the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drumvae.music.kit import VOICES, Kit
from drumvae.util.errors import DrumVAEError, nearest

GENERATE = "generate"
LAST_BAR = -1


class OptionError(DrumVAEError):
    """Concerns options of the command: unknown values, and options that cannot be combined."""


@dataclass(frozen=True)
class TaskSpec:
    """Holds the options that a task accepts and its defaults."""

    options: tuple[str, ...]
    count: int = 1
    amount: float = 1.0
    deterministic: bool = False
    """Whether every seed gives the same result at temperature 0."""


TASKS = {
    GENERATE: TaskSpec(("count", "seed", "temperature", "style", "density", "complexity", "fill", "fill-bars", "bpm", "kit"), count=4),
    "humanize": TaskSpec(("count", "seed", "temperature", "style", "amount", "input-kit"), deterministic=True),
    "drumify": TaskSpec(("count", "seed", "temperature", "style", "kit", "input-kit"), deterministic=True),
    "infill": TaskSpec(("voices", "count", "seed", "temperature", "style", "kit", "input-kit"), deterministic=True),
    "continue": TaskSpec(("count", "seed", "temperature", "style", "amount", "bpm", "kit", "input-kit"), count=4, amount=0.2),
    "vary": TaskSpec(("count", "seed", "temperature", "amount", "kit", "input-kit", "style"), count=4, amount=0.3),
    "interpolate": TaskSpec(("count", "bpm", "kit", "input-kit"), count=5),
}
"""Every task by the name of its option; without one, loops are generated."""


@dataclass(frozen=True)
class RenderRequest:
    """Holds a task and its options.

    >>> RenderRequest("humanize", temperature=0.0).uses_seed
    False
    """

    task: str = GENERATE
    files: tuple[Path, ...] = ()
    count: int = 4
    seed: int = 0
    temperature: float | None = None
    """None is the bundle's default."""
    amount: float = 1.0
    voices: tuple[int, ...] = ()
    bpm: float | None = None
    """None is the tempo of the file, or 120."""
    kit: Kit | None = None
    """The kit of new notes; None is that of the file."""
    input_kit: Kit | None = None
    """The kit of the file; None detects it."""
    style: str | None = None
    """One of the bundle's styles; None leaves it to the model."""
    fills: tuple[int, ...] = ()
    """The bars of a loop that are fills, counted from 1, or -1 for the last; empty leaves them to the model."""
    density: float = 1.0
    """0 to 2; 1 is the model's own."""
    complexity: float = 0.0
    """-1 to 1; 0 is the model's own."""

    @property
    def uses_seed(self) -> bool:
        """Whether another seed would give another result."""
        return "seed" in TASKS[self.task].options and not (TASKS[self.task].deterministic and self.temperature == 0)


def chosen_task(files: Mapping[str, tuple[Path, ...]]) -> str:
    """Returns the one task that files were given for, or generate; raises OptionError if there are two."""
    given = [task for task, paths in files.items() if paths]
    if len(given) > 1:
        raise OptionError(f"--{' and --'.join(given)} cannot be combined; type one of them, then the other.")
    return given[0] if given else GENERATE


def check_options(task: str, given: set[str]) -> None:
    """Raises OptionError if a given option does not apply to a task, or a required one is missing."""
    options = TASKS[task].options
    name = "generating" if task == GENERATE else f"--{task}"
    for option in sorted(given - set(options)):
        raise OptionError(f"--{option} was given, and {name} has no use for it; it takes --{', --'.join(options)}.")
    if "voices" in set(options) - given:
        raise OptionError("--infill needs to know which voices to replace; add for example --voices kick,closed-hat.")


def check_count(task: str, count: int, temperature: float | None) -> None:
    """Raises OptionError if a count makes no sense for a task."""
    if task == "interpolate" and count < 2:
        raise OptionError(f"--count {count} is too few to interpolate between two files; type 2 or more.")
    if count > 1 and temperature == 0 and TASKS[task].deterministic:
        raise OptionError(f"{count} files at temperature 0 would all be the same; leave out --count, or give a --temperature above 0.")


def resolved_temperature(task: str, count: int, temperature: float | None) -> float | None:
    """Returns a temperature; without one None, the bundle's default, for new loops and several results of one file, else 0."""
    if temperature is None and task != GENERATE and (count == 1 or not TASKS[task].deterministic):
        return 0.0
    return temperature


def parse_bars(last: bool, text: str | None) -> tuple[int, ...]:
    """Parses numbers of bars, from 1, separated by commas; `last` adds -1, the last bar. Raises OptionError for anything else.

    >>> parse_bars(True, "2, 3")
    (2, 3, -1)
    """
    parts = [part.strip() for part in (text or "").split(",")]
    if text is not None and not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise OptionError(f"--fill-bars was given {text!r}; bars are numbers from 1 with commas between them, such as --fill-bars 2,4.")
    return (*(int(part) for part in parts if part), *((LAST_BAR,) if last else ()))


def parse_voices(text: str) -> tuple[int, ...]:
    """Parses names of voices separated by commas; raises OptionError, with the nearest names, for an unknown one.

    >>> parse_voices("kick, closed-hat")
    (0, 2)
    """
    names = [voice.replace(" ", "-") for voice in VOICES]
    voices = []
    for part in filter(None, (part.strip().lower().replace(" ", "-").replace("_", "-") for part in text.split(","))):
        if part not in names:
            raise OptionError(f"There is no voice {part!r}; {nearest(part, names)}")
        voices.append(names.index(part))
    if not voices:
        raise OptionError(f"No voice was named; there is {', '.join(names)}.")
    return tuple(dict.fromkeys(voices))
