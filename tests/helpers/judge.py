"""Captured MIDI in, a verdict out: where the sender's beats lay, which notes were due, how far off each one was. Pure.

Times are frames of the sound server, one count for the clock and the notes, so that nothing here depends on the speed of the
machine that captured them.
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
"""A gap between ticks is compared with so many before and after it."""
LOST_TICKS = 1.6
"""A gap of so many usual ones has lost a tick: jitter of a tenth and a step of tempo stay below it."""


class Captured(NamedTuple):
    """A message and the frame at which it lay on the wire."""

    frame: int
    data: bytes


class Note(NamedTuple):
    """A note-on."""

    frame: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Stretch:
    """One stretch of playing, from a Start or Continue to the next Stop or jump, on the sender's own timeline."""

    beats: NDArray[np.float64]
    """The song's beat of each tick; (ticks,)."""
    frames: NDArray[np.float64]
    """When each tick was sent; (ticks,)."""
    stop_frame: float | None = None
    """When Stop was sent; None where none was captured."""

    @property
    def frames_per_beat(self) -> float:
        """The mean over the stretch."""
        return float((self.frames[-1] - self.frames[0]) / (self.beats[-1] - self.beats[0]))

    def frame_at(self, beat: float) -> float:
        """Returns when a beat lay: linear between ticks, and beyond the last one at the mean tempo."""
        if beat > self.beats[-1] or beat < self.beats[0]:
            end = -1 if beat > self.beats[-1] else 0
            return float(self.frames[end] + (beat - self.beats[end]) * self.frames_per_beat)
        return float(np.interp(beat, self.beats, self.frames))

    def smoothed(self, window_beats: float | None = None) -> "Stretch":
        """Returns the straight line through the ticks, by least squares: what a sender with jitter means.

        With a window, each tick is moved onto the line through the ticks around it: what a sender means whose tempo wanders.
        """
        reach = np.inf if window_beats is None else window_beats / 2
        moved = np.empty_like(self.frames)
        for i, beat in enumerate(self.beats):
            near = np.abs(self.beats - beat) <= reach
            middle = np.polyfit(self.beats[near] - beat, self.frames[near] - self.frames[i], 1)[1]
            moved[i] = self.frames[i] + middle
        return replace(self, frames=moved)

    def jitter(self, window_beats: float | None = None) -> NDArray[np.float64]:
        """Returns how far each tick lay from where smoothing puts it, in frames."""
        return self.frames - self.smoothed(window_beats).frames


def clock_to_stretches(messages: Iterable[Captured]) -> list[Stretch]:
    """Returns every stretch of playing that a captured clock holds, those of fewer than two ticks left out.

    MIDI 1.0: the first tick after Start is beat 0, the first after Continue is the song position, and every tick is 1/24 beat.
    A gap as long as several of those around it holds ticks that the sender lost; they count. Ticks while stopped do not count; a
    position sent while playing moves the song at the next tick.
    """
    stretches: list[Stretch] = []
    ticks: list[tuple[int, int]] = []  # (number of the tick from the start of the song, frame)
    playing, number = False, 0

    def close(stop_frame: float | None = None) -> None:
        if len(ticks) > 1:
            table = np.array(ticks, np.float64)
            numbers = table[:, 0] + lost_ticks(table[:, 1])
            stretches.append(Stretch(numbers / CLOCK_PPQN, table[:, 1], stop_frame))
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
    return stretches


