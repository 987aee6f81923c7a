"""Builds a cached corpus: a folder of .npy arrays that grow while the files are read, so that memory stays constant."""

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

from .ingest import parse_takes
from .manifest import UNDECIDED, CorpusOptions, ManifestEntry, Take, draw_splits
from .npy_writer import NpyWriter
from .take_parser import ParsedTake, QuantizedTake

ARRAYS: Mapping[str, tuple[DTypeLike, tuple[int, ...]]] = {
    "hits": (np.uint8, (len(VOICES),)),
    "velocities": (np.uint8, (len(VOICES),)),
    "offsets": (np.float32, (len(VOICES),)),
    "melody": (np.uint8, ()),
    "first_steps": (np.int64, ()),
    "take_indices": (np.int64, ()),
    "window_bpm": (np.float32, ()),
}
"""The dtype of each array of a corpus, and the shape of one row."""
INDEX, TAKE_STATS = "corpus.json", "take_stats.jsonl"


def build_corpus(folder: Path, entries: Sequence[ManifestEntry], options: CorpusOptions, home: Path) -> None:
    """Writes a corpus to a temporary folder, corpus.json last, and renames it to `home`.

    Args:
        folder: The folder of MIDI files.
        entries: The files to read, from `list_entries`.
        options: How takes are cut into windows.
        home: The final folder of the corpus.

    Raises:
        DataError: If no take has a window, or `home` cannot be written.
    """
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix="unfinished-") as unfinished:
            part = Path(unfinished) / "part"
            part.mkdir()
            index = _write_arrays(part, parse_takes(folder, entries, options))
            if not index["takes"]:
                raise DataError(f"{folder} holds no usable window of {options.bars} bars: {format_counts(index['rejected'])}.")
            takes = _with_splits(index["takes"], options.split_seed)
            index |= {"source": entries[0].source, "options": asdict(options), "takes": [asdict(take) for take in takes]}
            (part / INDEX).write_text(json.dumps(index), "utf-8")
            _move(part, home)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"The cache {home} cannot be written ({reason}); free some space or set XDG_CACHE_HOME.") from None


def _move(part: Path, home: Path) -> None:
    try:
        part.replace(home)
    except OSError:
        if (home / INDEX).is_file():
            return  # another process wrote the same bytes first
        shutil.rmtree(home, ignore_errors=True)
        part.replace(home)


def _write_arrays(part: Path, files: Iterator[tuple[ParsedTake, ...]]) -> dict[str, Any]:
    """Writes the arrays and the statistics of every take; returns the usable takes, and counts of the rest by reason."""
    takes: list[Take] = []
    rejected, dropped, left_out = Counter[str](), Counter[str](), Counter[str]()
    step = 0
    with ExitStack() as stack:
        stats_file = stack.enter_context((part / TAKE_STATS).open("w", encoding="utf-8"))
        arrays = {name: stack.enter_context(NpyWriter(part / f"{name}.npy", *spec)) for name, spec in ARRAYS.items()}
        for parsed in (parsed for file in files for parsed in file):
            stats = parsed.stats
            stats_file.write(json.dumps(asdict(stats)) + "\n")
            if parsed.quantized is None:
                rejected[stats.rejection] += 1
                continue
            dropped.update(stats.dropped)
            left_out.update({"a bar without an onset": stats.silent_windows} if stats.silent_windows else {})
            _append(arrays, parsed.quantized, step, len(takes))
            steps = parsed.quantized.steps
            takes.append(Take(stats.name, stats.split, step, steps, stats.bpm, stats.style, stats.beat_type, stats.file))
            step += steps
    return {"takes": takes, "rejected": dict(rejected), "dropped": dict(dropped), "left_out": dict(left_out)}


def _append(arrays: Mapping[str, NpyWriter], take: QuantizedTake, first_step: int, take_index: int) -> None:
    for name, array in take.arrays.items():
        arrays[name].append(array)
    arrays["first_steps"].append(first_step + take.window_steps)
    arrays["take_indices"].append(np.full(len(take.window_steps), take_index))
    arrays["window_bpm"].append(take.window_bpm)


def _with_splits(takes: Sequence[Take], seed: int) -> list[Take]:
    """Draws the splits of takes without an official one, file by file: all instruments of a song are in one split."""
    files = list(dict.fromkeys(take.file for take in takes if take.split == UNDECIDED))
    drawn = dict(zip(files, draw_splits(len(files), seed), strict=True))
    return [replace(take, split=drawn.get(take.file, take.split)) for take in takes]


def format_counts(counts: Mapping[str, int]) -> str:
    """Returns counts by reason as text, the largest first.

    >>> format_counts({"missing": 1, "no drums": 3})
    '3 no drums, 1 missing'
    """
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda item: -item[1])) or "nothing in it"
