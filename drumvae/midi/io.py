"""Reads drums and melodies of MIDI files in beats, and writes grids to MIDI files.

Every note with a note-on is kept, with or without a note-off. A drum that the kit does not map is counted under its pitch.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..music.grid import LOOP_BEATS, STEPS_PER_BEAT, Grid, Onset, onsets_to_arrays
from ..music.kit import DEFAULT_KIT, DRUM_CHANNEL, Kit
from ..util.errors import NoDrumsError
from .constants import FILE_PPQN
from .notes import MidiNote
from .reader import parse_file
from .tempo_map import Timing
from .tracks import ParsedMidi, Track, drum_channels
from .writer import write_hits


@dataclass(frozen=True)
class Performance(Timing):
    """Holds the drum notes of one file, in order of their note-ons."""

    beats: NDArray[np.float64]
    """The note-ons, in quarter notes from the start of the file; (n,)."""
    voices: NDArray[np.int64]
    """The voice of each note, 0 to 8; (n,)."""
    velocities: NDArray[np.float32]
    """MIDI velocity over 127; (n,)."""
    pitches: NDArray[np.int64]
    """The MIDI pitch of each note; (n,)."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Why notes were left out, and how many for each reason."""

    def grid(self, steps: int | None = None, start_beat: float = 0.0) -> Grid:
        """Returns the performance as a grid, by default long enough for all of it in whole steps."""
        steps = int(np.ceil(self.length_beats * STEPS_PER_BEAT)) or 1 if steps is None else steps
        return Grid(*onsets_to_arrays(self.beats - start_beat, self.voices, self.velocities, steps))


@dataclass(frozen=True)
class Part:
    """Holds the notes of one pitched instrument, in order of their note-ons."""

    name: str
    """The name of its track; may be empty."""
    beats: NDArray[np.float64]
    """The note-ons, in quarter notes from the start of the file; (n,)."""
    end_beats: NDArray[np.float64]
    """The end of each note, never before its note-on; (n,)."""
    pitches: NDArray[np.int64]
    """The MIDI pitch of each note; (n,)."""


@dataclass(frozen=True)
class Song(Timing):
    """Holds the pitched instruments of one file; channel 10 is left out."""

    parts: tuple[Part, ...]
    """One for each track, channel and program that plays a note, in the order of the file; empty if only drums play."""


def read_midi(path: Path, kit: Kit = DEFAULT_KIT) -> Performance:
    """Reads the drums of a MIDI file of type 0 or 1.

    `drumvae.midi.tracks.drum_channels` decides which channels are drums. Raises DataError if the file is missing, empty, truncated,
    huge or not MIDI, and NoDrumsError where it holds no drums.
    """
    file, timing = parse_file(path)
    channels = find_drums(file, kit, path)
    notes = sorted((note for note in file.notes if (note.track, note.channel) in channels), key=lambda note: note.tick)
    voices = [kit.voice_of(note.pitch) for note in notes]
    unmapped = Counter(f"pitch {note.pitch}" for note, voice in zip(notes, voices, strict=True) if voice is None)
    rows = [(note.tick, voice, note.velocity, note.pitch) for note, voice in zip(notes, voices, strict=True) if voice is not None]
    if not rows:
        raise no_drums(path, unmapped)
    table = np.array(rows, np.int64)
    return Performance(
        **vars(timing),
        beats=table[:, 0] / file.ticks_per_beat,
        voices=table[:, 1],
        velocities=(table[:, 2] / 127).astype(np.float32),
        pitches=table[:, 3],
        dropped=dict(unmapped),
    )


def read_notes(path: Path) -> Song:
    """Reads the pitched instruments of a MIDI file of type 0 or 1, with the true ends of their notes.

    A note ends at the first note-off of its pitch after it, or with its track where there is none. Raises DataError if the file
    is missing, empty, truncated or not MIDI.
    """
    file, timing = parse_file(path)
    return Song(**vars(timing), parts=tuple(part for track in file.tracks for part in _parts(track, file.ticks_per_beat)))


