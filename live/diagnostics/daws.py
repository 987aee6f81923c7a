"""A sender's habits in, the DAWs it resembles out, and what to click in each of them: the only such table of the doctor.

The habits are those that other programs' authors saw and wrote down (Ableton Live: uClock #65, DJBB #149 and #171, Orca #167; Bitwig:
Orca PR #240, isobar #64; REAPER: JZZ #67; FL Studio: stereoping.com/peachclock; Renoise and Cubase: zynthian #1462; Pro Tools: hedron
#495; zynthian: its #1466), the makers' manuals (Logic, Reason) and one program's source (Ardour's ticker.cc). Few were seen twice, and
settings change them: a resemblance is a hint and no verdict.
"""

from collections.abc import Collection
from dataclasses import dataclass

from .daw_behaviour import ClockBehaviour

H = ClockBehaviour


@dataclass(frozen=True)
class Daw:
    """Holds what is known of a sender, and its menus."""

    name: str
    does: frozenset[ClockBehaviour]
    never: frozenset[ClockBehaviour] = frozenset()
    """What was looked for and not seen, or is done in another way."""
    clock: str = ""
    """Where clock is switched on for the port that leads to drumvae."""
    position: str = ""
    """Where song position is switched on."""
    echo: str = ""
    """Where what comes back is switched off."""


_ODD = frozenset((H.IDLE_CLOCK, H.PAIR, H.SWEEP_SOUND_OFF, H.SWEEP_NOTES_OFF))
_BURSTS = frozenset((H.WRAP_STOP_START, H.WRAP_STOP_CONTINUE))
DAWS = (
    Daw(
        "Ableton Live",
        does=frozenset((H.POSITION_CONTINUE, H.WRAP_POSITION, H.NOTE_OFFS)),
        never=_ODD | _BURSTS | {H.POSITION_START, H.RESTART},
        clock="Settings > Link, Tempo & MIDI > Output Ports: on the row of that port turn Sync on, clock type Song",
        position="Settings > Link, Tempo & MIDI > Output Ports: set the clock type of that port to Song, not Pattern",
        echo="Settings > Link, Tempo & MIDI > Input Ports: Sync off on the drum port; only your own track has MIDI To the clock port",
    ),
    Daw(
        "Logic Pro",
        does=frozenset((H.POSITION_CONTINUE, H.WRAP_POSITION, H.WRAP_STOP_CONTINUE, H.RESTART)),
        never=_ODD | {H.POSITION_START, H.WRAP_STOP_START},
        clock="File > Project Settings > Synchronization > MIDI: choose that port as a Destination and tick Clock",
        position="File > Project Settings > Synchronization > MIDI: a Clock Mode that sends song position at play start and cycle jump",
        echo="on the drum track set MIDI In Port to the drum port and the channel to 10; no External MIDI track sends it on",
    ),
    Daw(
        "Bitwig Studio",
        does=frozenset((H.POSITION_START, H.POSITION_CONTINUE, H.WRAP_STOP_START, H.CONTINUE_ALONE)),  # the last where SPP is off
        never=_ODD - {H.IDLE_CLOCK} | {H.WRAP_POSITION, H.WRAP_STOP_CONTINUE},
        clock="Settings > Synchronization > MIDI Sync Out: on the row of that port turn on Clock, Start/Stop and song position (SPP)",
        position="Settings > Synchronization > MIDI Sync Out: on the row of that port turn on song position (SPP)",
        echo="the drum track has no HW Instrument or MIDI output to the clock port",
    ),
    Daw(
        "REAPER",
        does=frozenset((H.POSITION_CONTINUE, H.SWEEP_SOUND_OFF, H.POSITION_AT_STOP, H.POSITION_STANDING)),
        never=frozenset((H.IDLE_CLOCK, H.PAIR, H.SWEEP_NOTES_OFF)),
        clock="Preferences > Audio > MIDI Outputs (or MIDI Devices): that port, Enable output and Send clock/SPP to this device",
        position="Preferences > Audio > MIDI Outputs (or MIDI Devices): that port, Send clock/SPP to this device",
        echo="the drum track has no MIDI Hardware Output under Route",
    ),
    Daw(
        "FL Studio",
        does=frozenset((H.SWEEP_NOTES_OFF,)),
        never=frozenset((H.IDLE_CLOCK, H.PAIR, H.SWEEP_SOUND_OFF)),
        clock="Options > MIDI settings > Output: that port, Send master sync",
    ),
    Daw(
        "Ardour",
        does=frozenset((H.POSITION_CONTINUE, H.WRAP_STOP_CONTINUE)),
        never=_ODD | {H.POSITION_START, H.WRAP_POSITION, H.WRAP_STOP_START, H.RESTART},
        clock="Preferences > MIDI (or Transport > Chase/Generate): Generate MIDI clock; Window > MIDI Connections: connect MIDI Clock out",
        echo="Window > MIDI Connections: the drum track's output is not connected to that port",
    ),
    Daw("Renoise", does=frozenset((H.IDLE_CLOCK,))),
    Daw("Cubase", does=frozenset((H.IDLE_CLOCK,))),
    Daw("Reason", does=frozenset((H.POSITION_CONTINUE,)), never=_ODD | _BURSTS),
    Daw("Pro Tools", does=frozenset((H.CONTINUE_ALONE,)), never=_ODD),
    Daw("zynthian", does=frozenset((H.PAIR,))),
)
ANY = Daw(
    "any other",
    does=frozenset(),
    clock="in its MIDI settings send MIDI clock with start, stop and song position on that port",
    position="in its MIDI settings send song position (SPP) on that port",
    echo="the drum track sends nothing on to the port that leads to drumvae, and its MIDI thru is off",
)
MOST = 2
"""No more names than this are named; where more are equally near, none is."""
USUAL = ("Ableton Live", "Logic Pro", "Bitwig Studio", "REAPER")
"""Whose menus are shown where nothing tells who sends."""


@dataclass(frozen=True)
class Resemblance:
    """Says which senders a stream is like."""

    names: tuple[str, ...] = ()
    """At most two, the nearest first."""
    equal: bool = False
    """Whether nothing heard tells the two apart."""
    several: tuple[str, ...] = ()
    """Those that are equally near, where they are too many to be named."""


def resembling(habits: Collection[ClockBehaviour]) -> Resemblance:
    """Weighs each DAW's habits that were heard, the rare ones more, against those it was never seen to have."""
    scores = {daw.name: _score(daw, habits) for daw in DAWS}
    best = max(scores.values())
    if best <= 0:
        return Resemblance()
    nearest = [name for name, score in scores.items() if score > best - 1e-9]
    if len(nearest) > MOST:
        return Resemblance(several=tuple(nearest))
    second = sorted((name for name, score in scores.items() if 2 * score >= best), key=lambda name: -scores[name])
    return Resemblance(tuple(second[:MOST]), equal=len(nearest) == MOST)


def _score(daw: Daw, habits: Collection[ClockBehaviour]) -> float:
    seen = sum(1 / sum(habit in other.does for other in DAWS) for habit in daw.does & set(habits))
    return seen - len(daw.never & set(habits))


def clicks(topic: str, resemblance: Resemblance) -> tuple[str, ...]:
    """Returns what to click, a line for each likely DAW; `topic` is a field of Daw: clock, position or echo."""
    likely = [daw for daw in DAWS if daw.name in (resemblance.names or USUAL)]
    if not resemblance.names:
        likely.append(ANY)
    return tuple(f"{daw.name}: {getattr(daw, topic) or getattr(ANY, topic)}" for daw in likely)
