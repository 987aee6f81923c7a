"""Draws loops as piano rolls on one contact sheet, a PNG file.

A mark is a hit at its exact time, larger and darker where it is louder. All rolls share one pair of axes.
"""

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drumvae.music.encoding import VOICE_COUNT, groove_to_arrays, melody_to_notes
from drumvae.music.grid import LOOP_STEPS, STEPS_PER_BAR, STEPS_PER_BEAT, Array
from drumvae.music.kit import VOICES
from drumvae.util.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROLLS = 1024
"""The most rolls on a readable sheet; further ones are left out, and the heading says so."""
_GAP_STEPS, _TITLE_LANES = 4.0, 2.2
_CELL_STEPS, _CELL_LANES = LOOP_STEPS + _GAP_STEPS, VOICE_COUNT + _TITLE_LANES
_SHAPE = 0.55  # of columns to rows: rolls are wide, and the sheet becomes a little wider than high
_ROOMY, _CROWDED = (3.6, 1.5), (1.7, 0.7)  # inches of a roll, for up to _FEW rolls and for more
_FEW = 64

Segment = list[tuple[float, float]]
Roll = tuple[str, Array]
"""A name, and at most four bars of a groove (S, 27) or of a melody (S,)."""


def draw_sheet(path: Path, loops: Sequence[Roll]) -> None:
    """Draws loops of any length, four bars a roll, into a PNG file; raises DataError if it cannot be written."""
    from matplotlib.figure import Figure

    rolls = [roll for loop in loops for roll in _cut(*loop)]
    shown = rolls[:MOST_ROLLS]
    columns = max(math.ceil(math.sqrt(len(shown) * _SHAPE)), 1)
    rows = math.ceil(len(shown) / columns)
    width, height = _ROOMY if len(shown) <= _FEW else _CROWDED
    figure = Figure(figsize=(columns * width + 1.0, rows * height + 0.7), dpi=120, layout="constrained")
    axis = figure.subplots()
    heading = f"{len(loops)} loop{'s' * (len(loops) != 1)}, four bars in a roll; louder hits are larger and darker"
    axis.set_title(heading + (f" (the first {len(shown)} of {len(rolls)} rolls)" if len(shown) < len(rolls) else ""), fontsize=9)
    _draw(axis, shown, columns, rows, font_size=7 if width == _ROOMY[0] else 4)
    data = BytesIO()
    figure.savefig(data, format="png")
    write_atomic(path, data.getvalue())


def _cut(name: str, loop: Array) -> list[Roll]:
    """Returns a loop as rolls of four bars; where there are several, their names end with their first bar."""
    if len(loop) <= LOOP_STEPS:
        return [(name, loop)]
    firsts = range(0, len(loop), LOOP_STEPS)
    return [(f"{name}, from bar {first // STEPS_PER_BAR + 1}", loop[first : first + LOOP_STEPS]) for first in firsts]


def _draw(axis: "Axes", rolls: Sequence[Roll], columns: int, rows: int, font_size: int) -> None:
    from matplotlib.collections import LineCollection, PolyCollection

    marks: list[Array] = []
    shades: list[Array] = []
    lines: list[Segment] = []
    beats: list[Segment] = []
    for number, (name, loop) in enumerate(rolls):
        x, y = number % columns * _CELL_STEPS, number // columns * _CELL_LANES  # the left end of its lowest lane; y grows downwards
        top, bottom = y + _TITLE_LANES - 0.5, y + _CELL_LANES - 0.5
        boxes, loud = _drum_marks(loop) if loop.ndim == 2 else _note_marks(loop)
        marks.append(boxes * (1, -1) + (x, bottom - 0.5))
        shades.append(loud)
        for step in range(0, len(loop) + 1, STEPS_PER_BEAT):
            (beats if step % STEPS_PER_BAR else lines).append([(x + step - 0.5, top), (x + step - 0.5, bottom)])
        axis.text(x, top - 0.25, name, fontsize=font_size, va="bottom")
        if number % columns == 0 and loop.ndim == 2:
            for voice, label in enumerate(VOICES):
                axis.text(x - 1.2, bottom - 0.5 - voice, label, fontsize=font_size * 0.7, ha="right", va="center", color="0.4")
    axis.add_collection(LineCollection(beats, colors="0.93", linewidths=0.5, zorder=0))
    axis.add_collection(LineCollection(lines, colors="0.7", linewidths=0.7, zorder=0))
    axis.add_collection(
        PolyCollection(list(np.concatenate(marks)), array=np.concatenate(shades), cmap="viridis_r", clim=(0, 1), linewidths=0)
    )
    axis.set_xlim(-9, columns * _CELL_STEPS)
    axis.set_ylim(rows * _CELL_LANES + 0.5, 0)
    axis.set_axis_off()


def _drum_marks(groove: Array) -> tuple[Array, Array]:
    """Returns a box (n, 4, 2), in steps and in lanes from the lowest, and a shade (n,) for every hit of a groove (S, 27)."""
    hits, velocities, offsets = groove_to_arrays(groove)
    steps, voices = np.nonzero(hits > 0.5)
    loud = np.clip(velocities[steps, voices], 0, 1)
    return _boxes(steps + offsets[steps, voices] - 0.4, voices.astype(np.float32), 0.8 + 0 * loud, 0.35 + 0.55 * loud), 0.25 + 0.75 * loud


def _note_marks(melody: Array) -> tuple[Array, Array]:
    """Returns a box and a shade for every note of a melody (S,); the lanes span its pitches."""
    notes = np.array(melody_to_notes(melody.astype(np.int64)), np.float32).reshape(-1, 3)
    first, end, pitch = notes.T
    lowest, reach = pitch.min(initial=127), max(float(np.ptp(pitch)) if len(pitch) else 0.0, VOICE_COUNT - 1)
    return _boxes(first - 0.5, (pitch - lowest) / reach * (VOICE_COUNT - 1), end - first - 0.2, np.full_like(first, 0.6)), 0.7 + 0 * first


def _boxes(left: Array, middle: Array, width: Array, height: Array) -> Array:
    """Returns the corners (n, 4, 2) of boxes."""
    x = np.stack([left, left, left + width, left + width], axis=1)
    y = np.stack([middle - height / 2, middle + height / 2, middle + height / 2, middle - height / 2], axis=1)
    return np.stack([x, y], axis=2).astype(np.float32)