def find_drums(file: ParsedMidi, kit: Kit, path: Path) -> set[tuple[int, int]]:
    """Returns the channels of a file that play drums, as `drum_channels`; raises NoDrumsError that names the file."""
    try:
        return drum_channels(file, kit)
    except NoDrumsError as error:
        raise NoDrumsError(f"{path} has no drums: {error}.") from None


def no_drums(path: Path, unmapped: Counter[str]) -> NoDrumsError:
    """Returns the error for a file none of whose notes the kit maps, with the most frequent pitches."""
    reason = ", ".join(f"{reason}: {count}" for reason, count in unmapped.most_common(5))
    return NoDrumsError(f"{path} has no drums: no note has a pitch that the kit maps ({reason or 'it holds no notes'}).")


def _parts(track: Track, ticks_per_beat: int) -> Iterator[Part]:
    """Yields the pitched instruments of a track, by channel and program, in the order of their first notes."""
    by_instrument: dict[tuple[int, int], list[MidiNote]] = {}
    for note in track.notes:
        if note.channel != DRUM_CHANNEL:
            by_instrument.setdefault((note.channel, note.program), []).append(note)
    for notes in by_instrument.values():
        ends = [track.length_ticks if note.end_tick is None else note.end_tick for note in notes]
        table = np.array([(note.tick, end, note.pitch) for note, end in zip(notes, ends, strict=True)], np.int64)
        yield Part(track.name, table[:, 0] / ticks_per_beat, table[:, 1] / ticks_per_beat, table[:, 2])


def write_midi(path: Path, loops: Sequence[Grid] | Grid, bpm: float, kit: Kit = DEFAULT_KIT, name: str = "drumvae") -> None:
    """Writes grids one after the other into a Type 1 file: tempo, 4/4, a named track, drums on channel 10.

    Loops are circular: a hit before the first beat of the file is written at the end of the first grid. A hit that is early by less
    than half a tick is written on tick 0.

    Args:
        path: The file; missing folders are made.
        loops: The grids, or one grid.
        bpm: The tempo.
        kit: Its output notes are written.
        name: The name of the track.

    Raises:
        DataError: The file cannot be written.

    Thread-safe: yes.
    Realtime-safe: no.
    """
    grids = [loops] if isinstance(loops, Grid) else list(loops)
    onsets: list[Onset] = []
    start = 0.0
    for grid in grids:
        onsets += [onset._replace(beat=onset.beat + start) for onset in grid.onsets()]
        start += grid.beats
    first_length = grids[0].beats if grids else LOOP_BEATS
    wrapped = [onset if onset.beat >= 0 else onset._replace(beat=_wrapped(onset.beat, first_length)) for onset in onsets]
    write_onsets(path, wrapped, bpm, start, kit, name)


def _wrapped(beat: float, length_beats: float) -> float:
    """Returns the beat at the end of a loop, on a tick, of a beat before its start; 0 where that is the nearest tick."""
    tick = round(beat * FILE_PPQN)
    return tick / FILE_PPQN + length_beats if tick else 0.0


def write_onsets(
    path: Path, onsets: Sequence[Onset], bpm: float, length_beats: float, kit: Kit = DEFAULT_KIT, name: str = "drumvae"
) -> None:
    """Writes onsets into a Type 1 file.

    Args:
        path: The file; missing folders are made.
        onsets: In any order; no beat is negative.
        bpm: The tempo.
        length_beats: The length of the file.
        kit: Its output notes are written.
        name: The name of the track.

    Raises:
        DataError: The file cannot be written.
    """
    hits = [(beat, kit.output_notes[voice], min(max(round(velocity * 127), 1), 127)) for beat, voice, velocity in onsets]
    write_hits(path, hits, bpm, length_beats, name)  # velocity 0 would be a note-off
