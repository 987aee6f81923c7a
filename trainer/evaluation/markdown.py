"""Converts tables of scores to JSON values and to Markdown."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from drumvae.music.kit import VOICES

from .bootstrap import Estimate, Metrics
from .table import Table, TaskScores

_COLUMNS: dict[str, tuple[str, int]] = {
    "f1": ("F1", 3),
    "f1_macro": ("F1, macro", 3),
    "precision": ("Precision", 3),
    "recall": ("Recall", 3),
    "exact_steps": ("Exact steps", 3),
    "recall_tapped": ("Recall, tapped", 3),
    "recall_added": ("Recall, added", 3),
    "taps_kept": ("Taps kept", 3),
    "velocity_error": ("Velocity MAE", 3),
    "timing_error_ms": ("Timing MAE, ms", 2),
    "timing_mse": ("Timing MSE, 16ths²", 4),
    "timing_divergence": ("Timing JSD, bits", 3),
    "velocity_divergence": ("Velocity JSD, bits", 3),
    "timing_distance_ms": ("Timing Wasserstein, ms", 2),
    "velocity_distance": ("Velocity Wasserstein", 3),
    "timing_spread_ms": ("Timing std, ms", 1),
    "timing_spread_ratio": ("Timing std, ratio to human", 2),
    "velocity_spread": ("Velocity std", 3),
    "velocity_spread_ratio": ("Velocity std, ratio to human", 2),
    "onset_f1": ("Onset F1", 3),
    "onset_precision": ("Onset precision", 3),
    "onset_recall": ("Onset recall", 3),
    "rhythm_f1": ("Rhythm F1", 3),
    "note_f1": ("Note F1", 3),
    "pitch_error_semitones": ("Pitch MAE, semitones", 2),
    "frechet": ("Frechet distance", 2),
    "nearest_median": ("Median", 0),
    "nearest_p5": ("5th percentile", 0),
    "nearest_p95": ("95th percentile", 0),
    "copies": ("Exact copies", 3),
    "largest_step": ("Largest step", 2),
    "path_length": ("Path length", 2),
    "monotone": ("Monotone", 2),
    "ends_exact": ("Ends equal reconstructions", 2),
    "ends_f1": ("F1 of the ends", 3),
    "middle_hits_ratio": ("Hits, middle", 2),
    "middle_similarity_ratio": ("Bar self-similarity, middle", 2),
    "recognised": ("Balanced accuracy", 2),
    "of that of real windows": ("Ratio to real windows", 2),
}
"""Headings of metrics and their decimals; a metric without an entry has its own name and two decimals."""
_LABELS = {
    "cells switched one by one": "cells switched in random order",
    "control, a fill in the last bar (0 no, 1 yes): hits of toms there": "control, fill in the last bar (0 no, 1 yes): tom hits in it",
    "control, complexity: share of the hits on weak sixteenths": "control, complexity: share of hits on weak sixteenths",
    "control, density: hits a bar": "control, density: hits per bar",
    "control, hits a bar asked for: hits a bar": "control, requested hits per bar: hits per bar",
    "control, humanize: how far offsets move, in sixteenths": "control, humanize: mean change of offsets, 16ths",
    "control, vary: share of the hits that stay": "control, vary: share of hits that stay",
    "distance": "Frechet distance",
    "every cell drawn by itself": "independent cells",
    "feel": "velocity and timing",
    "feel of added hits": "velocity and timing of added hits",
    "feel of tapped hits": "velocity and timing of tapped hits",
    "hits per sounding step": "hits per active step",
    "likeliest hits at taps": "most likely hits at taps",
    "likeliest hits by step and voice": "most likely hits by step and voice",
    "likeliest hits of the voice by step": "most likely hits of the voice by step",
    "loops asked for by style": "generated loops",
    "model, told the style": "model, with the style",
    "novelty": "distance to the nearest training window",
    "spread of the features": "std of the features",
    "styles": "style recognition",
    "styles, each by itself": "style recognition, by style",
    "the voice left out": "left-out voice",
}
"""Texts of tables and systems whose keys in the JSON are older names."""
_JSON_ONLY = ("timing_spread_real_ms", "velocity_spread_real")
_VOICE_TABLES = {
    "f1_by_voice": ("F1 by voice", 2),
    "timing_error_ms_by_voice": ("Timing MAE by voice, ms", 1),
    "timing_distance_ms_by_voice": ("Timing Wasserstein by voice, ms", 1),
    "timing_spread_ratio_by_voice": ("Timing std by voice, ratio to human", 2),
    "velocity_spread_ratio_by_voice": ("Velocity std by voice, ratio to human", 2),
}


def scores_to_json(scores: TaskScores) -> dict[str, Any]:
    """Returns the tables of a task as JSON values.

    A metric is {value, low, high}; a metric by voice is a dictionary of these. Numbers that are not finite are null.
    """
    tables = {name: asdict(table) | {"rows": _json_rows(table)} for name, table in scores.tables.items()}
    return tables | ({"facts": scores.facts} if scores.facts else {})


def _json_rows(table: Table) -> dict[str, Any]:
    rows: dict[str, Any] = {system: {name: json_estimate(e) for name, e in row.items()} for system, row in table.rows.items()}
    return rows | dict.fromkeys(table.missing)


def json_estimate(estimate: Estimate) -> dict[str, Any]:
    """Returns a metric as JSON values."""
    if np.ndim(estimate.value):
        triples = zip(estimate.value, estimate.low, estimate.high, strict=True)
        return {voice: json_estimate(Estimate(*triple)) for voice, triple in zip(VOICES, triples, strict=True)}
    return {name: round(float(value), 6) if math.isfinite(value) else None for name, value in vars(estimate).items()}


def scores_to_markdown(task: str, scores: TaskScores) -> str:
    """Returns the tables of a task; intervals are in brackets, and `-` is an undefined metric."""
    parts = [f"### {task}"]
    for name, table in scores.tables.items():
        parts.append(f"{_capitalised(_LABELS.get(name, name))}. {table.about}")
        parts.append(_metrics(table))
        parts += [_voices(table, key) for key in table.by_voice if any(key in row for row in table.rows.values())]
        parts += [f"{_capitalised(system)}: not measured, since {reason}." for system, reason in table.missing.items()]
    return "\n\n".join(parts) + "\n"


def _metrics(table: Table) -> str:
    first = next(iter(table.rows.values()))
    columns = {n: _COLUMNS.get(n, (_LABELS.get(n, n), 2)) for n, e in first.items() if n not in _JSON_ONLY and not np.ndim(e.value)}
    lines = [["", *(heading for heading, _ in columns.values())]]
    for system, row in table.rows.items():
        lines.append([_LABELS.get(system, system), *(_cell(row, name, digits) for name, (_, digits) in columns.items())])
    return _table(lines)


def _cell(row: Metrics, name: str, digits: int) -> str:
    if name not in row or math.isnan(row[name].value):
        return "-"
    estimate = row[name]
    ends = "" if math.isnan(estimate.low) else f" [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
    return f"{estimate.value:.{digits}f}{ends}"


def _voices(table: Table, key: str) -> str:
    heading, digits = _VOICE_TABLES[key]
    lines = [[heading, *VOICES]]
    for system, row in table.rows.items():
        if key in row:
            lines.append([_LABELS.get(system, system), *("-" if math.isnan(v) else f"{v:.{digits}f}" for v in row[key].value)])
    return _table(lines)


def _table(lines: list[list[str]]) -> str:
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rest))


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