def lost_ticks(ticks: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns how many ticks were lost before each one; (ticks,), from the frames of all."""
    gaps = np.diff(ticks)
    lost = np.zeros(len(ticks), np.int64)
    for i, gap in enumerate(gaps):
        around = np.concatenate([gaps[max(i - NEIGHBOURS, 0) : i], gaps[i + 1 : i + 1 + NEIGHBOURS]])
        whole = gap / np.median(around) if len(around) > NEIGHBOURS else 1.0
        lost[i + 1] = round(whole) - 1 if whole > LOST_TICKS else 0
    return np.cumsum(lost)


def note_ons(messages: Iterable[Captured]) -> list[Note]:
    return [Note(frame, data[1], data[2]) for frame, data in messages if data[0] & 0xF0 == 0x90 and data[2]]


def sounding(messages: Iterable[Captured]) -> set[int]:
    """Returns the pitches that still sound after the last message."""
    held: set[int] = set()
    for _, data in messages:
        if data[0] & 0xF0 == 0x90 and data[2]:
            held.add(data[1])
        elif data[0] & 0xF0 in (0x80, 0x90):
            held.discard(data[1])
        elif data[0] & 0xF0 == 0xB0 and data[1] in (120, 123):
            held.clear()
    return held


def grid_to_notes(grid: Grid, line_beats: float, stretch: Stretch) -> list[Note]:
    """Returns when each hit of a loop is due that begins on a four-bar line of a stretch.

    What the stretch does not cover is left out. An early hit of the step on which the stretch begins is due with its first tick.
    """
    first, last = float(stretch.beats[0]), float(stretch.beats[-1])
    if stretch.stop_frame is not None:
        last = first + (stretch.stop_frame - float(stretch.frames[0])) / stretch.frames_per_beat
    notes = []
    for step, voice in zip(*np.nonzero(grid.hits), strict=True):
        step_beat = line_beats + step / 4
        beat = step_beat + float(grid.offsets[step, voice]) / 4
        if (step_beat < first - 1e-9 and beat < first) or beat > last:
            continue
        velocity = min(max(round(float(grid.velocities[step, voice]) * 127), 1), 127)
        notes.append(Note(stretch.frame_at(max(beat, first)), DEFAULT_KIT.output_notes[voice], velocity))
    return notes


def loops_to_notes(loops: Sequence[Grid], stretch: Stretch) -> list[Note]:
    """Returns every note due in a stretch in which loops follow each other, the first one in the four bars where it begins."""
    first_line = stretch.beats[0] // LOOP_BEATS * LOOP_BEATS
    notes = [grid_to_notes(grid, first_line + i * LOOP_BEATS, stretch) for i, grid in enumerate(loops)]
    return sorted(note for loop in notes for note in loop)


@dataclass(frozen=True)
class Verdict:
    """Says which notes came, and how far off."""

    pairs: tuple[tuple[Note, Note], ...]
    """(due, played)."""
    missing: tuple[Note, ...]
    extra: tuple[Note, ...]

    @property
    def errors(self) -> NDArray[np.float64]:
        """Played minus due, in frames; positive is late."""
        return np.array([played.frame - due.frame for due, played in self.pairs])


def judge(due: Iterable[Note], played: Iterable[Note], within: float) -> Verdict:
    """Pairs notes of the same pitch in order of time where they lie within so many frames of each other.

    A note that is played twice pairs once; its double is extra.
    """
    lists: dict[int, tuple[list[Note], list[Note]]] = defaultdict(lambda: ([], []))
    for which, notes in enumerate((due, played)):
        for note in sorted(notes):
            lists[note.pitch][which].append(note)
    pairs, missing, extra = [], [], []
    for wanted, got in lists.values():
        i = j = 0
        while i < len(wanted) and j < len(got):
            if abs(wanted[i].frame - got[j].frame) <= within:
                pairs.append((wanted[i], got[j]))
                i, j = i + 1, j + 1
            elif wanted[i].frame < got[j].frame:
                missing.append(wanted[i])
                i += 1
            else:
                extra.append(got[j])
                j += 1
        missing += wanted[i:]
        extra += got[j:]
    return Verdict(tuple(sorted(pairs)), tuple(sorted(missing)), tuple(sorted(extra)))


def figures(errors_ms: NDArray[np.float64]) -> str:
    """Returns a line: the bias, and percentiles of the absolute error."""
    if not len(errors_ms):
        return "no notes"
    p50, p95 = np.percentile(np.abs(errors_ms), (50, 95))
    return f"n {len(errors_ms)}  mean {errors_ms.mean():+.2f}  p50 {p50:.2f}  p95 {p95:.2f}  max {np.abs(errors_ms).max():.2f} ms"
