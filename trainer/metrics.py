"""Grooves that a model wrote beside the true ones in, scores out. n windows, S steps, V voices; groove tensors (n, S, 3 V)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drumvae.grid import STEPS_PER_BEAT, Array
from drumvae.tensors import OFFSET_SCALE


@dataclass(frozen=True)
class Scores:
    """Compares written with true hits; the errors are means over hits that both have."""

    precision: float
    """Share of the written hits that are true."""
    recall: float
    """Share of the true hits that were written."""
    f1: float
    """Harmonic mean of the two, over all cells at once (micro)."""
    velocity_error: float
    """Mean absolute error, 0 to 1."""
    timing_error_ms: float
    """Mean absolute error, in milliseconds at the tempo of each window."""


def score(written: Array, true: Array, bpm: Array) -> Scores:
    """Scores groove tensors (n, S, 3 V) against the true ones at tempi (n,)."""
    hits, velocities, offsets = np.split(written, 3, axis=-1)
    true_hits, true_velocities, true_offsets = np.split(true, 3, axis=-1)
    both = (hits > 0.5) & (true_hits > 0.5)
    matched = int(both.sum())
    off_ms = np.abs(offsets - true_offsets) / OFFSET_SCALE * step_ms(bpm)[:, None, None]
    return Scores(
        precision=_ratio(matched, float((hits > 0.5).sum())),
        recall=_ratio(matched, float((true_hits > 0.5).sum())),
        f1=_ratio(2 * matched, float((hits > 0.5).sum() + (true_hits > 0.5).sum())),
        velocity_error=float(np.abs(velocities - true_velocities)[both].mean()) if matched else float("nan"),
        timing_error_ms=float(off_ms[both].mean()) if matched else float("nan"),
    )


def voice_f1(written: Array, true: Array) -> list[float]:
    """Returns F1 of each voice, nan where it neither plays nor should."""
    hits, true_hits = (np.split(a, 3, axis=-1)[0] > 0.5 for a in (written, true))
    matched = (hits & true_hits).sum(axis=(0, 1))
    total = hits.sum(axis=(0, 1)) + true_hits.sum(axis=(0, 1))
    return [float(2 * m / t) if t else float("nan") for m, t in zip(matched, total, strict=True)]


def step_ms(bpm: Array) -> NDArray[np.float64]:
    """Returns how long a sixteenth lasts at each tempo, in milliseconds."""
    return 60_000 / (np.asarray(bpm, np.float64) * STEPS_PER_BEAT)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
