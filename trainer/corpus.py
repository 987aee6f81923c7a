"""A folder or zip of MIDI files in, whole takes on one long grid and the windows cut from them out, cached as arrays.

Takes are written onto the grid whole and windows are runs of its steps, so that a hit played ahead of a bar line stays with
its bar. Windows begin on every bar. The cache is keyed by the bytes of the files and the options, and is memory-mapped.
"""

import csv
import hashlib
import json
import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from drumvae.errors import DataError
from drumvae.grid import BEATS_PER_BAR, STEPS_PER_BAR, STEPS_PER_BEAT, Array, onsets_to_arrays
from drumvae.kit import DEFAULT_KIT
from drumvae.midifile import Performance, read_midi

from .download import source_folder

GROOVE = "Groove MIDI Dataset v1.0.0"

SPLITS = ("train", "validation", "test")
_FORMAT = 2  # of the cache; a change of meaning makes old caches invisible
_POOL_FROM = 64  # files; below that a pool of processes costs more than it saves


@dataclass(frozen=True)
class CorpusOptions:
    """Says how takes become windows."""

    bars: int = 4
    """Length of a window, in bars of 4/4."""
    min_duration_s: float = 0.0
    """Takes shorter than this are left out, in seconds."""
    split_seed: int = 0
    """Draws the 80/10/10 split of files that bring none of their own."""


@dataclass(frozen=True)
class Take:
    """Names a take and says where it lies on the long grid."""

    name: str
    split: str
    first_step: int
    steps: int
    bpm: float
    style: str = ""
    beat_type: str = ""


