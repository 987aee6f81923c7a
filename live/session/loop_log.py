"""Reports each loop when its cycle has ended, with its bar, its mean tempo and its kit."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from drumvae.music.grid import LOOP_BEATS

from ..clock.timeline import Timeline, bar_of
from ..controls.state import ControlState
from ..looper.loop import Loop
from ..looper.player import Player
from ..messages import PlayedLoop
from .song import Song


@dataclass
class LoopLog:
    """Watches the player's cycles. A loop that repeats is reported once.

    Thread-safe: no.
    Realtime-safe: as the callback.
    """

    player: Player
    song: Song
    on_loop_played: Callable[[PlayedLoop], None] | None = None
    bar: int = 1
    """The bar of the song where the current cycle began."""
    controls: ControlState = field(default_factory=ControlState)
    """A snapshot of the values that the cycle was last played with; its report uses them, not those of the next cycle."""
    _current: tuple[int, Loop | None] = (0, None)  # the player's count of cycles, and the loop
    _reported: Loop | None = None
    _start: tuple[float, float] = (0.0, 0.0)  # unrolled beat and seconds

    def begins_cycle(self) -> bool:
        """Returns whether the player has begun a cycle or a loop since the last call of `begin_cycle`."""
        return self._current != (self.player.cycles_started, self.player.loop)

    def begin_cycle(self, beat: float, now_s: float) -> None:
        """Reports the previous cycle and begins another one at a beat."""
        self.report(now_s)
        self._current = (self.player.cycles_started, self.player.loop)
        self._start = (beat, now_s)
        self.bar = bar_of(self.song.song_beat_of(max(beat, float(self.player.cycle * LOOP_BEATS))))

    def report(self, now_s: float) -> None:
        """Reports the loop whose cycle has ended or was cut."""
        _, loop = self._current
        timeline = self.song.timeline
        if loop is None or loop is self._reported or timeline is None:
            return
        self._reported = loop
        if self.on_loop_played:
            rendered = replace(loop, grid=loop.render(self.controls))
            self.on_loop_played(PlayedLoop(rendered, self.bar, round(self._mean_bpm(timeline, now_s), 2), self.controls.kit))

    def _mean_bpm(self, timeline: Timeline, now_s: float) -> float:
        beat, at_s = self._start
        beats = timeline.beat_at(now_s) - beat
        return beats * 60 / (now_s - at_s) if beats > 1 else timeline.bpm
