"""Beats in, seconds out, and back: the only place where the two meet.

A Timeline is a value, after Ableton Link: a tempo, and one beat whose time is known. Four-bar lines, and the half step of
earliness that a hit may have before them, are counted here too.
"""

import math
from dataclasses import dataclass, replace

from drumvae.music.grid import BEATS_PER_BAR, LOOP_BEATS, STEPS_PER_BEAT

EARLY_BEATS = 0.5 / STEPS_PER_BEAT
"""How early a hit of step 0 can sound: half a step. What sounds from here on belongs to the next pass."""


@dataclass(frozen=True)
class Timeline:
    """Maps beats to seconds at one tempo; any thread may share it."""

    bpm: float
    """Beats (quarter notes) a minute, above 0."""
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
        """Returns a timeline that counts so many beats more at every moment."""
        return replace(self, origin_beats=self.origin_beats + beats)

    def delayed(self, seconds: float) -> "Timeline":
        """Returns a timeline on which every beat falls so many seconds later."""
        return replace(self, origin_s=self.origin_s + seconds)


def phase(beat: float, length_beats: float) -> float:
    """Returns where a beat lies within a length, in [0, length); negative beats are not mirrored."""
    return beat - math.floor(beat / length_beats) * length_beats


def next_boundary(beat: float, length_beats: float = LOOP_BEATS) -> float:
    """Returns the first multiple of a length that is not before a beat."""
    return math.ceil(beat / length_beats) * length_beats


def cycle_at(beat: float) -> int:
    """Returns which four-bar pass a sounding beat belongs to; the last half step before a line belongs to the pass after it."""
    return math.floor((beat + EARLY_BEATS) / LOOP_BEATS)


def cycle_start(number: int) -> float:
    """Returns the beat at which a pass begins."""
    return float(number * LOOP_BEATS)


def bar_of(beat: float) -> int:
    """Returns the bar a beat lies in, counted from 1 as on a DAW's ruler."""
    return math.floor(beat / BEATS_PER_BAR) + 1
