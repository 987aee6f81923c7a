"""Writes the loss curve of a run as a table, and draws it.

Lightning's `CSVLogger` deletes the table of an earlier session when a run is resumed, so it is not used here.
"""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

CURVE = "curve.csv"
COLUMNS = ("step", "minutes", "train_loss", "validation_loss", "score")
ROW_EVERY = 10
"""Steps between rows of the training loss."""


class CurveLogger(Callback):
    """Adds a row to `curve.csv` at each validation, and every few steps one with the mean training loss since the previous one.

    With several processes, the training loss is that of the first process's windows.
    """

    def __init__(self, run: Path, minutes: Callable[[], float]) -> None:
        """Takes the run folder, and a function that returns the training time of the run in minutes."""
        self.path, self.minutes = run / CURVE, minutes
        self._losses: list[Any] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts a table, or truncates an existing one to the step from which the run resumes."""
        if trainer.is_global_zero:
            rows = [row for row in read_curve(self.path) if row["step"] <= trainer.global_step] if trainer.global_step else []
            with self.path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows({name: "" if math.isnan(value) else value for name, value in row.items()} for row in rows)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any) -> None:
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        self._losses.append(loss.detach())
        if len(self._losses) >= ROW_EVERY * trainer.accumulate_grad_batches:
            mean = sum(float(value) for value in self._losses) / len(self._losses) * trainer.accumulate_grad_batches
            self._losses.clear()
            self._add_row(trainer, train_loss=mean)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        metrics = trainer.callback_metrics
        self._add_row(trainer, validation_loss=float(metrics["validation/loss"]), score=float(metrics["validation/score"]))

    def _add_row(self, trainer: L.Trainer, **values: float) -> None:
        if trainer.is_global_zero:
            row = {"step": trainer.global_step, "minutes": round(self.minutes(), 3)}
            row |= {name: round(value, 5) for name, value in values.items()}
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)


def read_curve(path: Path) -> list[dict[str, float]]:
    """Returns the rows of a curve, with nan for missing values. A missing file has no rows."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(row[name] or "nan") for name in COLUMNS} for row in csv.DictReader(file)]


def plot_curve(path: Path, picture: Path, title: str) -> None:
    """Plots the losses by step, and the score on a second axis."""
    from matplotlib.figure import Figure

    rows = read_curve(path)
    figure = Figure(figsize=(7, 4), layout="constrained")
    losses = figure.subplots()
    score = losses.twinx()
    lines = {
        "train_loss": (losses, "-", "tab:blue"),
        "validation_loss": (losses, "o-", "tab:orange"),
        "score": (score, "s--", "tab:green"),
    }
    for name, (axis, style, colour) in lines.items():
        points = [(row["step"], row[name]) for row in rows if not math.isnan(row[name])]
        if points:
            axis.plot(*zip(*points, strict=True), style, color=colour, label=name.replace("_", " "), markersize=3)
    losses.set(xlabel="step", ylabel="loss, nats per window", title=title)
    score.set_ylabel("validation score")
    losses.set_ylim(0, _axis_limit(rows))
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(picture, dpi=110)


def _axis_limit(rows: list[dict[str, float]]) -> float:
    """Returns a limit a little above the third training loss, since the first ones would flatten the rest of the curve."""
    losses = [row["train_loss"] for row in rows if not math.isnan(row["train_loss"])]
    return 1.1 * max(losses[min(2, len(losses) - 1) :], default=1.0)
