"""Finds the setup problems in a diagnosed stream; each has a sentence and a menu path. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, pstdev

from drumvae.midi.constants import CLOCK, CONTINUE, QUARTER_FRAME, START, STOP
from drumvae.music.kit import DEFAULT_KIT, VOICES, Kit

from ..clock.clock_rate import MAX_BPM, MIN_BPM
from ..messages import TimestampedMessage
from ..metrics.meters import GAP_S, ClockStats
from ..metrics.sync_report import counted
from .daw_behaviour import ClockBehaviour, ScanResult
from .daws import Resemblance, clicks

MIN_TICKS = 24
"""Fewer ticks are no clock."""
ROUGH_CLOCK_MS = 5.0
"""A clock is rough where a twentieth of its ticks are further from their line than this."""
MIN_GAP_SPREAD, MAX_PAIR_SPREAD = 0.45, 0.5
"""Two clocks: the gaps between ticks vary by this share of their mean, and the sums of two gaps by at most this share of that."""
PAIR_WINDOW_TICKS, MIN_PAIRED_SHARE = 48, 0.25
"""The window size, and the share of windows with paired ticks that makes two clocks: at nearly equal tempi they look like one clock
of twice the tempo for part of the time."""
MAX_RATE_ERROR = 0.08
_GM_NOTES = ", ".join(f"{pitch} {voice}" for pitch, voice in zip(DEFAULT_KIT.output_notes, VOICES, strict=True))


@dataclass(frozen=True)
class Finding:
    """One problem."""

    code: str
    """A stable name for programs."""
    sentence: str
    clicks: tuple[str, ...] = ()
    """The possible fixes, one line each."""


@dataclass
class PlayedNotes:
    """Counts of the received note-ons, without the probe note."""

    count: int = 0
    unmapped: Counter[int] = field(default_factory=Counter)
    echo_s: float | None = None
    """The probe note's delay in seconds; None if it did not come back."""


def ticks_are_paired(ticks_s: Sequence[float]) -> bool:
    """Returns whether many ticks are those of two clocks or of one that arrives twice; times in ascending seconds."""
    windows = [ticks_s[first : first + PAIR_WINDOW_TICKS] for first in range(0, len(ticks_s) - PAIR_WINDOW_TICKS + 1, PAIR_WINDOW_TICKS)]
    paired = sum(map(_paired, windows))
    return paired > 1 and paired >= MIN_PAIRED_SHARE * len(windows)


def _paired(ticks_s: Sequence[float]) -> bool:
    """Returns whether single gaps are uneven while sums of two are even."""
    gaps_s = [later - earlier for earlier, later in pairwise(ticks_s)]
    if not 0 < max(gaps_s) < GAP_S:
        return False
    spread_s = pstdev(gaps_s)
    return spread_s > MIN_GAP_SPREAD * fmean(gaps_s) and pstdev(map(sum, pairwise(gaps_s))) < MAX_PAIR_SPREAD * spread_s


