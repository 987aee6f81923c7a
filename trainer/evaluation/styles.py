"""Loops that were asked for by style in, whether anyone would recognise the style out: a classifier that learned from real windows.

n loops, S steps, F features, T styles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumvae.inference.engine import Engine
from drumvae.music.conditions import Conditions
from drumvae.music.encoding import VOICE_COUNT, grid_to_groove, groove_to_arrays
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.util.progress import watched

from ..data.labels import main_style
from .bootstrap import Estimate, ManifestEntry, Values, interval, take_weights
from .table import Table
from .windows import Numbers, Windows

LEAST_WINDOWS, LEAST_TAKES = 50, 2
"""A style with fewer on either side, training or scored, is left out: nothing could be said of it."""
LOOPS = 48
"""How many loops of each style are asked for."""
SEED = 0
_PENALTIES = (0.003, 0.01, 0.03, 0.1)
_FOLDS = 4
_MOST_OF_A_STYLE = 400
"""Training windows of a style, evenly spread; neighbours resemble each other."""
REAL, MADE = "real windows", "loops asked for by style"


@dataclass(frozen=True)
class Classifier:
    """Tells styles apart by a linear function of standardised features (multinomial logistic regression)."""

    centre: Values
    """(F,)."""
    scale: Values
    """(F,)."""
    weights: Values
    """(F + 1, T); the last row is added to all."""

    def recognise(self, features: Values) -> NDArray[np.int64]:
        """Returns the number of the likeliest style of each row of features (n, F)."""
        scores = _with_one((features - self.centre) / self.scale) @ self.weights
        return np.asarray(scores.argmax(axis=1), np.int64)


def style_features(loops: Array) -> Values:
    """Returns features (n, F) of grooves (n, S, 27).

    Which voice plays on which of the sixteen steps and how loud, averaged over bars; how late each voice plays; how many hits a bar
    has, how alike bars are, and how much of each voice there is.
    """
    hits, velocities, offsets = groove_to_arrays(loops)
    bars = hits.shape[1] // STEPS_PER_BAR
    by_bar = hits.reshape(len(hits), bars, STEPS_PER_BAR, VOICE_COUNT)
    often = by_bar.mean(axis=1)  # (n, 16, 9)
    loud = velocities.reshape(by_bar.shape).mean(axis=1)
    struck = np.maximum(hits.sum(axis=1), 1)
    odd = np.isin(np.arange(hits.shape[1]) % 4, (1, 3))[:, None]
    swung = (offsets * hits * odd).sum(axis=(1, 2)) / np.maximum((hits * odd).sum(axis=(1, 2)), 1)
    both, either = by_bar[:, 1:] * by_bar[:, :-1], np.maximum(by_bar[:, 1:], by_bar[:, :-1])
    alike = both.sum(axis=(1, 2, 3)) / np.maximum(either.sum(axis=(1, 2, 3)), 1)
    parts = [often.reshape(len(hits), -1), loud.reshape(len(hits), -1), velocities.sum(axis=1) / struck, offsets.sum(axis=1) / struck]
    parts += [hits.sum(axis=1) / bars, np.stack([swung, alike, hits.sum(axis=(1, 2)) / bars], axis=1)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def learn(features: Values, styles: Numbers, takes: Numbers, count: int) -> Classifier:
    """Returns a classifier of `count` styles, learned from features (n, F) of windows that are cut from takes (n,).

    Every style weighs the same, however many windows it has. How far weights may grow is chosen on takes that are left out.
    """
    folds = np.random.default_rng(SEED).permutation(int(takes.max()) + 1)[takes] % _FOLDS
    scores = []
    for penalty in watched(_PENALTIES, "Learning styles", len(_PENALTIES)):
        right = []
        for fold in range(_FOLDS):
            there, out = folds != fold, folds == fold
            found = _fitted(features[there], styles[there], count, penalty).recognise(features[out])
            right.append(balanced(found, styles[out], np.ones(int(out.sum()))))
        scores.append(np.nanmean(right))
    return _fitted(features, styles, count, _PENALTIES[int(np.argmax(scores))])


def _fitted(features: Values, styles: Numbers, count: int, penalty: float) -> Classifier:
    from scipy.optimize import minimize

    centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-3)
    inputs = _with_one((features - centre) / scale)
    wanted = np.eye(count)[styles]
    often = np.maximum(wanted.sum(axis=0), 1)
    share = (wanted / often).sum(axis=1) / count  # every style has as much weight

    def cost(flat: Values) -> tuple[float, Values]:
        weights = flat.reshape(inputs.shape[1], count)
        scores = inputs @ weights
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        slope = inputs.T @ (share[:, None] * (np.exp(logs) - wanted))
        slope[:-1] += penalty * weights[:-1]
        return float(-(share[:, None] * wanted * logs).sum() + penalty / 2 * (weights[:-1] ** 2).sum()), slope.ravel()

    found = minimize(cost, np.zeros(inputs.shape[1] * count), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return Classifier(centre, scale, found.x.reshape(inputs.shape[1], count))


def _with_one(inputs: Values) -> Values:
    return np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)


def balanced(found: Numbers, true: Numbers, weights: Values) -> float:
    """Returns the mean over styles of the share of each that was recognised; styles without weight are left out."""
    shares = [
        (weights * (found == style))[true == style].sum() / whole
        for style in np.unique(true)
        if (whole := weights[true == style].sum()) > 0
    ]
    return float(np.mean(shares))


def common_styles(engine: Engine, train: Windows, split: Windows) -> list[str]:
    """Returns the styles that the bundle can be asked for and that have windows and takes enough on both sides."""
    return [style for style in engine.info.styles if all(_is_common(side, style) for side in (train, split))]


def _is_common(windows: Windows, style: str) -> bool:
    mine = np.flatnonzero(style_numbers(windows, [style]) == 0)
    return len(mine) >= LEAST_WINDOWS and len(np.unique(windows.takes[mine])) >= LEAST_TAKES


def style_numbers(windows: Windows, styles: Sequence[str]) -> Numbers:
    """Returns the number of each window's style among some, -1 where it is none of them; (n,)."""
    of_take = [styles.index(name) if (name := main_style(take)) in styles else -1 for take in windows.styles]
    return np.array(of_take, np.int64)[windows.takes]


