"""Reads, checks and writes a bundle: the folder with an exported model, which is the only interface between training and playing.

A bundle is `bundle.json`, `decoder.onnx`, `encoder.onnx`, and for a drummer `tap_model.onnx`. ONNX Runtime runs the graphs; nothing else in
the folder is executed, and nothing outside of it is read.
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
from .schema import DRUMMER, ENCODINGS, FAMILIES, GRAPHS, LSTM, GraphSpec, TensorSpec, axis_sizes, meanings
from .tasks import TASKS

FORMAT = 2
"""The version of the format. Another one is refused."""
JSON = "bundle.json"
CARD = "CARD.md"
"""The model card, for people; no program reads it."""
GOLDEN = "golden.bin"
"""The outputs of the graphs where they were exported (`drumvae.inference.golden`); a bundle may lack it."""
FILES = (JSON, *GRAPHS[DRUMMER], CARD, GOLDEN)
"""Every file that a bundle may hold."""
PRECISIONS = ("fp32", "fp16", "int8")
MAX_STEPS, MAX_LATENT_SIZE, MAX_STYLES, MAX_LOOP_FACTORS = 4096, 65536, 256, 64
"""Larger sizes are refused before any memory is allocated."""
METADATA_KEY = "drumvae"
"""The key of the bundle's description in the metadata of each graph."""
DECILES = 11
"""The nine deciles, the minimum and the maximum."""
_AGAIN = "Type drumvae-export onnx to make a new one, or name another."


@dataclass(frozen=True)
class BundleInfo:
    """Describes an exported model: the contents of `bundle.json`."""

    encoding: str
    """The encoding of a loop, as in `drumvae.music.encoding`: "groove", "pattern" or "melody"."""
    steps: int
    """Sixteenth steps in a loop."""
    latent_size: int
    tasks: tuple[str, ...]
    """The tasks that the model was trained for, from `TASKS`."""
    kit: Kit
    """The kit of its training data: the input and output notes of each voice."""
    temperature: float
    """Default temperature of sampling, above 0."""
    thresholds: tuple[float, ...]
    """Hit probability thresholds of the voices, in (0, 1), calibrated to the density of real grooves; empty for a melody."""
    preset: str
    training: dict[str, Any]
    """The training run: configuration, data, step, machine."""
    scores: dict[str, Any]
    """Its scores on the validation windows."""
    licence: str
    """The licence of the weights and of the training data."""
    version: str
    """The version of drumvae that exported it."""
    precision: str = "fp32"
    """The storage type of the weights, one of `PRECISIONS`."""
    family: str = LSTM
    """The architecture, one of `FAMILIES`."""
    styles: tuple[str, ...] = ()
    """The styles that a drummer can be conditioned on."""
    loop_factors: int = 0
    """The low-rank factors of a drummer's expression that a whole loop shares."""
    densities: tuple[float, ...] = ()
    """Hits per bar in the training data of a drummer: the minimum, the nine deciles and the maximum."""
    thresholds_by_task: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """The thresholds of tasks whose thresholds differ from `thresholds`."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain values, with the format, the voices and the meaning of every tensor."""
        facts = {"format": FORMAT, "kit": self.kit.to_dict(), "voices": list(VOICES), "meanings": meanings(self.kind)}
        return asdict(self) | facts

    @property
    def kind(self) -> str:
        """The kind of model, a key of `schema.GRAPHS`."""
        return DRUMMER if self.family == DRUMMER else self.encoding

    @property
    def graphs(self) -> dict[str, GraphSpec]:
        """The inputs and outputs of each of its graphs, by file name."""
        return GRAPHS[self.kind]

    def thresholds_for(self, task: str) -> tuple[float, ...]:
        """Returns the thresholds of a task at temperature 0."""
        return self.thresholds_by_task.get(task, self.thresholds)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BundleInfo":
        """Reads the values of `to_dict`; raises BundleError that lists every broken rule."""
        if values.get("format") != FORMAT:
            raise BundleError(f"It is of format {values.get('format')!r:.40}, and this version reads format {FORMAT} alone. {_AGAIN}")
        missing = [f.name for f in fields(cls) if f.name not in values and f.default is MISSING and f.default_factory is MISSING]
        if missing:
            raise BundleError(f"Its bundle.json lacks {', '.join(missing)}. {_AGAIN}")
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        try:
            by_task = {str(task): _numbers(each) for task, each in known.get("thresholds_by_task", {}).items()}
            known |= {"kit": Kit.from_dict(known["kit"]), "tasks": tuple(known["tasks"]), "thresholds": _numbers(known["thresholds"])}
            known |= {"styles": tuple(map(str, known.get("styles", ()))), "densities": _numbers(known.get("densities", ()))}
            info = cls(**known | {"thresholds_by_task": by_task})
            broken = [rule for rule, kept in info._rules(list(values.get("voices", []))).items() if not kept]
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
            raise BundleError(f"Its bundle.json holds a value of the wrong kind ({error}). {_AGAIN}") from None
        if broken:
            raise BundleError(f"This bundle violates the schema: {'; '.join(broken)}. {_AGAIN}")
        return info

    def _rules(self, voices: list[str]) -> dict[str, bool]:
        """Returns whether each rule of a description holds, by the sentence that reports its violation."""
        steps, latent, styles, factors = self.steps, self.latent_size, len(self.styles), self.loop_factors
        is_drummer, voice_count = self.family == DRUMMER, 0 if self.encoding == "melody" else len(VOICES)
        rows = (self.thresholds, *self.thresholds_by_task.values())
        densities_rise = all(0 <= low <= high < MAX_STEPS for low, high in pairwise(self.densities))
        return {
            f"its encoding is {self.encoding!r}, not one of {list(ENCODINGS)}": self.encoding in ENCODINGS,
            f"its voices are {voices}, not {list(VOICES)}": voices == list(VOICES),
            "its kit has other input notes than this version": self.kit.input_notes == DEFAULT_KIT.input_notes,
            f"it has {steps} steps and {latent} latent dimensions, of at most {MAX_STEPS} and {MAX_LATENT_SIZE}": (
                _is_count(steps, MAX_STEPS) and _is_count(latent, MAX_LATENT_SIZE)
            ),
            f"its precision is {self.precision!r}, not one of {list(PRECISIONS)}": self.precision in PRECISIONS,
            f"its tasks are {list(self.tasks)}, not some of {list(TASKS)}": bool(self.tasks) and set(self.tasks) <= set(TASKS),
            f"its temperature is {self.temperature}, not above 0 and up to 100": 0 < self.temperature <= 100,
            f"its thresholds are not {voice_count}, one for each voice, between 0 and 1": (
                all(len(row) == voice_count and all(0 < threshold < 1 for threshold in row) for row in rows)
            ),
            f"its densities are {self.densities}, not {DECILES} numbers that rise, for a drummer alone": (
                len(self.densities) == (DECILES if is_drummer else 0) and densities_rise
            ),
            f"its family is {self.family!r}, not one of {list(FAMILIES)}": self.family in FAMILIES,
            f"it is a drummer of {self.encoding!r}, and a drummer writes grooves of whole bars": (
                not is_drummer or (self.encoding == "groove" and isinstance(steps, int) and steps % STEPS_PER_BAR == 0)
            ),
            f"it has {styles} styles and {factors!r} loop factors, of at most {MAX_STYLES} and {MAX_LOOP_FACTORS}": (
                styles <= MAX_STYLES and isinstance(factors, int) and 0 <= factors <= MAX_LOOP_FACTORS
            ),
        }


