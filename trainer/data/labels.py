"""Labels the windows of a corpus with style, tempo and the bars that are fills. Only NumPy is needed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.kit import VOICES

from .corpus import Corpus

FILL_HITS = 3
"""A bar is a fill if it has at least this many more tom hits than the median bar of its take."""
_TOMS = [VOICES.index(name) for name in ("low tom", "mid tom", "high tom")]


class Labels(NamedTuple):
    """Labels of n windows."""

    style: Array
    """One-hot over the T styles of the model, all 0 for any other style; (n, T)."""
    bpm: Array
    """Beats a minute; (n,)."""
    fill: Array
    """1 for a bar that is a fill, else -1; (n, R)."""


class WindowLabels:
    """Looks up the labels of the windows of a drum corpus, and other windows of the same take."""

    def __init__(self, corpus: Corpus, styles: tuple[str, ...]) -> None:
        self._corpus = corpus
        indices = {name: number for number, name in enumerate(styles)}
        self._styles = np.array([indices.get(main_style(take.style), -1) for take in corpus.takes], np.int64)
        self._eye = np.concatenate([np.eye(len(styles), dtype=np.float32), np.zeros((1, len(styles)), np.float32)])
        self._fills = _fills(corpus)
        by_take = np.argsort(corpus.take_indices, kind="stable")
        bounds = np.searchsorted(corpus.take_indices[by_take], np.arange(len(corpus.takes) + 1))
        self._by_take, self._bounds = by_take, bounds

    def for_windows(self, windows: NDArray[np.int64]) -> Labels:
        """Returns the labels of windows (n,)."""
        bars = self._corpus.first_steps[windows][:, None] // STEPS_PER_BAR + np.arange(self._corpus.options.bars)
        style = self._eye[self._styles[self._corpus.take_indices[windows]]]
        return Labels(style, np.asarray(self._corpus.window_bpm[windows], np.float32), self._fills[bars])

    def windows_per_take(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns for each window (n,) the number of windows of its take, (n,)."""
        return np.diff(self._bounds)[self._corpus.take_indices[windows]]

    def same_take(self, windows: NDArray[np.int64], uniform: Array) -> NDArray[np.int64]:
        """Returns for each window (n,) a window of the same take, chosen by uniform numbers (n,) in [0, 1)."""
        takes = self._corpus.take_indices[windows]
        first, last = self._bounds[takes], self._bounds[takes + 1]
        return np.asarray(self._by_take[first + np.floor(uniform * (last - first)).astype(np.int64)])


def main_style(style: str) -> str:
    """Returns the part of a style before the slash.

    >>> main_style("funk/groove1")
    'funk'
    """
    return style.split("/", maxsplit=1)[0].strip()


def _fills(corpus: Corpus) -> Array:
    """Returns 1 for each bar of the corpus grid that is a fill, else -1: by the label of its take, or by its number of tom hits."""
    fills = np.full(len(corpus.hits) // STEPS_PER_BAR, -1, np.float32)
    for take in corpus.takes:
        bars = slice(take.first_step // STEPS_PER_BAR, (take.first_step + take.steps) // STEPS_PER_BAR)
        toms = corpus.hits[take.first_step : take.first_step + take.steps][:, _TOMS].reshape(-1, STEPS_PER_BAR * len(_TOMS)).sum(axis=1)
        is_fill = (toms >= np.median(toms) + FILL_HITS) | (take.beat_type == "fill")
        fills[bars] = np.where(is_fill, 1, -1)
    return fills
