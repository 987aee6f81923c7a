"""A folder with an exported model in, one checked description of it out: the only door between training and the stage.

A bundle is `bundle.json`, `decoder.onnx`, `encoder.onnx`, and of a drummer `tap_model.onnx`. Nothing in it is executed but the graphs, by
ONNX Runtime, and nothing outside of its folder is read.
"""

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..music.grid import STEPS_PER_BAR
from ..music.kit import DEFAULT_KIT, VOICES, Kit
from ..util.errors import BundleError
from .schema import DECODER as DECODER
from .schema import DRUMMER as DRUMMER
from .schema import ENCODER as ENCODER
from .schema import GRAPHS, GraphSpec, TensorSpec, axis_sizes, meanings
from .schema import LSTM as LSTM
from .schema import TAP_MODEL as TAP_MODEL
from .tasks import TASKS as TASKS

FORMAT = 2
JSON = "bundle.json"
CARD = "CARD.md"
"""For people; no program reads it."""
GOLDEN = "golden.bin"
"""What the graphs answered where they were exported (`drumvae.inference.golden`); the first bundles have none."""
FILES = (JSON, DECODER, ENCODER, TAP_MODEL, CARD, GOLDEN)
"""Everything that a bundle may hold."""
PRECISIONS = ("fp32", "fp16", "int8")
MOST_STEPS, MOST_LATENT = 4096, 65536
"""More than any loop and latent that can be made sense of: what asks for more is refused before anything is allocated."""
METADATA_KEY = "drumvae"
FAMILIES = (LSTM, DRUMMER)
"""What a model needs to be told: a latent, or what is known of a loop."""
MOST_STYLES, MOST_LOOP_FACTORS = 256, 64
DECILES = 11
_AGAIN = "Type drumvae-export onnx to make a new one, or name another."


@dataclass(frozen=True)
class BundleInfo:
    """Describes an exported model: what `bundle.json` holds."""

    encoding: str
    """What the model knows of a loop, as in `drumvae.music.encoding`: "groove", "pattern" or "melody"."""
    steps: int
    """Sixteenth steps in a loop."""
    latent_size: int
    tasks: tuple[str, ...]
    """What it can do, of `TASKS`."""
    kit: Kit
    """The pitches it was trained to hear and plays."""
    temperature: float
    """Default spread of what is drawn, above 0."""
    thresholds: tuple[float, ...]
    """For each voice, how likely a hit must be, in (0, 1), for the density of real grooves; a melody has none."""
    preset: str
    training: dict[str, Any]
    """The run that it came from: configuration, data, step, machine."""
    scores: dict[str, Any]
    """Its scores on validation."""
    licence: str
    """Of the weights and of the data that they were trained on."""
    version: str
    """Of the drumvae that exported it."""
    precision: str = "fp32"
    """How the weights are stored, of `PRECISIONS`."""
    family: str = LSTM
    """What it is told, of `FAMILIES`."""
    styles: tuple[str, ...] = ()
    """What a drummer can be asked to play."""
    loop_factors: int = 0
    """Ways in which a drummer plays a whole loop otherwise."""
    densities: tuple[float, ...] = ()
    """Hits a bar that people play: the least, that of a tenth of the loops, of two tenths, ... and the most; a drummer plays as many."""
    thresholds_by_task: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """Thresholds of tasks that have others than `thresholds`."""

    def to_dict(self) -> dict[str, Any]:
        told = {
            "format": FORMAT,
            "kit": self.kit.to_dict(),
            "voices": list(VOICES),
            "meanings": meanings(self.kind),
        }
        return asdict(self) | told

    @property
    def kind(self) -> str:
        """The kind of model that it is, a key of `schema.GRAPHS`."""
        return DRUMMER if self.family == DRUMMER else self.encoding

    @property
    def graphs(self) -> dict[str, GraphSpec]:
        """The inputs and outputs of each of its graphs."""
        return GRAPHS[self.kind]

    def thresholds_for(self, task: str) -> tuple[float, ...]:
        """Returns the thresholds that a task has when hits are written without chance."""
        return self.thresholds_by_task.get(task, self.thresholds)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BundleInfo":
        """Reads what `to_dict` wrote; raises BundleError with the clause that is broken."""
        if values.get("format") != FORMAT:
            raise BundleError(f"It is of format {values.get('format')!r:.40}, and this version reads format {FORMAT} alone. {_AGAIN}")
        missing = [f.name for f in fields(cls) if f.name not in values and f.default is MISSING and f.default_factory is MISSING]
        if missing:
            raise BundleError(f"Its bundle.json lacks {', '.join(missing)}. {_AGAIN}")
        kept = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        try:
            kept |= {"kit": Kit.from_dict(kept["kit"]), "tasks": tuple(kept["tasks"]), "thresholds": tuple(map(float, kept["thresholds"]))}
            kept |= {"styles": tuple(map(str, kept.get("styles", ()))), "densities": tuple(map(float, kept.get("densities", ())))}
            by_task = kept.get("thresholds_by_task", {})
            kept |= {"thresholds_by_task": {str(task): tuple(map(float, each)) for task, each in by_task.items()}}
            info = cls(**kept)
            info._check(list(values.get("voices", [])))
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
            raise BundleError(f"Its bundle.json holds a value of the wrong kind ({error}). {_AGAIN}") from None
        return info

    def _check(self, voices: list[str]) -> None:
        wanted = 0 if self.encoding == "melody" else len(VOICES)
        clauses = {
            f"its encoding is {self.encoding!r}, of which {list(GRAPHS)} are known": self.encoding in GRAPHS,
            f"its voices are {voices}, not {list(VOICES)}": voices == list(VOICES),
            "it hears other pitches than this version": self.kit.input_notes == DEFAULT_KIT.input_notes,
            f"it has {self.steps} steps and {self.latent_size} latent dimensions, of at most {MOST_STEPS} and {MOST_LATENT}": _is_count(
                self.steps, MOST_STEPS
            )
            and _is_count(self.latent_size, MOST_LATENT),
            f"its precision is {self.precision!r}, of which {list(PRECISIONS)} are known": self.precision in PRECISIONS,
            f"its tasks are {list(self.tasks)}, of which {list(TASKS)} are known": bool(self.tasks) and set(self.tasks) <= set(TASKS),
            f"its temperature is {self.temperature}, not above 0 and up to 100": 0 < self.temperature <= 100,
            f"its thresholds are not {wanted}, one for each voice, between 0 and 1": all(
                len(each) == wanted and all(0 < t < 1 for t in each) for each in (self.thresholds, *self.thresholds_by_task.values())
            ),
            f"its densities are {self.densities}, not {DECILES} numbers that rise, and a drummer has them": (
                len(self.densities) == (DECILES if self.family == DRUMMER else 0)
                and all(0 <= low <= high < MOST_STEPS for low, high in pairwise(self.densities))
            ),
            f"its family is {self.family!r}, of which {list(FAMILIES)} are known": self.family in FAMILIES,
            f"it is a drummer that writes {self.encoding!r}, and a drummer writes grooves of whole bars": self.family != DRUMMER
            or (self.encoding == "groove" and isinstance(self.steps, int) and self.steps % STEPS_PER_BAR == 0),
            f"it has {len(self.styles)} styles and {self.loop_factors!r} loop factors, of at most {MOST_STYLES} and {MOST_LOOP_FACTORS}": (
                len(self.styles) <= MOST_STYLES
            )
            and isinstance(self.loop_factors, int)
            and 0 <= self.loop_factors <= MOST_LOOP_FACTORS,
        }
        broken = [clause for clause, kept in clauses.items() if not kept]
        if broken:
            raise BundleError(f"This bundle does not keep the contract: {'; '.join(broken)}. {_AGAIN}")


