"""What each DAW sends when it is played with, and where the song then stands: traces as text, written from published observations.

A trace is lines of bytes in hex. `play`, `elsewhere`, `wrap` and the others are what is sent at that moment, messages apart by `|`; `+5`
waits five milliseconds. Ticks come in between by themselves. Sources are named at each DAW; what nobody has published follows the
MIDI 1.0 specification, and says so.
"""

from dataclasses import dataclass

from helpers.fakes import Sender

FROM_START = "LOCATED 1"
PAUSED = ("STOP_PENDING 3", "STOPPED 3")
"""A stop after two bars of play from the start: bars are counted as on a ruler."""


@dataclass(frozen=True)
class Act:
    """What is sent, and what a follower has to tell of it: kinds, each with the bar it speaks of, and the bar a bar later."""

    sent: str
    told: tuple[str, ...]
    bar: int


@dataclass(frozen=True)
class Daw:
    """One sender's habits."""

    name: str
    elsewhere: Act
    """Play from bar 9, cued while stopped."""
    wrap: Act
    """The loop of bars 1 to 4 comes round: after four bars from the start."""
    jump: Act
    """To bar 9 while playing, after two bars."""
    locate: str
    """While stopped at bar 3, the cursor goes to bar 5, back to 1 and at last to 9; then `elsewhere` is pressed."""
    play: str = "FA"
    """Play from the start."""
    stop: str = "FC"
    """What Stop sends, at bar 3."""
    before: str = ""
    """What comes before any play."""
    idle_clock: bool = False
    """Whether ticks come while stopped."""


NINE = "F2 00 01"  # position 128: 32 beats
CUED = Act(f"{NINE} | FB", ("LOCATED 9",), 10)
"""Song position and Continue: the specification's way to begin elsewhere."""
SEEK_WRAP = Act("FC | F2 00 00 | FB", ("STOP_PENDING 5", "LOCATED 1"), 2)
SEEK_JUMP = Act(f"FC | {NINE} | FB", ("STOP_PENDING 3", "LOCATED 9"), 10)
BARE_WRAP = Act("F2 00 00", ("LOCATED 1",), 2)
BARE_JUMP = Act(NINE, ("LOCATED 9",), 10)
UNTOLD_WRAP = Act("", (), 6)
"""Nothing is sent; bars are counted on. The fold to four bars makes it right for loops of whole passes."""
CURSOR = "F2 40 00 | +300 | F2 00 00 | +300 | F2 00 01"
NOTES_OFF = " | ".join(f"B{channel:X} {controller} 00" for channel in range(16) for controller in ("78", "7B"))
ALL_NOTES_OFF = " | ".join(f"B{channel:X} 7B 00" for channel in range(16))

DAWS = (
    # uClock #65, DJBB #171 and #149, Orca #167, Live's manual: F2 alone at the wrap while it keeps running (one user's traces); no tick
    # while stopped is inferred. A jump to a cue point is taken to be told like a wrap. A cursor moved while stopped: not captured.
    Daw("Ableton Live", CUED, BARE_WRAP, BARE_JUMP, locate=""),
    # Apple's guides: Start at 1 1 1 1 only. By default no position while playing; what a locate during play sends is not captured: the same
    # silence would leave a follower where it was, so the setting that tells it is traced in the rows below.
    Daw("Logic Pro, default", CUED, UNTOLD_WRAP, Act("", (), 4), locate=""),
    Daw("Logic Pro, position at cycle jumps", CUED, BARE_WRAP, BARE_JUMP, locate=""),
    # Recalled, not found in stored text: Stop, position, Continue at the jump.
    Daw("Logic Pro, stop and continue", CUED, SEEK_WRAP, SEEK_JUMP, locate=""),
    # Apple's guides: in Pattern mode no position is sent; Start comes again on the next boundary of bars. A jump does the same.
    Daw("Logic Pro, Pattern mode", Act("FA", ("LOCATED 1",), 2), Act("FA", ("LOCATED 1",), 2), Act("FA", ("LOCATED 1",), 2), locate=""),
    # Orca PR #240, isobar #64: with song position on, Stop, position, Start again. Ticks while stopped: unknown, traced both ways.
    Daw(
        "Bitwig, position on",
        Act(f"{NINE} | FA", ("LOCATED 9",), 10),
        Act("FC | F2 00 00 | FA", ("STOP_PENDING 5", "LOCATED 1"), 2),
        Act(f"FC | {NINE} | FA", ("STOP_PENDING 3", "LOCATED 9"), 10),
        locate="",
        idle_clock=True,
    ),
    # Not captured: without position nothing but Stop and Start is left to say, as the specification has it.
    Daw("Bitwig, position off", Act("FA", ("LOCATED 1",), 2), UNTOLD_WRAP, Act("", (), 4), locate=""),
    # JZZ #67: All Sound Off and All Notes Off on every channel before play; Stop, then F2 back to the edit cursor; F2 at every cursor move.
    # Wrap and jump are not captured: taken to be a seek.
    Daw("REAPER", CUED, SEEK_WRAP, SEEK_JUMP, locate=CURSOR, stop="FC | F2 00 00", before=NOTES_OFF),
    # stereoping.com/peachclock: sixteen All Notes Off, 48 bytes, before Start. The rest is unknown: the specification, and a wrap untold.
    Daw("FL Studio", CUED, UNTOLD_WRAP, BARE_JUMP, locate="", before=ALL_NOTES_OFF),
    # libs/ardour/ticker.cc: any discontinuity is Stop, position, Continue; Continue stands on the next sixteenth, at the tick's own time;
    # no tick while stopped.
    Daw("Ardour", Act(f"{NINE} | +40 | FB", ("LOCATED 9",), 10), SEEK_WRAP, SEEK_JUMP, locate=""),
    # zynthian #1462, arduino_midi #14: ticks while stopped. Wrap and jump are not known: F2 while running.
    Daw("Renoise", CUED, BARE_WRAP, BARE_JUMP, locate=NINE, idle_clock=True),
    # zynthian #1462: ticks while stopped are an option. The rest follows the specification.
    Daw("Cubase, clock always", CUED, SEEK_WRAP, SEEK_JUMP, locate="", idle_clock=True),
    Daw("Cubase", CUED, SEEK_WRAP, SEEK_JUMP, locate=""),
    # Reason's documents: position and Continue elsewhere. The rest follows the specification.
    Daw("Reason", CUED, SEEK_WRAP, SEEK_JUMP, locate=""),
    # hedron #495: Continue where others say Start. A position before it is the specification's.
    Daw("Pro Tools", CUED, SEEK_WRAP, SEEK_JUMP, locate="", play="F2 00 00 | FB"),
    # zynthian #1466: Start and Continue five milliseconds apart, and ticks that swing with JACK's periods.
    Daw("zynthian", Act(f"{NINE} | FB | +5 | FB", ("LOCATED 9",), 10), UNTOLD_WRAP, BARE_JUMP, locate="", play="FA | +5 | FB"),
)


def send(sender: Sender, text: str) -> Sender:
    """Says a trace; what waits in it passes, and the tick after it comes when the last wait is over."""
    for part in filter(None, (part.strip() for part in text.split("|"))):
        if part.startswith("+"):
            sender.rest(float(part) / 1000)
        else:
            sender.say(bytes.fromhex(part))
    return sender


def rest(daw: Daw, sender: Sender, seconds: float) -> Sender:
    """Lets time pass while stopped, with the ticks that this DAW sends meanwhile."""
    return sender.ticks(round(seconds * sender.bpm * 24 / 60)) if daw.idle_clock else sender.rest(seconds)
