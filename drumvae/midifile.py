"""MIDI file in, drums or notes in beats out; grids in, a MIDI file out, written through pretty_midi.

Every note begins somewhere and is kept, ended or not; a drum that no voice hears is counted under its pitch.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import DataError, NoDrumsError
from .grid import LOOP_BEATS, STEPS_PER_BEAT, Grid, Onset, onsets_to_arrays
from .kit import DEFAULT_KIT, DRUM_CHANNEL, Kit
from .smf import MidiBytes, Note, Strike, Track, parse_midi

TICKS_PER_BEAT = 480
"""Resolution of the files written: 120 ticks a step, finer than 2 ms at 120 bpm."""
GATE_BEATS = 1 / 8
"""Length of a written note, half a step, so that no note runs into the next hit of its voice."""

_LAST_TICK = 10_000_000  # hours of music; what lies beyond is a damaged delta time, and a grid of it would fill the memory
_DEFAULT_BPM = 120.0  # of a file that says nothing, by the standard
_DRUM_WORDS = ("drum", "kit", "perc", "beat")


@dataclass(frozen=True)
class Timing:
    """Holds the length, the tempi and the meters of one file."""

    length_beats: float
    """Where the file's longest track ends."""
    tempo_beats: NDArray[np.float64]
    """Where each tempo begins, in beats; the first is 0."""
    tempo_bpm: NDArray[np.float64]
    """Each tempo, in beats a minute."""
    meters: tuple[tuple[float, int, int], ...]
    """Every time signature as (beat, numerator, denominator); 4/4 from the start where the file has none."""

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
    def length_s(self) -> float:
        """How long the file lasts, in seconds."""
        return float(self.seconds(np.array([self.length_beats]))[0])

    @property
    def bpm(self) -> float:
        """The tempo at the start."""
        return float(self.tempo_bpm[0])

    @property
    def four_four(self) -> bool:
        """Whether the whole file is in 4/4."""
        return all(meter[1:] == (4, 4) for meter in self.meters)


