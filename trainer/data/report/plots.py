"""A data report in, plots out, as PNG files: what the tables say, to look at. Matplotlib, without a screen."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drumvae.music.kit import VOICES

from ..manifest import DRUMS
from .report import ALL, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR, _LINE = "#3b6ea5", "#c44536"
_DPI = 120
_MOST_STYLES = 25
_OUTERMOST_MS = 100.0


def write_plots(report: Report, folder: Path) -> list[str]:
    """Writes the plots of a report into a folder that is there; returns the names of the files, in the order of the report."""
    names = []
    for name, draw in (_DRUM_PLOTS if report["kind"] == DRUMS else _MELODY_PLOTS).items():
        figure = _new_figure()
        if draw(figure, report):
            figure.savefig(folder / f"{name}.png", dpi=_DPI)
            names.append(f"{name}.png")
    return names


def _new_figure() -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _bars(axes: "Axes", found: Mapping[str, Any]) -> None:
    """Draws a distribution as bars of equal width that share its edges, with a line at the mean."""
    edges = found["edges"]
    if found["count"]:
        axes.bar(edges[:-1], found["counts"], width=edges[1] - edges[0], align="edge", color=_BAR)
        axes.axvline(found["mean"], color=_LINE, linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)


def _one(found: Mapping[str, Any], figure: "Figure", title: str, across: str, up: str) -> bool:
    axes = figure.add_subplot()
    _bars(axes, found)
    axes.set(title=title, xlabel=across, ylabel=up)
    return bool(found["count"])


def _by_voice(found: Mapping[str, Any], figure: "Figure", title: str, across: str, reach: tuple[float, float]) -> bool:
    figure.suptitle(title)
    for number, name in enumerate(VOICES, 1):
        axes = figure.add_subplot(3, 3, number)
        _bars(axes, found[name])
        axes.set(xlim=reach, yticks=[])
        axes.set_title(f"{name}: mean {found[name]['mean']:.1f}, sd {found[name]['sd']:.1f}", fontsize=9)
        if number > len(VOICES) - 3:
            axes.set_xlabel(across)
    return bool(found[ALL]["count"])


def _ranked(values: Mapping[str, float], figure: "Figure", title: str, across: str) -> bool:
    """Draws one bar for each name, the first on top."""
    axes = figure.add_subplot()
    axes.barh(list(values), list(values.values()), color=_BAR)
    axes.invert_yaxis()
    axes.set(title=title, xlabel=across)
    axes.spines[["top", "right"]].set_visible(False)
    return bool(values)


def _tempo(figure: "Figure", report: Report) -> bool:
    return _one(report["tempo_bpm"], figure, "Tempo at the start of the takes", "beats a minute", "takes")


def _styles(figure: "Figure", report: Report) -> bool:
    hours = sorted(((found["hours"], name) for name, found in report["styles"].items()), reverse=True)[:_MOST_STYLES]
    return _ranked({name: value for value, name in hours}, figure, "Styles with the most hours", "hours")


def _voices(figure: "Figure", report: Report) -> bool:
    return _ranked({name: report["voices"][name]["notes"][ALL] for name in VOICES}, figure, "Voices", "note-ons")


def _velocity(figure: "Figure", report: Report) -> bool:
    return _by_voice(report["velocity"], figure, "Velocity by voice", "MIDI velocity", (0, 128))


def _timing(figure: "Figure", report: Report) -> bool:
    return _by_voice(report["timing_ms"], figure, "Timing by voice, positive is late", "ms off the grid", (-_OUTERMOST_MS, _OUTERMOST_MS))


def _density(figure: "Figure", report: Report) -> bool:
    return _one(report["density"]["hits_per_bar"], figure, "Density", "hits a bar", "bars")


def _pitch(figure: "Figure", report: Report) -> bool:
    return _one(report["melody"]["pitch"], figure, "Pitch", "MIDI pitch", "notes")


def _lengths(figure: "Figure", report: Report) -> bool:
    return _one(report["melody"]["length_steps"], figure, "Length of notes", "steps", "notes")


def _onsets(figure: "Figure", report: Report) -> bool:
    return _one(report["melody"]["onsets_per_bar"], figure, "Density", "onsets a bar", "bars")


_Plots = dict[str, Callable[["Figure", Report], bool]]
"""By name of the file; each draws and says whether there was anything to draw."""
_DRUM_PLOTS: _Plots = {
    "tempo": _tempo,
    "styles": _styles,
    "voices": _voices,
    "density": _density,
    "velocity": _velocity,
    "timing": _timing,
}
_MELODY_PLOTS: _Plots = {"tempo": _tempo, "styles": _styles, "pitch": _pitch, "lengths": _lengths, "density": _onsets}
