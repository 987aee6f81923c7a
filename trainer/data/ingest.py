"""Rows in, for each file its takes as small arrays out, or the reason why they are left out; in order, on all cores.

Files are handed to the workers a few chunks ahead of what has been taken, so that memory does not grow with the corpus.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from drumvae.midi.io import Part, Performance, Song, read_midi, read_notes
from drumvae.midi.tempo_map import Timing
from drumvae.music.grid import BEATS_PER_BAR, STEPS_PER_BAR, STEPS_PER_BEAT, onsets_to_arrays
from drumvae.music.kit import VOICES
from drumvae.util.errors import DataError, NoDrumsError
from drumvae.util.progress import watched

from .manifest import MELODY, CorpusOptions, ManifestEntry
from .melodies import outside_range, part_to_melody, starts_with_onset_in_each_bar

_POOL_FROM = 64  # files; below that a pool of processes costs more than it saves
_CHUNK = 16  # files a worker reads before it answers
_CHUNKS_AHEAD = 3  # for each worker: enough that none waits, few enough that their answers are small beside a worker itself

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Facts:
    """Holds what is worth knowing of one take, used or left out; of a file that cannot be read, only what its row says."""

    name: str
    file: str
    split: str
    """Empty where it is to be drawn."""
    style: str
    beat_type: str
    rejection: str
    """Why the take is left out; empty where it is used."""
    readable: bool = False
    """Whether what follows is known."""
    bpm: float = 0.0
    """The tempo at the start, in beats a minute."""
    duration_s: float = 0.0
    """How long the take lasts by its table, else the file, which goes on as long as the recorder ran."""
    meters: tuple[str, ...] = ()
    """Its meters, each once, e.g. 4/4."""
    notes_by_pitch: dict[str, int] = field(default_factory=dict)
    """Note-ons of each MIDI pitch, heard or not."""
    hits_by_voice: tuple[int, ...] = ()
    """Drums: note-ons of each voice; (9,)."""
    lost_by_voice: tuple[int, ...] = ()
    """Drums: note-ons that share a step with another of their voice, of which the grid keeps one; (9,)."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Why notes were left out, and how many."""
    silent_windows: int = 0
    """Melody: windows left out for a bar without an onset."""


@dataclass(frozen=True)
class QuantizedTake:
    """Holds a take on the grid, S steps in whole bars, and where its windows begin."""

    arrays: dict[str, NDArray[Any]]
    """Drums: hits, 0 or 1, and velocities, 0 to 127, uint8 (S, 9); offsets in steps, float32 (S, 9). Melody: melody, uint8 (S,)."""
    steps: int
    window_steps: NDArray[np.int64]
    """Where each window begins, in steps from the start of the take; (n,)."""
    window_bpm: NDArray[np.float32]
    """The mean tempo of each window; (n,)."""


@dataclass(frozen=True)
class ParsedTake:
    """Holds one take: its facts and, where it is used, what is on the grid."""

    facts: Facts
    grid: QuantizedTake | None = None


def read_rows(folder: Path, rows: Sequence[ManifestEntry], options: CorpusOptions) -> Iterator[tuple[ParsedTake, ...]]:
    """Yields the takes of each row, in order and with a progress bar: one of drums, one for each instrument of melody."""
    return watched(_read_all(folder, rows, options), "Reading takes", len(rows))


def _read_all(folder: Path, rows: Sequence[ManifestEntry], options: CorpusOptions) -> Iterator[tuple[ParsedTake, ...]]:
    if len(rows) < _POOL_FROM:
        yield from (_read(folder, row, options) for row in rows)
        return
    chunks = [(folder, rows[first : first + _CHUNK], options) for first in range(0, len(rows), _CHUNK)]
    workers = min(os.cpu_count() or 1, len(chunks))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for readings in map_ahead(pool, _read_chunk, chunks, workers * _CHUNKS_AHEAD):
            yield from readings


def map_ahead(pool: Executor, function: Callable[[T], R], jobs: Iterable[T], ahead: int) -> Iterator[R]:
    """Yields the results of jobs in order, with no more than `ahead` of them handed out and not yet taken."""
    waiting: deque[Any] = deque()
    for job in jobs:
        waiting.append(pool.submit(function, job))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read_chunk(chunk: tuple[Path, Sequence[ManifestEntry], CorpusOptions]) -> list[tuple[ParsedTake, ...]]:
    folder, rows, options = chunk
    return [_read(folder, row, options) for row in rows]


def _read(folder: Path, row: ManifestEntry, options: CorpusOptions) -> tuple[ParsedTake, ...]:
    if not (folder / row.name).is_file():
        return _left_out(row, "missing")
    return (_read_melodies if options.kind == MELODY else _read_drums)(folder / row.name, row, options)


def _left_out(row: ManifestEntry, reason: str) -> tuple[ParsedTake, ...]:
    return (ParsedTake(Facts(row.name, row.name, row.split, row.style, row.beat_type, row.rejection or reason)),)


def _timing_facts(timing: Timing, row: ManifestEntry) -> dict[str, Any]:
    meters = tuple(dict.fromkeys(f"{numerator}/{denominator}" for _, numerator, denominator in timing.meters))
    return {"readable": True, "bpm": timing.bpm, "duration_s": row.duration_s or timing.length_s, "meters": meters}


