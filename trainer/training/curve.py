"""A run as it goes in, its curve out: a table of losses and scores by step, and a picture of it."""

import csv
import math
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

CURVE = "curve.csv"
FIELDS = ("step", "minutes", "train_loss", "validation_loss", "score")
ROW_EVERY = 10


class KeepCurve(Callback):
    """Adds a row to `curve.csv` every few steps, the mean training loss since the last one, and one at every validation.

    Of several processes, the first one's share of the training windows is what is shown.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / CURVE
        self._losses: list[Any] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begins a table, or cuts the one that is there back to the step that the run resumes from."""
        if trainer.is_global_zero:
            rows = [row for row in read_curve(self.path) if row["step"] <= trainer.global_step] if trainer.global_step else []
            with self.path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
                writer.writeheader()
                writer.writerows({name: "" if math.isnan(value) else value for name, value in row.items()} for row in rows)

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *_: Any) -> None:
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        self._losses.append(loss.detach())
        if len(self._losses) >= ROW_EVERY * trainer.accumulate_grad_batches:
            mean = sum(float(value) for value in self._losses) / len(self._losses) * trainer.accumulate_grad_batches
            self._losses.clear()
            self._add(trainer, pl_module, train_loss=mean)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        found = trainer.callback_metrics
        self._add(trainer, pl_module, validation_loss=float(found["validation/loss"]), score=float(found["validation/score"]))

    def _add(self, trainer: L.Trainer, pl_module: L.LightningModule, **values: float) -> None:
        if trainer.is_global_zero:
            minutes = round(pl_module.minutes(), 3)  # type: ignore[operator]  # a Kept's
            row = {"step": trainer.global_step, "minutes": minutes} | {name: round(value, 5) for name, value in values.items()}
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, FIELDS, lineterminator="\n").writerow(row)


def read_curve(path: Path) -> list[dict[str, float]]:
    """Returns the rows of a curve, nan where a row has no such value; nothing where there is no table."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(row[name] or "nan") for name in FIELDS} for row in csv.DictReader(file)]


def plot_curve(path: Path, picture: Path, title: str) -> None:
    """Draws a curve's losses, and its score on an axis of its own, by step."""
    from matplotlib.figure import Figure

    rows = read_curve(path)
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    right = axis.twinx()
    for place, name, style in ((axis, "train_loss", "-"), (axis, "validation_loss", "o-"), (right, "score", "s--")):
        points = [(row["step"], row[name]) for row in rows if not math.isnan(row[name])]
        colour = {"train_loss": "tab:blue", "validation_loss": "tab:orange", "score": "tab:green"}[name]
        place.plot(*zip(*points, strict=True), style, color=colour, label=name.replace("_", " "), markersize=3) if points else None
    axis.set(xlabel="step", ylabel="loss, nats a window", title=title)
    right.set_ylabel("validation score")
    axis.set_ylim(0, _top(rows))
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(picture, dpi=110)


def _top(rows: list[dict[str, float]]) -> float:
    """Returns where the axis ends: above the third row, so that the first steep fall does not flatten the rest."""
    losses = [row["train_loss"] for row in rows if not math.isnan(row["train_loss"])]
    return 1.1 * max(losses[min(2, len(losses) - 1) :], default=1.0)
