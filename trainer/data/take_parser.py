"""Parses one MIDI file into quantized takes with their statistics, or with the reason why they are left out."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drumvae.midi.io import Part, Performance, Song, read_midi, read_notes
from drumvae.midi.tempo_map import Timing
from drumvae.music.grid import BEATS_PER_BAR, STEPS_PER_BAR, STEPS_PER_BEAT, onsets_to_arrays
from drumvae.music.kit import VOICES
from drumvae.util.errors import DataError, NoDrumsError

from .manifest import MELODY, CorpusOptions, ManifestEntry
from .melodies import outside_range, part_to_melody, starts_with_onset_in_each_bar


@dataclass(frozen=True)
class TakeStats:
    """Statistics of one take, usable or rejected. For an unreadable file, only its manifest entry is known."""

    name: str
    file: str
    split: str
    """Empty if it is drawn later."""
    style: str
    beat_type: str
    rejection: str
    """Why the take is left out; empty for a usable take."""
    readable: bool = False
    """Whether the file was parsed, so that the following fields are known."""
    bpm: float = 0.0
    """The initial tempo, in beats a minute."""
    duration_s: float = 0.0
    """Duration according to info.csv, else of the file, in seconds; a file may continue after the last hit."""
    meters: tuple[str, ...] = ()
    """Its distinct meters, such as 4/4."""
    notes_by_pitch: dict[str, int] = field(default_factory=dict)
    """Number of note-ons of each MIDI pitch, mapped to a voice or not."""
    hits_by_voice: tuple[int, ...] = ()
    """Drums: number of note-ons of each voice; (9,)."""
    lost_by_voice: tuple[int, ...] = ()
    """Drums: number of note-ons that the grid loses because another one of their voice is on the same step; (9,)."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Number of notes that were left out, by reason."""
    silent_windows: int = 0
    """Melody: number of windows left out for a bar without an onset."""


@dataclass(frozen=True)
class QuantizedTake:
    """A take on the grid, S steps in whole bars, and the positions of its n windows."""

    arrays: dict[str, NDArray[Any]]
    """Drums: hits, 0 or 1, and velocities, 0 to 127, uint8 (S, 9); offsets in steps, float32 (S, 9). Melody: melody, uint8 (S,)."""
    steps: int
    window_steps: NDArray[np.int64]
    """The first step of each window, counted from the start of the take; (n,)."""
    window_bpm: NDArray[np.float32]
    """The mean tempo of each window; (n,)."""


@dataclass(frozen=True)
class ParsedTake:
    """One take: its statistics and, if it is usable, its arrays."""

    stats: TakeStats
    quantized: QuantizedTake | None = None


def parse_file(folder: Path, entry: ManifestEntry, options: CorpusOptions) -> tuple[ParsedTake, ...]:
    """Returns the takes of a file: one of drums, or a melody for each instrument. A take that is not usable has the reason."""
    if not (folder / entry.name).is_file():
        return _rejected(entry, "missing")
    return (_parse_melodies if options.kind == MELODY else _parse_drums)(folder / entry.name, entry, options)


def _rejected(entry: ManifestEntry, reason: str) -> tuple[ParsedTake, ...]:
    return (ParsedTake(TakeStats(entry.name, entry.name, entry.split, entry.style, entry.beat_type, entry.rejection or reason)),)


def _timing_stats(timing: Timing, entry: ManifestEntry) -> dict[str, Any]:
    meters = tuple(dict.fromkeys(f"{numerator}/{denominator}" for _, numerator, denominator in timing.meters))
    return {"readable": True, "bpm": timing.bpm, "duration_s": entry.duration_s or timing.length_s, "meters": meters}


def _rejection(timing: Timing, entry: ManifestEntry, options: CorpusOptions) -> str:
    """Returns why a file cannot be used, or an empty string."""
    if entry.rejection:
        return entry.rejection
    if not timing.four_four:
        return "meter not 4/4"
    return "" if timing.length_s >= options.min_duration_s else f"shorter than {options.min_duration_s:g} s"


def _counts(pitches: NDArray[np.int64]) -> dict[str, int]:
    return {str(pitch): count for pitch, count in sorted(Counter(pitches.tolist()).items())}


def _window_bpm(timing: Timing, starts: NDArray[np.int64], bars: int) -> NDArray[np.float32]:
    """Returns the mean tempo of windows of `bars` bars that begin on the bars `starts`."""
    first_beats = starts.astype(np.float64) * BEATS_PER_BAR
    duration_s = timing.seconds(first_beats + bars * BEATS_PER_BAR) - timing.seconds(first_beats)
    return (bars * BEATS_PER_BAR * 60 / duration_s).astype(np.float32)


