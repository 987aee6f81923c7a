"""Values in, block after block, their distribution out, from counts in narrow bins: what is kept does not grow with the data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Distribution:
    """Describes a set of values; all but `count` are 0 or empty where there is none."""

    count: int
    mean: float
    sd: float
    """Of the values as they are, not of a sample of more."""
    quantiles: dict[str, float]
    """The least value at 0 and the greatest at 1; between them the middle of the bin in which the quantile lies."""
    edges: tuple[float, ...]
    """The edges of the histogram's bars, one more than there are bars."""
    counts: tuple[int, ...]
    """The values in each bar: from its lower edge up to, and without, its upper one."""


class Histogram:
    """Counts values in bins of one width; those beyond the ends are counted in the outermost bins."""

    def __init__(self, first_edge: float, width: float, bins: int) -> None:
        self._first, self._width, self._counts = first_edge, width, np.zeros(bins, np.int64)
        self._sum = self._squares = 0.0
        self._least, self._greatest = np.inf, -np.inf

    def add(self, values: ArrayLike) -> None:
        """Counts some values."""
        array = np.asarray(values, np.float64).ravel()
        if len(array):
            bins = np.floor((array - self._first) / self._width).astype(np.int64)
            self._counts += np.bincount(np.clip(bins, 0, len(self._counts) - 1), minlength=len(self._counts))
            self._sum += float(array.sum())
            self._squares += float(np.square(array).sum())
            self._least, self._greatest = min(self._least, array.min()), max(self._greatest, array.max())

    def distribution(self, joined: int = 1) -> Distribution:
        """Returns what was counted, with bars that join some bins each; the bars reach from the first value to the last."""
        count = int(self._counts.sum())
        if not count:
            return Distribution(0, 0.0, 0.0, {}, (), ())
        mean = self._sum / count
        sd = float(np.sqrt(max(self._squares / count - mean**2, 0.0)))
        edges, counts = self._bars(joined)
        quantiles = {f"{share:g}": _short(self._quantile(share, count)) for share in QUANTILES}
        return Distribution(count, _short(mean), _short(sd), quantiles, edges, counts)

    def _quantile(self, share: float, count: int) -> float:
        if share in (0, 1):
            return float(self._least if share == 0 else self._greatest)
        found = int(np.searchsorted(np.cumsum(self._counts), share * count))
        return float(np.clip(self._first + (found + 0.5) * self._width, self._least, self._greatest))

    def _bars(self, joined: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
        bars: NDArray[np.int64] = np.pad(self._counts, (0, -len(self._counts) % joined)).reshape(-1, joined).sum(axis=1)
        filled = np.flatnonzero(bars)
        first, last = int(filled[0]), int(filled[-1]) + 1
        edges = self._first + np.arange(first, last + 1) * self._width * joined
        return tuple(map(_short, edges.tolist())), tuple(bars[first:last].tolist())


def _short(value: float) -> float:
    return round(value, 4)
