"""MIDI file in, a performance in beats out; grids in, a MIDI file out. Reading and writing go through pretty_midi.

Every note begins somewhere and is kept, ended or not; a pitch that no voice hears is counted under its name.
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError, NoDrumsError
from .grid import LOOP_BEATS, STEPS_PER_BEAT, Grid, Onset, onsets_to_arrays
from .kit import DEFAULT_KIT, DRUM_CHANNEL, Kit

if TYPE_CHECKING:
    from mido import MidiTrack
    from pretty_midi import PrettyMIDI

TICKS_PER_BEAT = 480
"""Resolution of the files written: 120 ticks a step, finer than 2 ms at 120 bpm."""
GATE_BEATS = 1 / 8
"""Length of a written note, half a step, so that no note runs into the next hit of its voice."""


@dataclass(frozen=True)
class Performance:
    """Holds the drum notes of one file, in order of playing."""

    beats: NDArray[np.float64]
    """Where each note begins, in quarter notes from the start of the file; (n,)."""
    voices: NDArray[np.int64]
    """The voice of each note, 0 to 8; (n,)."""
    velocities: NDArray[np.float32]
    """MIDI velocity over 127; (n,)."""
    length_beats: float
    """Where the file's longest track ends."""
    tempo_beats: NDArray[np.float64]
    """Where each tempo begins, in beats; the first is 0."""
    tempo_bpm: NDArray[np.float64]
    """Each tempo, in beats a minute."""
    meters: tuple[tuple[float, int, int], ...]
    """Every time signature as (beat, numerator, denominator); 4/4 from the start where the file has none."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """What was left out: a reason, and how many notes it cost."""

    def grid(self, steps: int | None = None, start_beat: float = 0.0) -> Grid:
        """Writes the performance into a grid, by default long enough for all of it in whole steps."""
        steps = int(np.ceil(self.length_beats * STEPS_PER_BEAT)) or 1 if steps is None else steps
        return Grid(*onsets_to_arrays(self.beats - start_beat, self.voices, self.velocities, steps))

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
    def bpm(self) -> float:
        """The tempo at the start."""
        return float(self.tempo_bpm[0])

    @property
    def four_four(self) -> bool:
        """Whether the whole file is in 4/4."""
        return all(meter[1:] == (4, 4) for meter in self.meters)


def read_midi(path: Path, kit: Kit = DEFAULT_KIT) -> Performance:
    """Reads the drums of a MIDI file of type 0 or 1.

    Drums are what is on channel 10; in a file that has nothing there, the tracks named after drums, else every track, so long
    as at least half of its notes fall on pitches that the kit hears. Raises DataError where the file is missing, empty,
    truncated or not MIDI, and NoDrumsError where it holds no drums.
    """
    midi, length_ticks = _parse(path)
    notes, dropped = [], Counter[str]()
    for note in _drum_notes(midi, kit, path):
        voice = kit.voice_of(note.pitch)
        if voice is None:
            dropped[f"pitch {note.pitch}"] += 1
        else:
            notes.append((midi.time_to_tick(note.start), voice, note.velocity / 127))
    if not notes:
        reason = ", ".join(f"{reason}: {count}" for reason, count in dropped.most_common(5))
        raise NoDrumsError(f"{path} has no drums: no note lies on a pitch that the kit hears ({reason or 'it holds no notes'}).")
    notes.sort(key=lambda note: note[0])  # stable: the first of two equal notes stays first
    table = np.array(notes, np.float64)
    tempo_times, tempo_bpm = midi.get_tempo_changes()
    return Performance(
        beats=table[:, 0] / midi.resolution,
        voices=table[:, 1].astype(np.int64),
        velocities=table[:, 2].astype(np.float32),
        length_beats=length_ticks / midi.resolution,
        tempo_beats=np.array([midi.time_to_tick(t) for t in tempo_times]) / midi.resolution,
        tempo_bpm=tempo_bpm,
        meters=_meters(midi),
        dropped=dict(dropped),
    )


def _parse(path: Path) -> "tuple[PrettyMIDI, int]":
    """Returns the parsed file and the tick on which its longest track ends."""
    import mido
    import pretty_midi

    try:
        if not path.is_file():
            raise DataError(f"There is no MIDI file {path}.")
        song = mido.MidiFile(path, clip=True)
        if song.type == 2 or song.ticks_per_beat <= 0:
            kind = f"type {song.type} with {song.ticks_per_beat} ticks a beat"
            raise DataError(f"{path} is a MIDI file of {kind}; types 0 and 1 in beats are read.")
        length_ticks = max((sum(message.time for message in track) for track in song.tracks), default=0)
        song.tracks[:] = map(_with_every_note_ended, song.tracks)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tempo changes outside the first track are legal enough to be common
            return pretty_midi.PrettyMIDI(mido_object=song), length_ticks
    except DataError:
        raise
    except Exception as error:  # mido has a different exception for every way in which a file can be broken
        size = path.stat().st_size if path.exists() else 0
        detail = "it is empty" if size == 0 else f"{size} bytes, {error or type(error).__name__}"
        raise DataError(f"{path} is not a whole MIDI file ({detail}); export it again.") from None


def _with_every_note_ended(track: "MidiTrack") -> "MidiTrack":
    """Returns the track with each note one tick long: pretty_midi loses notes that end where they begin, or never end."""
    import mido

    tick, events = 0, []
    for order, message in enumerate(track):
        tick += message.time
        if message.type == "note_off" or (message.type == "note_on" and message.velocity == 0):
            continue
        events.append((tick, 1, order, message))
        if message.type == "note_on":
            events.append((tick + 1, 0, order, mido.Message("note_off", channel=message.channel, note=message.note)))
    events.sort(key=lambda event: event[:3])
    ticks = [0, *(event[0] for event in events)]
    return mido.MidiTrack(event[3].copy(time=now - before) for event, before, now in zip(events, ticks, ticks[1:], strict=False))


def _drum_notes(midi: "PrettyMIDI", kit: Kit, path: Path) -> list[Any]:
    """Returns the notes that are drums, by channel, else by track name, else by pitch."""
    played = [i for i in midi.instruments if i.notes]
    by_channel = [i for i in played if i.is_drum]
    by_name = [i for i in played if any(word in i.name.lower() for word in ("drum", "kit", "perc", "beat"))]
    chosen = by_channel or by_name or played
    notes = [note for instrument in chosen for note in instrument.notes]
    known = sum(kit.voice_of(note.pitch) is not None for note in notes)
    if chosen is played and known * 2 < len(notes):
        raise NoDrumsError(
            f"{path} has no drums: nothing is on channel 10 and only {known} of {len(notes)} notes lie on drum pitches;"
            " put the drums on channel 10."
        )
    return notes


def _meters(midi: "PrettyMIDI") -> tuple[tuple[float, int, int], ...]:
    changes = [(midi.time_to_tick(c.time) / midi.resolution, c.numerator, c.denominator) for c in midi.time_signature_changes]
    return tuple(changes) or ((0.0, 4, 4),)


def write_midi(path: Path, loops: Sequence[Grid] | Grid, bpm: float, kit: Kit = DEFAULT_KIT, name: str = "drumvae") -> None:
    """Writes grids one after the other into a Type 1 file: tempo, 4/4, a named track, drums on channel 10.

    Loops are circular: a hit before the very first beat is written at the end of the first grid, never moved, never lost.
    Raises DataError where the file cannot be written.
    """
    grids = [loops] if isinstance(loops, Grid) else list(loops)
    onsets: list[Onset] = []
    start = 0.0
    for grid in grids:
        onsets += [onset._replace(beat=onset.beat + start) for onset in grid.onsets()]
        start += grid.beats
    first_length = grids[0].beats if grids else LOOP_BEATS
    whole = [onset if onset.beat >= 0 else onset._replace(beat=onset.beat + first_length) for onset in onsets]
    write_onsets(path, whole, bpm, start, kit, name)


def write_onsets(
    path: Path, onsets: Sequence[Onset], bpm: float, length_beats: float, kit: Kit = DEFAULT_KIT, name: str = "drumvae"
) -> None:
    """Writes onsets in beats, none of them negative, into a Type 1 file that lasts a number of beats; raises DataError as `write_midi`."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=TICKS_PER_BEAT, initial_tempo=bpm)
    midi.time_signature_changes.append(pretty_midi.TimeSignature(4, 4, 0))
    drums = pretty_midi.Instrument(0, is_drum=True, name=name)
    beat_s = 60 / bpm
    for beat, voice, velocity in onsets:
        loudness = min(max(round(velocity * 127), 1), 127)  # 0 would be a note-off
        end = max(min(beat + GATE_BEATS, length_beats), beat + 1 / TICKS_PER_BEAT)  # a late last note must not lengthen the loop
        drums.notes.append(pretty_midi.Note(loudness, kit.played[voice], beat * beat_s, end * beat_s))
    midi.instruments.append(drums)
    part = path.with_name(path.name + ".part")  # moved when it is whole
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        midi.write(str(part))
        _set_length(part, round(length_beats * TICKS_PER_BEAT))
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise DataError(f"{path} cannot be written ({error.strerror or error}).") from None


def _set_length(path: Path, ticks: int) -> None:
    """Moves the end of every track to a tick, so that a silent last bar stays a bar when the file is looped.

    pretty_midi puts it one tick after the last note.
    """
    import mido

    song = mido.MidiFile(path)
    for track in song.tracks:
        length = sum(message.time for message in track)
        track[-1].time = max(track[-1].time + ticks - length, 0)
    song.save(path)


assert DRUM_CHANNEL == 9  # pretty_midi's is_drum means channel 10