def style_tables(engine: Engine, train: Windows, split: Windows) -> dict[str, Table]:
    """Returns how well styles are recognised in real windows and in loops that were asked for; nothing where fewer than two can be told."""
    styles = common_styles(engine, train, split)
    if len(styles) < 2:
        return {}
    features, numbers, takes = _some_windows(train, styles)
    classifier = learn(features, numbers, takes, len(styles))
    real_features, real, real_takes = _some_windows(split, styles, most=None)
    found = {REAL: (classifier.recognise(real_features), real), MADE: _asked_for(engine, train, styles, classifier)}
    weights = {REAL: take_weights(int(real_takes.max()) + 1)[:, real_takes], MADE: take_weights(len(found[MADE][0]))}
    figures = {name: _share(*answers, weights[name]) for name, answers in found.items()}
    drawn = {name: np.array([balanced(*found[name], each) for each in weights[name][:200]]) for name in found}
    units = {REAL: len(np.unique(real_takes)), MADE: len(found[MADE][0])}
    ratio = interval(np.asarray(figures[MADE] / figures[REAL]), drawn[MADE] / drawn[REAL], min(units.values()))
    rows: dict[str, ManifestEntry] = {name: {"recognised": interval(np.asarray(figures[name]), drawn[name], units[name])} for name in found}
    rows[MADE]["of that of real windows"] = ratio
    each = {name: _by_style(*answers, styles) for name, answers in found.items()}
    about = (
        f"A logistic regression learned {', '.join(styles)} from training windows, by rhythm, loudness and timing and not by tempo. Every"
        f" style counts the same, and chance is {1 / len(styles):.2f}. {LOOPS} loops of each style were asked for."
    )
    return {"styles": Table(about, rows), "styles, each by itself": Table("The share of each style that was recognised.", each)}


def _share(found: Numbers, true: Numbers, weights: Values) -> float:
    return balanced(found, true, np.ones(weights.shape[1]))


def _by_style(found: Numbers, true: Numbers, styles: Sequence[str]) -> ManifestEntry:
    shares = {style: np.asarray((found == number)[true == number].mean()) for number, style in enumerate(styles)}
    return {style: Estimate(share, np.asarray(np.nan), np.asarray(np.nan)) for style, share in shares.items()}


def _some_windows(windows: Windows, styles: Sequence[str], most: int | None = _MOST_OF_A_STYLE) -> tuple[Values, Numbers, Numbers]:
    """Returns features, styles and takes of the windows of some styles, evenly spread where there are many."""
    numbers = style_numbers(windows, styles)
    chosen = []
    for style in range(len(styles)):
        mine = np.flatnonzero(numbers == style)
        chosen.append(mine if most is None else mine[:: max(len(mine) // most, 1)])
    places = np.sort(np.concatenate(chosen))
    return style_features(windows.loops(places)), numbers[places], windows.takes[places]


def _asked_for(engine: Engine, train: Windows, styles: Sequence[str], classifier: Classifier) -> tuple[Numbers, Numbers]:
    """Returns what loops of each style are taken for, and what they were asked to be; each at the middle tempo of its style."""
    numbers = style_numbers(train, styles)
    found = []
    for number, style in enumerate(watched(styles, "Asking for styles", len(styles))):
        bpm = float(np.median(train.bpm[numbers == number]))
        loops = engine.generate(SEED + number, count=LOOPS, conditions=Conditions(style=style, bpm=bpm))
        found.append(classifier.recognise(style_features(np.stack([grid_to_groove(grid) for grid in loops]))))
    return np.concatenate(found), np.repeat(np.arange(len(styles)), LOOPS)
