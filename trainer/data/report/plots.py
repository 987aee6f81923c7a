"""Draws the distributions of a data report as PNG files, with Matplotlib and without a screen."""

from pathlib import Path

from .report import Report
from .tables import TITLES


def write_plots(report: Report, folder: Path) -> list[str]:
    """Writes a plot of each distribution that has values into an existing folder; returns the file names."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = []
    for name, found in report["distributions"].items():
        if not found["count"]:
            continue
        figure = Figure(figsize=(9, 5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.stairs(found["counts"], found["edges"], fill=True)
        axes.axvline(found["mean"], color="tab:red", label=f"mean {found['mean']:.1f}")
        axes.set(xlabel=TITLES[name], ylabel="takes" if name == "tempo_bpm" else "bars" if name.endswith("per_bar") else "notes")
        axes.legend()
        figure.savefig(folder / f"{name}.png", dpi=120)
        names.append(f"{name}.png")
    return names
