"""A folder with an exported model in, one checked description of it out: the only door between training and the stage.

A bundle is `bundle.json`, `decoder.onnx` and `encoder.onnx`. Nothing in it is executed but the graphs, by ONNX Runtime.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from .errors import BundleError
from .kit import DEFAULT_KIT, VOICES, Kit

FORMAT = 1
DECODER, ENCODER = "decoder.onnx", "encoder.onnx"
CARD = "CARD.md"
"""For people; no program reads it."""
TASKS = ("generate", "reconstruct", "humanize", "drumify", "infill")
METADATA_KEY = "drumvae"
_AGAIN = "Type drumvae-export onnx to make a new one, or name another."

Shapes = dict[str, str]
"""Inputs or outputs by name, a letter for each axis: B loops, S steps, V voices, G values of a groove, Z latent size."""
_DRUMS: dict[str, tuple[Shapes, Shapes]] = {
    DECODER: (
        {"latent": "BZ", "noise": "BSV", "temperature": "B", "thresholds": "V", "locked_hits": "BSV", "locked": "BSV"}
        | {"known": "BSG", "forced": "BS"},
        {"groove": "BSG"},
    ),
    ENCODER: ({"groove": "BSG"}, {"mean": "BZ", "scale": "BZ"}),
}
_MELODIES: dict[str, tuple[Shapes, Shapes]] = {
    DECODER: ({"latent": "BZ", "noise": "BS", "temperature": "B", "known": "BS", "forced": "BS"}, {"melody": "BS"}),
    ENCODER: ({"melody": "BS"}, {"mean": "BZ", "scale": "BZ"}),
}
GRAPHS = {"groove": _DRUMS, "pattern": _DRUMS, "melody": _MELODIES}
"""The contract: for each encoding the inputs and outputs of each graph, in order. Drums of both encodings are groove tensors."""
OPTIONAL = ("known", "forced")
"""Inputs that a decoder of drums may lack: the first ones exported do."""


@dataclass(frozen=True)
class BundleInfo:
    """Describes an exported model: what `bundle.json` holds."""

    encoding: str
    """What the model knows of a loop, as in `drumvae.tensors`: "groove", "pattern" or "melody"."""
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

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"format": FORMAT, "kit": self.kit.to_dict(), "voices": list(VOICES)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BundleInfo":
        """Reads what `to_dict` wrote; raises BundleError with the clause that is broken."""
        if values.get("format") != FORMAT:
            raise BundleError(f"It is of format {values.get('format')}, this version reads {FORMAT}. {_AGAIN}")
        missing = [f.name for f in fields(cls) if f.name not in values]
        if missing:
            raise BundleError(f"Its bundle.json lacks {', '.join(missing)}. {_AGAIN}")
        kept = {f.name: values[f.name] for f in fields(cls)}
        try:
            kept |= {"kit": Kit.from_dict(kept["kit"]), "tasks": tuple(kept["tasks"]), "thresholds": tuple(map(float, kept["thresholds"]))}
            info = cls(**kept)
            info._check(list(values.get("voices", [])))
        except (TypeError, ValueError) as error:
            raise BundleError(f"Its bundle.json holds a value of the wrong kind ({error}). {_AGAIN}") from None
        return info

    def _check(self, voices: list[str]) -> None:
        wanted = 0 if self.encoding == "melody" else len(VOICES)
        clauses = {
            f"its encoding is {self.encoding!r}, of which {list(GRAPHS)} are known": self.encoding in GRAPHS,
            f"its voices are {voices}, not {list(VOICES)}": voices == list(VOICES),
            "it hears other pitches than this version": self.kit.heard == DEFAULT_KIT.heard,
            f"it has {self.steps} steps and {self.latent_size} latent dimensions": self.steps > 0 and self.latent_size > 0,
            f"its tasks are {list(self.tasks)}, of which {list(TASKS)} are known": bool(self.tasks) and set(self.tasks) <= set(TASKS),
            f"its temperature is {self.temperature}": self.temperature > 0,
            f"its thresholds are not {wanted}, one for each voice, between 0 and 1": len(self.thresholds) == wanted
            and all(0 < t < 1 for t in self.thresholds),
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
    """Reads and checks a bundle's description and the checksums of its graphs; raises BundleError with what is wrong."""
    try:
        values = json.loads((folder / "bundle.json").read_text("utf-8"))
        graphs = {name: values["graphs"][name] for name in (DECODER, ENCODER)}
    except FileNotFoundError:
        what = "has no bundle.json" if folder.is_dir() else "does not exist"
        raise BundleError(f"The bundle {folder} {what}. {_AGAIN}") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{folder / 'bundle.json'} cannot be read ({type(error).__name__}: {error}). {_AGAIN}") from None
    for name, expected in graphs.items():
        if not (folder / name).is_file():
            raise BundleError(f"The bundle {folder} lacks {name}. {_AGAIN}")
        if sha256(folder / name) != expected:
            raise BundleError(f"{folder / name} was changed after its export: its checksum differs. {_AGAIN}")
    try:
        return BundleInfo.from_dict(values)
    except BundleError as error:
        raise BundleError(f"The bundle {folder} cannot be played. {error}") from None


def write_bundle_json(folder: Path, info: BundleInfo) -> None:
    """Writes the description of the graphs that already lie in a folder."""
    values = info.to_dict() | {"graphs": {name: sha256(folder / name) for name in (DECODER, ENCODER)}}
    (folder / "bundle.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def shape_of(letters: str, info: BundleInfo, loops: int) -> tuple[int, ...]:
    """Returns the shape that letters such as "BSV" stand for, for a number of loops."""
    sizes = {"B": loops, "S": info.steps, "V": len(VOICES), "G": 3 * len(VOICES), "Z": info.latent_size}
    return tuple(sizes[letter] for letter in letters)


def sha256(path: Path) -> str:
    """Returns a file's checksum in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
