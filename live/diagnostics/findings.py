"""What was heard in, what is wrong with it and what to click out: a sentence for each mistake that a setup can have. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, pstdev

from drumvae.midi.constants import CLOCK, CONTINUE, QUARTER_FRAME, START, STOP
from drumvae.music.kit import DEFAULT_KIT, VOICES, Kit

from ..messages import TimestampedMessage
from ..metrics.meters import GAP_S, ClockFigures
from ..metrics.sync_report import counted
from .daw_behaviour import ClockBehaviour, Heard
from .daws import Resemblance, clicks

FEW_TICKS = 24
SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0
"""What is followed."""
ROUGH_MS = 5.0
"""A twentieth of the ticks further from their line than this make a rough clock."""
UNEVEN, REGAINED = 0.45, 0.5
"""Where steps between ticks spread by so much of their mean, and two steps together by half of that at most, there are two clocks."""
STRETCH, PAIRED = 48, 0.25
"""So many ticks are looked at together; two clocks of nearly one tempo look like one of twice that for part of the time."""
RATE_ERROR = 0.08
_GENERAL = ", ".join(f"{pitch} {voice}" for pitch, voice in zip(DEFAULT_KIT.output_notes, VOICES, strict=True))


@dataclass(frozen=True)
class Finding:
    """Says one thing that is wrong."""

    code: str
    """A name for programs."""
    sentence: str
    clicks: tuple[str, ...] = ()
    """What to do about it, a line each."""


@dataclass
class PlayedNotes:
    """Counts the note-ons that are not our own."""

    count: int = 0
    unmapped: Counter[int] = field(default_factory=Counter)
    echo_s: float | None = None
    """How long our own note was on its way back; None where it did not come."""


def in_pairs(ticks_s: Sequence[float]) -> bool:
    """Says whether ticks are, for a good part, those of two clocks or of one that comes twice; times in order, in seconds."""
    stretches = [ticks_s[first : first + STRETCH] for first in range(0, len(ticks_s) - STRETCH + 1, STRETCH)]
    paired = sum(map(_paired, stretches))
    return paired > 1 and paired >= PAIRED * len(stretches)


def _paired(ticks_s: Sequence[float]) -> bool:
    """Says whether each step is uneven, and two together are even."""
    steps = [later - earlier for earlier, later in pairwise(ticks_s)]
    if not 0 < max(steps) < GAP_S:
        return False
    spread_s = pstdev(steps)
    return spread_s > UNEVEN * fmean(steps) and pstdev(map(sum, pairwise(steps))) < REGAINED * spread_s


@dataclass(frozen=True)
class Evidence:
    """Holds all that was heard, and looks through it."""

    arrivals: Sequence[TimestampedMessage]
    heard: Heard
    clock: ClockFigures
    notes: PlayedNotes
    kit: Kit
    likeness: Resemblance

    def findings(self) -> list[Finding]:
        """Returns all that is wrong, what stops everything first."""
        looks = (
            self._clock,
            self._start,
            self._twice,
            self._rate,
            self._tempo,
            self._gaps,
            self._rough,
            self._position,
            self._echo,
            self._pitches,
        )
        return [finding for look in looks if (finding := look())]

    def _has_clock(self) -> bool:
        return self.clock.ticks >= FEW_TICKS

    def _clicks(self, topic: str) -> tuple[str, ...]:
        return clicks(topic, self.likeness)

    def _clock(self) -> Finding | None:
        if self._has_clock():
            return None
        rest = "switch the clock on for the port that leads to drumvae."
        if any(message[0] == QUARTER_FRAME for _, message in self.arrivals):
            return Finding("time code", f"MIDI time code comes, but no clock; {rest}", self._clicks("clock"))
        if self.heard.plays or self.heard.stops:
            return Finding("start without clock", f"Start and Stop come, but no clock; {rest}", self._clicks("clock"))
        if self.notes.count:
            return Finding("notes without clock", f"Notes come, but no clock; {rest}", self._clicks("clock"))
        if not self.arrivals or self.notes.echo_s is not None:
            return Finding("nothing", f"Nothing at all came from the DAW; connect it to drumvae's input and {rest}", self._clicks("clock"))
        return Finding("no clock", f"Messages come, but no clock; {rest}", self._clicks("clock"))

    def _start(self) -> Finding | None:
        if not self._has_clock() or self.heard.plays:
            return None
        how = "A clock runs, but neither Start nor Continue came; stop and press play again, and if that changes nothing, send them too."
        return Finding("clock without start", how, self._clicks("clock"))

    def _twice(self) -> Finding | None:
        if not in_pairs([at_s for at_s, message in self.arrivals if message[0] == CLOCK]):
            return None
        what = "The clock comes twice, and Start with it" if self.heard.twins else "The ticks come in uneven pairs, as of two clocks"
        tempo = f"; {self.clock.bpm_mean:.1f} bpm is then not your song's tempo" if self.clock.bpm_mean else ""
        one = (
            "leave one sender only: switch MIDI clock off for every other program, device and port that leads to drumvae",
            "leave one connection only between the DAW and drumvae's input",
        )
        buffer = "if there is only one of both, your audio buffer is very large: 512 frames or less send ticks evenly"
        return Finding("two clocks", f"{what}{tempo}.", one if self.heard.twins else (*one, buffer))

    def _rate(self) -> Finding | None:
        rates = self.heard.rates
        for rate, word in ((2.0, "twice"), (0.5, "half")):
            if len(rates) > 1 and all(abs(came / rate - 1) < RATE_ERROR for came in rates):
                return Finding(
                    f"{word} the rate",
                    f"The clock runs at {word} the rate that song position tells of: a beat is 24 ticks, and {24 * rate:.0f} came.",
                    ("set the sender's clock rate, divider or multiplier to 24 ticks a beat (PPQN)",),
                )
        return None

    def _tempo(self) -> Finding | None:
        bpm = self.clock.bpm_mean
        if bpm is None or SLOWEST_BPM <= bpm <= FASTEST_BPM:
            return None
        sentence = f"A tempo of {bpm:.1f} bpm cannot be followed; {SLOWEST_BPM:.0f} to {FASTEST_BPM:.0f} can."
        return Finding("tempo", sentence, ("play the song at half or at twice the tempo, or look for a clock that comes twice",))

    def _gaps(self) -> Finding | None:
        # A gap that a Stop precedes is a rest; what follows Start may take its time.
        words = [(at_s, message[0]) for at_s, message in self.arrivals if message[0] in (CLOCK, START, CONTINUE, STOP)]
        gaps = sum(one[1] == two[1] == CLOCK and two[0] - one[0] > GAP_S for one, two in pairwise(words))
        if not gaps:
            return None
        sentence = f"The clock fell silent {counted(gaps, 'time')} with no Stop, for longer than {GAP_S:g} s."
        return Finding("gaps", sentence, ("look for a loose cable, a sleeping interface or a DAW that stops when its window is hidden",))

    def _rough(self) -> Finding | None:
        p95_ms = self.clock.jitter_p95_ms
        if p95_ms is None or p95_ms < ROUGH_MS or self._twice():
            return None
        return Finding(
            "rough clock",
            f"The clock is rough: one tick in twenty is more than {p95_ms:.1f} ms from where it should be.",
            (
                "make the DAW's audio buffer smaller: many send their ticks once a buffer",
                "use a cable or a virtual port, not Bluetooth or a network",
                "look for a second program or device that sends its clock to the same port",
            ),
        )

    def _position(self) -> Finding | None:
        if ClockBehaviour.CONTINUE_ALONE not in self.heard.habits:
            return None
        sentence = "Continue comes without song position, so loops may begin off the bar; switch song position on."
        return Finding("no position", sentence, self._clicks("position"))

    def _echo(self) -> Finding | None:
        if self.notes.echo_s is None:
            return None
        sentence = f"Our own note came back after {self.notes.echo_s * 1000:.0f} ms: what drumvae plays is sent on to drumvae."
        apart = 'two ports of their own leave nothing to come back: drumvae-live --in "Bus 1" --out "Bus 2"'
        return Finding("echo", sentence, (*self._clicks("echo"), apart))

    def _pitches(self) -> Finding | None:
        unmapped = self.notes.unmapped
        if not unmapped:
            return None
        pitches = ", ".join(f"{pitch} ({count} x)" for pitch, count in sorted(unmapped.items()))
        share = "All" if sum(unmapped.values()) == self.notes.count else f"{sum(unmapped.values())} of {self.notes.count}"
        sentence = f"{share} notes came on pitches that no voice of the kit {self.kit.name!r} hears: {pitches}."
        ways = (f"let your pads send General MIDI's notes: {_GENERAL}", "or name what you play on with --input-kit")
        return Finding("unknown pitches", sentence, ways)
