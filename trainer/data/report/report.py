"""Counts and measures the contents of a corpus, as nested dictionaries for JSON, tables and plots.

Note-ons are counted over every readable take, also over takes that are left out for their meter or length. Density, velocity and timing
are measured on the grid, and therefore on the used takes only. Every array is counted block by block into bins of fixed size, so that
memory does not grow with the corpus.
"""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drumvae.music.encoding import MELODY_FIRST_PITCH, MELODY_LOWEST, MELODY_NO_EVENT
from drumvae.music.grid import STEPS_PER_BAR, STEPS_PER_BEAT
from drumvae.music.kit import DEFAULT_KIT, VOICES
from drumvae.util.progress import watched

from ..corpus import Corpus
from ..manifest import DRUMS

ALL = "all"
UNSPLIT = "no split"
"""The label of takes that are left out and whose files name no split."""
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
_BLOCK_STEPS = 1 << 16
_MS_BINS, _BINS_PER_MS = 4000, 10  # bins on each side of 0 ms; offsets beyond are counted in the outermost bin
Report = dict[str, Any]


def data_report(corpus: Corpus) -> Report:
    """Returns the report of a corpus of drums or melodies; raises DataError if the cached facts are lost."""
    options = corpus.options
    report: Report = {"source": corpus.source, "kind": options.kind, "bars": options.bars, "min_duration_s": options.min_duration_s}
    report |= {"rejected_takes": dict(corpus.rejected), "windows_left_out": dict(corpus.left_out), "distributions": {}}
    _count_takes(corpus, report)
    (_measure_drums if options.kind == DRUMS else _measure_melodies)(corpus, report)
    return report


def summary(values: NDArray[Any], counts: NDArray[np.int64], bar: float) -> Report:
    """Summarises a distribution that is given as ascending values (n,) and the count of each (n,).

    Returns:
        `count`, `mean`, `std`, the `quantiles` by share, and a histogram (`edges`, `counts`) with bars as wide as `bar`.
    """
    count = int(counts.sum())
    if not count:
        return {"count": 0, "mean": 0.0, "std": 0.0, "quantiles": {}, "edges": [], "counts": []}
    mean = float(values @ counts / count)
    std = float(np.sqrt(np.square(values - mean) @ counts / count))
    places = np.searchsorted(np.cumsum(counts), [max(share * count, 1) for share in QUANTILES])
    present = values[counts > 0]
    edges = np.arange(np.floor(present[0] / bar + 0.5) - 0.5, present[-1] / bar + 1.5) * bar  # 0 is in the middle of a bar
    bars = np.histogram(present, edges, weights=counts[counts > 0])[0]
    return {
        "count": count,
        "mean": round(mean, 4),
        "std": round(std, 4),
        "quantiles": {f"{share:g}": round(float(values[place]), 4) for share, place in zip(QUANTILES, places, strict=True)},
        "edges": edges.round(4).tolist(),
        "counts": bars.astype(int).tolist(),
    }


def _count_takes(corpus: Corpus, report: Report) -> None:
    """Adds counts by split, style and pitch, the tempi, and the note-ons of each voice; reads the facts take by take."""
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    styles: dict[str, Counter[str]] = defaultdict(Counter)
    pitches, dropped, tempi = Counter[str](), Counter[str](), Counter[int]()
    voices = np.zeros((2, len(VOICES)), np.int64)
    split_of = {take.name: take.split for take in corpus.takes}
    for take in watched(corpus.take_stats(), "Counting takes", len(corpus.takes) + sum(corpus.rejected.values())):
        used, hours = int(not take.rejection), take.duration_s / 3600
        counts = {"takes": 1, "hours": hours, "used_takes": used, "used_hours": hours * used, "notes": sum(take.notes_by_pitch.values())}
        counts |= {"mapped": sum(take.hits_by_voice), "collisions": sum(take.lost_by_voice)}
        for group in (splits[ALL], splits[split_of.get(take.name, take.split) or UNSPLIT], styles[take.style]):
            group.update(counts)
        pitches.update(take.notes_by_pitch)
        dropped.update(take.dropped)
        tempi.update([round(take.bpm)] * take.readable)
        if take.hits_by_voice:
            voices += np.array([take.hits_by_voice, take.lost_by_voice])
    windows = np.bincount(corpus.take_indices, minlength=len(corpus.takes))
    for used_take, count in zip(corpus.takes, windows.tolist(), strict=True):
        splits[used_take.split].update(windows=count)
        splits[ALL].update(windows=count)
    styles.pop("", None)
    report |= {"splits": _largest_first(splits), "styles": _largest_first(styles), "dropped_notes": dict(dropped)}
    report["pitches"] = {pitch: {"notes": pitches[pitch]} for pitch in sorted(pitches, key=int)}
    report["distributions"]["tempo_bpm"] = summary(np.array(sorted(tempi)), np.array([tempi[bpm] for bpm in sorted(tempi)]), 10)
    if report["kind"] == DRUMS:
        for pitch, found in report["pitches"].items():
            voice = DEFAULT_KIT.voice_of(int(pitch))
            found["voice"] = "" if voice is None else VOICES[voice]
        report["voices"] = {name: {"notes": int(voices[0, v]), "collisions": int(voices[1, v])} for v, name in enumerate(VOICES)}


