"""Lists the clock behaviour of known DAWs and their menu paths, and finds the DAWs that a clock source resembles.

The behaviours are those that other programs' authors observed and published (Ableton Live: uClock #65, DJBB #149 and #171, Orca #167;
Bitwig: Orca PR #240, isobar #64; REAPER: JZZ #67; FL Studio: stereoping.com/peachclock; Renoise and Cubase: zynthian #1462; Pro Tools:
hedron #495; zynthian: its #1466), the manufacturers' manuals (Logic, Reason) and one program's source (Ardour's ticker.cc). Few were
observed twice, and settings change them: a resemblance is a hint.
"""

from collections.abc import Collection
from dataclasses import dataclass

from .daw_behaviour import ClockBehaviour

H = ClockBehaviour


@dataclass(frozen=True)
class Daw:
    """A DAW's known behaviour and its menu paths."""

    name: str
    observed: frozenset[ClockBehaviour]
    never_observed: frozenset[ClockBehaviour] = frozenset()
    """Behaviours that were not observed although tested for, or that it does in another way."""
    clock: str = ""
    """Where to switch on MIDI clock for the port that leads to drumvae."""
    position: str = ""
    """Where to switch on song position."""
    echo: str = ""
    """Where to switch off the return of drumvae's own notes."""


_RARE = frozenset((H.IDLE_CLOCK, H.PAIR, H.SWEEP_SOUND_OFF, H.SWEEP_NOTES_OFF))
_BURSTS = frozenset((H.WRAP_STOP_START, H.WRAP_STOP_CONTINUE))
DAWS = (
    Daw(
        "Ableton Live",
        observed=frozenset((H.POSITION_CONTINUE, H.WRAP_POSITION, H.NOTE_OFFS)),
        never_observed=_RARE | _BURSTS | {H.POSITION_START, H.RESTART},
        clock="Settings > Link, Tempo & MIDI > Output Ports: on the row of that port turn Sync on, clock type Song",
        position="Settings > Link, Tempo & MIDI > Output Ports: set the clock type of that port to Song, not Pattern",
        echo="Settings > Link, Tempo & MIDI > Input Ports: Sync off on the drum port; only your own track has MIDI To the clock port",
    ),
    Daw(
        "Logic Pro",
        observed=frozenset((H.POSITION_CONTINUE, H.WRAP_POSITION, H.WRAP_STOP_CONTINUE, H.RESTART)),
        never_observed=_RARE | {H.POSITION_START, H.WRAP_STOP_START},
        clock="File > Project Settings > Synchronization > MIDI: choose that port as a Destination and tick Clock",
        position="File > Project Settings > Synchronization > MIDI: a Clock Mode that sends song position at play start and cycle jump",
        echo="on the drum track set MIDI In Port to the drum port and the channel to 10; no External MIDI track sends it on",
    ),
    Daw(
        "Bitwig Studio",
        observed=frozenset((H.POSITION_START, H.POSITION_CONTINUE, H.WRAP_STOP_START, H.CONTINUE_ALONE)),  # the last with SPP off
        never_observed=_RARE - {H.IDLE_CLOCK} | {H.WRAP_POSITION, H.WRAP_STOP_CONTINUE},
        clock="Settings > Synchronization > MIDI Sync Out: on the row of that port turn on Clock, Start/Stop and song position (SPP)",
        position="Settings > Synchronization > MIDI Sync Out: on the row of that port turn on song position (SPP)",
        echo="the drum track has no HW Instrument or MIDI output to the clock port",
    ),
    Daw(
        "REAPER",
        observed=frozenset((H.POSITION_CONTINUE, H.SWEEP_SOUND_OFF, H.POSITION_AT_STOP, H.POSITION_STANDING)),
        never_observed=frozenset((H.IDLE_CLOCK, H.PAIR, H.SWEEP_NOTES_OFF)),
        clock="Preferences > Audio > MIDI Outputs (or MIDI Devices): that port, Enable output and Send clock/SPP to this device",
        position="Preferences > Audio > MIDI Outputs (or MIDI Devices): that port, Send clock/SPP to this device",
        echo="the drum track has no MIDI Hardware Output under Route",
    ),
    Daw(
        "FL Studio",
        observed=frozenset((H.SWEEP_NOTES_OFF,)),
        never_observed=frozenset((H.IDLE_CLOCK, H.PAIR, H.SWEEP_SOUND_OFF)),
        clock="Options > MIDI settings > Output: that port, Send master sync",
    ),
    Daw(
        "Ardour",
        observed=frozenset((H.POSITION_CONTINUE, H.WRAP_STOP_CONTINUE)),
        never_observed=_RARE | {H.POSITION_START, H.WRAP_POSITION, H.WRAP_STOP_START, H.RESTART},
        clock="Preferences > MIDI (or Transport > Chase/Generate): Generate MIDI clock; Window > MIDI Connections: connect MIDI Clock out",
        echo="Window > MIDI Connections: the drum track's output is not connected to that port",
    ),
    Daw("Renoise", observed=frozenset((H.IDLE_CLOCK,))),
    Daw("Cubase", observed=frozenset((H.IDLE_CLOCK,))),
    Daw("Reason", observed=frozenset((H.POSITION_CONTINUE,)), never_observed=_RARE | _BURSTS),
    Daw("Pro Tools", observed=frozenset((H.CONTINUE_ALONE,)), never_observed=_RARE),
    Daw("zynthian", observed=frozenset((H.PAIR,))),
)
ANY = Daw(
    "any other",
    observed=frozenset(),
    clock="in its MIDI settings send MIDI clock with start, stop and song position on that port",
    position="in its MIDI settings send song position (SPP) on that port",
    echo="the drum track sends nothing on to the port that leads to drumvae, and its MIDI thru is off",
)
MAX_NAMES = 2
"""At most this many DAWs are named; where more match equally well, none is."""
COMMON = ("Ableton Live", "Logic Pro", "Bitwig Studio", "REAPER")
"""The DAWs whose menus are shown where the DAW is unknown."""


