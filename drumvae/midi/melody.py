"""A melody in, a MIDI file of its notes out."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..music.encoding import melody_to_notes
from ..music.grid import STEPS_PER_BEAT
from ..util.files import write_atomic
from .constants import FILE_PPQN

VELOCITY = 80
"""Of every note, 1 to 127: a melody knows none."""
_TICKS_PER_STEP = FILE_PPQN // STEPS_PER_BEAT


def write_melody(path: Path, melody: NDArray[np.int64], bpm: float, name: str = "drumvae") -> None:
    """Writes classes (S,) into a Type 1 file that lasts S steps: tempo, 4/4, a named track, a piano on channel 1.

    Raises DataError where the file cannot be written.
    """
    import mido

    tempo = mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))
    events: list[tuple[int, Any]] = [(0, mido.MetaMessage("track_name", name=name)), (0, mido.Message("program_change", program=0))]
    for first, end, pitch in melody_to_notes(melody):
        events.append((first * _TICKS_PER_STEP, mido.Message("note_on", note=pitch, velocity=VELOCITY)))
        events.append((end * _TICKS_PER_STEP, mido.Message("note_off", note=pitch)))
    length = len(melody) * _TICKS_PER_STEP
    song = mido.MidiFile(type=1, ticks_per_beat=FILE_PPQN)
    song.tracks.append(_track([(0, tempo), (0, mido.MetaMessage("time_signature", numerator=4, denominator=4))], length))
    song.tracks.append(_track(events, length))
    whole = BytesIO()
    song.save(file=whole)
    write_atomic(path, whole.getvalue())


def _track(events: list[tuple[int, Any]], length: int) -> Any:
    """Returns messages, in order, at their ticks as a track that ends at a tick."""
    import mido

    whole = [*events, (length, mido.MetaMessage("end_of_track"))]
    before = [0, *(tick for tick, _ in events)]
    return mido.MidiTrack(message.copy(time=tick - last) for (tick, message), last in zip(whole, before, strict=True))
