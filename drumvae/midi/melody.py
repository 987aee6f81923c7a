"""Writes a melody to a MIDI file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..music.encoding import melody_to_notes
from ..music.grid import STEPS_PER_BEAT
from ..util.files import write_atomic
from .constants import FILE_PPQN
from .tracks import Event
from .writer import instrument_header, midi_bytes, timing_track

VELOCITY = 80
"""Of every note, 1 to 127: melody classes have no velocity."""
_TICKS_PER_STEP = FILE_PPQN // STEPS_PER_BEAT


def write_melody(path: Path, melody: NDArray[np.int64], bpm: float, name: str = "drumvae") -> None:
    """Writes melody classes into a Type 1 file: tempo, 4/4, a named track, a piano on channel 1.

    Args:
        path: The file; missing folders are made.
        melody: Melody classes (S,); the file lasts S steps.
        bpm: The tempo.
        name: The name of the track.

    Raises:
        DataError: The file cannot be written.
    """
    import mido

    events: list[Event] = []
    for first, end, pitch in melody_to_notes(melody):
        events.append((first * _TICKS_PER_STEP, mido.Message("note_on", note=pitch, velocity=VELOCITY)))
        events.append((end * _TICKS_PER_STEP, mido.Message("note_off", note=pitch)))
    end_tick = len(melody) * _TICKS_PER_STEP
    piano = instrument_header(name, 0) + events
    write_atomic(path, midi_bytes([timing_track(mido.bpm2tempo(bpm), end_tick), (piano, end_tick)]))
