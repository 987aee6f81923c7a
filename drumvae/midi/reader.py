"""Reads a MIDI file into messages and timing; raises an error that names the problem of an unreadable file."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..util.errors import DataError
from .tempo_map import Timing
from .tracks import ParsedMidi

if TYPE_CHECKING:
    from mido import MidiFile

_MOST_MB = 2  # a million notes take 6 MB at least, minutes and gigabytes to read; ten minutes of real drums take 0.2


def open_midi(data: bytes) -> "MidiFile":
    """Returns the messages of a MIDI file; the only place where mido reads one.

    Raises ValueError, with a clause that names the problem, if the data is not a MIDI file.
    """
    import mido

    try:
        return mido.MidiFile(file=BytesIO(data), clip=True)
    except Exception as error:  # mido has a different exception for every way in which a file can be broken
        raise ValueError(str(error) or type(error).__name__) from None


def parse_file(path: Path) -> tuple[ParsedMidi, Timing]:
    """Reads a file of type 0 or 1; raises DataError if it is missing, broken, larger than 2 MB, or not counted in beats."""
    data = _read_bytes(path)
    try:
        file = ParsedMidi.from_mido(open_midi(data))
        if file.ticks_per_beat < 0:
            raise DataError(
                f"{path} counts time in frames a second (SMPTE) and not in beats; types 0 and 1 in beats are read: export it so."
            )
        if file.kind == 2 or not file.ticks_per_beat:
            kind = f"type {file.kind} with {file.ticks_per_beat} ticks a beat"
            raise DataError(f"{path} is a MIDI file of {kind}; types 0 and 1 in beats are read.")
        return file, Timing.from_file(file)
    except ValueError as error:
        detail = f"{len(data)} bytes, {error}" if data else "it is empty"
        raise DataError(f"{path} is not a whole MIDI file ({detail}); export it again.") from None


def _read_bytes(path: Path) -> bytes:
    """Returns the content of a file that is not too large."""
    try:
        size_mb = path.stat().st_size / 1e6
        if size_mb <= _MOST_MB:
            return path.read_bytes()
    except OSError as error:
        if not path.is_file():
            raise DataError(f"There is no MIDI file {path}.") from None
        raise DataError(f"{path} cannot be read ({error.strerror or error}); type a file that can.") from None
    raise DataError(f"{path} has {size_mb:.1f} MB, hundreds of thousands of notes; up to {_MOST_MB} MB are read: cut it into parts.")
