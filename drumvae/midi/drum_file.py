"""A MIDI file in, its drums as a Grid out; a Grid in, the file with its drums played like that out, and everything else as it was.

A cell of the grid stands for the notes of one voice on one step. Where a cell has a hit before and after, its notes move together and
change in loudness together, so that a flam stays a flam and a ride's bell its bell; where it loses its hit, they go; where it gets one,
a note is added. Notes that no voice hears are left alone.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ..music.grid import BEATS_PER_BAR, LOOP_BEATS, STEPS_PER_BEAT, Grid, Onset
from ..music.kit import DEFAULT_KIT, Kit
from ..music.kit_detection import recognised
from ..util.errors import DataError, NoDrumsError
from .edit import Stroke, Tracks
from .io import GATE_BEATS, find_drums, no_drums
from .tempo_map import Timing, parse_file
from .tracks import MidiBytes

Cell = tuple[int, int]
"""A step and a voice."""
_MOST_BARS = 4096  # more than two hours at 120 bpm
_SLACK_BEATS = 1 / 16  # by so much a last bar may be short and still be whole


@dataclass(frozen=True)
class DrumFile:
    """Holds a MIDI file of which the drums are known."""

    path: Path
    timing: Timing
    tracks: Tracks
    strokes: tuple[Stroke, ...]
    """The notes that a voice hears, in order of playing."""
    voices: tuple[int, ...]
    """The voice of each."""
    kit: Kit
    """What they are heard through."""
    bars: int
    """How many bars it has: a last one that is not whole counts where a drum is struck in it."""
    bar_beats: float
    """The length of a bar, by the first meter."""
    unheard: Mapping[int, int] = field(default_factory=dict)
    """How many drums of each pitch no voice hears."""
    replaced: bool = True
    """Whether new drums take the place of the notes heard, or, where these are no drums, go beside them on a track of their own."""

    @classmethod
    def read(cls, path: Path, kit: Kit | None = None, every_note: bool = False) -> "DrumFile":
        """Reads a file of type 0 or 1; without a kit, the one that its pitches come from is recognised.

        With `every_note` every drum counts, on whatever pitch, and in a file without drums every note: there is a rhythm in any.
        Raises DataError as `drumvae.midi.io.read_midi`, and where the file is longer than can be played.
        """
        messages, song, timing = parse_file(path)
        if timing.length_beats > _MOST_BARS * BEATS_PER_BAR:
            bars = round(timing.length_beats / BEATS_PER_BAR)
            raise DataError(f"{path} has {bars} bars; up to {_MOST_BARS} can be played: cut it into parts.")
        channels, are_drums = _channels(song, kit, path, every_note)
        tracks = Tracks.of(messages)
        struck = sorted(tracks.strokes(channels), key=lambda stroke: stroke.tick)
        counts = Counter(stroke.pitch for stroke in struck)
        kit = kit or (recognised(counts) if are_drums else None) or DEFAULT_KIT
        heard = [(stroke, kit.voice_of(stroke.pitch)) for stroke in struck]
        kept = [(stroke, voice or 0) for stroke, voice in heard if every_note or voice is not None]
        if not kept:
            raise no_drums(path, Counter(f"pitch {pitch}" for pitch in counts.elements()))
        bar_beats = 4 * timing.meters[0][1] / timing.meters[0][2] or BEATS_PER_BAR  # a damaged meter may have no beats
        last_beat = kept[-1][0].tick / tracks.ticks_per_beat
        bars = max(int((timing.length_beats + _SLACK_BEATS) / bar_beats), int(last_beat / bar_beats) + 1)
        strokes, voices = zip(*kept, strict=True)
        unheard = Counter(stroke.pitch for stroke, voice in heard if voice is None and not every_note)
        return cls(path, timing, tracks, strokes, voices, kit, bars, bar_beats, unheard, are_drums)

    @property
    def goes_round(self) -> bool:
        """Whether it is a loop, of four bars of 4/4 or shorter, whose end leads to its beginning; else it begins and ends once."""
        beats = self.bars * self.bar_beats
        one_meter = len({meter[1:] for meter in self.timing.meters}) == 1
        return one_meter and beats <= LOOP_BEATS and not beats * STEPS_PER_BEAT % 1

    @cached_property
    def steps(self) -> int:
        """How many steps its grid has: its bars, or if it does not go round whatever it takes to hold the last note."""
        if self.goes_round:
            return round(self.bars * self.bar_beats * STEPS_PER_BEAT)
        return max(math.ceil(self.bars * self.bar_beats * STEPS_PER_BEAT), self._step(self.strokes[-1].tick) + 1)

    @cached_property
    def grid(self) -> Grid:
        """The drums; of two notes of a voice in one step the louder."""
        return Grid.from_onsets(self.onsets(), self.steps, circular=self.goes_round)

    def onsets(self) -> list[Onset]:
        """Returns every note that is heard."""
        beat = self.tracks.ticks_per_beat
        return [Onset(stroke.tick / beat, voice, stroke.velocity / 127) for stroke, voice in zip(self.strokes, self.voices, strict=True)]

    @property
    def whole_steps(self) -> int:
        """How many steps its bars have."""
        return self.steps if self.goes_round else math.ceil(self.bars * self.bar_beats * STEPS_PER_BEAT)

    def loop(self, steps: int, last: bool = False) -> Grid:
        """Returns its first steps, or its last, as a loop; where it is shorter it goes round until they are full."""
        rounds = -(-steps // self.whole_steps)
        start = (rounds * self.whole_steps - steps) / STEPS_PER_BEAT if last else 0.0
        length = self.whole_steps / STEPS_PER_BEAT
        onsets = [onset._replace(beat=onset.beat + turn * length) for turn in range(rounds) for onset in self.onsets()]
        reach = 0.5 / STEPS_PER_BEAT  # so much before it an onset is an early one on its first step
        inside = [onset for onset in onsets if start - reach <= onset.beat < start + steps / STEPS_PER_BEAT]
        return Grid.from_onsets(inside, steps, start, circular=True)

    def strikes(self, steps: int, plays: Kit | None = None) -> list[tuple[float, int, int]]:
        """Returns its notes, going round for a number of steps, as (beat, pitch, velocity), on the pitches of a kit or as they are."""
        length, beat = self.whole_steps / STEPS_PER_BEAT, self.tracks.ticks_per_beat
        turns = range(-(-steps // self.whole_steps))
        notes = [
            (stroke.tick / beat + turn * length, plays.output_notes[voice] if plays else stroke.pitch, stroke.velocity)
            for turn in turns
            for stroke, voice in zip(self.strokes, self.voices, strict=True)
        ]
        return [note for note in notes if note[0] < steps / STEPS_PER_BEAT]

    def played(self, grid: Grid, plays: Kit | None = None, anew: Sequence[int] = ()) -> bytes:
        """Returns the file with its drums played as a grid of as many steps says.

        New notes are those of a kit, by default of the one heard. The notes of voices that are played `anew` go whatever the grid
        says, and what it has of these is added.
        """
        cells = self._cells()
        staying = {(step, voice) for step, voice in cells if voice not in anew and grid.hits[step, voice]}
        changed: dict[Stroke, Stroke | None] = {}
        for cell, strokes in cells.items():
            if cell in staying:
                changed |= zip(strokes, self._moved(strokes, cell, grid), strict=True)
            elif self.replaced:
                changed |= dict.fromkeys(strokes)
        hits = {(int(step), int(voice)) for step, voice in zip(*grid.hits.nonzero(), strict=True)}
        added = [self._new(cell, grid, plays or self.kit) for cell in sorted(hits - staying)]
        return self.tracks.to_bytes(changed, added, self._end_tick)

    @property
    def _end_tick(self) -> int | None:
        """The tick at which a loop ends, so that no note sounds over its end."""
        return round(self.bars * self.bar_beats * self.tracks.ticks_per_beat) if self.goes_round else None

    def _step(self, tick: int) -> int:
        """Returns the step that is nearest to a tick, exact halves to the later one, as in `Grid`."""
        return (2 * STEPS_PER_BEAT * tick + self.tracks.ticks_per_beat) // (2 * self.tracks.ticks_per_beat)

    def _reach(self, step: int) -> tuple[int, int]:
        """Returns the first and the last tick of a step; the first one of a loop begins before it."""
        first, following = (-(-(2 * edge - 1) * self.tracks.ticks_per_beat // (2 * STEPS_PER_BEAT)) for edge in (step, step + 1))
        return first if self.goes_round else max(first, 0), following - 1

    def _round(self, tick: int) -> int:
        """Returns a tick before the beginning of a loop as one at its end."""
        return tick + (self._end_tick or 0) if tick < 0 else tick

    def _cells(self) -> dict[Cell, list[Stroke]]:
        """Returns the notes by step and voice, in order of playing."""
        cells: dict[Cell, list[Stroke]] = {}
        for stroke, voice in zip(self.strokes, self.voices, strict=True):
            cells.setdefault((self._step(stroke.tick) % self.steps, voice), []).append(stroke)
        return cells

    def _moved(self, strokes: Sequence[Stroke], cell: Cell, grid: Grid) -> Iterator[Stroke]:
        """Yields the notes of a cell moved by one distance that keeps all of them in their step, and louder by one factor."""
        ticks = [stroke.tick - (self._end_tick or 0) * (self._step(stroke.tick) // self.steps) for stroke in strokes]  # late ones early
        first, last = self._reach(cell[0])
        wanted = round(float(grid.offsets[cell] - self.grid.offsets[cell]) * self.tracks.ticks_per_beat / STEPS_PER_BEAT)
        by = min(max(wanted, first - min(ticks)), last - max(ticks))
        gain = round(float(grid.velocities[cell]) * 127) / max(stroke.velocity for stroke in strokes)
        for stroke, tick in zip(strokes, ticks, strict=True):
            yield replace(stroke, tick=self._round(tick + by), velocity=_velocity(stroke.velocity * gain))

    def _new(self, cell: Cell, grid: Grid, plays: Kit) -> Stroke:
        """Returns a note for a hit of a grid."""
        first, last = self._reach(cell[0])
        beat = self.tracks.ticks_per_beat
        tick = round((cell[0] + float(grid.offsets[cell])) * beat / STEPS_PER_BEAT)
        track, channel = (self.strokes[0].track, self.strokes[0].channel) if self.replaced else self.tracks.own_place
        at, velocity = self._round(min(max(tick, first), last)), _velocity(float(grid.velocities[cell]) * 127)
        return Stroke(track, channel, plays.output_notes[cell[1]], velocity, at, round(beat * GATE_BEATS))


def _channels(song: MidiBytes, kit: Kit | None, path: Path, every_note: bool) -> tuple[set[tuple[int, int]], bool]:
    """Returns the channels of the tracks to hear, as (track, channel), and whether they are drums."""
    try:
        channels = find_drums(song, kit or DEFAULT_KIT, path)
    except NoDrumsError:
        if not every_note:
            raise
        return {(number, strike.channel) for number, track in enumerate(song.tracks) for strike in track.strikes()}, False
    return channels, True


def _velocity(value: float) -> int:
    """Returns a MIDI velocity; 0 would be a note-off."""
    return min(max(round(value), 1), 127)