def default_bundle() -> Path:
    """Returns the folder of the model that ships with the package; raises BundleError where none does."""
    folder = Path(str(files("drumvae") / "bundles" / "default"))
    if not (folder / "bundle.json").is_file():
        raise BundleError("No model ships with this copy of drumvae; name one with --bundle, or train one with drumvae-train.")
    return folder


def read_bundle(folder: Path) -> BundleInfo:
    """Reads and checks a bundle's description and the checksums of its files; raises BundleError with what is wrong."""
    values = _read_json(folder)
    for name, expected in checksums(values).items():
        if hashlib.sha256(read_file(folder, name)).hexdigest() != expected:
            raise BundleError(f"{folder / name} was changed after its export: its checksum differs. {_AGAIN}")
    try:
        return BundleInfo.from_dict(values)
    except BundleError as error:
        raise BundleError(f"The bundle {folder} cannot be played. {error}") from None


def read_file(folder: Path, name: str) -> bytes:
    """Returns what a file of a bundle holds; raises BundleError where it is missing, or is a link that leads out of the folder."""
    path = folder / name
    try:
        if not path.is_file():
            raise BundleError(f"The bundle {folder} lacks {name}. {_AGAIN}")
        if path.resolve().parent != folder.resolve():
            raise BundleError(f"{path} is a link out of the bundle, which is not followed; put the file itself there.")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror or error}). {_AGAIN}") from None


def has_golden(folder: Path) -> bool:
    """Says whether a bundle tells what its graphs should answer; it was read and found whole."""
    return GOLDEN in checksums(_read_json(folder))


def checksums(values: dict[str, Any]) -> dict[str, str]:
    """Returns the checksum of each file that a description names; raises BundleError where it names others than a bundle has."""
    graphs = values["graphs"]
    needed = GRAPHS[DRUMMER if values.get("family") == DRUMMER else "groove"]
    for name in graphs:
        if name not in (*needed, GOLDEN):
            raise BundleError(
                f"This bundle does not keep the contract: it names the file {name!r:.80}, and may name {', '.join(needed)} and"
                f" {GOLDEN} alone, which lie in its own folder. {_AGAIN}"
            )
    missing = [name for name in needed if name not in graphs]
    if missing:
        raise BundleError(f"This bundle does not keep the contract: it names no {' and no '.join(missing)}. {_AGAIN}")
    return {name: graphs[name] for name in needed} | dict(graphs)


def _read_json(folder: Path) -> dict[str, Any]:
    if not (folder / JSON).is_file():
        what = "has no bundle.json" if folder.is_dir() else "does not exist"
        raise BundleError(f"The bundle {folder} {what}. {_AGAIN}")
    try:
        values = json.loads(read_file(folder, JSON))
        if values.get("format", FORMAT) == FORMAT:  # what another one names is none of ours
            checksums(values)
        else:
            BundleInfo.from_dict(values)
        return dict(values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{folder / JSON} cannot be read ({type(error).__name__}: {error!s:.200}). {_AGAIN}") from None


def write_bundle_json(folder: Path, info: BundleInfo) -> None:
    """Writes the description of the graphs, and of the recorded answers, that already lie in a folder."""
    names = [name for name in (*info.graphs, GOLDEN) if (folder / name).is_file()]
    values = info.to_dict() | {"graphs": {name: sha256(folder / name) for name in names}}
    (folder / JSON).write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def shape_of(tensor: TensorSpec, info: BundleInfo, loops: int) -> tuple[int, ...]:
    """Returns the shape of an input or output of a bundle's graphs for a number of loops."""
    return tensor.shape(axis_sizes(loops, info.steps, info.latent_size, len(info.styles), info.loop_factors))


def sha256(path: Path) -> str:
    """Returns a file's checksum in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and 0 < value <= most