def _largest_first(groups: dict[str, Counter[str]]) -> Report:
    """Returns groups by their number of takes, the whole corpus last."""
    ordered = sorted(groups.items(), key=lambda item: (item[0] == ALL, -item[1]["takes"], item[0]))
    return {label: {name: round(value, 4) for name, value in counts.items()} for label, counts in ordered}


def _measure_drums(corpus: Corpus, report: Report) -> None:
    """Adds hits per bar, and velocity and timing of all hits and of each voice."""
    per_bar = np.zeros(STEPS_PER_BAR * len(VOICES) + 1, np.int64)
    velocities, timing = np.zeros((len(VOICES), 128), np.int64), np.zeros((len(VOICES), 2 * _MS_BINS + 1), np.int64)
    first_steps = np.array([take.first_step for take in corpus.takes])
    step_ms = np.array([60_000 / STEPS_PER_BEAT / take.bpm for take in corpus.takes])
    blocks = range(0, len(corpus.hits), _BLOCK_STEPS)
    for first in watched(blocks, "Measuring", len(blocks)):
        block = slice(first, first + _BLOCK_STEPS)
        hits = np.asarray(corpus.hits[block])
        per_bar += np.bincount(hits.reshape(-1, STEPS_PER_BAR * len(VOICES)).sum(axis=1), minlength=len(per_bar))
        rows, voices = np.nonzero(hits)
        ms = corpus.offsets[block][rows, voices] * step_ms[np.searchsorted(first_steps, rows + first, side="right") - 1]
        np.add.at(velocities, (voices, corpus.velocities[block][rows, voices]), 1)
        np.add.at(timing, (voices, np.clip(np.rint(ms * _BINS_PER_MS).astype(np.int64), -_MS_BINS, _MS_BINS) + _MS_BINS), 1)
    loudness, lateness = np.arange(128), np.arange(-_MS_BINS, _MS_BINS + 1) / _BINS_PER_MS
    report["distributions"] |= {
        "hits_per_bar": summary(np.arange(len(per_bar)), per_bar, 1),
        "velocity": summary(loudness, velocities.sum(axis=0), 4),
        "timing_ms": summary(lateness, timing.sum(axis=0), 5),
    }
    for voice, found in enumerate(report["voices"].values()):
        found |= {"velocity": summary(loudness, velocities[voice], 4), "timing_ms": summary(lateness, timing[voice], 5)}


def _measure_melodies(corpus: Corpus, report: Report) -> None:
    """Adds pitches, note lengths and onsets per bar, and the share of steps without a sounding note; reads take by take."""
    pitches, lengths, per_bar = np.zeros(128, np.int64), np.zeros(512, np.int64), np.zeros(STEPS_PER_BAR + 1, np.int64)
    silent = 0
    for take in watched(corpus.takes, "Measuring", len(corpus.takes)):
        melody = np.asarray(corpus.melody[take.first_step : take.first_step + take.steps])
        onsets = melody >= MELODY_FIRST_PITCH
        events = np.flatnonzero(melody != MELODY_NO_EVENT)
        spans = np.diff(events, append=len(melody))[onsets[events]]
        pitches += np.bincount(melody[onsets].astype(np.int64) - MELODY_FIRST_PITCH + MELODY_LOWEST, minlength=len(pitches))
        lengths += np.bincount(np.minimum(spans, len(lengths) - 1), minlength=len(lengths))
        per_bar += np.bincount(onsets.reshape(-1, STEPS_PER_BAR).sum(axis=1), minlength=len(per_bar))
        silent += len(melody) - int(spans.sum())
    counted = {"pitch": pitches, "length_steps": lengths, "onsets_per_bar": per_bar}
    report["distributions"] |= {name: summary(np.arange(len(counts)), counts, 1) for name, counts in counted.items()}
    report["rests"] = round(silent / max(len(corpus.melody), 1), 6)
