"""Parses the MIDI files of a data set into quantized takes, in order and on all cores.

Only a few chunks of files are submitted ahead of the consumer, so that memory does not grow with the corpus.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from drumvae.util.progress import watched

from .manifest import CorpusOptions, ManifestEntry
from .take_parser import ParsedTake, parse_file

_POOL_FROM = 64  # files; with fewer, starting a process pool takes longer than parsing
_CHUNK = 16  # files in a job
_CHUNKS_AHEAD = 3  # jobs submitted for each worker: no worker waits, and the results use little memory

T = TypeVar("T")
R = TypeVar("R")


def parse_takes(folder: Path, entries: Sequence[ManifestEntry], options: CorpusOptions) -> Iterator[tuple[ParsedTake, ...]]:
    """Yields the takes of each file, in order, with a progress bar. A file holds one take of drums, or a melody for each instrument."""
    return watched(_parse_all(folder, entries, options), "Reading takes", len(entries))


def _parse_all(folder: Path, entries: Sequence[ManifestEntry], options: CorpusOptions) -> Iterator[tuple[ParsedTake, ...]]:
    if len(entries) < _POOL_FROM:
        yield from (parse_file(folder, entry, options) for entry in entries)
        return
    chunks = [(folder, entries[first : first + _CHUNK], options) for first in range(0, len(entries), _CHUNK)]
    workers = min(os.cpu_count() or 1, len(chunks))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for takes in map_ahead(pool, _parse_chunk, chunks, workers * _CHUNKS_AHEAD):
            yield from takes


def map_ahead(pool: Executor, function: Callable[[T], R], jobs: Iterable[T], ahead: int) -> Iterator[R]:
    """Yields the results of `function` for all jobs, in order, with at most `ahead` jobs submitted at a time.

    Args:
        pool: The executor that runs the jobs.
        function: Called with one job.
        jobs: The arguments, consumed as results are taken.
        ahead: Most jobs that are submitted and not yet taken.
    """
    pending: deque[Any] = deque()
    for job in jobs:
        pending.append(pool.submit(function, job))
        if len(pending) == ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _parse_chunk(chunk: tuple[Path, Sequence[ManifestEntry], CorpusOptions]) -> list[tuple[ParsedTake, ...]]:
    folder, entries, options = chunk
    return [parse_file(folder, entry, options) for entry in entries]
