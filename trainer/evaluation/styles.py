"""Measures how well a classifier, trained on real windows, recognises the style of loops that were generated with a style.

n loops, S steps, F features, T styles.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.conditions import Conditions
from drumvae.music.encoding import VOICE_COUNT, grid_to_groove, groove_to_arrays
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.util.progress import watched

from ..data.labels import main_style
from .bootstrap import GENERATION_RESAMPLES, FloatArray, IntArray, Metrics, interval, take_weights, without_interval
from .table import Table
from .windows import Windows

MIN_WINDOWS, MIN_TAKES = 50, 2
"""A style with fewer in the training or in the scored windows is left out."""
LOOPS = 48
"""Generated loops of each style."""
SEED = 0
REAL, GENERATED = "real windows", "loops asked for by style"
_PENALTIES = (0.003, 0.01, 0.03, 0.1)  # of half the squared weights, relative to the mean loss; on a tie the first is chosen
_FOLDS = 4
_MIN_VARIANCE = 1e-6  # of a feature; scaling would amplify the rounding of a constant one
_MAX_OF_STYLE = 400  # training windows of a style, evenly spaced; neighbouring windows resemble each other


def style_features(loops: Array) -> FloatArray:
    """Returns features (n, F) of grooves (n, S, 27).

    They are: hit rate and velocity by voice and step of the bar, averaged over bars; mean velocity, mean offset and hits per bar of each
    voice; swing, similarity of neighbouring bars, and hits per bar.
    """
    hits, velocities, offsets = groove_to_arrays(loops)
    bars = hits.shape[1] // STEPS_PER_BAR
    by_bar = hits.reshape(len(hits), bars, STEPS_PER_BAR, VOICE_COUNT)
    rate = by_bar.mean(axis=1)  # (n, 16, 9)
    velocity = velocities.reshape(by_bar.shape).mean(axis=1)
    count = np.maximum(hits.sum(axis=1), 1)
    odd = np.isin(np.arange(hits.shape[1]) % 4, (1, 3))[:, None]
    swing = (offsets * hits * odd).sum(axis=(1, 2)) / np.maximum((hits * odd).sum(axis=(1, 2)), 1)
    both, either = by_bar[:, 1:] * by_bar[:, :-1], np.maximum(by_bar[:, 1:], by_bar[:, :-1])
    similarity = both.sum(axis=(1, 2, 3)) / np.maximum(either.sum(axis=(1, 2, 3)), 1)
    parts = [rate.reshape(len(hits), -1), velocity.reshape(len(hits), -1), velocities.sum(axis=1) / count, offsets.sum(axis=1) / count]
    parts += [hits.sum(axis=1) / bars, np.stack([swing, similarity, hits.sum(axis=(1, 2)) / bars], axis=1)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def fit_classifier(features: FloatArray, styles: IntArray, takes: IntArray) -> Any:
    """Returns a logistic regression on standardised features whose penalty is chosen by cross-validation over takes.

    Every style has the same weight, however many windows it has.

    Args:
        features: (n, F).
        styles: The number of each window's style, (n,).
        takes: The take of each window, (n,); a take is never in both parts of a fold.

    Returns:
        A fitted scikit-learn estimator with `predict`.
    """
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def score(model: Any, held_out: FloatArray, true: IntArray) -> float:
        return balanced_accuracy(model.predict(held_out), true)

    varying = VarianceThreshold(_MIN_VARIANCE)
    model = make_pipeline(varying, StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    folds = np.random.default_rng(SEED).permutation(int(takes.max()) + 1)[takes] % _FOLDS
    strengths = {"logisticregression__C": [1 / (penalty * len(features)) for penalty in _PENALTIES]}
    return GridSearchCV(model, strengths, scoring=score, cv=PredefinedSplit(folds)).fit(features, styles)


def balanced_accuracy(predicted: IntArray, true: IntArray, weights: FloatArray | None = None) -> float:
    """Returns the mean recall of the styles; leaves out styles without weight, of which scikit-learn's function warns."""
    weights = np.ones(len(true)) if weights is None else weights
    recalls = [
        (weights * (predicted == style))[true == style].sum() / total
        for style in np.unique(true)
        if (total := weights[true == style].sum()) > 0
    ]
    return float(np.mean(recalls))


