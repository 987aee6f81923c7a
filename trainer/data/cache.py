"""Rows in, a cached corpus out: a folder of arrays that are written while the files are read, never held in memory."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from drumvae.music.kit import VOICES
from drumvae.util.errors import DataError

from .ingest import ParsedTake, QuantizedTake, read_rows
from .manifest import UNDECIDED, CorpusOptions, ManifestEntry, Take, drawn_splits
from .npy_writer import GrowingArray

ARRAYS: Mapping[str, tuple[DTypeLike, tuple[int, ...]]] = {
    "hits": (np.uint8, (len(VOICES),)),
    "velocities": (np.uint8, (len(VOICES),)),
    "offsets": (np.float32, (len(VOICES),)),
    "melody": (np.uint8, ()),
    "first_steps": (np.int64, ()),
    "take_indices": (np.int64, ()),
    "window_bpm": (np.float32, ()),
}
"""The type of each array of a corpus, and the shape of one of its rows."""
INDEX, FACTS = "corpus.json", "facts.jsonl"


def build_corpus(folder: Path, rows: Sequence[ManifestEntry], options: CorpusOptions, home: Path) -> None:
    """Writes a corpus beside its final name and moves it there whole; corpus.json comes last.

    Raises DataError where no take has a window, and where the folder cannot be written.
    """
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="unfinished-") as unfinished:
            part = Path(unfinished) / "part"
            part.mkdir()
            index = _write_arrays(part, read_rows(folder, rows, options))
            if not index["takes"]:
                raise DataError(f"{folder} holds no usable window of {options.bars} bars: {listed(index['rejected'])}.")
            takes = _with_splits(index["takes"], options.split_seed)
            facts = index | {"source": rows[0].source, "options": asdict(options), "takes": [asdict(take) for take in takes]}
            (part / INDEX).write_text(json.dumps(facts), "utf-8")
            _move(part, home)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"The cache {home} cannot be written ({reason}); free some space or set XDG_CACHE_HOME.") from None


def _move(part: Path, home: Path) -> None:
    try:
        part.replace(home)
    except OSError:
        if (home / INDEX).is_file():
            return  # another process was faster, with the same bytes
        shutil.rmtree(home, ignore_errors=True)
        part.replace(home)


def _write_arrays(part: Path, files: Iterator[tuple[ParsedTake, ...]]) -> dict[str, Any]:
    """Writes the arrays and the facts of every take; returns the takes that are used, and what was left out."""
    takes: list[Take] = []
    rejected, dropped, left_out = Counter[str](), Counter[str](), Counter[str]()
    step = 0
    with ExitStack() as stack:
        facts_file = stack.enter_context((part / FACTS).open("w", encoding="utf-8"))
        arrays = {name: stack.enter_context(GrowingArray(part / f"{name}.npy", *kind)) for name, kind in ARRAYS.items()}
        for reading in (reading for file in files for reading in file):
            facts = reading.facts
            facts_file.write(json.dumps(asdict(facts)) + "\n")
            if reading.grid is None:
                rejected[facts.rejection] += 1
                continue
            dropped.update(facts.dropped)
            left_out.update({"a bar without an onset": facts.silent_windows} if facts.silent_windows else {})
            _append(arrays, reading.grid, step, len(takes))
            takes.append(Take(facts.name, facts.split, step, reading.grid.steps, facts.bpm, facts.style, facts.beat_type, facts.file))
            step += reading.grid.steps
    return {"takes": takes, "rejected": dict(rejected), "dropped": dict(dropped), "left_out": dict(left_out)}


def _append(arrays: Mapping[str, GrowingArray], grid: QuantizedTake, step: int, number: int) -> None:
    for name, array in grid.arrays.items():
        arrays[name].append(array)
    arrays["first_steps"].append(step + grid.window_steps)
    arrays["take_indices"].append(np.full(len(grid.window_steps), number))
    arrays["window_bpm"].append(grid.window_bpm)


def _with_splits(takes: Sequence[Take], seed: int) -> list[Take]:
    """Draws the splits of the takes that bring none, file by file: all instruments of a song go to the same one."""
    files = list(dict.fromkeys(take.file for take in takes if take.split == UNDECIDED))
    drawn = dict(zip(files, drawn_splits(len(files), seed), strict=True))
    return [replace(take, split=drawn.get(take.file, take.split)) for take in takes]


def listed(counts: Mapping[str, int]) -> str:
    """Returns counts as words, the largest first."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda item: -item[1])) or "nothing in it"
