"""A folder or zip of MIDI files in, whole takes on one long grid and the windows cut from them out, cached as arrays.

Takes are written onto the grid whole and windows are runs of its steps, so that a hit played ahead of a bar line stays with
its bar. Windows begin on every bar. The cache is keyed by the bytes of the files and the options, and is memory-mapped.
"""

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from drumvae.errors import DataError
from drumvae.grid import BEATS_PER_BAR, STEPS_PER_BAR, Array, onsets_to_arrays
from drumvae.kit import DEFAULT_KIT
from drumvae.midifile import Performance

from .download import source_folder
from .takes import UNDECIDED, Row, drawn_splits, list_rows, performances, take_bars

_FORMAT = 3  # of the cache; a change of meaning makes old caches invisible


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
            raise DataError(f"No window is in the split {split!r}; there is {_listed(counts)}. Add takes, or name another split.")
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
    rows = list_rows(folder, options.min_duration_s)
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


def _key(folder: Path, rows: Sequence[Row], options: CorpusOptions) -> str:
    """Returns a name that changes when any byte of a file, a split, an option or the kit does."""
    digest = hashlib.sha256(json.dumps([_FORMAT, asdict(options), DEFAULT_KIT.to_dict()]).encode())
    for row in rows:
        path = folder / row.name
        digest.update(repr(row).encode())
        digest.update(path.read_bytes() if path.is_file() else b"missing")
    return digest.hexdigest()[:32]


def _build(folder: Path, rows: Sequence[Row], options: CorpusOptions) -> Corpus:
    rejected, dropped = Counter[str](), Counter[str]()
    takes: list[Take] = []
    parts: list[tuple[Array, Array, Array]] = []
    firsts: list[int] = []
    indices: list[int] = []
    bpms: list[float] = []
    step = 0
    for row, result in zip(rows, performances(folder, rows, options.min_duration_s), strict=True):
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
    undecided = [number for number, take in enumerate(takes) if take.split == UNDECIDED]
    for number, split in zip(undecided, drawn_splits(len(undecided), options.split_seed), strict=True):
        takes[number] = replace(takes[number], split=split)
    hits, velocities, offsets = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Corpus(
        rows[0].source,
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


def _window_bpm(take: Performance, starts: NDArray[np.int64], bars: int) -> NDArray[np.float64]:
    begins = starts.astype(np.float64) * BEATS_PER_BAR
    lasts_s = take.seconds(begins + bars * BEATS_PER_BAR) - take.seconds(begins)
    return np.asarray(bars * BEATS_PER_BAR * 60 / lasts_s)


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
