"""A MIDI file in, its messages, what its tracks play and when its beats fall out; or a sentence that says why it is none."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..util.errors import DataError
from .tracks import MidiBytes, open_midi, read_tracks

if TYPE_CHECKING:
    from mido import MidiFile

_LAST_TICK = 10_000_000  # hours of music; what lies beyond is a damaged delta time, and a grid of it would fill the memory
_MOST_MB = 2  # a million notes take 6 MB at least, minutes and gigabytes to read; ten minutes of real drums take 0.2
_DEFAULT_BPM = 120.0  # of a file that says nothing, by the standard


@dataclass(frozen=True)
class Timing:
    """Holds the length, the tempi and the meters of one file."""

    length_beats: float
    """Where the file's longest track ends."""
    tempo_beats: NDArray[np.float64]
    """Where each tempo begins, in beats; the first is 0."""
    tempo_bpm: NDArray[np.float64]
    """Each tempo, in beats a minute."""
    meters: tuple[tuple[float, int, int], ...]
    """Every time signature as (beat, numerator, denominator); 4/4 from the start where the file has none."""

    def seconds(self, beats: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns when beats sound, in seconds from the start of the file."""
        segment = np.searchsorted(self.tempo_beats, beats, side="right") - 1
        segment = np.maximum(segment, 0)
        return self._tempo_seconds[segment] + (beats - self.tempo_beats[segment]) * 60 / self.tempo_bpm[segment]

    @cached_property
    def _tempo_seconds(self) -> NDArray[np.float64]:
        spans = np.diff(self.tempo_beats) * 60 / self.tempo_bpm[:-1]
        return np.concatenate([[0.0], np.cumsum(spans)])

    @property
    def length_s(self) -> float:
        """How long the file lasts, in seconds."""
        return float(self.seconds(np.array([self.length_beats]))[0])

    @property
    def bpm(self) -> float:
        """The tempo at the start."""
        return float(self.tempo_bpm[0])

    @property
    def four_four(self) -> bool:
        """Whether the whole file is in 4/4."""
        return all(meter[1:] == (4, 4) for meter in self.meters)


def parse_file(path: Path) -> tuple["MidiFile", MidiBytes, Timing]:
    """Returns a file's messages, what its tracks play, and when; raises DataError where it is missing, broken, huge, or has no beats."""
    data = _bytes(path)
    try:
        messages = open_midi(data)
        song = read_tracks(messages)
        if song.ticks_per_beat < 0:
            raise DataError(
                f"{path} counts time in frames a second (SMPTE) and not in beats; types 0 and 1 in beats are read: export it so."
            )
        if song.kind == 2 or not song.ticks_per_beat:
            kind = f"type {song.kind} with {song.ticks_per_beat} ticks a beat"
            raise DataError(f"{path} is a MIDI file of {kind}; types 0 and 1 in beats are read.")
        return messages, song, _timing(song)
    except ValueError as error:
        detail = f"{len(data)} bytes, {error}" if data else "it is empty"
        raise DataError(f"{path} is not a whole MIDI file ({detail}); export it again.") from None


def _bytes(path: Path) -> bytes:
    """Returns what a file holds, unless it is too much."""
    try:
        size_mb = path.stat().st_size / 1e6
        if size_mb <= _MOST_MB:
            return path.read_bytes()
    except OSError as error:
        if not path.is_file():
            raise DataError(f"There is no MIDI file {path}.") from None
        raise DataError(f"{path} cannot be read ({error.strerror or error}); type a file that can.") from None
    raise DataError(f"{path} has {size_mb:.1f} MB, hundreds of thousands of notes; up to {_MOST_MB} MB are read: cut it into parts.")


def _timing(song: MidiBytes) -> Timing:
    """Reads tempi and meters off the first track, where the standard puts them; raises ValueError where there is no sense in them."""
    if not song.tracks:
        raise ValueError("it has no track")
    last_tick = max(track.length_ticks for track in song.tracks)
    if last_tick >= _LAST_TICK:
        raise ValueError(f"it ends on tick {last_tick}")
    tempi = [(0, _DEFAULT_BPM)]
    for tick, beat_us in song.tracks[0].tempi:
        if not beat_us:
            raise ValueError("a beat lasts 0 microseconds")
        if tick == 0:
            tempi = [(0, 6e7 / beat_us)]
        elif 6e7 / beat_us != tempi[-1][1]:
            tempi.append((tick, 6e7 / beat_us))
    ticks, bpms = np.array(tempi, np.float64).T
    meters = tuple((tick / song.ticks_per_beat, upper, lower) for tick, upper, lower in song.tracks[0].meters)
    return Timing(last_tick / song.ticks_per_beat, ticks / song.ticks_per_beat, bpms, meters or ((0.0, 4, 4),))
