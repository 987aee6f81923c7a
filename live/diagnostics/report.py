"""Diagnoses a recorded stream of MIDI messages: its clock, the behaviour of its source, the problems and their fixes. Pure.

It never raises, whatever the stream contains, because its purpose is to diagnose broken streams.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from drumvae.midi.constants import CLOCK, CONTINUE, NOTE_ON, START
from drumvae.music.kit import DEFAULT_KIT, Kit

from ..messages import TimestampedMessage
from ..metrics.meters import ClockStats, TickMeter
from ..metrics.sync_report import counted, json_value
from .daw_behaviour import ClockBehaviour, scan_behaviours
from .daws import Resemblance, find_resemblance
from .findings import Evidence, Finding, PlayedNotes

PROBE_ECHO_S = 0.5
"""A copy of the probe note within this time is the note itself, returned; a DAW's MIDI thru takes one or two buffers."""


@dataclass(frozen=True)
class Diagnosis:
    """The result of listening. Field names are the keys of the JSON report, except where noted."""

    listened_s: float
    messages: int
    clock: ClockStats
    plays: int
    """Starts and Continues."""
    stops: int
    notes: int
    """Received note-ons, without the probe note."""
    unmapped: Mapping[int, int]
    """The pitches that the kit maps to no voice, and how often each came."""
    probed: bool
    """Whether a note was sent to test for echoes."""
    echo_ms: float | None
    """The probe note's delay, or None if it did not come back."""
    behaviours: tuple[ClockBehaviour, ...] = ()
    """The behaviours of the clock source; in JSON `habits`, as names with descriptions."""
    resembles: Resemblance = field(default_factory=Resemblance)
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        values = asdict(self)
        del values["behaviours"]
        values["unmapped"] = {str(pitch): count for pitch, count in sorted(self.unmapped.items())}
        values["habits"] = {behaviour.name.lower(): behaviour.value for behaviour in self.behaviours}
        return {key: json_value(value) for key, value in values.items()}

    def lines(self) -> list[str]:
        """Returns the diagnosis as lines of text."""
        lines = [self._received_line()]
        if self.clock.bpm_mean is not None:
            tempo = f"{self.clock.bpm_min:.1f} to {self.clock.bpm_max:.1f}, spread {self.clock.bpm_spread:.2f}"
            lines.append(f"The clock runs at {self.clock.bpm_mean:.1f} bpm ({tempo}); {self.clock.sentence}.")
        if self.behaviours:
            lines += ["The clock source", *(f"  {behaviour.value}" for behaviour in self.behaviours)]
        if self.plays:
            lines.append(self._resemblance_line())
        if self.probed and self.echo_ms is None:
            lines.append("The quiet test note did not come back, as it should be.")
        if not self.findings:
            return [*lines, "Nothing is wrong: drumvae can follow this clock."]
        lines.append("What is wrong, and what to click:")
        for number, finding in enumerate(self.findings, 1):
            lines += [f"{number}. {finding.sentence}", *(f"   - {click}" for click in finding.clicks)]
        return lines

    def _received_line(self) -> str:
        counts = (
            counted(self.clock.ticks, "clock tick"),
            counted(self.plays, "start"),
            counted(self.stops, "stop"),
            counted(self.notes, "note"),
        )
        return f"Listened for {self.listened_s:.0f} s and received {', '.join(filter(None, counts)) or 'no clock, no start and no note'}."

    def _resemblance_line(self) -> str:
        names, several = self.resembles.names, self.resembles.several
        if len(names) == 1:
            return f"This resembles {names[0]}."
        if names:
            comparison = "the messages do not distinguish them" if self.resembles.equal else f"{names[0]} more"
            return f"This resembles {' and '.join(names)}; {comparison}."
        daws = f"{', '.join(several[:-1])} and {several[-1]}" if several else "any DAW from the others"
        return f"The messages do not distinguish {daws}; to learn more, play from the middle of the song and let a loop wrap."


def diagnose(
    arrivals: Sequence[TimestampedMessage],
    listened_s: float,
    sent: Sequence[TimestampedMessage] = (),
    kit: Kit = DEFAULT_KIT,
) -> Diagnosis:
    """Diagnoses the messages received while listening.

    Args:
        arrivals: The received messages, in any order.
        listened_s: The duration of listening in seconds.
        sent: The messages sent meanwhile, with the times of sending.
        kit: The kit through which received notes are mapped to voices.

    Returns:
        The diagnosis; it has no findings where nothing is wrong.

    >>> [finding.code for finding in diagnose([], listened_s=20).findings]
    ['nothing']
    """
    arrivals = sorted((a for a in arrivals if a.message and math.isfinite(a.at_s)), key=lambda arrival: arrival.at_s)
    scan, clock, notes = scan_behaviours(arrivals), _clock_stats(arrivals), _played_notes(arrivals, sent, kit)
    resemblance = find_resemblance(scan.behaviours)
    evidence = Evidence(arrivals, scan, clock, notes, kit, resemblance)
    return Diagnosis(
        listened_s=listened_s,
        messages=len(arrivals),
        clock=clock,
        plays=scan.plays,
        stops=scan.stops,
        notes=notes.count,
        unmapped=dict(notes.unmapped),
        probed=any(_is_note_on(m) for _, m in sent),
        echo_ms=None if notes.echo_s is None else notes.echo_s * 1000,
        behaviours=tuple(behaviour for behaviour in ClockBehaviour if behaviour in scan.behaviours),
        resembles=resemblance,
        findings=tuple(evidence.findings()),
    )


def _clock_stats(arrivals: Sequence[TimestampedMessage]) -> ClockStats:
    meter = TickMeter()
    for at_s, message in arrivals:
        if message[0] == CLOCK:
            meter.tick(at_s)
        elif message[0] in (START, CONTINUE):
            meter.restart()
    return meter.stats()


def _is_note_on(message: bytes) -> bool:
    return len(message) == 3 and message[0] & 0xF0 == NOTE_ON and 0 < message[2] < 0x80 and message[1] < 0x80


def _played_notes(arrivals: Sequence[TimestampedMessage], sent: Sequence[TimestampedMessage], kit: Kit) -> PlayedNotes:
    notes, probes = PlayedNotes(), [(at_s, message[1:]) for at_s, message in sent if _is_note_on(message)]
    for at_s, message in arrivals:
        if not _is_note_on(message):
            continue
        delays_s = [at_s - sent_s for sent_s, note in probes if note == message[1:] and 0 <= at_s - sent_s < PROBE_ECHO_S]
        if delays_s:
            notes.echo_s = min(delays_s) if notes.echo_s is None else min(notes.echo_s, *delays_s)
            continue
        notes.count += 1
        if kit.voice_of(message[1]) is None:
            notes.unmapped[message[1]] += 1
    return notes
