"""A folder of MIDI files in, one performance after the other out, each with its split, or the reason why it is left out."""

import csv
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from drumvae.errors import DataError, NoDrumsError
from drumvae.grid import BEATS_PER_BAR, STEPS_PER_BAR, STEPS_PER_BEAT
from drumvae.midifile import Performance, read_midi

GROOVE = "Groove MIDI Dataset v1.0.0"
MIDI_FILES = "MIDI files"
UNDECIDED = ""
"""The split of a take that brings none: it is drawn once it is known which takes can be used."""
_POOL_FROM = 64  # files; below that a pool of processes costs more than it saves


@dataclass(frozen=True)
class Row:
    """A file to read and what is known of it beforehand."""

    name: str
    split: str
    style: str = ""
    beat_type: str = ""
    rejection: str = ""
    source: str = MIDI_FILES
    """The data set that it belongs to, where that is known."""


def list_rows(folder: Path, min_duration_s: float) -> list[Row]:
    """Lists the files of a folder with their splits, the official ones where an info.csv gives them."""
    table = next(iter(sorted(folder.glob("info.csv")) or sorted(folder.glob("*/info.csv"))), None)
    if table is not None:
        return [_official_row(folder, table.parent, values, min_duration_s) for values in _read_csv(table)]
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    if not files:
        raise DataError(f"{folder} holds no MIDI file (.mid); name a folder or zip that does with --data.")
    return [Row(name, UNDECIDED) for name in files]


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


def _official_row(folder: Path, base: Path, values: dict[str, str], min_duration_s: float) -> Row:
    """Reads a row of info.csv; raises DataError where it is short, holds no number where one belongs, or leads out of the folder."""
    try:
        name = (base / values["midi_filename"]).resolve().relative_to(folder.resolve()).as_posix()
        meter, too_short = values["time_signature"], float(values.get("duration") or "inf") < min_duration_s
    except (TypeError, ValueError) as error:
        raise DataError(f"A row of info.csv in {base} is no take of this folder ({error}); fetch the data set again.") from None
    rejection = f"shorter than {min_duration_s:g} s" if too_short else ""
    if meter != "4-4":
        rejection = f"meter {(meter or 'unknown').replace('-', '/')}"
    grooves = {"drummer", "session", "style"} <= set(values) and "kit_name" not in values  # E-GMD's table has that column more
    return Row(name, values["split"], values.get("style", ""), values.get("beat_type", ""), rejection, GROOVE if grooves else MIDI_FILES)


def drawn_splits(count: int, seed: int) -> list[str]:
    """Returns a split for each of `count` files: 80 % train, 10 % validation, 10 % test; of two files one validates."""
    held = max(round(count * 0.1), 1 if count > 1 else 0)
    tested = held if count > 2 else 0
    splits = ["validation"] * held + ["test"] * tested + ["train"] * (count - held - tested)
    random.Random(seed).shuffle(splits)
    return splits


def performances(folder: Path, rows: Sequence[Row], min_duration_s: float) -> Iterator[Performance | str]:
    """Yields each row's performance, or the reason why it is left out, in order and with a progress bar."""
    from rich.progress import track

    jobs = [(folder / row.name, row.rejection, min_duration_s) for row in rows]
    if len(jobs) < _POOL_FROM:
        yield from map(_read, jobs)
        return
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        yield from track(pool.map(_read, jobs, chunksize=16), "Reading takes", total=len(jobs), transient=True)


def _read(job: tuple[Path, str, float]) -> Performance | str:
    path, rejection, min_duration_s = job
    if rejection or not path.is_file():
        return rejection or "missing"
    try:
        take = read_midi(path)
    except NoDrumsError:
        return "no drums"
    except DataError:
        return "not a whole MIDI file"
    if not take.four_four:
        return "meter not 4/4"
    lasts_s = float(take.seconds(np.array([take.length_beats]))[0])
    return take if lasts_s >= min_duration_s else f"shorter than {min_duration_s:g} s"


def take_bars(take: Performance) -> int:
    """Returns how many bars a take lasts.

    It ends with the bar of its last hit: what follows is the recorder still running. A file that ends exactly on a bar line was
    cut to length, and its silent last bars stay.
    """
    last_step = int(np.floor(take.beats[-1] * STEPS_PER_BEAT + 0.5))
    file_bars = take.length_beats / BEATS_PER_BAR
    declared = round(file_bars) if abs(file_bars - round(file_bars)) < 1e-6 else 0
    return max(last_step // STEPS_PER_BAR + 1, declared)
