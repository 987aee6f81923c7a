"""Converts between beats and seconds. No other module does.

A Timeline is a value, after Ableton Link: a tempo, and one beat with its time. This module also counts four-bar cycles, including the
half step before a loop boundary that belongs to the next cycle.
"""

import math
from dataclasses import dataclass

from drumvae.music.grid import BEATS_PER_BAR, LOOP_BEATS, STEPS_PER_BEAT

EARLY_BEATS = 0.5 / STEPS_PER_BEAT
"""How early a hit of step 0 can sound: half a step. A hit within this time before a loop boundary belongs to the next cycle."""


@dataclass(frozen=True)
class Timeline:
    """Maps beats to seconds at one tempo.

    Thread-safe: yes.
    Realtime-safe: yes.

    >>> timeline = Timeline(bpm=120, origin_beats=4, origin_s=10.0)
    >>> timeline.time_at(6)
    11.0
    >>> timeline.beat_at(11.0)
    6.0
    """

    bpm: float
    """Beats (quarter notes) per minute, above 0."""
    origin_beats: float
    """A beat whose time is known."""
    origin_s: float
    """The monotonic time of that beat, in seconds."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bpm) and self.bpm > 0):
            raise ValueError(f"a tempo is above 0 bpm, not {self.bpm}")

    def beat_at(self, at_s: float) -> float:
        """Returns the beat at a time; the inverse of `time_at`."""
        return self.origin_beats + (at_s - self.origin_s) * self.bpm / 60

    def time_at(self, beat: float) -> float:
        """Returns the time of a beat in seconds; the inverse of `beat_at`."""
        return self.origin_s + (beat - self.origin_beats) * 60 / self.bpm

    def moved(self, beats: float) -> "Timeline":
        """Returns a timeline whose beat count is larger by `beats` at every time."""
        return Timeline(self.bpm, self.origin_beats + beats, self.origin_s)

    def delayed(self, seconds: float) -> "Timeline":
        """Returns a timeline that reaches every beat later by `seconds`."""
        return Timeline(self.bpm, self.origin_beats, self.origin_s + seconds)


def phase(beat: float, length_beats: float) -> float:
    """Returns the position of a beat within a length, in [0, length); negative beats are not mirrored."""
    return beat - math.floor(beat / length_beats) * length_beats


def next_boundary(beat: float, length_beats: float = LOOP_BEATS) -> float:
    """Returns the first multiple of a length that is not before a beat."""
    return math.ceil(beat / length_beats) * length_beats


def cycle_at(beat: float) -> int:
    """Returns the number of the four-bar cycle that a sounding beat belongs to.

    The last half step before a loop boundary belongs to the cycle after it.
    """
    return math.floor((beat + EARLY_BEATS) / LOOP_BEATS)


def cycle_start(number: int) -> float:
    """Returns the first beat of a cycle."""
    return float(number * LOOP_BEATS)


def bar_of(beat: float) -> int:
    """Returns the bar that a beat is in, counted from 1 as on a DAW's ruler."""
    return math.floor(beat / BEATS_PER_BAR) + 1
