"""Scores and a model in, pictures out. Matplotlib is imported here and nowhere else in this package."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drumvae.inference.engine import Engine
from drumvae.music.grid import Array
from drumvae.music.inputs import to_tap, without_feel
from drumvae.music.kit import VOICES

from .bootstrap import Values
from .feel import TIMING_BIN_MS, TIMING_REACH_MS, VELOCITY_BINS
from .humanizing import MEAN, SAMPLED
from .reconstruction import MODEL_BATCH
from .rolls import WINDOWS, draw_roll, roll_columns
from .table import Table, TaskScores
from .windows import Windows

_DPI = 110
_MAPPED = 2000  # windows on the map of the latent


def can_plot() -> bool:
    """Says whether Matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def draw_plots(folder: Path, engine: Engine, split: Windows, scores: dict[str, TaskScores]) -> list[Path]:
    """Draws what there is to see of the tasks that were scored, as PNG files in a folder that exists; returns them in order."""
    import matplotlib as mpl

    mpl.use("Agg")
    drawn: list[Path] = []
    true = split.spread(WINDOWS).loops(slice(None))
    for task, found in scores.items():
        columns = roll_columns(engine, task, true)
        if columns:
            drawn.append(_draw_rolls(folder / f"{task}_rolls.png", columns))
        for name, table in found.tables.items():
            if "f1_by_voice" in table.by_voice and engine.encoding != "melody":
                drawn.append(_draw_voices(folder / f"{task}_f1_by_voice.png", table, f"{task}, {name}"))
    shown = split.spread(_MAPPED)
    latents = _latents(engine, shown, scores)
    if len(latents):
        drawn.append(_draw_map(folder / "latent_map.png", latents, _window_styles(shown)))
    if "humanize" in scores:
        drawn.append(_draw_feel(folder / "humanize_distributions.png", scores["humanize"].arrays))
    return drawn


def _latents(engine: Engine, shown: Windows, scores: dict[str, TaskScores]) -> Array:
    """Returns the mean latents (n, Z) of windows, as the first task that reads any is shown them; nothing where none does."""
    views: dict[str, Callable[[Array], Array]] = {
        "reconstruct": np.asarray,
        "humanize": without_feel,
        "drumify": to_tap,
        "infill": np.asarray,
    }
    view = next((views[task] for task in scores if task in views), None)
    if view is None:
        return np.zeros((0, 2), np.float32)
    return np.concatenate([engine.encode(view(shown.loops(places)))[0] for places in shown.blocks("Mapping windows", MODEL_BATCH)])


def _draw_rolls(path: Path, columns: dict[str, Array]) -> Path:
    """Draws loops side by side, a row for each window, a column for each heading; single loops below each other."""
    from matplotlib import pyplot as plt

    if all(len(loops) == 1 for loops in columns.values()):
        figure, axes = plt.subplots(len(columns), 1, figsize=(7, 1.6 * len(columns)), layout="constrained", squeeze=False)
        places = [(axes[row, 0], loops[0], heading) for row, (heading, loops) in enumerate(columns.items())]
    else:
        count = max(map(len, columns.values()))
        figure, axes = plt.subplots(count, len(columns), figsize=(5 * len(columns), 1.7 * count), layout="constrained", squeeze=False)
        places = [
            (axes[row, column], loop, heading if row == 0 else "")
            for column, (heading, loops) in enumerate(columns.items())
            for row, loop in enumerate(loops)
        ]
    for axis, loop, heading in places:
        draw_roll(axis, loop)
        axis.set_title(heading, fontsize=9)
    return _save(figure, path)


def _draw_voices(path: Path, table: Table, title: str) -> Path:
    """Draws the F1 of each voice for every system, with the model's intervals."""
    from matplotlib import pyplot as plt

    systems = [system for system, row in table.rows.items() if np.nansum(row["f1_by_voice"].value) > 0]  # silence has no bar
    width = 0.85 / max(len(systems), 1)
    figure, axis = plt.subplots(figsize=(10, 3.6), layout="constrained")
    for number, system in enumerate(systems):
        f1 = table.rows[system]["f1_by_voice"]
        error = np.abs(np.stack([f1.value - f1.low, f1.high - f1.value])) if system.startswith("model") else None
        places = np.arange(len(VOICES)) + (number - (len(systems) - 1) / 2) * width
        axis.bar(places, np.nan_to_num(f1.value), width, yerr=error, label=system, error_kw={"elinewidth": 0.8})
    axis.set_xticks(range(len(VOICES)), VOICES)
    axis.set(ylim=(0, 1), ylabel="F1", title=title)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return _save(figure, path)


def _draw_map(path: Path, latents: Array, styles: list[str]) -> Path:
    """Draws mean latents on their two widest directions, coloured by style."""
    from matplotlib import pyplot as plt

    places, shares = principal_plane(latents)
    names = sorted(set(styles), key=lambda name: -styles.count(name))
    figure, axis = plt.subplots(figsize=(8, 6), layout="constrained")
    colours = plt.get_cmap("tab20")
    for number, name in enumerate(names):
        mine = np.array([style == name for style in styles])
        axis.scatter(places[mine, 0], places[mine, 1], s=7, alpha=0.7, color=colours(number % 20), label=name or "unknown", linewidths=0)
    axis.set(xlabel=f"first direction, {shares[0]:.0%} of the variance", ylabel=f"second, {shares[1]:.0%}", title="windows in the latent")
    figure.legend(loc="outside right upper", fontsize=8, markerscale=2)
    return _save(figure, path)


def principal_plane(points: Array) -> tuple[Values, Values]:
    """Returns the places (n, 2) of points (n, Z) on their two principal axes, and the shares (2,) of the variance along these."""
    middled = points.astype(np.float64) - points.mean(axis=0)
    _, sizes, axes = np.linalg.svd(middled, full_matrices=False)
    plane = np.zeros((len(points), 2))
    found = middled @ axes[:2].T
    plane[:, : found.shape[1]] = found
    shares = np.zeros(2)
    shares[: len(sizes[:2])] = sizes[:2] ** 2 / max(float((sizes**2).sum()), 1e-12)
    return plane, shares


def _window_styles(split: Windows) -> list[str]:
    """Returns the main style of each window: GMD writes "rock/halftime"."""
    return [split.styles[take].split("/")[0] for take in split.takes]


def _draw_feel(path: Path, bins: dict[str, NDArray[Any]]) -> Path:
    """Draws how real and played hits are spread over timing and velocity."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    edges = {
        "timing": np.arange(-TIMING_REACH_MS, TIMING_REACH_MS + TIMING_BIN_MS / 2, TIMING_BIN_MS),
        "velocity": np.linspace(0, 1, VELOCITY_BINS + 1),
    }
    for axis, (what, places) in zip(axes, edges.items(), strict=True):
        for who, style in (("real", {"fill": True, "alpha": 0.35, "color": "0.4"}), (MEAN, {}), (SAMPLED, {})):
            counts = bins[f"{who} {what}"]
            axis.stairs(counts / max(counts.sum(), 1), places, label=who, **style)
        axis.set(xlabel="timing (ms, positive late)" if what == "timing" else "velocity (0 to 1)", ylabel="share of hits")
    axes[0].legend(fontsize=8)
    return _save(figure, path)


def _save(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot as plt

    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
    return path
