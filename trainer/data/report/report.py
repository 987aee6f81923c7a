"""A corpus in, what a person would ask of it out: plain numbers in nested dictionaries, ready for JSON, tables and plots.

Note-ons are counted over every take that can be read, takes left out for their meter or length too. Density, velocity and
timing are those of the grid, and so of the takes that are used.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from drumvae.music.encoding import MELODY_FIRST_PITCH, MELODY_LOWEST, MELODY_NO_EVENT
from drumvae.music.grid import STEPS_PER_BAR, STEPS_PER_BEAT
from drumvae.music.kit import DEFAULT_KIT, VOICES
from drumvae.util.progress import watched

from ..corpus import Corpus
from ..ingest import TakeStats
from ..manifest import DRUMS
from .histogram import Histogram

ALL, USED = "all", "used"
UNSPLIT = "no split"
"""Where takes are counted that are left out and whose files bring no split of their own."""
_BLOCK_STEPS = 1 << 16
_OFF_MS = (10, 20)
_TICK_STEPS = 1 / 120  # of the 480 ticks a beat that most files have
_SECONDS_PER_HOUR = 3600
Report = dict[str, Any]


def data_report(corpus: Corpus) -> Report:
    """Returns the report of a corpus, drums or melody; raises DataError where the cached facts are lost."""
    report: Report = {
        "source": corpus.source,
        "kind": corpus.options.kind,
        "bars": corpus.options.bars,
        "min_duration_s": corpus.options.min_duration_s,
        "rejected_takes": dict(corpus.rejected),
        "windows_left_out": dict(corpus.left_out),
    }
    report |= _takes(corpus)
    return report | (_feel(corpus) if corpus.options.kind == DRUMS else _melodies(corpus))


@dataclass
class _Group:
    """Counts the takes that have something in common."""

    takes: int = 0
    used_takes: int = 0
    hours: float = 0.0
    used_hours: float = 0.0
    notes: int = 0

    def add(self, take: TakeStats) -> None:
        hours, used = take.duration_s / _SECONDS_PER_HOUR, not take.rejection
        self.takes, self.used_takes = self.takes + 1, self.used_takes + used
        self.hours, self.used_hours = self.hours + hours, self.used_hours + hours * used
        self.notes += sum(take.notes_by_pitch.values())


def _takes(corpus: Corpus) -> Report:
    """Returns what the facts of every take add up to, take by take: there may be more of them than memory holds."""
    groups: dict[str, dict[str, _Group]] = {"splits": {ALL: _Group()}, "styles": {}, "beat_types": {}, "meters": {}}
    tempi, pitches, voices, dropped = Histogram(-0.5, 1, 500), _Pitches(), _Voices(), Counter[str]()
    for split, take in _labelled(corpus):
        labels = (split, ALL) if take.rejection else (split, ALL, USED)
        found = {"splits": labels[:2], "styles": [take.style], "beat_types": [take.beat_type], "meters": [", ".join(take.meters)]}
        for name, label in ((name, label) for name, several in found.items() for label in several if label):
            groups[name].setdefault(label, _Group()).add(take)
        tempi.add([take.bpm] if take.readable else [])
        pitches.add(labels[:2], take)
        voices.add(labels, take)
        dropped.update(take.dropped)
    report = {name: _largest_first(several) for name, several in groups.items()}
    windows = _windows(corpus)
    report["splits"] = {label: counts | {"windows": windows[label]} for label, counts in report["splits"].items()}
    report["pitches"] = pitches.report(list(report["splits"]), corpus.options.kind)
    report |= {"tempo_bpm": asdict(tempi.distribution(joined=10)), "dropped_notes": dict(dropped)}
    return report | (voices.report() if corpus.options.kind == DRUMS else {})


def _windows(corpus: Corpus) -> Counter[str]:
    """Returns the windows of every split and of all."""
    counts = Counter({ALL: len(corpus.take_indices)})
    for take, count in zip(corpus.takes, np.bincount(corpus.take_indices, minlength=len(corpus.takes)).tolist(), strict=True):
        counts[take.split] += count
    return counts


def _labelled(corpus: Corpus) -> Iterator[tuple[str, TakeStats]]:
    """Yields every take with the split that it is in."""
    splits = {take.name: take.split for take in corpus.takes}
    count = len(corpus.takes) + sum(corpus.rejected.values())
    for take in watched(corpus.take_stats(), "Counting takes", count):
        yield splits.get(take.name, take.split) or UNSPLIT, take


def _largest_first(groups: dict[str, _Group]) -> Report:
    """Returns groups by their takes, the whole last."""
    ordered = sorted(groups.items(), key=lambda item: (item[0] == ALL, -item[1].takes, item[0]))
    return {label: {name: round(value, 4) for name, value in asdict(group).items()} for label, group in ordered}


class _Pitches:
    """Counts the note-ons of every pitch by split."""

    def __init__(self) -> None:
        self._counts: dict[int, Counter[str]] = {}

    def add(self, labels: Iterable[str], take: TakeStats) -> None:
        for pitch, count in take.notes_by_pitch.items():
            self._counts.setdefault(int(pitch), Counter()).update(dict.fromkeys(labels, count))

    def report(self, labels: list[str], kind: str) -> Report:
        """Returns, for each pitch, its note-ons under each label, and of drums the voice that hears it."""
        found = {pitch: {"notes": {label: counts[label] for label in labels}} for pitch, counts in sorted(self._counts.items())}
        return {str(pitch): {**counts, **({"voice": _voice(pitch)} if kind == DRUMS else {})} for pitch, counts in found.items()}


def _voice(pitch: int) -> str:
    voice = DEFAULT_KIT.voice_of(pitch)
    return "" if voice is None else VOICES[voice]


class _Voices:
    """Counts the note-ons of every voice by split, and those of them that the grid loses."""

    def __init__(self) -> None:
        self._counts = {label: np.zeros((2, len(VOICES)), np.int64) for label in (ALL, USED)}

    def add(self, labels: Iterable[str], take: TakeStats) -> None:
        if take.hits_by_voice:
            for label in labels:
                counts = self._counts.setdefault(label, np.zeros((2, len(VOICES)), np.int64))
                counts += np.array([take.hits_by_voice, take.lost_by_voice])

    def report(self) -> Report:
        voices = {
            name: {
                what: {label: int(counts[row, voice]) for label, counts in self._counts.items()}
                for row, what in enumerate(("notes", "lost"))
            }
            for voice, name in enumerate(VOICES)
        }
        totals = {label: (int(counts[0].sum()), int(counts[1].sum())) for label, counts in self._counts.items()}
        lost = {label: {"notes": notes, "lost": lost, "share": _share(lost, notes)} for label, (notes, lost) in totals.items()}
        shares = {name: {"share": _share(counts["notes"][ALL], totals[ALL][0])} for name, counts in voices.items()}
        return {"voices": {name: {**voices[name], **shares[name]} for name in VOICES}, "lost_to_grid": lost}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _feel(corpus: Corpus) -> Report:
    """Returns density, velocity and timing of what is on the grid, by voice and of all, block by block."""
    labels = (*VOICES, ALL)
    per_bar = Histogram(-0.5, 1, STEPS_PER_BAR * len(VOICES) + 1)
    velocities = {name: Histogram(-0.5, 1, 128) for name in labels}
    steps = {name: Histogram(-61 * _TICK_STEPS - _TICK_STEPS / 8, _TICK_STEPS / 4, 492) for name in labels}  # a tick is inside a bin
    times_ms = {name: Histogram(-402.5, 0.1, 8050) for name in labels}  # the middle bar is as far early as late
    first_steps = np.array([take.first_step for take in corpus.takes])
    step_ms = np.array([60_000 / STEPS_PER_BEAT / take.bpm for take in corpus.takes])
    off = np.zeros(len(_OFF_MS), np.int64)
    blocks = range(0, len(corpus.hits), _BLOCK_STEPS)
    for first in watched(blocks, "Measuring", len(blocks)):
        block = slice(first, first + _BLOCK_STEPS)
        hits = np.asarray(corpus.hits[block])
        per_bar.add(hits.reshape(-1, STEPS_PER_BAR * len(VOICES)).sum(axis=1))
        rows, voices = np.nonzero(hits)
        loud, offsets = corpus.velocities[block][rows, voices], corpus.offsets[block][rows, voices]
        ms = offsets * step_ms[np.searchsorted(first_steps, rows + first, side="right") - 1]
        off += [np.count_nonzero(np.abs(ms) > limit) for limit in _OFF_MS]
        for number, name in enumerate(labels):
            chosen = slice(None) if name == ALL else voices == number
            for histograms, values in ((velocities, loud), (steps, offsets), (times_ms, ms)):
                histograms[name].add(values[chosen])
    cells, count = len(corpus.hits) * len(VOICES), per_bar.distribution().mean * len(corpus.hits) / STEPS_PER_BAR
    return {
        "density": {
            "cells": _share(round(count), cells),
            "by_voice": {name: _share(velocities[name].distribution().count, len(corpus.hits)) for name in VOICES},
            "hits_per_bar": asdict(per_bar.distribution()),
        },
        "velocity": {name: asdict(found.distribution(joined=4)) for name, found in velocities.items()},
        "timing_sixteenths": {name: asdict(found.distribution(joined=12)) for name, found in steps.items()},
        "timing_ms": {name: asdict(found.distribution(joined=50)) for name, found in times_ms.items()},
        "off_the_grid": {f"{limit} ms": _share(int(number), round(count)) for limit, number in zip(_OFF_MS, off, strict=True)},
    }


def _melodies(corpus: Corpus) -> Report:
    """Returns the pitches, lengths and rests of what is on the grid, take by take."""
    pitches, lengths, per_bar = Histogram(-0.5, 1, 128), Histogram(-0.5, 1, 512), Histogram(-0.5, 1, STEPS_PER_BAR + 1)
    silent = 0
    for take in watched(corpus.takes, "Measuring", len(corpus.takes)):
        melody = np.asarray(corpus.melody[take.first_step : take.first_step + take.steps])
        onsets = melody >= MELODY_FIRST_PITCH
        events = np.flatnonzero(melody != MELODY_NO_EVENT)
        spans = np.diff(events, append=len(melody))
        pitches.add(melody[onsets].astype(np.int64) - MELODY_FIRST_PITCH + MELODY_LOWEST)
        lengths.add(spans[onsets[events]])
        per_bar.add(onsets.reshape(-1, STEPS_PER_BAR).sum(axis=1))
        silent += len(melody) - int(spans[onsets[events]].sum())
    return {
        "melody": {
            "notes": pitches.distribution().count,
            "rests": _share(silent, len(corpus.melody)),
            "pitch": asdict(pitches.distribution()),
            "length_steps": asdict(lengths.distribution()),
            "onsets_per_bar": asdict(per_bar.distribution()),
        }
    }
