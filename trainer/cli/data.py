"""Defines the command `drumvae-train data`, which reports the statistics of a MIDI data set."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from drumvae.util.command import require_extra
from drumvae.util.errors import DataError, DrumVAEError
from drumvae.util.files import check_writable

from ..data.manifest import DRUMS, CorpusOptions

DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder or zip of MIDI files. By default the Groove MIDI Dataset, downloaded once (3 MB).", show_default=False),
]
"""The option --data of all commands that read a corpus."""


def data(
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write report.json, report.md and plots (PNG) into this folder.", show_default="print only")
    ] = None,
    kind: Annotated[str, typer.Option(help="Read the drums, or a melody for each pitched instrument: drums or melody.")] = DRUMS,
    bars: Annotated[int, typer.Option(min=1, help="Length of a window, in bars of 4/4.")] = 4,
    min_duration: Annotated[float, typer.Option(min=0, help="Leave out takes shorter than this many seconds.")] = 0.0,
) -> None:
    """Report on a data set: takes, hours, splits, styles, tempi, pitches, density, velocity, timing, and what is left out."""
    options = CorpusOptions(bars=bars, min_duration_s=min_duration, kind=kind)
    if kind != DRUMS and data is None:
        raise DataError(f"The Groove MIDI Dataset holds drums, not {kind}; name a folder or zip of MIDI files with --data.")
    if out:
        require_extra("Drawing the plots", "train", "matplotlib")
        check_writable(out, "The report", "name another folder with --out")
    try:
        _report(data, options, out)
    except DrumVAEError:
        if out:
            with suppress(OSError):
                out.rmdir()  # only succeeds for an empty folder, which this command created
        raise


def _report(source: Path | None, options: CorpusOptions, out: Path | None) -> None:
    from ..data.corpus import load_corpus
    from ..data.download import groove_zip
    from ..data.report.plots import write_plots
    from ..data.report.report import data_report
    from ..data.report.tables import show, to_markdown

    report = data_report(load_corpus(source or groove_zip(), options))
    show(report)
    if out is None:
        return
    try:
        plots = write_plots(report, out)
        (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
        (out / "report.md").write_text(to_markdown(report, plots), "utf-8")
    except OSError as error:
        raise DataError(f"The report above could not be written ({error}); name another folder with --out.") from None
    typer.echo(f"Wrote report.json, report.md and {len(plots)} plots into {out}")
