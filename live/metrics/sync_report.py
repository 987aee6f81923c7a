"""Measures how accurately a session follows the clock and sends notes, and reports it.

The performer's thread feeds a SyncMeter, which keeps counts only. At the end of the session it makes a SyncReport, which is printed
in sentences and written as JSON with --report.
"""

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from drumvae.util.errors import DataError
from drumvae.util.files import check_writable

from ..clock.transport import TransportEvent, TransportKind
from .meters import ClockStats, Histogram, TickMeter

NO_JUMP_BEATS = 0.1
"""A smaller difference is no jump: song position counts quarters of a beat."""
STEADY_BPM = 1.0
"""A tempo range below this is reported as one number."""
JSON_KEYS = {"notes_received": "heard"}
"""JSON keys that differ from the name of the field."""
REPORT_HINT = "name another file after --report"


@dataclass(frozen=True)
class SyncReport:
    """The measurements of a session; None if nothing was measured."""

    minutes: float = 0.0
    """How long the song played."""
    clock: ClockStats = field(default_factory=ClockStats)
    late_p50_ms: float | None = None
    """Lateness: the time from when a note was due until it was sent; the next three as well."""
    late_p95_ms: float | None = None
    late_p99_ms: float | None = None
    late_max_ms: float | None = None
    sent: int = 0
    """Note-ons sent."""
    notes_received: int = 0
    """Note-ons received, without echoes."""
    echoes: int = 0
    """Own notes that came back and were dropped."""
    starts: int = 0
    stops: int = 0
    seeks: int = 0
    wraps: int = 0
    """Jumps back by whole beats while playing, as made by a DAW's loop."""
    lost_clocks: int = 0
    port_losses: int = 0
    worker_restarts: int = 0
    stale: int = 0
    """Hits that were dropped because their due time had passed."""
    real_time: bool | None = None
    """Whether the system granted real-time priority; None if it was not requested."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        values = {JSON_KEYS.get(name, name): value for name, value in asdict(self).items()}
        return {key: json_value(value) for key, value in values.items()}

    def lines(self) -> list[str]:
        """Returns the report in sentences."""
        transport_counts = (
            counted(self.starts, "start"),
            counted(self.stops, "stop"),
            counted(self.seeks, "seek"),
            counted(self.wraps, "loop wrap"),
        )
        problems = (
            counted(self.lost_clocks, "lost clock"),
            counted(self.port_losses, "lost port"),
            counted(self.worker_restarts, "restart of the model", "restarts of the model"),
            counted(self.stale, "hit left out, too late to play", "hits left out, too late to play"),
        )
        lists = (_list("The transport", transport_counts), _list("Problems", problems))
        lines = (self._clock_line(), self._notes_line(), *lists, self._priority_line())
        return [line for line in lines if line]

    def _clock_line(self) -> str:
        clock, span = self.clock, _span(self.minutes)
        if not self.minutes:
            return f"Received {counted(clock.ticks, 'clock tick')}, but no Start." if clock.ticks else "No clock was received."
        if not clock.ticks:
            return f"Played for {span} on the internal clock."
        if clock.bpm_mean is None or clock.bpm_min is None or clock.bpm_max is None:
            return f"Followed {counted(clock.ticks, 'clock tick')} in {span}: too few to measure."
        if clock.bpm_max - clock.bpm_min > STEADY_BPM:
            return f"Followed {clock.bpm_min:.1f} to {clock.bpm_max:.1f} bpm (mean {clock.bpm_mean:.1f}) for {span}; {clock.sentence}."
        return f"In sync at {clock.bpm_mean:.1f} bpm for {span} (spread {clock.bpm_spread:.2f} bpm); {clock.sentence}."

    def _notes_line(self) -> str:
        sent = counted(self.sent, "note") or "no note"
        received = f"received {counted(self.notes_received, 'note') or 'none'}"
        echoes = f", dropped {counted(self.echoes, 'echo', 'echoes')} of our own" if self.echoes else ""
        if self.late_p50_ms is None:
            return f"Sent {sent}; {received}{echoes}."
        late = f"{self.late_p50_ms:.2f} ms late (p95 {self.late_p95_ms:.2f}, p99 {self.late_p99_ms:.2f}, worst {self.late_max_ms:.2f})"
        return f"Sent {sent}, {late}; {received}{echoes}."

    def _priority_line(self) -> str:
        if self.real_time is None:
            return ""
        return (
            "Real-time priority was granted." if self.real_time else "Real-time priority was not granted; a busy machine may delay notes."
        )


@dataclass
class SyncMeter:
    """Collects the measurements of a session in constant memory.

    Called by the performer's thread, except where noted. The public counters are incremented by the code that observes the event.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> meter = SyncMeter()
    >>> meter.transport(TransportEvent(TransportKind.LOCATED, at_s=100.0, beat=0.0))
    >>> meter.sent(late_s=0.0004)
    >>> report = meter.report(now_s=160.0)
    >>> report.minutes, report.starts, report.sent
    (1.0, 1, 1)
    """

    notes_received: int = 0
    echoes: int = 0
    stale: int = 0
    port_losses: int = 0
    """Set by the main thread."""
    worker_restarts: int = 0
    """Set by the main thread."""
    real_time: bool | None = None
    _ticks: TickMeter = field(default_factory=TickMeter)
    _late: Histogram = field(default_factory=Histogram)
    _starts: int = 0
    _stops: int = 0
    _seeks: int = 0
    _wraps: int = 0
    _lost: int = 0
    _played_s: float = 0.0
    _playing_since_s: float | None = None

    def tick(self, arrival_s: float) -> None:
        """Records a clock tick, whether the song plays or not."""
        self._ticks.tick(arrival_s)

    def sent(self, late_s: float) -> None:
        """Records a sent note and its lateness in seconds."""
        self._late.add(late_s)

    def transport(self, event: TransportEvent, expected_beats: float | None = None) -> None:
        """Records a transport event.

        `expected_beats` is the song's beat at that time without the event; None if the song was stopped.
        """
        if event.kind is TransportKind.LOCATED:
            self._located(event, expected_beats)
            return
        self._stops += event.kind is TransportKind.STOPPED
        self._lost += event.kind is TransportKind.LOST
        if self._playing_since_s is not None:
            self._played_s += event.at_s - self._playing_since_s
            self._playing_since_s = None

    def _located(self, event: TransportEvent, expected_beats: float | None) -> None:
        if self._playing_since_s is None:
            self._playing_since_s = event.at_s
        if expected_beats is None:
            self._starts += 1
            self._ticks.restart()
            return
        jump_beats = event.beat - expected_beats
        if abs(jump_beats) < NO_JUMP_BEATS:
            return
        wraps = jump_beats < 0 and abs(jump_beats - round(jump_beats)) < NO_JUMP_BEATS
        self._wraps += wraps
        self._seeks += not wraps

    def report(self, now_s: float) -> SyncReport:
        """Returns the measurements so far. Called at the end of the session, by any thread."""
        played_s = self._played_s + (now_s - self._playing_since_s if self._playing_since_s is not None else 0.0)
        return SyncReport(
            minutes=played_s / 60,
            clock=self._ticks.stats(),
            late_p50_ms=self._late.percentile_ms(0.5),
            late_p95_ms=self._late.percentile_ms(0.95),
            late_p99_ms=self._late.percentile_ms(0.99),
            late_max_ms=self._late.max_ms,
            sent=self._late.count,
            notes_received=self.notes_received,
            echoes=self.echoes,
            starts=self._starts,
            stops=self._stops,
            seeks=self._seeks,
            wraps=self._wraps,
            lost_clocks=self._lost,
            port_losses=self.port_losses,
            worker_restarts=self.worker_restarts,
            stale=self.stale,
            real_time=self.real_time,
        )


class Report(Protocol):
    """A report that --report writes: a SyncReport or a Diagnosis."""

    def to_dict(self) -> dict[str, Any]: ...


def check_report(path: Path) -> None:
    """Checks before a session that its report can be written, and creates the folder; raises DataError if it cannot."""
    if path.is_dir():
        raise DataError(f"The report cannot be written to {path}, which is a folder; {REPORT_HINT}.")
    check_writable(path.parent, "The report", REPORT_HINT)


def write_report(path: Path, report: Report) -> None:
    """Writes a report as JSON, atomically; raises DataError if it cannot be written."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n", "utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise DataError(f"The report cannot be written to {path} ({error.strerror or error}); {REPORT_HINT}.") from None


def json_value(value: Any) -> Any:
    """Returns a value of dicts, lists and numbers for JSON: rounded to four decimals, and None for NaN and infinity."""
    if isinstance(value, dict):
        return {key: json_value(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(part) for part in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _span(minutes: float) -> str:
    return f"{minutes:.1f} minutes" if minutes >= 1 else f"{minutes * 60:.0f} seconds"


def counted(count: int, one: str, many: str = "") -> str:
    """Returns a count with its noun, e.g. "2 starts" or "1 start"; empty for 0."""
    return f"{count} {one if count == 1 else many or one + 's'}" if count else ""


def _list(title: str, parts: Iterable[str]) -> str:
    listed = ", ".join(part for part in parts if part)
    return f"{title}: {listed}." if listed else ""
