"""A folder of MIDI files in, a row for each file out: its name, its split, and what is known of it before it is read."""

import csv
import random
from dataclasses import dataclass
from pathlib import Path

from drumvae.util.errors import DataError, nearest

GROOVE = "Groove MIDI Dataset v1.0.0"
MIDI_FILES = "MIDI files"
UNDECIDED = ""
"""The split of a file that brings none: it is drawn once it is known which files can be used."""
DRUMS, MELODY = "drums", "melody"
KINDS = (DRUMS, MELODY)


@dataclass(frozen=True)
class CorpusOptions:
    """Says how takes become windows; raises DataError where no window can be cut so."""

    bars: int = 4
    """Length of a window, in bars of 4/4."""
    min_duration_s: float = 0.0
    """Takes shorter than this are left out, in seconds."""
    split_seed: int = 0
    """Draws the 80/10/10 split of files that bring none of their own."""
    kind: str = DRUMS
    """What is read: "drums", one take a file, or "melody", one take for each pitched instrument of a file."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"A corpus of {self.kind!r} is not known; {nearest(self.kind, list(KINDS))}")
        if self.bars < 1:
            raise DataError(f"Windows of {self.bars} bars cannot be cut; a window has 1 bar or more.")


@dataclass(frozen=True)
class ManifestEntry:
    """A file to read and what is known of it beforehand."""

    name: str
    split: str
    style: str = ""
    beat_type: str = ""
    rejection: str = ""
    source: str = MIDI_FILES
    """The data set that it belongs to, where that is known."""
    duration_s: float = 0.0
    """How long it lasts by its table, in seconds; 0 where there is none."""


@dataclass(frozen=True)
class Take:
    """Names a take and says where it lies on the long grid."""

    name: str
    """The file's name in its folder; a melody adds `#` and the number and name of its instrument."""
    split: str
    first_step: int
    steps: int
    bpm: float
    style: str = ""
    beat_type: str = ""
    file: str = ""
    """The file that it is read from; one of melodies may bring several takes, all in one split."""


def list_entries(folder: Path, min_duration_s: float) -> list[ManifestEntry]:
    """Lists the files of a folder with their splits, the official ones where an info.csv gives them."""
    table = next(iter(sorted(folder.glob("info.csv")) or sorted(folder.glob("*/info.csv"))), None)
    if table is not None:
        return [_official_row(folder, table.parent, values, min_duration_s) for values in _read_csv(table)]
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    if not files:
        raise DataError(f"{folder} holds no MIDI file (.mid); name a folder or zip that does with --data.")
    return [ManifestEntry(name, UNDECIDED) for name in files]


def _read_csv(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        missing = {"midi_filename", "split", "time_signature"} - set(rows[0] if rows else ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} cannot be read ({error}); fetch the data set again.") from None
    if missing:
        lacking = ", ".join(sorted(missing))
        raise DataError(f"{table} lacks the columns {lacking}; fetch the data set again, or remove the file to split by take.")
    return rows


def _official_row(folder: Path, base: Path, values: dict[str, str], min_duration_s: float) -> ManifestEntry:
    """Reads a row of info.csv; raises DataError where it is short, holds no number where one belongs, or leads out of the folder."""
    try:
        name = (base / values["midi_filename"]).resolve().relative_to(folder.resolve()).as_posix()
        meter, duration_s = values["time_signature"], float(values.get("duration") or 0)
    except (TypeError, ValueError) as error:
        raise DataError(f"A row of info.csv in {base} is no take of this folder ({error}); fetch the data set again.") from None
    rejection = f"shorter than {min_duration_s:g} s" if 0 < duration_s < min_duration_s else ""
    if meter != "4-4":
        rejection = f"meter {(meter or 'unknown').replace('-', '/')}"
    grooves = {"drummer", "session", "style"} <= set(values) and "kit_name" not in values  # E-GMD's table has that column more
    source = GROOVE if grooves else MIDI_FILES
    return ManifestEntry(name, values["split"], values.get("style", ""), values.get("beat_type", ""), rejection, source, duration_s)


def drawn_splits(count: int, seed: int) -> list[str]:
    """Returns a split for each of `count` files: 80 % train, 10 % validation, 10 % test; of two files one validates."""
    held = max(round(count * 0.1), 1 if count > 1 else 0)
    tested = held if count > 2 else 0
    splits = ["validation"] * held + ["test"] * tested + ["train"] * (count - held - tested)
    random.Random(seed).shuffle(splits)
    return splits
