"""A corpus in, what each of its windows is out: style, tempo, density and which bars are fills. NumPy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.kit import VOICES

from .corpus import Corpus

FILL_HITS = 3
"""A bar with so many more hits of the toms than the median bar of its take is a fill."""
_TOMS = [VOICES.index(name) for name in ("low tom", "mid tom", "high tom")]


class Labels(NamedTuple):
    """What is known of n windows beside their notes."""

    style: Array
    """1 at the style, all 0 where it is none of those that the model knows; (n, T)."""
    bpm: Array
    """Beats a minute; (n,)."""
    fill: Array
    """1 where a bar is a fill, else -1; (n, R)."""


class WindowLabels:
    """Knows what every window of a corpus of drums is."""

    def __init__(self, corpus: Corpus, styles: tuple[str, ...]) -> None:
        self._corpus = corpus
        known = {name: number for number, name in enumerate(styles)}
        self._styles = np.array([known.get(main_style(take.style), -1) for take in corpus.takes], np.int64)
        self._eye = np.concatenate([np.eye(len(styles), dtype=np.float32), np.zeros((1, len(styles)), np.float32)])
        self._fills = _fills(corpus)
        by_take = np.argsort(corpus.take_indices, kind="stable")
        bounds = np.searchsorted(corpus.take_indices[by_take], np.arange(len(corpus.takes) + 1))
        self._by_take, self._bounds = by_take, bounds

    def of(self, windows: NDArray[np.int64]) -> Labels:
        """Returns the labels of some windows."""
        bars = self._corpus.first_steps[windows][:, None] // STEPS_PER_BAR + np.arange(self._corpus.options.bars)
        style = self._eye[self._styles[self._corpus.take_indices[windows]]]
        return Labels(style, np.asarray(self._corpus.window_bpm[windows], np.float32), self._fills[bars])

    def crowd(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns for each window how many its take has; (n,)."""
        return np.diff(self._bounds)[self._corpus.take_indices[windows]]

    def partners(self, windows: NDArray[np.int64], chances: Array) -> NDArray[np.int64]:
        """Returns for each window another of the same take, by chances (n,) in [0, 1)."""
        takes = self._corpus.take_indices[windows]
        first, last = self._bounds[takes], self._bounds[takes + 1]
        return np.asarray(self._by_take[first + np.floor(chances * (last - first)).astype(np.int64)])


def main_style(style: str) -> str:
    """Returns the style without what follows the slash: "funk" of "funk/groove1"."""
    return style.split("/", maxsplit=1)[0].strip()


def _fills(corpus: Corpus) -> Array:
    """Returns 1 for each bar of the long grid that is a fill, else -1: a take that is one, or more toms than that take's bars have."""
    fills = np.full(len(corpus.hits) // STEPS_PER_BAR, -1, np.float32)
    for take in corpus.takes:
        bars = slice(take.first_step // STEPS_PER_BAR, (take.first_step + take.steps) // STEPS_PER_BAR)
        toms = corpus.hits[take.first_step : take.first_step + take.steps][:, _TOMS].reshape(-1, STEPS_PER_BAR * len(_TOMS)).sum(axis=1)
        filled = (toms >= np.median(toms) + FILL_HITS) | (take.beat_type == "fill")
        fills[bars] = np.where(filled, 1, -1)
    return fills