def default_bundle() -> Path:
    """Returns the folder of the model that ships with the package; raises BundleError if none does."""
    folder = Path(str(files("drumvae") / "bundles" / "default"))
    if not (folder / JSON).is_file():
        raise BundleError("No model ships with this copy of drumvae; name one with --bundle, or train one with drumvae-train.")
    return folder


def read_bundle(folder: Path) -> BundleInfo:
    """Reads and checks a bundle's description and the checksums of its files; raises BundleError that names the problem."""
    values = _read_json(folder)
    for name, expected in checksums(values).items():
        if hashlib.sha256(read_file(folder, name)).hexdigest() != expected:
            raise BundleError(f"{folder / name} was changed after its export: its checksum differs. {_AGAIN}")
    try:
        return BundleInfo.from_dict(values)
    except BundleError as error:
        raise BundleError(f"The bundle {folder} cannot be played. {error}") from None


def read_file(folder: Path, name: str) -> bytes:
    """Returns the contents of a bundle's file; raises BundleError if it is missing, or a link to a file outside the folder."""
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
    """Returns whether a valid bundle holds golden outputs."""
    return GOLDEN in checksums(_read_json(folder))


def checksums(values: dict[str, Any]) -> dict[str, str]:
    """Returns the checksum of each file in a description; raises BundleError if these are not the files of a bundle."""
    graphs = values["graphs"]
    needed = GRAPHS[DRUMMER if values.get("family") == DRUMMER else "groove"]
    for name in graphs:
        if name not in (*needed, GOLDEN):
            raise BundleError(
                f"This bundle violates the schema: it names the file {name!r:.80}, and may name {', '.join(needed)} and {GOLDEN} alone,"
                f" in its own folder. {_AGAIN}"
            )
    missing = [name for name in needed if name not in graphs]
    if missing:
        raise BundleError(f"This bundle violates the schema: it names no {' and no '.join(missing)}. {_AGAIN}")
    return {name: graphs[name] for name in needed} | dict(graphs)


def _read_json(folder: Path) -> dict[str, Any]:
    if not (folder / JSON).is_file():
        problem = "has no bundle.json" if folder.is_dir() else "does not exist"
        raise BundleError(f"The bundle {folder} {problem}. {_AGAIN}")
    try:
        values = json.loads(read_file(folder, JSON))
        if values.get("format", FORMAT) == FORMAT:  # another format may name other files
            checksums(values)
        else:
            BundleInfo.from_dict(values)
        return dict(values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{folder / JSON} cannot be read ({type(error).__name__}: {error!s:.200}). {_AGAIN}") from None


def write_bundle_json(folder: Path, info: BundleInfo) -> None:
    """Writes `bundle.json`: the description, and the checksums of the graphs and golden outputs that are in the folder already."""
    names = [name for name in (*info.graphs, GOLDEN) if (folder / name).is_file()]
    values = info.to_dict() | {"graphs": {name: sha256(folder / name) for name in names}}
    (folder / JSON).write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def shape_of(tensor: TensorSpec, info: BundleInfo, loops: int) -> tuple[int, ...]:
    """Returns the shape of an input or output of a bundle's graphs for a number of loops."""
    return tensor.shape(axis_sizes(loops, info.steps, info.latent_size, len(info.styles), info.loop_factors))


def sha256(path: Path) -> str:
    """Returns a file's checksum in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(map(float, values))


def _is_count(value: object, largest: int) -> bool:
    return isinstance(value, int) and 0 < value <= largest
