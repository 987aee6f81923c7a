"""Lists the files of a MIDI data set with their splits and the metadata of an info.csv."""

import csv
import random
from dataclasses import dataclass
from pathlib import Path

from drumvae.util.errors import DataError, nearest

GROOVE = "Groove MIDI Dataset v1.0.0"
MIDI_FILES = "MIDI files"
UNDECIDED = ""
"""The split of a file without an official one; it is drawn after ingestion, among the usable files."""
DRUMS, MELODY = "drums", "melody"
KINDS = (DRUMS, MELODY)


@dataclass(frozen=True)
class CorpusOptions:
    """Options that decide how takes are cut into windows. Raises DataError for an unknown kind and for less than one bar.

    >>> CorpusOptions(bars=2).kind
    'drums'
    """

    bars: int = 4
    """Length of a window, in bars of 4/4."""
    min_duration_s: float = 0.0
    """Takes shorter than this are left out, in seconds."""
    split_seed: int = 0
    """Seed of the 80/10/10 split of files without an official one."""
    kind: str = DRUMS
    """"drums" reads one take a file; "melody" reads one take for each pitched instrument of a file."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"There is no corpus kind {self.kind!r}; {nearest(self.kind, list(KINDS))}")
        if self.bars < 1:
            raise DataError(f"Windows of {self.bars} bars cannot be cut; a window has 1 bar or more.")


@dataclass(frozen=True)
class ManifestEntry:
    """A file of the data set, with its metadata."""

    name: str
    split: str
    style: str = ""
    beat_type: str = ""
    rejection: str = ""
    """Why the file is left out; empty if it is used."""
    source: str = MIDI_FILES
    """The data set that the file belongs to."""
    duration_s: float = 0.0
    """Duration according to info.csv, in seconds; 0 without one."""


@dataclass(frozen=True)
class Take:
    """A usable take and its position on the corpus grid, where all takes follow each other."""

    name: str
    """The file's path in its folder; a melody adds `#` and the number and name of its instrument."""
    split: str
    first_step: int
    steps: int
    bpm: float
    style: str = ""
    beat_type: str = ""
    file: str = ""
    """The file that the take is read from; several takes of melodies share a file and its split."""


def list_entries(folder: Path, min_duration_s: float) -> list[ManifestEntry]:
    """Lists the files of a folder, with the official splits if it has an info.csv.

    Raises DataError if there is no MIDI file, or if info.csv is unreadable, incomplete or names files outside the folder.
    """
    table = next(iter(sorted(folder.glob("info.csv")) or sorted(folder.glob("*/info.csv"))), None)
    if table is not None:
        return [_official_entry(folder, table.parent, values, min_duration_s) for values in _read_csv(table)]
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


def _official_entry(folder: Path, base: Path, values: dict[str, str], min_duration_s: float) -> ManifestEntry:
    """Reads a row of info.csv; raises DataError if it is incomplete, has an invalid number, or names a file outside the folder."""
    try:
        name = (base / values["midi_filename"]).resolve().relative_to(folder.resolve()).as_posix()
        meter, duration_s = values["time_signature"], float(values.get("duration") or 0)
    except (TypeError, ValueError) as error:
        raise DataError(f"A row of info.csv in {base} is no take of this folder ({error}); fetch the data set again.") from None
    rejection = f"shorter than {min_duration_s:g} s" if 0 < duration_s < min_duration_s else ""
    if meter != "4-4":
        rejection = f"meter {(meter or 'unknown').replace('-', '/')}"
    grooves = {"drummer", "session", "style"} <= set(values) and "kit_name" not in values  # E-GMD has the column kit_name too
    source = GROOVE if grooves else MIDI_FILES
    return ManifestEntry(name, values["split"], values.get("style", ""), values.get("beat_type", ""), rejection, source, duration_s)


def draw_splits(count: int, seed: int) -> list[str]:
    """Returns a split for each of `count` files: 80 % train, 10 % validation, 10 % test. Of two files, one is for validation."""
    validation = max(round(count * 0.1), 1 if count > 1 else 0)
    test = validation if count > 2 else 0
    splits = ["validation"] * validation + ["test"] * test + ["train"] * (count - validation - test)
    random.Random(seed).shuffle(splits)
    return splits
