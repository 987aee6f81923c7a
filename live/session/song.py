"""Unrolls the song: counts beats that only grow while the DAW's song position jumps."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from drumvae.music.grid import BEATS_PER_BAR

from ..clock.timeline import EARLY_BEATS, Timeline, next_boundary
from ..clock.transport import TransportEvent, TransportKind


class Locate(NamedTuple):
    """The position at which playback continues after a start, a jump or a wrap."""

    beat: float
    """In unrolled beats."""
    unrolled_beats: float
    """The unrolled beat minus the song's beat."""
    left_beat: float | None
    """The unrolled beat before the jump; None if the song was not rolling."""
    wraps: bool
    """Whether a rolling song jumped back."""

    @property
    def continues(self) -> bool:
        """Whether the song continues without a gap: a wrap by whole cycles, on time, is not a jump."""
        return self.left_beat is not None and self.beat - self.left_beat < EARLY_BEATS


@dataclass
class Song:
    """The transport and the timeline of a session, in unrolled beats.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> song = Song()
    >>> song.enter(song.locate(TransportEvent(TransportKind.LOCATED, 10.0, 0.0)), Timeline(120, 0, 10.0))
    >>> song.enter(song.locate(TransportEvent(TransportKind.LOCATED, 12.5, 48.0)), Timeline(120, 48, 12.5))  # a jump from beat 5 to beat 48
    >>> song.beat_at(12.5), song.timeline.beat_at(12.5)
    (48.0, 16.0)
    """

    bars: int | None = None
    """The length of the session; None has no end."""
    timeline: Timeline | None = None
    """In unrolled beats; None before the first start."""
    rolling: bool = False
    end_beats: float = math.inf
    """The end of the session, in unrolled beats."""
    _stop_pending: bool = False  # the stop may be the beginning of a jump
    _unrolled_beats: float = 0.0  # unrolled beats minus song beats

    def song_beat_of(self, beat: float) -> float:
        """Returns the song's beat for an unrolled beat."""
        return beat - self._unrolled_beats

    def beat_at(self, at_s: float) -> float | None:
        """Returns the expected beat of the song at a time; None if the song is not rolling."""
        if self.timeline is None or not (self.rolling or self._stop_pending):
            return None
        return self.song_beat_of(self.timeline.beat_at(at_s))

    def follow(self, timeline: Timeline) -> None:
        """Follows the clock's timeline. After a stop the old one stays, because it gives the beat that the song would have reached."""
        if self.rolling:
            self.timeline = timeline.moved(self._unrolled_beats)

    def stop(self, kind: TransportKind) -> None:
        """Stops the song; STOP_PENDING may turn out to be the beginning of a jump."""
        self.rolling, self._stop_pending = False, kind is TransportKind.STOP_PENDING

    def locate(self, event: TransportEvent) -> Locate:
        """Returns the position at which playback continues: the next unrolled beat with the same phase within four bars."""
        rolled = self.rolling or self._stop_pending
        expected = self.timeline.beat_at(event.at_s) if self.timeline else event.beat
        wraps = rolled and event.beat + self._unrolled_beats < expected - EARLY_BEATS
        unrolled_beats = next_boundary(expected - EARLY_BEATS - event.beat)
        return Locate(event.beat + unrolled_beats, unrolled_beats, expected if rolled else None, wraps)

    def enter(self, place: Locate, timeline: Timeline) -> None:
        """Starts rolling at a position, on the clock's timeline."""
        self._unrolled_beats = place.unrolled_beats
        self.timeline = timeline.moved(self._unrolled_beats)
        self.rolling, self._stop_pending = True, False
        if self.end_beats == math.inf and self.bars is not None:
            self.end_beats = place.beat - place.beat % BEATS_PER_BAR + self.bars * BEATS_PER_BAR