def common_styles(engine: Engine, train: Windows, split: Windows) -> list[str]:
    """Returns the styles of the bundle that have enough windows and takes both in training and in the split."""
    return [style for style in engine.info.styles if all(_is_common(windows, style) for windows in (train, split))]


def _is_common(windows: Windows, style: str) -> bool:
    indices = np.flatnonzero(style_numbers(windows, [style]) == 0)
    return len(indices) >= MIN_WINDOWS and len(np.unique(windows.takes[indices])) >= MIN_TAKES


def style_numbers(windows: Windows, styles: Sequence[str]) -> IntArray:
    """Returns the number of each window's style in `styles`, -1 for another one; (n,)."""
    of_take = [styles.index(name) if (name := main_style(take)) in styles else -1 for take in windows.styles]
    return np.array(of_take, np.int64)[windows.takes]


def style_tables(engine: Engine, train: Windows, split: Windows) -> dict[str, Table]:
    """Returns the balanced accuracy on real windows and on generated loops; nothing if fewer than two styles are common."""
    styles = common_styles(engine, train, split)
    if len(styles) < 2:
        return {}
    classifier = fit_classifier(*_labelled_features(train, styles, _MAX_OF_STYLE))
    features, real, takes = _labelled_features(split, styles)
    answers = {REAL: (classifier.predict(features), real), GENERATED: _classify_generated(engine, train, styles, classifier)}
    weights = {
        REAL: take_weights(int(takes.max()) + 1, GENERATION_RESAMPLES)[:, takes],
        GENERATED: take_weights(len(answers[GENERATED][0]), GENERATION_RESAMPLES),
    }
    units = {REAL: len(np.unique(takes)), GENERATED: len(answers[GENERATED][0])}
    values = {name: np.asarray(balanced_accuracy(*answers[name])) for name in answers}
    resampled = {name: np.array([balanced_accuracy(*answers[name], row) for row in weights[name]]) for name in answers}
    rows: dict[str, Metrics] = {name: {"recognised": interval(values[name], resampled[name], units[name])} for name in answers}
    relative = interval(values[GENERATED] / values[REAL], resampled[GENERATED] / resampled[REAL], min(units.values()))
    rows[GENERATED]["of that of real windows"] = relative
    recalls = {name: _recalls(*answer, styles) for name, answer in answers.items()}
    about = (
        f"Balanced accuracy of a logistic regression trained on real windows of {', '.join(styles)}, by rhythm, velocity and timing and not"
        f" by tempo. Chance is {1 / len(styles):.2f}. {LOOPS} loops of each style were generated."
    )
    return {"styles": Table(about, rows), "styles, each by itself": Table("Recall of each style.", recalls)}


def _recalls(predicted: IntArray, true: IntArray, styles: Sequence[str]) -> Metrics:
    return {style: without_interval((predicted == number)[true == number].mean()) for number, style in enumerate(styles)}


def _labelled_features(windows: Windows, styles: Sequence[str], limit: int | None = None) -> tuple[FloatArray, IntArray, IntArray]:
    """Returns features, style numbers and takes of the windows of some styles; with `limit`, evenly spaced ones of each style."""
    numbers = style_numbers(windows, styles)
    groups = [np.flatnonzero(numbers == style) for style in range(len(styles))]
    indices = np.sort(np.concatenate([group if limit is None else group[:: max(len(group) // limit, 1)] for group in groups]))
    return style_features(windows.loops(indices)), numbers[indices], windows.takes[indices]


def _classify_generated(engine: Engine, train: Windows, styles: Sequence[str], classifier: Any) -> tuple[IntArray, IntArray]:
    """Returns predicted and requested styles of loops that are generated at the median tempo of their style."""
    numbers = style_numbers(train, styles)
    predicted = []
    for number, style in enumerate(watched(styles, "Generating loops by style", len(styles))):
        bpm = float(np.median(train.bpm[numbers == number]))
        loops = engine.generate(SEED + number, count=LOOPS, conditions=Conditions(style=style, bpm=bpm))
        predicted.append(classifier.predict(style_features(np.stack([grid_to_groove(grid) for grid in loops]))))
    return np.concatenate(predicted), np.repeat(np.arange(len(styles)), LOOPS)