@dataclass(frozen=True)
class Performance(Timing):
    """Holds the drum notes of one file, in order of playing."""

    beats: NDArray[np.float64]
    """Where each note begins, in quarter notes from the start of the file; (n,)."""
    voices: NDArray[np.int64]
    """The voice of each note, 0 to 8; (n,)."""
    velocities: NDArray[np.float32]
    """MIDI velocity over 127; (n,)."""
    pitches: NDArray[np.int64]
    """The MIDI pitch of each note; (n,)."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """What was left out: a reason, and how many notes it cost."""

    def grid(self, steps: int | None = None, start_beat: float = 0.0) -> Grid:
        """Writes the performance into a grid, by default long enough for all of it in whole steps."""
        steps = int(np.ceil(self.length_beats * STEPS_PER_BEAT)) or 1 if steps is None else steps
        return Grid(*onsets_to_arrays(self.beats - start_beat, self.voices, self.velocities, steps))


@dataclass(frozen=True)
class Part:
    """Holds the notes of one pitched instrument, in order of playing."""

    name: str
    """The name of its track; may be empty."""
    beats: NDArray[np.float64]
    """Where each note begins, in quarter notes from the start of the file; (n,)."""
    end_beats: NDArray[np.float64]
    """Where each note ends, never before it begins; (n,)."""
    pitches: NDArray[np.int64]
    """The MIDI pitch of each note; (n,)."""


@dataclass(frozen=True)
class Song(Timing):
    """Holds the pitched instruments of one file; what is on channel 10 is left out."""

    parts: tuple[Part, ...]
    """One for each track, channel and program that plays a note, in the order of the file; none where only drums play."""


def read_midi(path: Path, kit: Kit = DEFAULT_KIT) -> Performance:
    """Reads the drums of a MIDI file of type 0 or 1.

    Drums are what is on channel 10; in a file that has nothing there, the tracks named after drums, else every track, so long
    as at least half of its notes fall on pitches that the kit hears. Raises DataError where the file is missing, empty,
    truncated or not MIDI, and NoDrumsError where it holds no drums.
    """
    song, timing = _parse(path)
    strikes = _drum_strikes(song, kit, path)
    strikes.sort(key=lambda strike: strike.tick)  # stable: the first of two equal notes stays first
    unheard = Counter(f"pitch {strike.pitch}" for strike in strikes if kit.voice_of(strike.pitch) is None)
    heard = [(s.tick, voice, s.velocity, s.pitch) for s in strikes if (voice := kit.voice_of(s.pitch)) is not None]
    if not heard:
        reason = ", ".join(f"{reason}: {count}" for reason, count in unheard.most_common(5))
        raise NoDrumsError(f"{path} has no drums: no note lies on a pitch that the kit hears ({reason or 'it holds no notes'}).")
    table = np.array(heard, np.int64)
    return Performance(
        **vars(timing),
        beats=table[:, 0] / song.ticks_per_beat,
        voices=table[:, 1],
        velocities=(table[:, 2] / 127).astype(np.float32),
        pitches=table[:, 3],
        dropped=dict(unheard),
    )


def read_notes(path: Path) -> Song:
    """Reads the pitched instruments of a MIDI file of type 0 or 1, with the true ends of their notes.

    A note ends at the first note-off of its pitch after it, or with its track where none comes. Raises DataError where the file
    is missing, empty, truncated or not MIDI.
    """
    song, timing = _parse(path)
    return Song(**vars(timing), parts=tuple(part for track in song.tracks for part in _parts(track, song.ticks_per_beat)))


def _parse(path: Path) -> tuple[MidiBytes, Timing]:
    """Returns what a file holds and when; raises DataError where it is missing, broken, or has no beats."""
    try:
        data = path.read_bytes()
    except OSError as error:
        if not path.is_file():
            raise DataError(f"There is no MIDI file {path}.") from None
        raise DataError(f"{path} cannot be read ({error.strerror or error}); type a file that can.") from None
    try:
        song = parse_midi(data)
        if song.kind == 2 or song.ticks_per_beat <= 0:
            kind = f"type {song.kind} with {song.ticks_per_beat} ticks a beat"
            raise DataError(f"{path} is a MIDI file of {kind}; types 0 and 1 in beats are read.")
        return song, _timing(song)
    except ValueError as error:
        detail = f"{len(data)} bytes, {error}" if data else "it is empty"
        raise DataError(f"{path} is not a whole MIDI file ({detail}); export it again.") from None


def _timing(song: MidiBytes) -> Timing:
    """Reads tempi and meters off the first track, where the standard puts them; raises ValueError where there is no sense in them."""
    if not song.tracks:
        raise ValueError("it has no track")
    last_tick = max(track.length_ticks for track in song.tracks)
    if last_tick >= _LAST_TICK:
        raise ValueError(f"it ends on tick {last_tick}")
    tempi = [(0, _DEFAULT_BPM)]
    for tick, beat_us in song.tracks[0].tempi:
        if not beat_us:
            raise ValueError("a beat lasts 0 microseconds")
        if tick == 0:
            tempi = [(0, 6e7 / beat_us)]
        elif 6e7 / beat_us != tempi[-1][1]:
            tempi.append((tick, 6e7 / beat_us))
    ticks, bpms = np.array(tempi, np.float64).T
    meters = tuple((tick / song.ticks_per_beat, upper, lower) for tick, upper, lower in song.tracks[0].meters)
    return Timing(last_tick / song.ticks_per_beat, ticks / song.ticks_per_beat, bpms, meters or ((0.0, 4, 4),))


def _drum_strikes(song: MidiBytes, kit: Kit, path: Path) -> list[Strike]:
    """Returns the notes that are drums, by channel, else by track name, else by pitch, track after track."""
    by_track = [(track.name.lower(), list(track.strikes())) for track in song.tracks]
    played = [strike for _, strikes in by_track for strike in strikes]
    by_channel = [strike for strike in played if strike.channel == DRUM_CHANNEL]
    by_name = [strike for name, strikes in by_track for strike in strikes if any(word in name for word in _DRUM_WORDS)]
    if by_channel or by_name:
        return by_channel or by_name
    known = sum(kit.voice_of(strike.pitch) is not None for strike in played)
    if known * 2 < len(played):
        raise NoDrumsError(
            f"{path} has no drums: nothing is on channel 10 and only {known} of {len(played)} notes lie on drum pitches;"
            " put the drums on channel 10."
        )
    return played


def _parts(track: Track, ticks_per_beat: int) -> Iterator[Part]:
    """Yields the pitched instruments of a track, by channel and program, in the order in which they begin to play."""
    played: dict[tuple[int, int], list[Note]] = {}
    for note in track.notes():
        if note.channel != DRUM_CHANNEL:
            played.setdefault((note.channel, note.program), []).append(note)
    for notes in played.values():
        table = np.array([(note.tick, note.end_tick, note.pitch) for note in notes], np.int64)
        yield Part(track.name, table[:, 0] / ticks_per_beat, table[:, 1] / ticks_per_beat, table[:, 2])


def write_midi(path: Path, loops: Sequence[Grid] | Grid, bpm: float, kit: Kit = DEFAULT_KIT, name: str = "drumvae") -> None:
    """Writes grids one after the other into a Type 1 file: tempo, 4/4, a named track, drums on channel 10.

    Loops are circular: a hit before the very first beat is written at the end of the first grid, never moved, never lost; one
    that is early by less than half a tick lies on the first. Raises DataError where the file cannot be written.
    """
    grids = [loops] if isinstance(loops, Grid) else list(loops)
    onsets: list[Onset] = []
    start = 0.0
    for grid in grids:
        onsets += [onset._replace(beat=onset.beat + start) for onset in grid.onsets()]
        start += grid.beats
    first_length = grids[0].beats if grids else LOOP_BEATS
    whole = [onset if onset.beat >= 0 else onset._replace(beat=_wrapped(onset.beat, first_length)) for onset in onsets]
    write_onsets(path, whole, bpm, start, kit, name)


def _wrapped(beat: float, length_beats: float) -> float:
    """Returns a beat before the first as one at the end of a loop, on its tick; the first where that is the nearest tick."""
    tick = round(beat * TICKS_PER_BEAT)
    return tick / TICKS_PER_BEAT + length_beats if tick else 0.0


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
