"""Runs `drumvae-live --doctor`: records the input while the user plays and stops the DAW, and prints a diagnosis.

Listening ends by itself; Ctrl-C ends it earlier, and the messages received until then are diagnosed.
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
from .daw_behaviour import MAX_JUMP_S
from .report import PROBE_ECHO_S, Diagnosis, diagnose

LISTEN_S = 60.0
"""The longest time of listening."""
BARS = 4
"""After this many bars the doctor requests a stop."""
POLL_S = 0.01
AFTER_STOP_S = 2.0
"""Listening continues this long after Stop: a source may then send a position, or ticks."""
SECOND_PLAY_S = 12.0
"""How long to wait for the user to play again from another position."""
NO_INPUT_S = 20.0
"""Listening ends after this time where nothing was received."""
PROBE_NOTE_ON = bytes((NOTE_ON | DRUM_CHANNEL, DEFAULT_KIT.output_notes[2], 1))
"""A closed hi-hat at velocity 1."""
PROBE_NOTE_OFF = bytes((NOTE_OFF | DRUM_CHANNEL, DEFAULT_KIT.output_notes[2], 0))


class DoctorPorts(Protocol):
    """The part of midi_io.Ports that the doctor uses."""

    @property
    def input(self) -> Input: ...
    @property
    def output(self) -> Output: ...


@dataclass
class _Guide:
    """Gives the user the next instruction, and decides when listening is done. Time is passed in."""

    say: Callable[[str], None]
    bars: int
    done: bool = False
    _meter: TickMeter = field(default_factory=TickMeter)
    _reported_tempo: bool = False
    _requested_stop: bool = False
    _requested_second_play: bool = False
    _stops: int = 0
    _playing: bool = False
    _played_ticks: int = 0
    _stopped_s: float | None = None

    def start(self) -> None:
        self.say("Press play now, at the beginning of the song. Ctrl-C ends listening.")

    def add(self, arrival: TimestampedMessage) -> None:
        status = arrival.message[0] if arrival.message else 0
        if status == CLOCK:
            self._tick(arrival.at_s)
        elif status in (START, CONTINUE) and not self._playing:
            is_jump = self._stopped_s is not None and arrival.at_s - self._stopped_s < MAX_JUMP_S
            self._stops -= is_jump
            self._played_ticks = self._played_ticks if is_jump else 0
            self._playing, self._stopped_s = True, None
        elif status == STOP and self._playing:
            self._stops += 1
            self._playing, self._stopped_s = False, arrival.at_s

    def check(self, now_s: float) -> None:
        """Updates the state by the elapsed time."""
        if self._stopped_s is None:
            return
        since_stop_s = now_s - self._stopped_s
        if self._stops > 1:
            self.done = since_stop_s > AFTER_STOP_S
        elif since_stop_s > AFTER_STOP_S and not self._requested_second_play:
            self._requested_second_play = True
            self.say("Now play from the middle of the song, let a loop wrap if you use one, and stop again; or wait.")
        else:
            self.done = since_stop_s > AFTER_STOP_S + SECOND_PLAY_S

    def _tick(self, at_s: float) -> None:
        self._meter.tick(at_s)
        bpm = self._meter.stats().bpm_mean if not self._reported_tempo and self._meter.ticks > CLOCK_PPQN else None
        if bpm is not None:
            self._reported_tempo = True
            self.say(f"Receiving a clock at {bpm:.1f} bpm, keep playing.")
        if self._playing:
            self._played_ticks += 1
            if self._played_ticks == self.bars * 4 * CLOCK_PPQN and not self._requested_stop:
                self._requested_stop = True
                self.say("Now press stop.")


def listen(
    source: Input,
    say: Callable[[str], None],
    now: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
    seconds: float = LISTEN_S,
    bars: int = BARS,
) -> list[TimestampedMessage]:
    """Records the input until the user has played and stopped twice, or once without a second time, or the time is over.

    Args:
        source: The MIDI input.
        say: Prints a sentence to the user.
        now: Returns the time in monotonic seconds.
        sleep: Sleeps for a time in seconds.
        seconds: The longest time to listen.
        bars: The number of bars after which the doctor requests a stop.

    Returns:
        The received messages in order.
    """
    guide, arrivals, start_s = _Guide(say, bars), list[TimestampedMessage](), now()
    guide.start()
    try:
        while not guide.done and (now_s := now()) - start_s < (seconds if arrivals else min(seconds, NO_INPUT_S)):
            for arrival in source.poll(now_s):
                arrivals.append(arrival)
                guide.add(arrival)
            guide.check(now_s)
            sleep(POLL_S)
    except KeyboardInterrupt:
        say("Listening ends here.")
    return arrivals


def probe(
    ports: DoctorPorts, now: Callable[[], float], sleep: Callable[[float], None]
) -> tuple[list[TimestampedMessage], list[TimestampedMessage]]:
    """Sends one quiet note with its note-off; returns the note with its time, and the messages received meanwhile."""
    sent, arrivals = [TimestampedMessage(now(), PROBE_NOTE_ON)], list[TimestampedMessage]()
    try:
        ports.output.send(PROBE_NOTE_ON)
    finally:
        ports.output.send(PROBE_NOTE_OFF)
    while now() - sent[0].at_s < PROBE_ECHO_S:
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
    """Listens, prints the diagnosis, and writes it as JSON.

    Args:
        ports: The open input and output.
        report_path: The JSON file, or None for none.
        kit: The kit through which received notes are mapped to voices.
        say: Prints a line to the user.
        now: Returns the time in monotonic seconds.
        sleep: Sleeps for a time in seconds.

    Returns:
        The diagnosis.

    Raises:
        DataError: The JSON file cannot be written.
    """
    if report_path:
        check_report(report_path)
    start_s = now()
    arrivals = listen(ports.input, say, now, sleep)
    listened_s = now() - start_s
    sent, returned = probe(ports, now, sleep)  # last, when everything is connected
    diagnosis = diagnose([*arrivals, *returned], listened_s, sent, kit)
    for line in diagnosis.lines():
        say(line)
    if report_path:
        write_report(report_path, diagnosis)
    return diagnosis
