"""Laws of the scores of styles and controls."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from helpers.oracle import windows

from drumvae.music.conditions import Conditions
from drumvae.music.encoding import grid_to_groove, groove_to_grid
from drumvae.music.grid import Array, Grid
from drumvae.trainer.evaluation.controls import control_tables, hit_similarity, hits_per_bar, toms_in_last_bar, weak_sixteenth_share
from drumvae.trainer.evaluation.styles import (
    GENERATED,
    REAL,
    balanced_accuracy,
    common_styles,
    fit_classifier,
    style_features,
    style_tables,
)
from drumvae.trainer.evaluation.windows import Windows

STYLES = ("rock", "jazz")


def of_style(style: str, seed: int) -> Array:
    """Returns a groove (S, 27) of a style: rock has eighths on the closed hat, jazz on the ride; other hits are random."""
    draw = np.random.default_rng([STYLES.index(style), seed])
    hits = (draw.random((64, 9)) < 0.05).astype(np.float32)
    hits[::2, 2 if style == "rock" else 8] = 1
    return np.concatenate([hits, hits * 0.6, hits * 0.1], axis=-1).astype(np.float32)


def some_windows(first: int, count: int = 120, shuffled: bool = False) -> Windows:
    """Returns windows of alternating styles, ten to a take, or with the styles of takes at random."""
    names = [STYLES[take % 2] for take in range(count // 10)]
    loops = np.stack([of_style(names[number // 10], first + number) for number in range(count)])
    plain = windows(loops, [number // 10 for number in range(count)])
    styles = list(np.random.default_rng(3).permutation(names)) if shuffled else names
    return Windows(plain.read, plain.numbers, plain.bpm, plain.takes, tuple(f"{name}/one" for name in styles))


class FakeDrummer:
    """An engine whose loops follow its controls and, if `obeys`, the requested style."""

    def __init__(self, obeys: bool = True) -> None:
        self.obeys = obeys
        self.info: Any = type("Info", (), {"styles": STYLES})()

    def generate(
        self, seed: int, count: int = 1, density: float = 1.0, conditions: Conditions | None = None, complexity: float = 0.0
    ) -> list[Grid]:
        requested = conditions or Conditions()
        style = requested.style or "rock"
        loops = np.stack([of_style(style if self.obeys else "rock", 1000 + seed + number) for number in range(count)])
        draw = np.random.default_rng(seed)
        hits = loops[..., :9]
        hits *= draw.random(hits.shape) < 0.4 * density * (requested.hits_a_bar or 10) / 10
        hits[:, 1::2] *= draw.random(hits[:, 1::2].shape) < (complexity + 1) / 2
        if requested.fill and requested.fill[-1]:
            hits[:, 50, 4:7] = 1
        feel = np.concatenate([hits * 0.5, hits * 0.1], axis=-1)
        return [groove_to_grid(np.concatenate(parts, axis=-1)) for parts in zip(hits, feel, strict=True)]

    def vary(self, grid: Grid, amount: float, seed: int) -> Grid:
        kept = np.random.default_rng(seed).random(grid.hits.shape) >= amount
        return groove_to_grid(grid_to_groove(grid) * np.tile(kept, 3))

    def humanize(self, grid: Grid, amount: float) -> Grid:
        return Grid(grid.hits, grid.velocities, grid.offsets + 0.2 * amount * grid.hits)


def test_distinct_styles_are_recognised_and_random_labels_are_not() -> None:
    train, split = some_windows(0), some_windows(500)
    numbers = np.array([STYLES.index(split.styles[take].split("/")[0]) for take in split.takes])
    features = [style_features(windows.loops(np.arange(len(windows)))) for windows in (train, split)]
    clear = fit_classifier(features[0], numbers, train.takes)
    assert balanced_accuracy(clear.predict(features[1]), numbers) == 1
    random = fit_classifier(features[0], np.random.default_rng(0).integers(0, 2, len(numbers)), train.takes)
    assert 0.2 < balanced_accuracy(random.predict(features[1]), numbers) < 0.8


def test_every_style_has_the_same_weight_in_balanced_accuracy() -> None:
    true, predicted = np.array([0] * 90 + [1] * 10), np.zeros(100, np.int64)
    assert balanced_accuracy(predicted, true) == pytest.approx(0.5)


def test_loops_of_the_requested_style_are_recognised_like_real_windows() -> None:
    train, split = some_windows(0), some_windows(500)
    rows = style_tables(FakeDrummer(), train, split)["styles"].rows  # type: ignore[arg-type]
    assert rows[REAL]["recognised"].value == 1
    assert rows[GENERATED]["of that of real windows"].value > 0.9
    rows = style_tables(FakeDrummer(obeys=False), train, split)["styles"].rows  # type: ignore[arg-type]
    assert rows[GENERATED]["recognised"].value == pytest.approx(0.5, abs=0.1)


def test_styles_with_few_windows_are_left_out() -> None:
    few = some_windows(0, 40)
    assert common_styles(FakeDrummer(), some_windows(0), few) == []  # type: ignore[arg-type]
    assert style_tables(FakeDrummer(), some_windows(0), few) == {}  # type: ignore[arg-type]


def test_measurements_follow_the_controls() -> None:
    for name, table in control_tables(FakeDrummer()).items():  # type: ignore[arg-type]
        values = [float(figure.value) for figure in table.rows["model"].values()]
        falls = "stay" in name
        assert values == sorted(values, reverse=falls), name
        assert values[0] != values[-1], name


def test_measures_of_controls_equal_counts_by_hand(groove: Grid) -> None:
    assert hits_per_bar([groove]) == groove.hits.sum() / 4
    assert weak_sixteenth_share([Grid.from_text("kick xx..xx..|")]) == 0.5
    assert toms_in_last_bar([groove]) == 0
    assert hit_similarity(groove, groove) == 1
