"""Draws plots of scores and of a model's loops with Matplotlib, which no other module of this package imports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drumvae.inference.engine import Engine
from drumvae.music.grid import Array
from drumvae.music.inputs import to_tap, without_feel
from drumvae.music.kit import VOICES

from .expression import TIMING_BIN_MS, TIMING_RANGE_MS, VELOCITY_BINS
from .humanization import MEAN, SAMPLED
from .reconstruction import MODEL_BATCH
from .rolls import WINDOWS, draw_roll, roll_columns
from .table import Table, TaskScores
from .windows import Windows

_DPI = 110
_MAPPED = 2000  # windows on the map of the latent space


def can_plot() -> bool:
    """Says whether Matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def draw_plots(folder: Path, engine: Engine, split: Windows, scores: dict[str, TaskScores]) -> list[Path]:
    """Draws the plots of the scored tasks as PNG files.

    Args:
        folder: An existing folder for the files.
        engine: The model.
        split: The scored windows.
        scores: Scores by task.

    Returns:
        The paths of the files, in the order of the tasks.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    drawn: list[Path] = []
    true = split.evenly_spaced(WINDOWS).loops(slice(None))
    for task, task_scores in scores.items():
        columns = roll_columns(engine, task, true)
        if columns:
            drawn.append(_draw_rolls(folder / f"{task}_rolls.png", columns))
        for name, table in task_scores.tables.items():
            if "f1_by_voice" in table.by_voice and engine.encoding != "melody":
                drawn.append(_draw_voices(folder / f"{task}_f1_by_voice.png", table, f"{task}, {name}"))
    mapped = split.evenly_spaced(_MAPPED)
    latents = _latents(engine, mapped, scores)
    if min(latents.shape) > 1:
        drawn.append(_draw_map(folder / "latent_map.png", latents, [mapped.styles[take].split("/")[0] for take in mapped.takes]))
    if "humanize" in scores:
        drawn.append(_draw_expression(folder / "humanize_distributions.png", scores["humanize"].arrays))
    return drawn


def _latents(engine: Engine, windows: Windows, scores: dict[str, TaskScores]) -> Array:
    """Returns the mean latents (n, Z) of windows, encoded as by the first scored task with an encoder; none without such a task."""
    inputs: dict[str, Callable[[Array], Array]] = {
        "reconstruct": np.asarray,
        "humanize": without_feel,
        "drumify": to_tap,
        "infill": np.asarray,
    }
    to_input = next((inputs[task] for task in scores if task in inputs), None)
    if to_input is None:
        return np.zeros((0, 2), np.float32)
    return np.concatenate([engine.encode(to_input(windows.loops(block)))[0] for block in windows.blocks("Encoding", MODEL_BATCH)])


def _draw_rolls(path: Path, columns: dict[str, Array]) -> Path:
    """Draws loops in a row for each window and a column for each heading; single loops are drawn below each other."""
    from matplotlib import pyplot as plt

    if all(len(loops) == 1 for loops in columns.values()):
        figure, axes = plt.subplots(len(columns), 1, figsize=(7, 1.6 * len(columns)), layout="constrained", squeeze=False)
        cells = [(axes[row, 0], loops[0], heading) for row, (heading, loops) in enumerate(columns.items())]
    else:
        count = max(map(len, columns.values()))
        figure, axes = plt.subplots(count, len(columns), figsize=(5 * len(columns), 1.7 * count), layout="constrained", squeeze=False)
        cells = [
            (axes[row, column], loop, heading if row == 0 else "")
            for column, (heading, loops) in enumerate(columns.items())
            for row, loop in enumerate(loops)
        ]
    for axis, loop, heading in cells:
        draw_roll(axis, loop)
        axis.set_title(heading, fontsize=9)
    return _save(figure, path)


def _draw_voices(path: Path, table: Table, title: str) -> Path:
    """Draws the F1 of each voice for every system, with the model's intervals."""
    from matplotlib import pyplot as plt

    systems = [system for system, row in table.rows.items() if np.nansum(row["f1_by_voice"].value) > 0]  # not silence
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
    """Draws mean latents (n, Z) on their two principal components, coloured by style."""
    from matplotlib import pyplot as plt
    from sklearn.decomposition import PCA

    pca = PCA(2)
    points = pca.fit_transform(latents)
    figure, axis = plt.subplots(figsize=(8, 6), layout="constrained")
    colours = plt.get_cmap("tab20")
    for number, name in enumerate(sorted(set(styles), key=lambda name: -styles.count(name))):
        x, y = points[[style == name for style in styles]].T
        axis.scatter(x, y, s=7, alpha=0.7, color=colours(number % 20), label=name or "unknown", linewidths=0)
    first, second = pca.explained_variance_ratio_
    axis.set(xlabel=f"component 1, {first:.0%} of the variance", ylabel=f"component 2, {second:.0%}", title="windows in the latent space")
    figure.legend(loc="outside right upper", fontsize=8, markerscale=2)
    return _save(figure, path)


def _draw_expression(path: Path, bins: dict[str, NDArray[Any]]) -> Path:
    """Draws the distributions of timing and velocity of human and predicted hits."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    edges = {
        "timing": np.arange(-TIMING_RANGE_MS, TIMING_RANGE_MS + TIMING_BIN_MS / 2, TIMING_BIN_MS),
        "velocity": np.linspace(0, 1, VELOCITY_BINS + 1),
    }
    for axis, (what, places) in zip(axes, edges.items(), strict=True):
        for source, style in (("human", {"fill": True, "alpha": 0.35, "color": "0.4"}), (MEAN, {}), (SAMPLED, {})):
            counts = bins[f"{source} {what}"]
            axis.stairs(counts / max(counts.sum(), 1), places, label=source, **style)
        axis.set(xlabel="timing, ms, positive is late" if what == "timing" else "velocity, 0 to 1", ylabel="share of hits")
    axes[0].legend(fontsize=8)
    return _save(figure, path)


def _save(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot as plt

    figure.savefig(path, dpi=_DPI)
    plt.close(figure)
    return path
