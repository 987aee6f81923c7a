"""MIDI file in, drums or notes in beats out; grids in, a MIDI file out, written through pretty_midi.

Every note begins somewhere and is kept, ended or not; a drum that no voice hears is counted under its pitch.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..music.grid import LOOP_BEATS, STEPS_PER_BEAT, Grid, Onset, onsets_to_arrays
from ..music.kit import DEFAULT_KIT, DRUM_CHANNEL, Kit
from ..util.errors import NoDrumsError
from ..util.files import write_atomic
from .constants import FILE_PPQN
from .tempo_map import Timing, parse_file
from .tracks import MidiBytes, Note, Track, drum_channels

GATE_BEATS = 1 / 8
"""Length of a written note, half a step, so that no note runs into the next hit of its voice."""

_HEADER_BYTES = 14
_END = b"\xff\x2f\x00"  # the end of a track, by the standard


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

    What drums are, `drumvae.midi.tracks.drum_channels` says. Raises DataError where the file is missing, empty, truncated, huge or not
    MIDI, and NoDrumsError where it holds no drums.
    """
    _, song, timing = parse_file(path)
    channels = find_drums(song, kit, path)
    strikes = [strike for number, track in enumerate(song.tracks) for strike in track.strikes() if (number, strike.channel) in channels]
    strikes.sort(key=lambda strike: strike.tick)  # stable: the first of two equal notes stays first
    unheard = Counter(f"pitch {strike.pitch}" for strike in strikes if kit.voice_of(strike.pitch) is None)
    heard = [(s.tick, voice, s.velocity, s.pitch) for s in strikes if (voice := kit.voice_of(s.pitch)) is not None]
    if not heard:
        raise no_drums(path, unheard)
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
    _, song, timing = parse_file(path)
    return Song(**vars(timing), parts=tuple(part for track in song.tracks for part in _parts(track, song.ticks_per_beat)))


def find_drums(song: MidiBytes, kit: Kit, path: Path) -> set[tuple[int, int]]:
    """Returns which channels of which tracks of a file play drums, as `drum_channels`; raises NoDrumsError that names the file."""
    try:
        return drum_channels(song, kit)
    except NoDrumsError as error:
        raise NoDrumsError(f"{path} has no drums: {error}.") from None


def no_drums(path: Path, unheard: Counter[str]) -> NoDrumsError:
    """Returns the error of a file of which no note is heard, by how many there are of each pitch."""
    reason = ", ".join(f"{reason}: {count}" for reason, count in unheard.most_common(5))
    return NoDrumsError(f"{path} has no drums: no note lies on a pitch that the kit hears ({reason or 'it holds no notes'}).")


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
    tick = round(beat * FILE_PPQN)
    return tick / FILE_PPQN + length_beats if tick else 0.0


def write_onsets(
    path: Path, onsets: Sequence[Onset], bpm: float, length_beats: float, kit: Kit = DEFAULT_KIT, name: str = "drumvae"
) -> None:
    """Writes onsets in beats, none of them negative, into a Type 1 file that lasts a number of beats; raises DataError as `write_midi`."""
    strikes = [
        (beat, kit.output_notes[voice], min(max(round(velocity * 127), 1), 127)) for beat, voice, velocity in onsets
    ]  # 0 is a note-off
    write_strikes(path, strikes, bpm, length_beats, name)


def write_strikes(
    path: Path,
    strikes: Sequence[tuple[float, int, int]],
    bpm: float,
    length_beats: float,
    name: str = "drumvae",
    ticks_per_beat: int = FILE_PPQN,
) -> None:
    """Writes notes on channel 10, as (beat, pitch, velocity 1 to 127), as `write_onsets`; each ends before its pitch is struck again."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=ticks_per_beat, initial_tempo=bpm)
    midi.time_signature_changes.append(pretty_midi.TimeSignature(4, 4, 0))
    drums = pretty_midi.Instrument(0, is_drum=True, name=name)
    beat_s = 60 / bpm
    following: dict[int, float] = {}  # where each pitch is struck next
    for beat, pitch, velocity in sorted(strikes, reverse=True):
        end = min(beat + GATE_BEATS, following.get(pitch, length_beats), length_beats)  # a late last note must not lengthen the loop
        following[pitch] = beat
        drums.notes.append(pretty_midi.Note(velocity, pitch, beat * beat_s, max(end, beat + 1 / ticks_per_beat) * beat_s))
    midi.instruments.append(drums)
    whole = BytesIO()
    midi.write(whole)
    last_s = max((note.end for note in drums.notes), default=0.0)
    write_atomic(path, _with_length(whole.getvalue(), [0, midi.time_to_tick(last_s)], round(length_beats * ticks_per_beat)))


def _with_length(data: bytes, last_ticks: Sequence[int], ticks: int) -> bytes:
    """Moves the end of every track from one tick after its last event to a tick, so that a silent last bar stays a bar in a loop.

    Reading the file again to do so would take as long as writing it.
    """
    from mido.midifiles.meta import encode_variable_int

    whole, at = [data[:_HEADER_BYTES]], _HEADER_BYTES
    for last_tick in last_ticks:
        (size,) = struct.unpack_from(">I", data, at + 4)
        events = data[at + 8 : at + 8 + size].removesuffix(b"\x01" + _END)  # a tick after the last event
        track = events + bytes(encode_variable_int(max(ticks - last_tick, 0))) + _END
        whole.append(b"MTrk" + struct.pack(">I", len(track)) + track)
        at += 8 + size
    return b"".join(whole)


assert DRUM_CHANNEL == 9  # pretty_midi's is_drum means channel 10
