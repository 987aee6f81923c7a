"""Open ports in, a Diagnosis out: `drumvae-live --doctor` listens while you play and stop, and says in plain words what it heard.

Listening ends by itself; Ctrl-C ends it earlier, and what was heard until then is diagnosed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from drumvae.midi.constants import CLOCK, CLOCK_PPQN, CONTINUE, NOTE_OFF, NOTE_ON, START, STOP
from drumvae.music.kit import DEFAULT_KIT, DRUM_CHANNEL, Kit

from ..messages import Input, Output, TimestampedMessage
from ..metrics.meters import TickMeter
from ..metrics.sync_report import check_report, write_report
from .daw_behaviour import RESUME_S
from .report import ECHO_S, Diagnosis, diagnose

LISTEN_S = 60.0
BARS = 4
POLL_S = 0.01
AFTER_STOP_S = 2.0
"""What a sender does once it has stopped: a position, a clock that goes on."""
SECOND_S = 12.0
"""So long a second play, from elsewhere, is waited for."""
SILENT_S = 20.0
"""Where nothing at all came until then, nothing will."""
QUIET = bytes((NOTE_ON | DRUM_CHANNEL, DEFAULT_KIT.output_notes[2], 1))
"""A closed hat, as quiet as a note can be."""
HUSH = bytes((NOTE_OFF | DRUM_CHANNEL, DEFAULT_KIT.output_notes[2], 0))


class DoctorPorts(Protocol):
    """What the doctor needs of ports.Ports."""

    @property
    def input(self) -> Input: ...
    @property
    def output(self) -> Output: ...


@dataclass
class _Guide:
    """Says what to do next, and knows when enough was heard. Time is passed in."""

    say: Callable[[str], None]
    bars: int
    done: bool = False
    _meter: TickMeter = field(default_factory=TickMeter)
    _told_tempo: bool = False
    _told_stop: bool = False
    _told_second: bool = False
    _rounds: int = 0
    _playing: bool = False
    _played_ticks: int = 0
    _stopped_s: float | None = None

    def begin(self) -> None:
        self.say("Press play now, at the beginning of the song. Ctrl-C ends this.")

    def take(self, arrival: TimestampedMessage) -> None:
        status = arrival.message[0] if arrival.message else 0
        if status == CLOCK:
            self._tick(arrival.at_s)
        elif status in (START, CONTINUE) and not self._playing:
            jumps = self._stopped_s is not None and arrival.at_s - self._stopped_s < RESUME_S
            self._rounds -= jumps
            self._played_ticks = self._played_ticks if jumps else 0
            self._playing, self._stopped_s = True, None
        elif status == STOP and self._playing:
            self._rounds += 1
            self._playing, self._stopped_s = False, arrival.at_s

    def check(self, now_s: float) -> None:
        """Takes the passing of time."""
        if self._stopped_s is None:
            return
        rested_s = now_s - self._stopped_s
        if self._rounds > 1:
            self.done = rested_s > AFTER_STOP_S
        elif rested_s > AFTER_STOP_S and not self._told_second:
            self._told_second = True
            self.say("Now play from the middle of the song, let a loop come round if you use one, and stop again; or wait.")
        else:
            self.done = rested_s > AFTER_STOP_S + SECOND_S

    def _tick(self, at_s: float) -> None:
        self._meter.tick(at_s)
        bpm = self._meter.figures().bpm_mean if not self._told_tempo and self._meter.ticks > CLOCK_PPQN else None
        if bpm is not None:
            self._told_tempo = True
            self.say(f"Heard a clock at {bpm:.1f} bpm, go on.")
        if self._playing:
            self._played_ticks += 1
            if self._played_ticks == self.bars * 4 * CLOCK_PPQN and not self._told_stop:
                self._told_stop = True
                self.say("Now press stop.")


def listen(
    source: Input,
    say: Callable[[str], None],
    now: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    seconds: float = LISTEN_S,
    bars: int = BARS,
) -> list[TimestampedMessage]:
    """Returns what arrived until play, some bars and stop were heard twice, or once and nothing after it, or the time is over."""
    guide, arrivals, began_s = _Guide(say, bars), list[TimestampedMessage](), now()
    guide.begin()
    try:
        while not guide.done and (now_s := now()) - began_s < (seconds if arrivals else min(seconds, SILENT_S)):
            for arrival in source.poll(now_s):
                arrivals.append(arrival)
                guide.take(arrival)
            guide.check(now_s)
            sleep(POLL_S)
    except KeyboardInterrupt:
        say("Enough was heard.")
    return arrivals


def probe(
    ports: DoctorPorts, now: Callable[[], float], sleep: Callable[[float], None]
) -> tuple[list[TimestampedMessage], list[TimestampedMessage]]:
    """Sends one quiet note and lets go of it at once; returns it with its time, and what arrived meanwhile."""
    sent, arrivals = [TimestampedMessage(now(), QUIET)], list[TimestampedMessage]()
    try:
        ports.output.send(QUIET)
    finally:
        ports.output.send(HUSH)
    while now() - sent[0].at_s < ECHO_S:
        sleep(POLL_S)
        arrivals += ports.input.poll(now())
    return sent, arrivals


def run_doctor(
    ports: DoctorPorts,
    report_path: Path | None = None,
    kit: Kit = DEFAULT_KIT,
    say: Callable[[str], None] = print,
    now: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Diagnosis:
    """Listens, prints the diagnosis and writes it as JSON where that was asked for; raises DataError where it cannot be written."""
    if report_path:
        check_report(report_path)
    began_s = now()
    arrivals = listen(ports.input, say, now, sleep)
    listened_s = now() - began_s
    sent, returned = probe(ports, now, sleep)  # last, when everything is connected
    diagnosis = diagnose([*arrivals, *returned], listened_s, sent, kit)
    for line in diagnosis.lines():
        say(line)
    if report_path:
        write_report(report_path, diagnosis)
    return diagnosis
