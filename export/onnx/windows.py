"""Cuts evenly spaced windows from a folder of MIDI takes, for the comparison of two versions of a model."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from drumvae.midi.io import read_midi
from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import BEATS_PER_BAR, STEPS_PER_BAR, Array
from drumvae.util.errors import DataError

MAX_WINDOWS = 1000


def validation_windows(folder: Path, steps: int, most: int = MAX_WINDOWS) -> Array:
    """Returns grooves (n, S, 27) of the validation takes of a folder, or of all takes if the folder has no info.csv.

    Files without drums, files that are not MIDI and takes shorter than a loop are left out; raises DataError if nothing is left.
    """
    windows = [window for path in _paths(folder) for window in _cut(path, steps)]
    if not windows:
        raise DataError(f"{folder} holds no take of {steps // STEPS_PER_BAR} bars in 4/4; name a folder of MIDI files that does.")
    kept = np.linspace(0, len(windows) - 1, min(len(windows), most)).astype(np.int64)
    return np.stack([windows[index] for index in kept])


def _paths(folder: Path) -> list[Path]:
    table = folder / "info.csv"
    if not table.is_file():
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return [folder / row["midi_filename"] for row in rows if (row["split"], row["time_signature"]) == ("validation", "4-4")]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError) as error:
        raise DataError(f"{table} cannot be read ({error}); fetch the data set again.") from None


def _cut(path: Path, steps: int) -> Iterator[Array]:
    """Yields a take's windows, one from each bar."""
    try:
        take = read_midi(path)
    except DataError:
        return
    bars = int(take.beats[-1] // BEATS_PER_BAR) + 1
    if take.four_four and bars * STEPS_PER_BAR >= steps:
        grid = take.grid(bars * STEPS_PER_BAR)
        for first in range(0, bars * STEPS_PER_BAR - steps + 1, STEPS_PER_BAR):
            yield grid_to_groove(grid.window(first, steps))
