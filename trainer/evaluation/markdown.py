"""Tables of figures in, JSON values and Markdown out."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from drumvae.music.kit import VOICES

from .bootstrap import Estimate, ManifestEntry
from .table import Table, TaskScores

_COLUMNS: dict[str, tuple[str, int]] = {
    "f1": ("F1", 3),
    "f1_macro": ("F1, mean of voices", 3),
    "precision": ("precision", 3),
    "recall": ("recall", 3),
    "exact_steps": ("exact steps", 3),
    "recall_tapped": ("recall, tapped", 3),
    "recall_added": ("recall, added", 3),
    "taps_kept": ("taps kept", 3),
    "velocity_error": ("velocity error", 3),
    "timing_error_ms": ("timing error (ms)", 2),
    "timing_mse": ("timing MSE (16ths²)", 4),
    "timing_divergence": ("timing divergence (bits)", 3),
    "velocity_divergence": ("velocity divergence (bits)", 3),
    "timing_distance_ms": ("timing distance (ms)", 2),
    "velocity_distance": ("velocity distance", 3),
    "timing_spread_ms": ("timing spread (ms)", 1),
    "timing_spread_ratio": ("timing spread / real", 2),
    "velocity_spread": ("velocity spread", 3),
    "velocity_spread_ratio": ("velocity spread / real", 2),
    "onset_f1": ("onset F1", 3),
    "onset_precision": ("onset precision", 3),
    "onset_recall": ("onset recall", 3),
    "rhythm_f1": ("rhythm F1", 3),
    "note_f1": ("note F1", 3),
    "pitch_error_semitones": ("pitch error (semitones)", 2),
    "frechet": ("Frechet distance", 2),
    "nearest_median": ("median", 0),
    "nearest_p5": ("5th percentile", 0),
    "nearest_p95": ("95th percentile", 0),
    "copies": ("exact copies", 3),
    "largest_step": ("largest step", 2),
    "path_length": ("path", 2),
    "monotone": ("monotone", 2),
    "ends_exact": ("ends as reconstructed", 2),
    "ends_f1": ("F1 of the ends", 3),
    "middle_hits_ratio": ("hits in the middle", 2),
    "middle_similarity_ratio": ("self-similarity in the middle", 2),
}
"""Headings of figures and their decimals; what is not named here stands under its own name."""
_JSON_ALONE = ("timing_spread_real_ms", "velocity_spread_real")
_VOICE_TABLES = {
    "f1_by_voice": ("F1 by voice", 2),
    "timing_error_ms_by_voice": ("Timing error by voice (ms)", 1),
    "timing_distance_ms_by_voice": ("Timing distance by voice (ms)", 1),
    "timing_spread_ratio_by_voice": ("Timing spread / real by voice", 2),
    "velocity_spread_ratio_by_voice": ("Velocity spread / real by voice", 2),
}


def scores_to_json(scores: TaskScores) -> dict[str, Any]:
    """Returns the tables of a task as JSON values.

    A figure is {value, low, high}, one by voice is a dictionary of those, and what is no finite number is null.
    """
    tables = {name: asdict(table) | {"rows": _json_rows(table)} for name, table in scores.tables.items()}
    return tables | ({"facts": scores.facts} if scores.facts else {})


def _json_rows(table: Table) -> dict[str, Any]:
    rows: dict[str, Any] = {system: {name: _json_estimate(e) for name, e in row.items()} for system, row in table.rows.items()}
    return rows | dict.fromkeys(table.missing)


def _json_estimate(estimate: Estimate) -> dict[str, Any]:
    if np.ndim(estimate.value):
        triples = zip(estimate.value, estimate.low, estimate.high, strict=True)
        return {voice: _json_estimate(Estimate(*triple)) for voice, triple in zip(VOICES, triples, strict=True)}
    return {name: round(float(value), 6) if math.isfinite(value) else None for name, value in vars(estimate).items()}


def scores_to_markdown(task: str, scores: TaskScores) -> str:
    """Returns the tables of a task; an interval stands in brackets after its figure, `-` for what cannot be known."""
    parts = [f"### {task}"]
    for name, table in scores.tables.items():
        parts.append(f"{name[0].upper() + name[1:]}. {table.about}")
        parts.append(_figures(table))
        parts += [_voices(table, key) for key in table.by_voice if any(key in row for row in table.rows.values())]
        parts += [f"{system[0].upper() + system[1:]}: not measured, since {reason}." for system, reason in table.missing.items()]
    return "\n\n".join(parts) + "\n"


def _figures(table: Table) -> str:
    first = next(iter(table.rows.values()))
    columns = {n: _COLUMNS.get(n, (n, 2)) for n, e in first.items() if n not in _JSON_ALONE and not np.ndim(e.value)}
    lines = [["", *(heading for heading, _ in columns.values())]]
    for system, row in table.rows.items():
        lines.append([system, *(_cell(row, name, digits) for name, (_, digits) in columns.items())])
    return _table(lines)


def _cell(row: ManifestEntry, name: str, digits: int) -> str:
    return _text(row[name], digits) if name in row else "-"


def _text(estimate: Estimate, digits: int) -> str:
    if math.isnan(estimate.value):
        return "-"
    if math.isnan(estimate.low):
        return f"{estimate.value:.{digits}f}"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _voices(table: Table, key: str) -> str:
    heading, digits = _VOICE_TABLES[key]
    lines = [[heading, *VOICES]]
    for system, row in table.rows.items():
        if key in row:
            lines.append([system, *("-" if math.isnan(v) else f"{v:.{digits}f}" for v in row[key].value)])
    return _table(lines)


def _table(lines: list[list[str]]) -> str:
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rest))
