"""Defines the one note type that is used between MIDI files and grids."""

from typing import NamedTuple


class MidiNote(NamedTuple):
    """A note of a MIDI file, in file ticks.

    >>> kick = MidiNote(tick=480, end_tick=540, channel=9, pitch=36, velocity=100)
    >>> kick.moved(470, 90)[:5]
    (470, 530, 9, 36, 90)
    """

    tick: int
    """The tick of its note-on."""
    end_tick: int | None
    """The tick of its note-off; None if the file has none."""
    channel: int
    """0 to 15."""
    pitch: int
    """0 to 127."""
    velocity: int
    """1 to 127."""
    track: int = 0
    """The index of its track."""
    program: int = 0
    """The program of its channel at its note-on, 0 to 127."""
    on_index: int | None = None
    """The index of its note-on in `Track.events`; None for a note that is not in the file."""
    off_index: int | None = None
    """The index of its note-off in `Track.events`; None if there is none."""

    def moved(self, tick: int, velocity: int) -> "MidiNote":
        """Returns the note at another tick, with the same length and another velocity."""
        return self._replace(tick=tick, end_tick=None if self.end_tick is None else self.end_tick + tick - self.tick, velocity=velocity)
