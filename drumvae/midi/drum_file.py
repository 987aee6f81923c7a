"""Reads the drums of a MIDI file as a Grid, and writes the file again with other drums and everything else unchanged.

A cell of the grid holds the notes of one voice on one step. A cell with a hit before and after has its notes moved together and scaled
in velocity together, so that a flam stays a flam and a ride's bell its bell. A cell that loses its hit loses its notes; a cell that
gets one gets a new note. Notes that the kit does not map are left alone.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..music.grid import BEATS_PER_BAR, LOOP_BEATS, STEPS_PER_BEAT, Grid, Onset
from ..music.kit import DEFAULT_KIT, DRUM_CHANNEL, Kit
from ..music.kit_detection import detect_kit
from ..util.errors import DataError, NoDrumsError
from .constants import FILE_PPQN
from .edit import edited_bytes
from .io import find_drums, no_drums
from .notes import MidiNote
from .reader import parse_file
from .tempo_map import Timing
from .tracks import ParsedMidi
from .writer import GATE_BEATS

Cell = tuple[int, int]
"""A step and a voice."""
_MOST_BARS = 4096  # more than two hours at 120 bpm
_SLACK_BEATS = 1 / 16  # a last bar that is shorter by less than this is whole


@dataclass(frozen=True)
class DrumFile:
    """Holds a MIDI file and the notes of it that are drums."""

    path: Path
    timing: Timing
    midi: ParsedMidi
    """The file, with `FILE_PPQN` ticks a beat or more."""
    notes: tuple[MidiNote, ...]
    """The notes that the kit maps to a voice, by tick."""
    voices: tuple[int, ...]
    """The voice of each note."""
    kit: Kit
    """The kit that maps the notes."""
    bars: int
    """The number of bars; an incomplete last bar counts where it holds a drum."""
    bar_beats: float
    """The length of a bar, by the first meter."""
    unmapped: Mapping[int, int] = field(default_factory=dict)
    """For each pitch without a voice, how many drum notes have it."""
    replaces_notes: bool = True
    """Whether new drums replace the notes; False where these are not drums, and new drums get a track of their own."""

    @classmethod
    def read(cls, path: Path, kit: Kit | None = None, every_note: bool = False) -> "DrumFile":
        """Reads a file of type 0 or 1.

        Args:
            path: The file.
            kit: The kit that it was played on; None detects it from the pitches.
            every_note: Whether drums on any pitch count, and in a file without drums every note, as its rhythm.

        Raises:
            DataError: As `drumvae.midi.io.read_midi`, and where the file is longer than 4096 bars.
        """
        file, timing = parse_file(path)
        if timing.length_beats > _MOST_BARS * BEATS_PER_BAR:
            bars = round(timing.length_beats / BEATS_PER_BAR)
            raise DataError(f"{path} has {bars} bars; up to {_MOST_BARS} can be played: cut it into parts.")
        channels, are_drums = _channels(file, kit, path, every_note)
        file = file.with_resolution(FILE_PPQN)
        drums = (note for track in file.tracks for note in track.paired_notes if (track.index, note.channel) in channels)
        # Of notes on one tick the first to end is first; new notes go to the channel of the first note.
        drums_by_tick = sorted(drums, key=lambda note: (note.tick, note.track, note.off_index or math.inf))
        counts = Counter(note.pitch for note in drums_by_tick)
        kit = kit or (detect_kit(counts) if are_drums else None) or DEFAULT_KIT
        mapped = [(note, kit.voice_of(note.pitch)) for note in drums_by_tick]
        kept = [(note, voice or 0) for note, voice in mapped if every_note or voice is not None]
        if not kept:
            raise no_drums(path, Counter(f"pitch {pitch}" for pitch in counts.elements()))
        bar_beats = 4 * timing.meters[0][1] / timing.meters[0][2] or BEATS_PER_BAR  # a damaged meter may have no beats
        last_beat = kept[-1][0].tick / file.ticks_per_beat
        bars = max(int((timing.length_beats + _SLACK_BEATS) / bar_beats), int(last_beat / bar_beats) + 1)
        notes, voices = zip(*kept, strict=True)
        unmapped = Counter(note.pitch for note, voice in mapped if voice is None and not every_note)
        return cls(path, timing, file, notes, voices, kit, bars, bar_beats, unmapped, are_drums)

    @property
    def is_loop(self) -> bool:
        """Whether it is a loop: whole steps in one meter, no longer than four bars of 4/4."""
        beats = self.bars * self.bar_beats
        one_meter = len({meter[1:] for meter in self.timing.meters}) == 1
        return one_meter and beats <= LOOP_BEATS and not beats * STEPS_PER_BEAT % 1

    @cached_property
    def steps(self) -> int:
        """The number of steps of its grid: those of its bars, and where it is no loop as many more as the last note needs."""
        return self.bar_steps if self.is_loop else max(self.bar_steps, self._step(self.notes[-1].tick) + 1)

    @property
    def bar_steps(self) -> int:
        """The number of steps in all of its bars."""
        return math.ceil(self.bars * self.bar_beats * STEPS_PER_BEAT)

    @cached_property
    def grid(self) -> Grid:
        """The drums; of two notes of a voice in one step the louder."""
        return Grid.from_onsets(self.onsets(), self.steps, circular=self.is_loop)

    def onsets(self) -> list[Onset]:
        """Returns an onset for every note."""
        beat = self.midi.ticks_per_beat
        return [Onset(note.tick / beat, voice, note.velocity / 127) for note, voice in zip(self.notes, self.voices, strict=True)]

    def loop(self, steps: int, last: bool = False) -> Grid:
        """Returns its first steps, or its last, as a loop; a shorter file is repeated."""
        rounds = -(-steps // self.bar_steps)
        start = (rounds * self.bar_steps - steps) / STEPS_PER_BEAT if last else 0.0
        length = self.bar_steps / STEPS_PER_BEAT
        onsets = [onset._replace(beat=onset.beat + cycle * length) for cycle in range(rounds) for onset in self.onsets()]
        reach = 0.5 / STEPS_PER_BEAT  # an onset this close before the start is an early one on its first step
        inside = [onset for onset in onsets if start - reach <= onset.beat < start + steps / STEPS_PER_BEAT]
        return Grid.from_onsets(inside, steps, start, circular=True)

    def hits(self, steps: int, output_kit: Kit | None = None) -> list[tuple[float, int, int]]:
        """Returns its notes, repeated for a number of steps, as (beat, pitch, velocity); a kit gives them other pitches."""
        length, beat = self.bar_steps / STEPS_PER_BEAT, self.midi.ticks_per_beat
        hits = [
            (note.tick / beat + cycle * length, output_kit.output_notes[voice] if output_kit else note.pitch, note.velocity)
            for cycle in range(-(-steps // self.bar_steps))
            for note, voice in zip(self.notes, self.voices, strict=True)
        ]
        return [hit for hit in hits if hit[0] < steps / STEPS_PER_BEAT]

    def with_drums(self, grid: Grid, output_kit: Kit | None = None, replaced_voices: Sequence[int] = ()) -> bytes:
        """Returns the content of the file with the drums of a grid.

        Args:
            grid: The new drums, as many steps as the file.
            output_kit: The kit of new notes; None is that of the file.
            replaced_voices: The voices whose notes are all removed, and replaced by the hits of the grid.
        """
        cells = self._cells()
        staying = {(step, voice) for step, voice in cells if voice not in replaced_voices and grid.hits[step, voice]}
        changed: dict[MidiNote, MidiNote | None] = {}
        for cell, notes in cells.items():
            if cell in staying:
                changed |= zip(notes, self._moved(notes, cell, grid), strict=True)
            elif self.replaces_notes:
                changed |= dict.fromkeys(notes)
        hits = {(int(step), int(voice)) for step, voice in zip(*grid.hits.nonzero(), strict=True)}
        added = [self._new_note(cell, grid, output_kit or self.kit) for cell in sorted(hits - staying)]
        return edited_bytes(self.midi, changed, added, self._end_tick)

    @property
    def _end_tick(self) -> int | None:
        """The tick at which a loop ends, so that no note sounds beyond it."""
        return round(self.bars * self.bar_beats * self.midi.ticks_per_beat) if self.is_loop else None

    def _step(self, tick: int) -> int:
        """Returns the step that is nearest to a tick, exact halves to the later one, as in `Grid`."""
        return (2 * STEPS_PER_BEAT * tick + self.midi.ticks_per_beat) // (2 * self.midi.ticks_per_beat)

    def _tick_range(self, step: int) -> tuple[int, int]:
        """Returns the first and the last tick of a step; the first step of a loop begins before tick 0."""
        first, following = (-(-(2 * edge - 1) * self.midi.ticks_per_beat // (2 * STEPS_PER_BEAT)) for edge in (step, step + 1))
        return first if self.is_loop else max(first, 0), following - 1

    def _wrapped(self, tick: int) -> int:
        """Returns a tick before the start of a loop as one at its end."""
        return tick + (self._end_tick or 0) if tick < 0 else tick

    def _cells(self) -> dict[Cell, list[MidiNote]]:
        """Returns the notes by step and voice, in order of ticks."""
        cells: dict[Cell, list[MidiNote]] = {}
        for note, voice in zip(self.notes, self.voices, strict=True):
            cells.setdefault((self._step(note.tick) % self.steps, voice), []).append(note)
        return cells

    def _moved(self, notes: Sequence[MidiNote], cell: Cell, grid: Grid) -> Iterator[MidiNote]:
        """Yields the notes of a cell, all moved by one distance that keeps them in their step, and scaled in velocity by one factor."""
        # A late note of the last step belongs to the first step of a loop, before tick 0.
        ticks = [note.tick - (self._end_tick or 0) * (self._step(note.tick) // self.steps) for note in notes]
        first, last = self._tick_range(cell[0])
        wanted = round(float(grid.offsets[cell] - self.grid.offsets[cell]) * self.midi.ticks_per_beat / STEPS_PER_BEAT)
        by = min(max(wanted, first - min(ticks)), last - max(ticks))
        gain = round(float(grid.velocities[cell]) * 127) / max(note.velocity for note in notes)
        for note, tick in zip(notes, ticks, strict=True):
            yield note.moved(self._wrapped(tick + by), _velocity(note.velocity * gain))

    def _new_note(self, cell: Cell, grid: Grid, output_kit: Kit) -> MidiNote:
        """Returns a note for a hit of a grid: beside the first drum, or in a new track on channel 10."""
        first, last = self._tick_range(cell[0])
        beat = self.midi.ticks_per_beat
        tick = self._wrapped(min(max(round((cell[0] + float(grid.offsets[cell])) * beat / STEPS_PER_BEAT), first), last))
        track, channel = (self.notes[0].track, self.notes[0].channel) if self.replaces_notes else (len(self.midi.tracks), DRUM_CHANNEL)
        velocity = _velocity(float(grid.velocities[cell]) * 127)
        return MidiNote(tick, tick + round(beat * GATE_BEATS), channel, output_kit.output_notes[cell[1]], velocity, track)


def _channels(file: ParsedMidi, kit: Kit | None, path: Path, every_note: bool) -> tuple[set[tuple[int, int]], bool]:
    """Returns the channels to read, as (track, channel), and whether they are drums."""
    try:
        channels = find_drums(file, kit or DEFAULT_KIT, path)
    except NoDrumsError:
        if not every_note:
            raise
        return {(note.track, note.channel) for note in file.notes}, False
    return channels, True


def _velocity(value: float) -> int:
    """Returns a MIDI velocity; 0 would be a note-off."""
    return min(max(round(value), 1), 127)
