"""A run as its threads saw it in, one LockReport out: how well the clock was followed and how well the notes were sent.

The performer's thread feeds a LockMeter, which counts and keeps nothing; the report is made of it when the run is over, printed in
plain words and written as JSON with --report.
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

from ..clock.follower import Kind, Transport
from .meters import ClockFigures, Histogram, TickMeter

NO_JUMP_BEATS = 0.1
"""Song position counts quarters of a beat: what differs by less is no jump."""
STEADY_BPM = 1.0
"""A tempo that stays within so much is told as one number."""
ADVICE = "name another file after --report"


@dataclass(frozen=True)
class SyncReport:
    """Holds the figures of a run; None where there was nothing to measure."""

    minutes: float = 0.0
    """How long the song rolled."""
    clock: ClockFigures = field(default_factory=ClockFigures)
    late_p50_ms: float | None = None
    """From the time a note was due to its sending, as are the next three."""
    late_p95_ms: float | None = None
    late_p99_ms: float | None = None
    late_max_ms: float | None = None
    sent: int = 0
    """Notes."""
    heard: int = 0
    """Notes of the performance."""
    echoes: int = 0
    """Notes of our own that came back and were dropped."""
    starts: int = 0
    stops: int = 0
    seeks: int = 0
    wraps: int = 0
    """Jumps back by whole beats while playing, as a loop makes them."""
    lost_clocks: int = 0
    port_losses: int = 0
    worker_restarts: int = 0
    stale: int = 0
    """Hits left out because their time was over."""
    real_time: bool | None = None
    """Whether the system granted real-time priority; None where it was not asked."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return {key: plain(value) for key, value in asdict(self).items()}

    def lines(self) -> list[str]:
        """Says it in plain words."""
        moves = (
            counted(self.starts, "start"),
            counted(self.stops, "stop"),
            counted(self.seeks, "seek"),
            counted(self.wraps, "loop wrap"),
        )
        troubles = (
            counted(self.lost_clocks, "lost clock"),
            counted(self.port_losses, "lost port"),
            counted(self.worker_restarts, "restart of the model", "restarts of the model"),
            counted(self.stale, "hit left out, too late to play", "hits left out, too late to play"),
        )
        lines = (self._following(), self._sending(), _listed("The transport", moves), _listed("Trouble", troubles), self._priority())
        return [line for line in lines if line]

    def _following(self) -> str:
        clock, span = self.clock, _span(self.minutes)
        if not self.minutes:
            return f"Heard {counted(clock.ticks, 'tick')} of a clock, but no Start." if clock.ticks else "No clock was heard."
        if not clock.ticks:
            return f"Played for {span} on its own clock."
        if clock.bpm_mean is None or clock.bpm_min is None or clock.bpm_max is None:
            return f"Followed {counted(clock.ticks, 'tick')} in {span}: too few to measure."
        if clock.bpm_max - clock.bpm_min > STEADY_BPM:
            return f"Followed {clock.bpm_min:.1f} to {clock.bpm_max:.1f} bpm (mean {clock.bpm_mean:.1f}) for {span}; {clock.sentence}."
        return f"Locked to {clock.bpm_mean:.1f} bpm for {span} (spread {clock.bpm_spread:.2f} bpm); {clock.sentence}."

    def _sending(self) -> str:
        sent = counted(self.sent, "note") or "no note"
        heard = f"heard {counted(self.heard, 'note') or 'none'}"
        echoes = f", dropped {counted(self.echoes, 'echo', 'echoes')} of our own" if self.echoes else ""
        if self.late_p50_ms is None:
            return f"Sent {sent}; {heard}{echoes}."
        late = f"{self.late_p50_ms:.2f} ms late (p95 {self.late_p95_ms:.2f}, p99 {self.late_p99_ms:.2f}, worst {self.late_max_ms:.2f})"
        return f"Sent {sent}, {late}; {heard}{echoes}."

    def _priority(self) -> str:
        if self.real_time is None:
            return ""
        return (
            "Real-time priority was granted." if self.real_time else "Real-time priority was not granted; a busy machine may delay notes."
        )


@dataclass
class SyncMeter:
    """Gathers the figures of a run in a space that does not grow.

    Called by the performer's thread, except where said; whoever sees what a counter counts adds one to it.
    """

    heard: int = 0
    echoes: int = 0
    stale: int = 0
    port_losses: int = 0
    """The main thread's."""
    worker_restarts: int = 0
    """Of the thread that restarts it."""
    real_time: bool | None = None
    _ticks: TickMeter = field(default_factory=TickMeter)
    _late: Histogram = field(default_factory=Histogram)
    _starts: int = 0
    _stops: int = 0
    _seeks: int = 0
    _wraps: int = 0
    _lost: int = 0
    _rolled_s: float = 0.0
    _rolling_since_s: float | None = None

    def tick(self, arrival_s: float) -> None:
        """Takes a tick of the clock, whether the song rolls or not."""
        self._ticks.tick(arrival_s)

    def sent(self, late_s: float) -> None:
        """Takes that a note went out, and how long after its time."""
        self._late.add(late_s)

    def transport(self, event: Transport, expected_beats: float | None = None) -> None:
        """Takes what happened to the transport, and the song's beat at which it would stand if nothing had; None if it stood still."""
        if event.kind is Kind.LOCATED:
            self._seated(event, expected_beats)
            return
        self._stops += event.kind is Kind.STOPPED
        self._lost += event.kind is Kind.LOST
        if self._rolling_since_s is not None:
            self._rolled_s += event.at_s - self._rolling_since_s
            self._rolling_since_s = None

    def _seated(self, event: Transport, expected_beats: float | None) -> None:
        if self._rolling_since_s is None:
            self._rolling_since_s = event.at_s
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
        """Returns the figures so far. Called when the run is over, by any thread."""
        rolled_s = self._rolled_s + (now_s - self._rolling_since_s if self._rolling_since_s is not None else 0.0)
        return SyncReport(
            minutes=rolled_s / 60,
            clock=self._ticks.figures(),
            late_p50_ms=self._late.percentile_ms(0.5),
            late_p95_ms=self._late.percentile_ms(0.95),
            late_p99_ms=self._late.percentile_ms(0.99),
            late_max_ms=self._late.max_ms,
            sent=self._late.count,
            heard=self.heard,
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
    """What --report writes: a LockReport or a Diagnosis."""

    def to_dict(self) -> dict[str, Any]: ...


def check_report(path: Path) -> None:
    """Looks, before a run, whether its report can be written; makes the folder, and raises DataError where it cannot be."""
    if path.is_dir():
        raise DataError(f"The report cannot be written to {path}, which is a folder; {ADVICE}.")
    check_writable(path.parent, "The report", ADVICE)


def write_report(path: Path, report: Report) -> None:
    """Writes a report as JSON, whole or not at all; raises DataError where it cannot be written."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n", "utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise DataError(f"The report cannot be written to {path} ({error.strerror or error}); {ADVICE}.") from None


def plain(value: Any) -> Any:
    """Returns a value of dicts, lists and numbers as JSON can hold it: to four decimals, and null for what is no finite number."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _span(minutes: float) -> str:
    return f"{minutes:.1f} minutes" if minutes >= 1 else f"{minutes * 60:.0f} seconds"


def counted(count: int, one: str, many: str = "") -> str:
    """Returns such as "2 starts" or "1 start"; empty for none."""
    return f"{count} {one if count == 1 else many or one + 's'}" if count else ""


def _listed(title: str, parts: Iterable[str]) -> str:
    said = ", ".join(part for part in parts if part)
    return f"{title}: {said}." if said else ""