def _rejection(timing: Timing, row: ManifestEntry, options: CorpusOptions) -> str:
    """Returns why a whole file cannot be used, or nothing."""
    if row.rejection:
        return row.rejection
    if not timing.four_four:
        return "meter not 4/4"
    return "" if timing.length_s >= options.min_duration_s else f"shorter than {options.min_duration_s:g} s"


def _counts(pitches: NDArray[np.int64]) -> dict[str, int]:
    return {str(pitch): count for pitch, count in sorted(Counter(pitches.tolist()).items())}


def _window_bpm(timing: Timing, starts: NDArray[np.int64], bars: int) -> NDArray[np.float32]:
    """Returns the mean tempo of windows that begin on some bars."""
    begins = starts.astype(np.float64) * BEATS_PER_BAR
    lasts_s = timing.seconds(begins + bars * BEATS_PER_BAR) - timing.seconds(begins)
    return (bars * BEATS_PER_BAR * 60 / lasts_s).astype(np.float32)


def _read_drums(path: Path, row: ManifestEntry, options: CorpusOptions) -> tuple[ParsedTake, ...]:
    try:
        take = read_midi(path)
    except NoDrumsError:
        return _left_out(row, "no drums")
    except DataError:
        return _left_out(row, "not a whole MIDI file")
    bars = take_bars(take)
    rejection = _rejection(take, row, options) or ("" if bars >= options.bars else f"shorter than {options.bars} bars")
    pitches = Counter(_counts(take.pitches)) + Counter({reason.split()[-1]: count for reason, count in take.dropped.items()})
    facts = Facts(
        row.name,
        row.name,
        row.split,
        row.style,
        row.beat_type,
        rejection,
        **_timing_facts(take, row),
        notes_by_pitch=dict(pitches),
        hits_by_voice=tuple(np.bincount(take.voices, minlength=len(VOICES)).tolist()),
        lost_by_voice=_lost_by_voice(take),
        dropped=dict(take.dropped),
    )
    return (ParsedTake(facts, None if rejection else _drums_on_grid(take, bars, options.bars)),)


def take_bars(take: Performance) -> int:
    """Returns how many bars a take lasts.

    It ends with the bar of its last hit: what follows is the recorder still running. A file that ends exactly on a bar line was
    cut to length, and its silent last bars stay.
    """
    last_step = int(np.floor(take.beats[-1] * STEPS_PER_BEAT + 0.5))
    file_bars = take.length_beats / BEATS_PER_BAR
    declared = round(file_bars) if abs(file_bars - round(file_bars)) < 1e-6 else 0
    return max(last_step // STEPS_PER_BAR + 1, declared)


def _lost_by_voice(take: Performance) -> tuple[int, ...]:
    """Returns how many notes of each voice share their step with another one of it."""
    cells = np.floor(take.beats * STEPS_PER_BEAT + 0.5).astype(np.int64) * len(VOICES) + take.voices
    kept = np.bincount(np.unique(cells) % len(VOICES), minlength=len(VOICES))
    return tuple((np.bincount(take.voices, minlength=len(VOICES)) - kept).tolist())


def _drums_on_grid(take: Performance, bars: int, window_bars: int) -> QuantizedTake:
    hits, velocities, offsets = onsets_to_arrays(take.beats, take.voices, take.velocities, bars * STEPS_PER_BAR)
    arrays: dict[str, NDArray[Any]] = {
        "hits": hits.astype(np.uint8),
        "velocities": np.rint(velocities * 127).astype(np.uint8),
        "offsets": offsets,
    }
    starts = np.arange(bars - window_bars + 1)
    return QuantizedTake(arrays, len(hits), starts * STEPS_PER_BAR, _window_bpm(take, starts, window_bars))


def _read_melodies(path: Path, row: ManifestEntry, options: CorpusOptions) -> tuple[ParsedTake, ...]:
    try:
        song = read_notes(path)
    except DataError:
        return _left_out(row, "not a whole MIDI file")
    parts = enumerate(song.parts, 1)
    readings = tuple(_read_melody(song, part, f"{row.name}#{number} {part.name}".rstrip(), row, options) for number, part in parts)
    return readings or _left_out(row, "no pitched notes")


def _read_melody(song: Song, part: Part, name: str, row: ManifestEntry, options: CorpusOptions) -> ParsedTake:
    melody = part_to_melody(part)
    starts = starts_with_onset_in_each_bar(melody, options.bars)
    windows = max(len(melody) // STEPS_PER_BAR - options.bars + 1, 0)
    outside = outside_range(part.pitches)
    rejection = _rejection(song, row, options)
    if not rejection and outside.all():
        rejection = "no pitch from 21 to 108"
    elif not rejection and not len(starts):
        rejection = f"a silent bar in every window of {options.bars} bars" if windows else f"shorter than {options.bars} bars"
    facts = Facts(
        name,
        row.name,
        row.split,
        row.style,
        row.beat_type,
        rejection,
        **_timing_facts(song, row),
        notes_by_pitch=_counts(part.pitches),
        dropped={f"pitch {pitch}": count for pitch, count in _counts(part.pitches[outside]).items()},
        silent_windows=windows - len(starts),
    )
    if rejection:
        return ParsedTake(facts)
    arrays = {"melody": melody.astype(np.uint8)}
    return ParsedTake(facts, QuantizedTake(arrays, len(melody), starts * STEPS_PER_BAR, _window_bpm(song, starts, options.bars)))