@dataclass(frozen=True)
class Corpus:
    """Holds every take end to end, T steps in all, and where windows begin."""

    source: str
    """What the takes are: the name of a known data set, or "MIDI files"."""
    options: CorpusOptions
    takes: tuple[Take, ...]
    rejected: dict[str, int]
    """Why takes were left out, and how many."""
    dropped: dict[str, int]
    """Why notes were left out, and how many."""
    hits: NDArray[np.uint8]
    """(T, 9), 0 or 1."""
    velocities: NDArray[np.uint8]
    """(T, 9), MIDI velocity."""
    offsets: Array
    """(T, 9), steps, positive late."""
    first_steps: NDArray[np.int64]
    """Where each window begins on the long grid; (n,)."""
    take_indices: NDArray[np.int64]
    """The take each window is cut from; (n,)."""
    window_bpm: Array
    """The mean tempo of each window, beats a minute; (n,)."""

    def windows(self, split: str) -> NDArray[np.int64]:
        """Returns the numbers of a split's windows; raises DataError where it has none."""
        wanted = np.array([take.split == split for take in self.takes])
        chosen = np.flatnonzero(wanted[self.take_indices])
        if not len(chosen):
            counts = Counter(self.takes[i].split for i in self.take_indices)
            raise DataError(f"No window is in the split {split!r}; there is {_listed(counts)}. Name another split, or add takes.")
        return chosen

    def arrays(self, windows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Returns hits, velocities in [0, 1] and offsets in steps of some windows, each (n, S, 9)."""
        rows = self.first_steps[windows][:, None] + np.arange(self.options.bars * STEPS_PER_BAR)
        return (
            self.hits[rows].astype(np.float32),
            self.velocities[rows].astype(np.float32) / 127,
            np.asarray(self.offsets[rows], np.float32),
        )


def load_corpus(source: Path, options: CorpusOptions = CorpusOptions(), cache: Path | None = None) -> Corpus:
    """Reads a corpus from its cache, or from its files, with progress, and caches it.

    `source` is a folder or a zip of MIDI files, or a cached corpus, which is opened as it is; an `info.csv` as in the Groove
    MIDI Dataset gives the splits. Raises DataError where there is no file or no window.
    """
    if (source / "corpus.json").is_file():
        return read_corpus(source)
    folder = source_folder(source)
    rows = _rows(folder, options)
    cache = cache or user_cache_path("drumvae") / "corpora"
    home = cache / _key(folder, rows, options)
    if not (home / "corpus.json").is_file():
        _write(_build(folder, rows, options), home)
    return read_corpus(home)


def read_corpus(home: Path) -> Corpus:
    """Opens a cached corpus without reading its arrays into memory; raises DataError where it is not one."""
    try:
        facts = json.loads((home / "corpus.json").read_text("utf-8"))
        arrays = {name: np.load(home / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        options, takes = CorpusOptions(**facts["options"]), tuple(Take(**take) for take in facts["takes"])
        return Corpus(facts["source"], options, takes, facts["rejected"], facts["dropped"], **arrays)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{home} is not a whole corpus ({error}); remove it and start again.") from None


_ARRAYS = ("hits", "velocities", "offsets", "first_steps", "take_indices", "window_bpm")


@dataclass(frozen=True)
class _Row:
    """A file to read and what is known of it beforehand."""

    name: str
    split: str
    style: str = ""
    beat_type: str = ""
    rejection: str = ""


def _rows(folder: Path, options: CorpusOptions) -> list[_Row]:
    """Lists the files of a folder with their splits, the official ones where an info.csv gives them."""
    table = next(iter(sorted(folder.glob("info.csv")) or sorted(folder.glob("*/info.csv"))), None)
    if table is not None:
        return [_official_row(folder, table.parent, values, options) for values in _read_csv(table)]
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    if not files:
        raise DataError(f"{folder} holds no MIDI file (.mid); name a folder or zip that does with --data.")
    return [_Row(name, split) for name, split in zip(files, _drawn_splits(len(files), options.split_seed), strict=True)]


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


def _official_row(folder: Path, base: Path, values: dict[str, str], options: CorpusOptions) -> _Row:
    rejection = ""
    if values["time_signature"] != "4-4":
        rejection = f"meter {values['time_signature'].replace('-', '/')}"
    elif float(values.get("duration") or "inf") < options.min_duration_s:
        rejection = f"shorter than {options.min_duration_s:g} s"
    name = (base / values["midi_filename"]).relative_to(folder).as_posix()
    return _Row(name, values["split"], values.get("style", ""), values.get("beat_type", ""), rejection)


def _drawn_splits(count: int, seed: int) -> list[str]:
    """Returns a split for each of `count` files: 80 % train, 10 % validation, 10 % test; of two files one validates."""
    held = max(round(count * 0.1), 1 if count > 1 else 0)
    tested = held if count > 2 else 0
    splits = ["validation"] * held + ["test"] * tested + ["train"] * (count - held - tested)
    random.Random(seed).shuffle(splits)
    return splits


def _key(folder: Path, rows: Sequence[_Row], options: CorpusOptions) -> str:
    """Returns a name that changes when any byte of a file, a split, an option or the kit does."""
    digest = hashlib.sha256(json.dumps([_FORMAT, asdict(options), DEFAULT_KIT.to_dict()]).encode())
    for row in rows:
        path = folder / row.name
        digest.update(repr(row).encode())
        digest.update(path.read_bytes() if path.is_file() else b"missing")
    return digest.hexdigest()[:32]


def _build(folder: Path, rows: Sequence[_Row], options: CorpusOptions) -> Corpus:
    rejected, dropped = Counter[str](), Counter[str]()
    takes: list[Take] = []
    parts: list[tuple[Array, Array, Array]] = []
    firsts: list[int] = []
    indices: list[int] = []
    bpms: list[float] = []
    step = 0
    for row, result in zip(rows, _performances(folder, rows, options), strict=True):
        if isinstance(result, str):
            rejected[result] += 1
            continue
        dropped.update(result.dropped)
        bars = take_bars(result)
        if bars < options.bars:
            rejected[f"shorter than {options.bars} bars"] += 1
            continue
        parts.append(onsets_to_arrays(result.beats, result.voices, result.velocities, bars * STEPS_PER_BAR))
        starts = np.arange(bars - options.bars + 1)
        firsts += (step + starts * STEPS_PER_BAR).tolist()
        bpms += _window_bpm(result, starts, options.bars).tolist()
        indices += [len(takes)] * len(starts)
        takes.append(Take(row.name, row.split, step, bars * STEPS_PER_BAR, result.bpm, row.style, row.beat_type))
        step += bars * STEPS_PER_BAR
    if not takes:
        raise DataError(f"{folder} holds no usable window of {options.bars} bars: {_listed(rejected)}.")
    hits, velocities, offsets = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Corpus(
        GROOVE if any(row.style for row in rows) else "MIDI files",
        options,
        tuple(takes),
        dict(rejected),
        dict(dropped),
        hits.astype(np.uint8),
        np.rint(velocities * 127).astype(np.uint8),
        offsets,
        np.array(firsts),
        np.array(indices),
        np.array(bpms, np.float32),
    )


def take_bars(take: Performance) -> int:
    """Returns how many bars a take lasts.

    It ends with the bar of its last hit: what follows is the recorder still running. A file that ends exactly on a bar line was
    cut to length, and its silent last bars stay.
    """
    last_step = int(np.floor(take.beats[-1] * STEPS_PER_BEAT + 0.5))
    file_bars = take.length_beats / BEATS_PER_BAR
    declared = round(file_bars) if abs(file_bars - round(file_bars)) < 1e-6 else 0
    return max(last_step // STEPS_PER_BAR + 1, declared)


def _window_bpm(take: Performance, starts: NDArray[np.int64], bars: int) -> NDArray[np.float64]:
    begins = starts.astype(np.float64) * BEATS_PER_BAR
    lasts_s = take.seconds(begins + bars * BEATS_PER_BAR) - take.seconds(begins)
    return np.asarray(bars * BEATS_PER_BAR * 60 / lasts_s)


def _performances(folder: Path, rows: Sequence[_Row], options: CorpusOptions) -> Iterator[Performance | str]:
    """Yields each row's performance, or the reason why it is left out, in order and with a progress bar."""
    from rich.progress import track

    jobs = [(folder / row.name, row.rejection, options.min_duration_s) for row in rows]
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
    except DataError as error:
        return "no drums" if "no drums" in str(error) else "not a whole MIDI file"
    if not take.four_four:
        return "meter not 4/4"
    lasts_s = float(take.seconds(np.array([take.length_beats]))[0])
    return take if lasts_s >= min_duration_s else f"shorter than {min_duration_s:g} s"


def _write(corpus: Corpus, home: Path) -> None:
    """Writes a corpus beside its final name and moves it there whole; corpus.json comes last."""
    facts: dict[str, Any] = {name: getattr(corpus, name) for name in ("source", "rejected", "dropped")}
    facts |= {"options": asdict(corpus.options), "takes": [asdict(take) for take in corpus.takes]}
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="unfinished-") as unfinished:
            part = Path(unfinished) / "part"
            part.mkdir()
            for name in _ARRAYS:
                np.save(part / f"{name}.npy", getattr(corpus, name))
            (part / "corpus.json").write_text(json.dumps(facts), "utf-8")
            shutil.rmtree(home, ignore_errors=True)
            part.replace(home)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"The cache {home} cannot be written ({reason}); free some space or set XDG_CACHE_HOME.") from None


def _listed(counts: Counter[str] | dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda item: -item[1])) or "nothing in it"
