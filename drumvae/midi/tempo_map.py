"""Converts beats of a MIDI file to seconds by its tempo changes, and holds its meters and its length."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .tracks import ParsedMidi

_LAST_TICK = 10_000_000  # hours of music; a later tick is a damaged delta time, and its grid would fill the memory
_DEFAULT_BPM = 120.0  # of a file without a tempo, by the standard


@dataclass(frozen=True)
class Timing:
    """Holds the length, the tempi and the meters of one file.

    >>> half_speed_from_beat_4 = Timing(8.0, np.array([0.0, 4.0]), np.array([120.0, 60.0]), ((0.0, 4, 4),))
    >>> half_speed_from_beat_4.seconds(np.array([2.0, 4.0, 6.0])).tolist()
    [1.0, 2.0, 4.0]
    """

    length_beats: float
    """Where the longest track of the file ends."""
    tempo_beats: NDArray[np.float64]
    """Where each tempo begins, in beats; the first is 0."""
    tempo_bpm: NDArray[np.float64]
    """Each tempo, in beats a minute."""
    meters: tuple[tuple[float, int, int], ...]
    """Every time signature as (beat, numerator, denominator); 4/4 from the start where the file has none."""

    @classmethod
    def from_file(cls, file: ParsedMidi) -> "Timing":
        """Reads tempi and meters from the first track, where the standard puts them; raises ValueError if they make no sense."""
        if not file.tracks:
            raise ValueError("it has no track")
        last_tick = max(track.length_ticks for track in file.tracks)
        if last_tick >= _LAST_TICK:
            raise ValueError(f"it ends on tick {last_tick}")
        tempi = [(0, _DEFAULT_BPM)]
        for tick, message in file.tracks[0].of_type("set_tempo"):
            if not message.tempo:
                raise ValueError("a beat lasts 0 microseconds")
            bpm = 6e7 / message.tempo
            if tick == 0:
                tempi = [(0, bpm)]
            elif bpm != tempi[-1][1]:
                tempi.append((tick, bpm))
        ticks, bpms = np.array(tempi, np.float64).T
        signatures = file.tracks[0].of_type("time_signature")
        meters = tuple((tick / file.ticks_per_beat, message.numerator, message.denominator) for tick, message in signatures)
        return cls(last_tick / file.ticks_per_beat, ticks / file.ticks_per_beat, bpms, meters or ((0.0, 4, 4),))

    def seconds(self, beats: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the times of beats, in seconds from the start of the file."""
        segment = np.searchsorted(self.tempo_beats, beats, side="right") - 1
        segment = np.maximum(segment, 0)
        return self._tempo_seconds[segment] + (beats - self.tempo_beats[segment]) * 60 / self.tempo_bpm[segment]

    @cached_property
    def _tempo_seconds(self) -> NDArray[np.float64]:
        spans = np.diff(self.tempo_beats) * 60 / self.tempo_bpm[:-1]
        return np.concatenate([[0.0], np.cumsum(spans)])

    @property
    def length_s(self) -> float:
        """The length of the file, in seconds."""
        return float(self.seconds(np.array([self.length_beats]))[0])

    @property
    def bpm(self) -> float:
        """The tempo at the start."""
        return float(self.tempo_bpm[0])

    @property
    def four_four(self) -> bool:
        """Whether the whole file is in 4/4."""
        return all(meter[1:] == (4, 4) for meter in self.meters)
