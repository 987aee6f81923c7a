"""Raw arrivals in, a Diagnosis out: which clock comes, what its sender does, what is wrong and what to click. Pure.

It never raises, whatever the stream holds: a broken stream is what it is there for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from drumvae.midi.constants import CLOCK, CONTINUE, NOTE_ON, START
from drumvae.music.kit import DEFAULT_KIT, Kit

from ..messages import TimestampedMessage
from ..metrics.meters import ClockFigures, TickMeter
from ..metrics.sync_report import counted, plain
from .daw_behaviour import ClockBehaviour, scan_behaviours
from .daws import Resemblance, resembling
from .findings import Evidence, Finding, PlayedNotes

ECHO_S = 0.5
"""A copy of a sent note that comes within this time is the note itself, gone around; a DAW's thru takes a buffer or two."""


@dataclass(frozen=True)
class Diagnosis:
    """Holds what listening told."""

    listened_s: float
    messages: int
    clock: ClockFigures
    plays: int
    """Starts and Continues."""
    stops: int
    notes: int
    """Note-ons that are not our own."""
    unmapped: Mapping[int, int]
    """The pitches that no voice hears, and how often each came."""
    probed: bool
    """Whether a note was sent to see if it comes back."""
    echo_ms: float | None
    """How long it was on its way, or None where it did not come back."""
    habits: tuple[ClockBehaviour, ...] = ()
    resembles: Resemblance = field(default_factory=Resemblance)
    findings: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        values = asdict(self) | {
            "unheard": {str(pitch): count for pitch, count in sorted(self.unmapped.items())},
            "habits": {habit.name.lower(): habit.value for habit in self.habits},
        }
        return {key: plain(value) for key, value in values.items()}

    def lines(self) -> list[str]:
        """Says it in plain words."""
        lines = [self._heard_line()]
        if self.clock.bpm_mean is not None:
            tempo = f"{self.clock.bpm_min:.1f} to {self.clock.bpm_max:.1f}, spread {self.clock.bpm_spread:.2f}"
            lines.append(f"The clock runs at {self.clock.bpm_mean:.1f} bpm ({tempo}); {self.clock.sentence}.")
        if self.habits:
            lines += ["The sender", *(f"  {habit.value}" for habit in self.habits)]
        if self.plays:
            lines.append(self._resemblance_line())
        if self.probed and self.echo_ms is None:
            lines.append("The quiet note that was sent did not come back, as it should be.")
        if not self.findings:
            return [*lines, "Nothing is wrong: drumvae can follow this clock."]
        lines.append("What is wrong, and what to click:")
        for number, finding in enumerate(self.findings, 1):
            lines += [f"{number}. {finding.sentence}", *(f"   - {click}" for click in finding.clicks)]
        return lines

    def _heard_line(self) -> str:
        counts = (
            counted(self.clock.ticks, "tick of a clock", "ticks of a clock"),
            counted(self.plays, "start"),
            counted(self.stops, "stop"),
            counted(self.notes, "note"),
        )
        return f"Listened for {self.listened_s:.0f} s and heard {', '.join(filter(None, counts)) or 'no clock, no start and no note'}."

    def _resemblance_line(self) -> str:
        names, several = self.resembles.names, self.resembles.several
        if len(names) == 1:
            return f"This resembles {names[0]}."
        if names:
            apart = "nothing heard tells them apart" if self.resembles.equal else f"{names[0]} more"
            return f"This resembles {' and '.join(names)}; {apart}."
        which = (
            f"Nothing heard tells {', '.join(several[:-1])} and {several[-1]} apart" if several else "Nothing heard tells which DAW this is"
        )
        return f"{which}; to learn more, play from the middle of the song and let a loop come round."


def diagnose(
    arrivals: Sequence[TimestampedMessage],
    listened_s: float,
    sent: Sequence[TimestampedMessage] = (),
    kit: Kit = DEFAULT_KIT,
) -> Diagnosis:
    """Reads what arrived while listening; `sent` is what was sent meanwhile, with the times of sending."""
    arrivals = sorted((a for a in arrivals if a.message and math.isfinite(a.at_s)), key=lambda arrival: arrival.at_s)
    heard, clock, notes = scan_behaviours(arrivals), _figures(arrivals), _notes(arrivals, sent, kit)
    likeness = resembling(heard.habits)
    evidence = Evidence(arrivals, heard, clock, notes, kit, likeness)
    return Diagnosis(
        listened_s=listened_s,
        messages=len(arrivals),
        clock=clock,
        plays=heard.plays,
        stops=heard.stops,
        notes=notes.count,
        unmapped=dict(notes.unmapped),
        probed=any(_is_note(m) for _, m in sent),
        echo_ms=None if notes.echo_s is None else notes.echo_s * 1000,
        habits=tuple(habit for habit in ClockBehaviour if habit in heard.habits),
        resembles=likeness,
        findings=tuple(evidence.findings()),
    )


def _figures(arrivals: Sequence[TimestampedMessage]) -> ClockFigures:
    meter = TickMeter()
    for at_s, message in arrivals:
        if message[0] == CLOCK:
            meter.tick(at_s)
        elif message[0] in (START, CONTINUE):
            meter.restart()
    return meter.figures()


def _is_note(message: bytes) -> bool:
    return len(message) == 3 and message[0] & 0xF0 == NOTE_ON and 0 < message[2] < 0x80 and message[1] < 0x80


def _notes(arrivals: Sequence[TimestampedMessage], sent: Sequence[TimestampedMessage], kit: Kit) -> PlayedNotes:
    notes, ours = PlayedNotes(), [(at_s, message[1:]) for at_s, message in sent if _is_note(message)]
    for at_s, message in arrivals:
        if not _is_note(message):
            continue
        ways_s = [at_s - sent_s for sent_s, note in ours if note == message[1:] and 0 <= at_s - sent_s < ECHO_S]
        if ways_s:
            notes.echo_s = min(ways_s) if notes.echo_s is None else min(notes.echo_s, *ways_s)
            continue
        notes.count += 1
        if kit.voice_of(message[1]) is None:
            notes.unmapped[message[1]] += 1
    return notes