@dataclass(frozen=True)
class Resemblance:
    """The DAWs that a clock source resembles."""

    names: tuple[str, ...] = ()
    """At most two, the best match first."""
    equal: bool = False
    """Whether both match equally well."""
    several: tuple[str, ...] = ()
    """Those that match equally well, where they are too many to be named."""


def find_resemblance(behaviours: Collection[ClockBehaviour]) -> Resemblance:
    """Scores each DAW by its behaviours in the stream, rare ones more, minus those that were never observed with it.

    >>> find_resemblance({ClockBehaviour.PAIR}).names
    ('zynthian',)
    """
    scores = {daw.name: _score(daw, behaviours) for daw in DAWS}
    best = max(scores.values())
    if best <= 0:
        return Resemblance()
    best_names = [name for name, score in scores.items() if score > best - 1e-9]
    if len(best_names) > MAX_NAMES:
        return Resemblance(several=tuple(best_names))
    named = sorted((name for name, score in scores.items() if 2 * score >= best), key=lambda name: -scores[name])
    return Resemblance(tuple(named[:MAX_NAMES]), equal=len(best_names) == MAX_NAMES)


def _score(daw: Daw, behaviours: Collection[ClockBehaviour]) -> float:
    score = sum(1 / sum(behaviour in other.observed for other in DAWS) for behaviour in daw.observed & set(behaviours))
    return score - len(daw.never_observed & set(behaviours))


def clicks(topic: str, resemblance: Resemblance) -> tuple[str, ...]:
    """Returns the menu path of each likely DAW, one line each; `topic` is a field of Daw: clock, position or echo."""
    likely = [daw for daw in DAWS if daw.name in (resemblance.names or COMMON)]
    if not resemblance.names:
        likely.append(ANY)
    return tuple(f"{daw.name}: {getattr(daw, topic) or getattr(ANY, topic)}" for daw in likely)
