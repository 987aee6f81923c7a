"""Extends the JACK rig by tempo changes (steps, ramps) and by jitter of the clock."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from helpers.jackparts import RATE, JackServer, wait_for
from helpers.jackrig import TICKS_PER_JACK_BEAT, Rig
from helpers.note_matching import CLOCK, Captured

DELAY_S = 0.012
"""The mean delay of a relayed clock: four standard deviations of 3 ms."""


class TempoRig(Rig):
    """Sets a tempo given as a list of (beat, bpm): linear from one to the next, a step where two share a beat."""

    def __init__(self, server: JackServer, tempo: Sequence[tuple[float, float]], jitter_s: float = 0.0, seed: int = 0) -> None:
        super().__init__(server, tempo[0][1])
        self._beats, self._frames, self._bpms = beats_and_frames(tempo)
        self._jitter_s = jitter_s
        self._draw = np.random.default_rng(seed)
        self._delayed: list[tuple[int, bytes]] = []
        self.added_ms: list[float] = []
        """The jitter added to each tick, beside DELAY_S."""
        self.relayed = self._client.midi_outports.register("relay")
        """The source's clock, delayed by DELAY_S and jitter; every other message with the tick that follows it."""

    def _set_position(self, state: int, count: int, position: Any, new: bool) -> None:
        beat = float(np.interp(position.frame, self._frames, self._beats))
        bar = int(beat // 4)
        position.beats_per_bar = position.beat_type = 4.0
        position.ticks_per_beat, position.beats_per_minute = TICKS_PER_JACK_BEAT, float(np.interp(position.frame, self._frames, self._bpms))
        position.bar, position.beat, position.tick = bar + 1, int(beat % 4) + 1, int(beat % 1 * TICKS_PER_JACK_BEAT)
        position.bar_start_tick = bar * 4 * TICKS_PER_JACK_BEAT
        position.valid = self._jack.POSITION_BBT

    def locate(self, beat: float) -> None:
        self._client.transport_frame = round(self._frame_at(beat))

    def play_until(self, beat: float) -> None:
        """Waits until the song has reached a beat on the transport."""
        goal = self._frame_at(beat)
        time.sleep(max(goal - self._client.transport_frame, 0.0) / RATE)
        wait_for(lambda: self._client.transport_frame >= goal, f"the song at beat {beat}")

    def _frame_at(self, beat: float) -> float:
        return float(np.interp(beat, self._beats, self._frames))

    def _process(self, count: int) -> None:
        first = len(self.clock)
        super()._process(count)
        if not self._jitter_s:
            return
        self.relayed.clear_buffer()
        for frame, data in self.clock[first:]:
            self._delayed.append((self._delayedr(frame, data), data))
        base = self._client.last_frame_time
        while self._delayed and self._delayed[0][0] < base + count:
            frame, data = self._delayed.pop(0)
            self.relayed.write_midi_event(max(frame - base, 0), data)

    def _relay_frame(self, frame: int, data: bytes) -> int:
        """Returns the frame at which a message is relayed; no message overtakes another."""
        jitter_s = float(self._draw.normal(0, self._jitter_s)) if data[0] == CLOCK else 0.0
        if data[0] == CLOCK:
            self.added_ms.append(jitter_s * 1000)
        before = self._delayed[-1][0] if self._delayed else 0
        return max(frame + round((DELAY_S + jitter_s) * RATE), before)

    def without_jitter(self) -> list[Captured]:
        """Returns the clock as it would be relayed without the jitter."""
        return [Captured(frame + round(DELAY_S * RATE), data) for frame, data in self.clock] if self._jitter_s else self.clock


def beats_and_frames(tempo: Sequence[tuple[float, float]], spacing_beats: float = 1 / 96) -> tuple[Any, Any, Any]:
    """Returns beats, their frames and their tempi, dense enough for linear interpolation."""
    ends = np.array([beat for beat, _ in tempo])
    bpms = np.array([bpm for _, bpm in tempo])
    beats = np.arange(0, ends[-1] + spacing_beats, spacing_beats)
    here = np.interp(beats, ends, bpms)
    middle = np.interp(beats[:-1] + spacing_beats / 2, ends, bpms)
    frames = np.concatenate([[0.0], np.cumsum(60 * RATE * spacing_beats / middle)])
    return beats, frames, here