def _parse_drums(path: Path, entry: ManifestEntry, options: CorpusOptions) -> tuple[ParsedTake, ...]:
    try:
        take = read_midi(path)
    except NoDrumsError:
        return _rejected(entry, "no drums")
    except DataError:
        return _rejected(entry, "not a whole MIDI file")
    bars = take_bars(take)
    rejection = _rejection(take, entry, options) or ("" if bars >= options.bars else f"shorter than {options.bars} bars")
    pitches = Counter(_counts(take.pitches)) + Counter({reason.split()[-1]: count for reason, count in take.dropped.items()})
    stats = TakeStats(
        entry.name,
        entry.name,
        entry.split,
        entry.style,
        entry.beat_type,
        rejection,
        **_timing_stats(take, entry),
        notes_by_pitch=dict(pitches),
        hits_by_voice=tuple(np.bincount(take.voices, minlength=len(VOICES)).tolist()),
        lost_by_voice=_lost_by_voice(take),
        dropped=dict(take.dropped),
    )
    return (ParsedTake(stats, None if rejection else _quantize_drums(take, bars, options.bars)),)


def take_bars(take: Performance) -> int:
    """Returns the length of a take in bars.

    A take ends with the bar of its last hit, since a recording often continues after it. A file that ends exactly on a bar line was
    cut to length, and keeps its silent last bars.
    """
    last_step = int(np.floor(take.beats[-1] * STEPS_PER_BEAT + 0.5))
    file_bars = take.length_beats / BEATS_PER_BAR
    exact_bars = round(file_bars) if abs(file_bars - round(file_bars)) < 1e-6 else 0
    return max(last_step // STEPS_PER_BAR + 1, exact_bars)


def _lost_by_voice(take: Performance) -> tuple[int, ...]:
    """Returns for each voice the number of notes that the grid loses to another one on the same step."""
    cells = np.floor(take.beats * STEPS_PER_BEAT + 0.5).astype(np.int64) * len(VOICES) + take.voices
    kept = np.bincount(np.unique(cells) % len(VOICES), minlength=len(VOICES))
    return tuple((np.bincount(take.voices, minlength=len(VOICES)) - kept).tolist())


def _quantize_drums(take: Performance, bars: int, window_bars: int) -> QuantizedTake:
    hits, velocities, offsets = onsets_to_arrays(take.beats, take.voices, take.velocities, bars * STEPS_PER_BAR)
    arrays: dict[str, NDArray[Any]] = {
        "hits": hits.astype(np.uint8),
        "velocities": np.rint(velocities * 127).astype(np.uint8),
        "offsets": offsets,
    }
    starts = np.arange(bars - window_bars + 1)
    return QuantizedTake(arrays, len(hits), starts * STEPS_PER_BAR, _window_bpm(take, starts, window_bars))


def _parse_melodies(path: Path, entry: ManifestEntry, options: CorpusOptions) -> tuple[ParsedTake, ...]:
    try:
        song = read_notes(path)
    except DataError:
        return _rejected(entry, "not a whole MIDI file")
    parts = enumerate(song.parts, 1)
    takes = tuple(_parse_melody(song, part, f"{entry.name}#{number} {part.name}".rstrip(), entry, options) for number, part in parts)
    return takes or _rejected(entry, "no pitched notes")


def _parse_melody(song: Song, part: Part, name: str, entry: ManifestEntry, options: CorpusOptions) -> ParsedTake:
    melody = part_to_melody(part)
    starts = starts_with_onset_in_each_bar(melody, options.bars)
    windows = max(len(melody) // STEPS_PER_BAR - options.bars + 1, 0)
    outside = outside_range(part.pitches)
    rejection = _rejection(song, entry, options)
    if not rejection and outside.all():
        rejection = "no pitch from 21 to 108"
    elif not rejection and not len(starts):
        rejection = f"a silent bar in every window of {options.bars} bars" if windows else f"shorter than {options.bars} bars"
    stats = TakeStats(
        name,
        entry.name,
        entry.split,
        entry.style,
        entry.beat_type,
        rejection,
        **_timing_stats(song, entry),
        notes_by_pitch=_counts(part.pitches),
        dropped={f"pitch {pitch}": count for pitch, count in _counts(part.pitches[outside]).items()},
        silent_windows=windows - len(starts),
    )
    if rejection:
        return ParsedTake(stats)
    arrays = {"melody": melody.astype(np.uint8)}
    return ParsedTake(stats, QuantizedTake(arrays, len(melody), starts * STEPS_PER_BAR, _window_bpm(song, starts, options.bars)))
