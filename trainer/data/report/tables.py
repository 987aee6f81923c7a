"""A data report in, tables out: for a screen or as markdown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drumvae.music.kit import VOICES

from ..manifest import DRUMS
from .report import ALL, USED, Report

_MOST_ROWS = 20  # of a table that is as long as the data has labels; the JSON has them all
_QUANTILE_NAMES = {"0": "least", "0.05": "5%", "0.25": "25%", "0.5": "median", "0.75": "75%", "0.95": "95%", "1": "greatest"}


@dataclass(frozen=True)
class Table:
    """Holds a table as words; the first column names, the others count or measure."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def report_tables(report: Report) -> list[Table]:
    """Returns the tables of a report, without those that would be empty."""
    tables = [_splits(report), *_labels(report), _distributions("Tempo at the start (bpm)", {"takes": report["tempo_bpm"]}, 0, True)]
    tables += _drums(report) if report["kind"] == DRUMS else _melody(report)
    tables += [
        _counts("Takes left out", ("reason", "takes"), report["rejected_takes"]),
        _counts("Windows left out", ("reason", "windows"), report["windows_left_out"]),
        _counts("Notes that nothing stands for", ("reason", "notes"), report["dropped_notes"]),
    ]
    return [table for table in tables if table.rows]


def headline(report: Report) -> str:
    """Returns one sentence about the whole."""
    whole = report["splits"][ALL]
    return (
        f"{report['source']}: {whole['takes']:,} takes of {report['kind']}, {whole['hours']:.2f} hours, {whole['notes']:,} note-ons;"
        f" {whole['used_takes']:,} takes give {whole['windows']:,} windows of {report['bars']} bars."
    )


def to_markdown(report: Report, plots: Iterable[str] = ()) -> str:
    """Returns the report as a page of markdown, with the files of its plots, if any, at the end."""
    parts = ["# Data report", headline(report)]
    for table in report_tables(report):
        rule = "|".join(["---"] + ["---:"] * (len(table.columns) - 1))
        parts += [f"## {table.title}", "\n".join([_row(table.columns), f"|{rule}|", *map(_row, table.rows)])]
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


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _splits(report: Report) -> Table:
    columns = ("split", "takes", "hours", "note-ons", "takes used", "hours used", "windows")
    keys = ("takes", "hours", "notes", "used_takes", "used_hours", "windows")
    rows = [
        (name, *(f"{found[key]:,.2f}" if "hours" in key else f"{found[key]:,}" for key in keys)) for name, found in report["splits"].items()
    ]
    return Table("Splits", columns, rows)


def _labels(report: Report) -> list[Table]:
    titles = {"meters": ("Meters, of all takes", "meter"), "beat_types": ("Beats and fills", "type"), "styles": ("Styles", "style")}
    return [
        Table(title, (what, "takes", "hours"), _longest(((name, found["takes"], found["hours"]) for name, found in report[key].items()), 2))
        for key, (title, what) in titles.items()
    ]


def _counts(title: str, columns: tuple[str, str], counts: Mapping[str, int]) -> Table:
    return Table(title, columns, _longest(sorted(counts.items(), key=lambda item: -item[1]), 0))


def _longest(rows: Iterable[Sequence[Any]], digits: int) -> list[tuple[str, ...]]:
    """Returns the first rows, and one that sums up the others."""
    rows = list(rows)
    others = rows[_MOST_ROWS:]
    if others:
        rows = [*rows[:_MOST_ROWS], (f"{len(others)} others", *(sum(column) for column in list(zip(*others, strict=True))[1:]))]
    return [(str(row[0]), f"{row[1]:,}", *(f"{value:,.{digits}f}" for value in row[2:])) for row in rows]


def _distributions(title: str, found: Mapping[str, Any], digits: int, ends: bool = False) -> Table:
    """Returns a row for each distribution: mean, sd, quantiles, and the least and greatest value where they are wanted."""
    quantiles = [share for share in _QUANTILE_NAMES if ends or share not in ("0", "1")]
    rows = []
    for name, values in found.items():
        if values["count"]:
            mean_digits = max(digits, 1)
            middle = (f"{values[key]:.{mean_digits}f}" for key in ("mean", "sd"))
            rows.append((name, *middle, *(f"{values['quantiles'][share]:.{digits}f}" for share in quantiles)))
    return Table(title, ("of", "mean", "sd", *(_QUANTILE_NAMES[share] for share in quantiles)), rows)


def _drums(report: Report) -> list[Table]:
    off = ", ".join(f"{share:.0%} of hits are more than {limit} off" for limit, share in report["off_the_grid"].items())
    filled = f"{report['density']['cells']:.1%} of cells are hit"
    return [
        _voices(report),
        _pitches(report),
        _lost(report),
        _distributions(f"Hits a bar, on the grid ({filled})", {"bars": report["density"]["hits_per_bar"]}, 0, True),
        _distributions("Velocity, on the grid (MIDI, 1 to 127)", report["velocity"], 0),
        _distributions(f"Timing in ms at the tempo of the take, positive is late ({off})", report["timing_ms"], 1),
        _distributions("Timing in sixteenths, positive is late", report["timing_sixteenths"], 3),
    ]


def _voices(report: Report) -> Table:
    found, density = report["voices"], report["density"]["by_voice"]
    rows = [
        (name, f"{found[name]['notes'][ALL]:,}", f"{found[name]['share']:.1%}", f"{found[name]['lost'][ALL]:,}", f"{density[name]:.1%}")
        for name in VOICES
    ]
    return Table("Voices, of all takes", ("voice", "note-ons", "share", "lost to the grid", "steps hit"), rows)


def _pitches(report: Report) -> Table:
    labels = list(report["splits"])
    rows = [
        (pitch, *([found["voice"] or "none"] if "voice" in found else []), *(f"{found['notes'][label]:,}" for label in labels))
        for pitch, found in report["pitches"].items()
    ]
    voice = ("voice",) if report["kind"] == DRUMS else ()
    return Table("Note-ons by pitch, of all takes", ("pitch", *voice, *labels), rows)


def _lost(report: Report) -> Table:
    rows = [
        (f"{label} takes" if label in (ALL, USED) else label, f"{found['notes']:,}", f"{found['lost']:,}", f"{found['share']:.2%}")
        for label, found in report["lost_to_grid"].items()
    ]
    return Table("Lost to the grid: same voice, same step", ("of", "note-ons", "lost", "share"), rows)


def _melody(report: Report) -> list[Table]:
    found = report["melody"]
    kept = {"notes on the grid": f"{found['notes']:,}", "steps without a note": f"{found['rests']:.1%}"}
    measured = {"pitch": found["pitch"], "length in steps": found["length_steps"], "onsets a bar": found["onsets_per_bar"]}
    return [Table("One note at a time", ("what", "value"), list(kept.items())), _distributions("Melodies, on the grid", measured, 0, True)]
