"""Compares captured notes with the expected notes, on the timeline of the captured MIDI clock.

Times are frames of the sound server, one count for the clock and the notes. The result does not depend on the speed of the machine.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drumvae.music.grid import LOOP_BEATS, Grid
from drumvae.music.kit import DEFAULT_KIT

CLOCK, START, CONTINUE, STOP, SONG_POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
CLOCK_PPQN = 24
TICKS_PER_POSITION = 6
NEIGHBOURS = 3
"""A gap between ticks is compared with this many gaps before and after it."""
MISSED_TICK_GAP = 1.6
"""A gap of this many median gaps has missed a tick: jitter of a tenth and a tempo step stay below it."""


class Captured(NamedTuple):
    """A message and the frame at which it was captured."""

    frame: int
    data: bytes


class Note(NamedTuple):
    """A note-on."""

    frame: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Section:
    """A section of playing, from a Start or Continue to the next Stop or jump, on the clock source's timeline."""

    beats: NDArray[np.float64]
    """The song's beat of each tick; (ticks,)."""
    frames: NDArray[np.float64]
    """When each tick was sent; (ticks,)."""
    stop_frame: float | None = None
    """When Stop was sent; None where none was captured."""

    @property
    def frames_per_beat(self) -> float:
        """The mean over the section."""
        return float((self.frames[-1] - self.frames[0]) / (self.beats[-1] - self.beats[0]))

    def frame_at(self, beat: float) -> float:
        """Returns the frame of a beat: linear between ticks, and at the mean tempo beyond them."""
        if beat > self.beats[-1] or beat < self.beats[0]:
            end = -1 if beat > self.beats[-1] else 0
            return float(self.frames[end] + (beat - self.beats[end]) * self.frames_per_beat)
        return float(np.interp(beat, self.beats, self.frames))

    def smoothed(self, window_beats: float | None = None) -> "Section":
        """Returns the section with its ticks on their least-squares line: the intended times of a source with jitter.

        With a window, each tick is moved onto the line through the ticks around it, for a source whose tempo changes.
        """
        reach = np.inf if window_beats is None else window_beats / 2
        moved = np.empty_like(self.frames)
        for i, beat in enumerate(self.beats):
            near = np.abs(self.beats - beat) <= reach
            middle = np.polyfit(self.beats[near] - beat, self.frames[near] - self.frames[i], 1)[1]
            moved[i] = self.frames[i] + middle
        return replace(self, frames=moved)

    def jitter(self, window_beats: float | None = None) -> NDArray[np.float64]:
        """Returns the distance of each tick from its smoothed time, in frames."""
        return self.frames - self.smoothed(window_beats).frames


def clock_to_sections(messages: Iterable[Captured]) -> list[Section]:
    """Returns every section of playing in a captured clock, except those of fewer than two ticks.

    MIDI 1.0: the first tick after Start is beat 0, the first after Continue is the song position, and every tick is 1/24 beat.
    A gap as long as several of its neighbours contains ticks that the source missed; they count. Ticks while stopped do not count.
    A position sent while playing moves the song at the next tick.
    """
    sections: list[Section] = []
    ticks: list[tuple[int, int]] = []  # (number of the tick from the start of the song, frame)
    playing, number = False, 0

    def close(stop_frame: float | None = None) -> None:
        if len(ticks) > 1:
            table = np.array(ticks, np.float64)
            numbers = table[:, 0] + missed_ticks(table[:, 1])
            sections.append(Section(numbers / CLOCK_PPQN, table[:, 1], stop_frame))
        ticks.clear()

    for frame, data in messages:
        if data[0] == CLOCK and playing:
            ticks.append((number, frame))
            number += 1
        elif data[0] == START:
            close()
            playing, number = True, 0
        elif data[0] == CONTINUE:
            playing = True
        elif data[0] == STOP:
            close(float(frame))
            playing = False
        elif data[0] == SONG_POSITION:
            close()
            number = (data[1] | data[2] << 7) * TICKS_PER_POSITION
    close()
    return sections


