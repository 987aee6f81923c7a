"""Writes a data report as tables, for a screen or as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .report import ALL, Report

_MAX_ROWS = 20  # of a table with a row for each label; the JSON has all of them
TITLES = {
    "tempo_bpm": "tempo, BPM",
    "hits_per_bar": "hits per bar",
    "velocity": "velocity, 1 to 127",
    "timing_ms": "timing, ms (+ is late)",
    "pitch": "MIDI pitch",
    "length_steps": "note length, steps",
    "onsets_per_bar": "onsets per bar",
}


class Table(NamedTuple):
    """Holds a table as words; the first column names a row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def report_tables(report: Report) -> list[Table]:
    """Returns the tables of a report that have a row."""
    left_out = {"takes": "rejected_takes", "windows": "windows_left_out", "notes": "dropped_notes"}
    counts = [(count, reason, what) for what, key in left_out.items() for reason, count in report[key].items()]
    reasons = [(reason, what, f"{count:,}") for count, reason, what in sorted(counts, reverse=True)]
    styles = ((name, found["takes"], found["hours"]) for name, found in report["styles"].items())
    pitches = [(pitch, found["voice"] or "none", f"{found['notes']:,}") for pitch, found in report["pitches"].items() if "voice" in found]
    tables = [
        _splits(report),
        Table("Left out", ("reason", "of", "count"), reasons),
        Table("Styles", ("style", "takes", "hours"), _largest(styles)),
        _distributions(report["distributions"]),
        _voices(report.get("voices", {})),
        Table("Note-ons by pitch, all takes", ("pitch", "voice", "note-ons"), pitches),
    ]
    return [table for table in tables if table.rows]


def headline(report: Report) -> str:
    """Returns a sentence about the whole corpus."""
    whole = report["splits"][ALL]
    rests = f" {report['rests']:.1%} of the steps have no note." if "rests" in report else ""
    return (
        f"{report['source']}: {whole['takes']:,} takes of {report['kind']}, {whole['hours']:.2f} hours, {whole['notes']:,} note-ons;"
        f" {whole['used_takes']:,} takes give {whole['windows']:,} windows of {report['bars']} bars.{rests}"
    )


def to_markdown(report: Report, plots: Iterable[str] = ()) -> str:
    """Returns the report as a Markdown page, which ends with its plots (file names)."""
    parts = ["# Data report", headline(report)]
    for table in report_tables(report):
        rule = ["---"] + ["---:"] * (len(table.columns) - 1)
        parts += [f"## {table.title}", "\n".join(f"| {' | '.join(row)} |" for row in (table.columns, rule, *table.rows))]
    return "\n\n".join(parts + [f"![{name.rsplit('.')[0]}]({name})" for name in plots]) + "\n"


def show(report: Report) -> None:
    """Prints the report to stdout."""
    from rich.console import Console
    from rich.table import Table as Screen

    console = Console()
    console.print(headline(report), highlight=False)
    for table in report_tables(report):
        screen = Screen(title=table.title, title_justify="left", title_style="bold")
        for number, name in enumerate(table.columns):
            screen.add_column(name, justify="right" if number else "left", overflow="fold")
        for row in table.rows:
            screen.add_row(*row)
        console.print(screen)


def _splits(report: Report) -> Table:
    columns = ("split", "takes", "hours", "note-ons", "takes used", "hours used", "windows")
    keys = ("takes", "hours", "notes", "used_takes", "used_hours", "windows")
    rows = [
        (name, *(f"{found.get(key, 0):,.2f}" if "hours" in key else f"{found.get(key, 0):,}" for key in keys))
        for name, found in report["splits"].items()
    ]
    return Table("Splits", columns, rows)


def _largest(rows: Iterable[tuple[str, int, float]]) -> list[tuple[str, ...]]:
    """Returns the first rows as words, and one with the sums of the others."""
    rows = list(rows)
    others = rows[_MAX_ROWS:]
    if others:
        rows = [*rows[:_MAX_ROWS], (f"{len(others)} others", sum(row[1] for row in others), sum(row[2] for row in others))]
    return [(name, f"{takes:,}", f"{hours:,.2f}") for name, takes, hours in rows]


def _distributions(found: dict[str, Any]) -> Table:
    names = {"0": "min", "0.05": "5%", "0.5": "median", "0.95": "95%", "1": "max"}
    rows = [
        (TITLES[name], f"{values['mean']:.1f}", f"{values['std']:.1f}", *(f"{values['quantiles'][share]:.4g}" for share in names))
        for name, values in found.items()
        if values["count"]
    ]
    return Table("Distributions", ("of", "mean", "std", *names.values()), rows)


def _voices(voices: dict[str, Any]) -> Table:
    whole = max(sum(found["notes"] for found in voices.values()), 1)
    rows = []
    for name, found in voices.items():
        measured = (found[key] for key in ("velocity", "timing_ms"))
        cells = (f"{each['mean']:.1f} ± {each['std']:.1f}" if each["count"] else "-" for each in measured)
        rows.append((name, f"{found['notes']:,}", f"{found['notes'] / whole:.1%}", f"{found['collisions']:,}", *cells))
    columns = ("voice", "note-ons", "share", "collisions", "velocity", "timing, ms")
    return Table("Voices, mean ± std (a collision: two note-ons in one step, the louder is kept)", columns, rows)
