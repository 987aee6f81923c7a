"""Records played notes into the 64-step Grid of a four-bar cycle."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from drumvae.music.grid import Grid, Onset

from ..clock.timeline import EARLY_BEATS, Timeline, cycle_start
from ..controls.control_panel import ControlPanel

PENDING_NOTES = 32
"""How many notes are kept that were played before the song rolls: those shortly before its first beat belong to that beat."""


class PendingNote(NamedTuple):
    """A note with a time instead of a beat, because the song was not rolling; its velocity is MIDI's, 1 to 127."""

    at_s: float
    voice: int
    velocity: int


@dataclass(frozen=True)
class Recording:
    """Played notes in time order; any thread may share it.

    >>> Recording().with_note(beat=16.25, voice=1, velocity=127).grid(cycle=1).hits[:2, 1].tolist()
    [0.0, 1.0]
    """

    onsets: tuple[Onset, ...] = ()
    """In unrolled beats."""

    def with_note(self, beat: float, voice: int, velocity: int) -> "Recording":
        """Returns the recording with one more note; velocity from 1 to 127."""
        return Recording((*self.onsets, Onset(beat, voice, velocity / 127)))

    def grid(self, cycle: int) -> Grid:
        """Returns the notes of a cycle, (64, 9); a note in the last half step before a cycle is on its step 0."""
        return Grid.from_onsets(self.onsets, start_beat=cycle_start(cycle))

    def moved(self, from_beat: float, by_beats: float) -> "Recording":
        """Returns the notes from a beat on, moved by a number of beats."""
        return Recording(tuple(onset._replace(beat=onset.beat + by_beats) for onset in self.onsets if onset.beat >= from_beat))

    def since(self, cycle: int) -> "Recording":
        """Returns the notes of a cycle and of later ones."""
        first_beat = cycle_start(cycle) - EARLY_BEATS
        return Recording(tuple(onset for onset in self.onsets if onset.beat >= first_beat))


@dataclass
class CycleRecorder:
    """Records the current cycle, with overdubbing.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> recorder = CycleRecorder(ControlPanel())
    >>> recorder.add(PendingNote(at_s=0.125, voice=0, velocity=100), Timeline(120, 0, 0.0))
    >>> recorder.grid().hits[:2, 0].tolist()
    [0.0, 1.0]
    """

    panel: ControlPanel
    recording: Recording = field(default_factory=Recording)
    cycle: int = 0
    """The cycle that is recorded."""
    note_count: int = 0
    """How many notes were recorded in the session."""
    _pending: list[PendingNote] = field(default_factory=list)
    _overdubbed: Grid = field(default_factory=Grid.empty)  # the layers of earlier cycles

    def add(self, note: PendingNote, timeline: Timeline | None) -> None:
        """Records a note; without a timeline it waits until the song rolls."""
        if timeline is None:
            self._pending = [*self._pending, note][-PENDING_NOTES:]
        else:
            self.note_count += 1
            self.recording = self.recording.with_note(timeline.beat_at(note.at_s), note.voice, note.velocity)

    def add_pending(self, timeline: Timeline, from_beat: float = -math.inf) -> None:
        """Records the waiting notes that fall on a beat or up to half a step before it; forgets the others."""
        for note in self._pending:
            if timeline.beat_at(note.at_s) >= from_beat - EARLY_BEATS:
                self.add(note, timeline)
        self._pending = []

    def forget_pending(self) -> None:
        self._pending = []

    def grid(self) -> Grid:
        """Returns the cycle so far, with its overdubbed layers."""
        played = self.recording.grid(self.cycle)
        return overdubbed(self._overdubbed, played) if self.panel.state.overdub else played

    def end_cycle(self, next_cycle: int) -> Grid:
        """Returns the finished cycle and continues with another one, whose early notes are already in the recording."""
        played = self.grid()
        self._overdubbed = played if self.panel.state.overdub else Grid.empty()
        self.cycle = next_cycle
        return played

    def restart(self, cycle: int) -> None:
        """Begins a cycle with an empty recording."""
        self.recording, self.cycle = Recording(), cycle

    def forget_earlier_cycles(self) -> None:
        self.recording = self.recording.since(self.cycle)

    def carry_early_notes(self, left_beat: float, beat: float) -> None:
        """Keeps only notes played shortly before a jump, and moves them from `left_beat` to `beat`, the target of the jump."""
        self.recording = self.recording.moved(left_beat - EARLY_BEATS, beat - left_beat)

    @property
    def has_notes(self) -> bool:
        return bool(self.recording.onsets)

    def clear_overdub(self) -> None:
        """Forgets the overdubbed layers."""
        self._overdubbed = Grid.empty()


def overdubbed(first: Grid, second: Grid) -> Grid:
    """Returns the hits of both grids; of two hits in one cell the louder stays, or the first of two equal ones."""
    is_second = second.velocities * second.hits > first.velocities * first.hits
    return Grid(*(np.where(is_second, b, a) for a, b in zip(first.arrays(), second.arrays(), strict=True)))