def missed_ticks(ticks: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns the number of ticks missed before each tick; (ticks,), from the frames of all ticks."""
    gaps = np.diff(ticks)
    missed = np.zeros(len(ticks), np.int64)
    for i, gap in enumerate(gaps):
        around = np.concatenate([gaps[max(i - NEIGHBOURS, 0) : i], gaps[i + 1 : i + 1 + NEIGHBOURS]])
        whole = gap / np.median(around) if len(around) > NEIGHBOURS else 1.0
        missed[i + 1] = round(whole) - 1 if whole > MISSED_TICK_GAP else 0
    return np.cumsum(missed)


def note_ons(messages: Iterable[Captured]) -> list[Note]:
    return [Note(frame, data[1], data[2]) for frame, data in messages if data[0] & 0xF0 == 0x90 and data[2]]


def active_notes(messages: Iterable[Captured]) -> set[int]:
    """Returns the pitches without a note-off after the last message."""
    held: set[int] = set()
    for _, data in messages:
        if data[0] & 0xF0 == 0x90 and data[2]:
            held.add(data[1])
        elif data[0] & 0xF0 in (0x80, 0x90):
            held.discard(data[1])
        elif data[0] & 0xF0 == 0xB0 and data[1] in (120, 123):
            held.clear()
    return held


def grid_to_notes(grid: Grid, start_beat: float, section: Section) -> list[Note]:
    """Returns the expected note of each hit of a loop that begins at `start_beat`, a loop boundary.

    Hits outside of the section are left out. An early hit of the step on which the section begins is expected with its first tick.
    """
    first, last = float(section.beats[0]), float(section.beats[-1])
    if section.stop_frame is not None:
        last = first + (section.stop_frame - float(section.frames[0])) / section.frames_per_beat
    notes = []
    for step, voice in zip(*np.nonzero(grid.hits), strict=True):
        step_beat = start_beat + step / 4
        beat = step_beat + float(grid.offsets[step, voice]) / 4
        if (step_beat < first - 1e-9 and beat < first) or beat > last:
            continue
        velocity = min(max(round(float(grid.velocities[step, voice]) * 127), 1), 127)
        notes.append(Note(section.frame_at(max(beat, first)), DEFAULT_KIT.output_notes[voice], velocity))
    return notes


def loops_to_notes(loops: Sequence[Grid], section: Section) -> list[Note]:
    """Returns all expected notes of a section with consecutive loops, the first one in the four bars where the section begins."""
    first_boundary = section.beats[0] // LOOP_BEATS * LOOP_BEATS
    notes = [grid_to_notes(grid, first_boundary + i * LOOP_BEATS, section) for i, grid in enumerate(loops)]
    return sorted(note for loop in notes for note in loop)


@dataclass(frozen=True)
class Comparison:
    """Which of the expected notes were played, and their timing errors."""

    pairs: tuple[tuple[Note, Note], ...]
    """(expected, played)."""
    missing: tuple[Note, ...]
    extra: tuple[Note, ...]

    @property
    def errors(self) -> NDArray[np.float64]:
        """Played minus expected, in frames; positive is late."""
        return np.array([played.frame - expected.frame for expected, played in self.pairs])


def match_notes(expected: Iterable[Note], played: Iterable[Note], within: float) -> Comparison:
    """Pairs notes of the same pitch, in order of time, that are at most `within` frames apart.

    A note that is played twice is paired once; the second is extra.
    """
    lists: dict[int, tuple[list[Note], list[Note]]] = defaultdict(lambda: ([], []))
    for which, notes in enumerate((expected, played)):
        for note in sorted(notes):
            lists[note.pitch][which].append(note)
    pairs, missing, extra = [], [], []
    for due, got in lists.values():
        i = j = 0
        while i < len(due) and j < len(got):
            if abs(due[i].frame - got[j].frame) <= within:
                pairs.append((due[i], got[j]))
                i, j = i + 1, j + 1
            elif due[i].frame < got[j].frame:
                missing.append(due[i])
                i += 1
            else:
                extra.append(got[j])
                j += 1
        missing += due[i:]
        extra += got[j:]
    return Comparison(tuple(sorted(pairs)), tuple(sorted(missing)), tuple(sorted(extra)))


def error_stats(errors_ms: NDArray[np.float64]) -> str:
    """Returns one line with the mean error and percentiles of the absolute error."""
    if not len(errors_ms):
        return "no notes"
    p50, p95 = np.percentile(np.abs(errors_ms), (50, 95))
    return f"n {len(errors_ms)}  mean {errors_ms.mean():+.2f}  p50 {p50:.2f}  p95 {p95:.2f}  max {np.abs(errors_ms).max():.2f} ms"