@dataclass(frozen=True)
class Evidence:
    """All data of a diagnosis, and the checks for each problem."""

    arrivals: Sequence[TimestampedMessage]
    scan: ScanResult
    clock: ClockStats
    notes: PlayedNotes
    kit: Kit
    resemblance: Resemblance

    def findings(self) -> list[Finding]:
        """Returns all problems, the most severe first."""
        checks = (
            self._clock,
            self._start,
            self._two_clocks,
            self._rate,
            self._tempo,
            self._gaps,
            self._rough_clock,
            self._position,
            self._echo,
            self._pitches,
        )
        return [finding for check in checks if (finding := check())]

    def _has_clock(self) -> bool:
        return self.clock.ticks >= MIN_TICKS

    def _clicks(self, topic: str) -> tuple[str, ...]:
        return clicks(topic, self.resemblance)

    def _clock(self) -> Finding | None:
        if self._has_clock():
            return None
        fix = "switch on MIDI clock for the port that leads to drumvae."
        if any(message[0] == QUARTER_FRAME for _, message in self.arrivals):
            return Finding("time code", f"MIDI time code arrives, but no clock; {fix}", self._clicks("clock"))
        if self.scan.plays or self.scan.stops:
            return Finding("start without clock", f"Start and Stop arrive, but no clock; {fix}", self._clicks("clock"))
        if self.notes.count:
            return Finding("notes without clock", f"Notes arrive, but no clock; {fix}", self._clicks("clock"))
        if not self.arrivals or self.notes.echo_s is not None:
            return Finding("nothing", f"Nothing was received from the DAW; connect it to drumvae's input and {fix}", self._clicks("clock"))
        return Finding("no clock", f"Messages arrive, but no clock; {fix}", self._clicks("clock"))

    def _start(self) -> Finding | None:
        if not self._has_clock() or self.scan.plays:
            return None
        sentence = "A clock runs, but without Start or Continue; stop and press play again, and if that does not help, switch them on."
        return Finding("clock without start", sentence, self._clicks("clock"))

    def _two_clocks(self) -> Finding | None:
        if not ticks_are_paired([at_s for at_s, message in self.arrivals if message[0] == CLOCK]):
            return None
        duplicates = self.scan.duplicates
        problem = "The clock arrives twice, and so does Start" if duplicates else "The ticks arrive in uneven pairs, as from two clocks"
        tempo = f"; {self.clock.bpm_mean:.1f} bpm is therefore not your song's tempo" if self.clock.bpm_mean else ""
        fixes = (
            "keep only one clock source: switch off MIDI clock for every other program, device and port that leads to drumvae",
            "keep only one connection between the DAW and drumvae's input",
        )
        buffer = "if there is only one of each, your audio buffer is very large: with 512 frames or less the ticks are even"
        return Finding("two clocks", f"{problem}{tempo}.", fixes if duplicates else (*fixes, buffer))

    def _rate(self) -> Finding | None:
        rates = self.scan.rates
        for rate, word in ((2.0, "twice"), (0.5, "half")):
            if len(rates) > 1 and all(abs(measured / rate - 1) < MAX_RATE_ERROR for measured in rates):
                return Finding(
                    f"{word} the rate",
                    f"The clock runs at {word} the rate of its song positions: a beat has 24 ticks, and {24 * rate:.0f} arrived.",
                    ("set the clock source's rate, divider or multiplier to 24 ticks per beat (24 PPQN)",),
                )
        return None

    def _tempo(self) -> Finding | None:
        bpm = self.clock.bpm_mean
        if bpm is None or MIN_BPM <= bpm <= MAX_BPM:
            return None
        sentence = f"A tempo of {bpm:.1f} bpm is not supported; {MIN_BPM} to {MAX_BPM} bpm are."
        return Finding("tempo", sentence, ("play the song at half or at twice the tempo, or look for a clock that arrives twice",))

    def _gaps(self) -> Finding | None:
        # A gap after Stop is a rest, and ticks may come late after Start.
        timed = [(at_s, message[0]) for at_s, message in self.arrivals if message[0] in (CLOCK, START, CONTINUE, STOP)]
        gaps = sum(one[1] == two[1] == CLOCK and two[0] - one[0] > GAP_S for one, two in pairwise(timed))
        if not gaps:
            return None
        sentence = f"The clock paused {counted(gaps, 'time')} without Stop, for longer than {GAP_S:g} s."
        return Finding("gaps", sentence, ("look for a loose cable, a sleeping interface or a DAW that stops when its window is hidden",))

    def _rough_clock(self) -> Finding | None:
        p95_ms = self.clock.jitter_p95_ms
        if p95_ms is None or p95_ms < ROUGH_CLOCK_MS or self._two_clocks():
            return None
        return Finding(
            "rough clock",
            f"The clock is rough: one tick in twenty is more than {p95_ms:.1f} ms from its expected time.",
            (
                "make the DAW's audio buffer smaller: many DAWs send their ticks once per buffer",
                "use a cable or a virtual port, not Bluetooth or a network",
                "look for a second program or device that sends its clock to the same port",
            ),
        )

    def _position(self) -> Finding | None:
        if ClockBehaviour.CONTINUE_ALONE not in self.scan.behaviours:
            return None
        sentence = "Continue arrives without song position, so loops may begin off the bar; switch on song position."
        return Finding("no position", sentence, self._clicks("position"))

    def _echo(self) -> Finding | None:
        if self.notes.echo_s is None:
            return None
        sentence = f"A note of drumvae's came back after {self.notes.echo_s * 1000:.0f} ms: the DAW sends drumvae's notes back to it."
        two_ports = 'with a separate port for each direction nothing comes back: drumvae-live --in "Bus 1" --out "Bus 2"'
        return Finding("echo", sentence, (*self._clicks("echo"), two_ports))

    def _pitches(self) -> Finding | None:
        unmapped = self.notes.unmapped
        if not unmapped:
            return None
        pitches = ", ".join(f"{pitch} ({count} x)" for pitch, count in sorted(unmapped.items()))
        share = "All" if sum(unmapped.values()) == self.notes.count else f"{sum(unmapped.values())} of {self.notes.count}"
        sentence = f"{share} notes are on pitches that the kit {self.kit.name!r} maps to no voice: {pitches}."
        fixes = (f"set your pads to General MIDI notes: {_GM_NOTES}", "or select your instrument's kit with --input-kit")
        return Finding("unknown pitches", sentence, fixes)
