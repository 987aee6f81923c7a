"""Lists the MIDI messages that each DAW sends at play, stop, loop and jump, as text, from published observations.

A trace is bytes in hex. `play`, `from_bar_nine`, `wrap` and the others are sent at that moment; `|` separates messages, and `+5`
waits five milliseconds. The test adds the ticks in between. The comment at each DAW names its source; where nothing is published, the
trace follows the MIDI 1.0 specification, and the comment says so.
"""

from dataclasses import dataclass

from helpers.fakes import Sender

FROM_START = "LOCATED 1"
PAUSED = ("STOP_PENDING 3", "STOPPED 3")
"""The events of a stop after two bars from the start; bars are counted as on a ruler."""


@dataclass(frozen=True)
class Act:
    """The messages of a command, the events that a follower must return (kind and bar), and the bar number one bar later."""

    sent: str
    expected: tuple[str, ...]
    bar: int


@dataclass(frozen=True)
class Daw:
    """The behaviour of one clock source."""

    name: str
    from_bar_nine: Act
    """Play from bar 9, located while stopped."""
    wrap: Act
    """The loop of bars 1 to 4 wraps, after four bars from the start."""
    jump: Act
    """A jump to bar 9 while playing, after two bars."""
    locate: str
    """While stopped at bar 3, the cursor moves to bar 5, back to 1 and finally to 9; then `from_bar_nine` follows."""
    play: str = "FA"
    """Play from the start."""
    stop: str = "FC"
    """Stop at bar 3."""
    before: str = ""
    """Sent before every play."""
    idle_clock: bool = False
    """Whether it sends ticks while stopped."""


NINE = "F2 00 01"  # position 128: 32 beats
CUED = Act(f"{NINE} | FB", ("LOCATED 9",), 10)
"""Song position and Continue: the specification's way to start in the middle of a song."""
SEEK_WRAP = Act("FC | F2 00 00 | FB", ("STOP_PENDING 5", "LOCATED 1"), 2)
SEEK_JUMP = Act(f"FC | {NINE} | FB", ("STOP_PENDING 3", "LOCATED 9"), 10)
POSITION_WRAP = Act("F2 00 00", ("LOCATED 1",), 2)
POSITION_JUMP = Act(NINE, ("LOCATED 9",), 10)
SILENT_WRAP = Act("", (), 6)
"""Nothing is sent, and the bar count continues. The phase within four bars is still right for loops of whole cycles."""
CURSOR = "F2 40 00 | +300 | F2 00 00 | +300 | F2 00 01"
NOTES_OFF = " | ".join(f"B{channel:X} {controller} 00" for channel in range(16) for controller in ("78", "7B"))
ALL_NOTES_OFF = " | ".join(f"B{channel:X} 7B 00" for channel in range(16))

DAWS = (
    # uClock #65, DJBB #171 and #149, Orca #167, Live's manual: F2 alone at the wrap while it keeps running (one user's traces); no tick
    # while stopped is inferred. A jump to a cue point is assumed to be sent like a wrap. A cursor moved while stopped: not captured.
    Daw("Ableton Live", CUED, POSITION_WRAP, POSITION_JUMP, locate=""),
    # Apple's guides: Start at 1 1 1 1 only. By default no position while playing. A locate during play is not captured. If it sends
    # nothing, a follower cannot notice it, so the setting that sends it is traced in the rows below.
    Daw("Logic Pro, default", CUED, SILENT_WRAP, Act("", (), 4), locate=""),
    Daw("Logic Pro, position at cycle jumps", CUED, POSITION_WRAP, POSITION_JUMP, locate=""),
    # From memory, without a published source: Stop, position, Continue at the jump.
    Daw("Logic Pro, stop and continue", CUED, SEEK_WRAP, SEEK_JUMP, locate=""),
    # Apple's guides: in Pattern mode no position is sent; Start is repeated on the next bar boundary. A jump does the same.
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
    # Not captured: without position only Start and Stop remain, as in the specification.
    Daw("Bitwig, position off", Act("FA", ("LOCATED 1",), 2), SILENT_WRAP, Act("", (), 4), locate=""),
    # JZZ #67: All Sound Off and All Notes Off on every channel before play; Stop, then F2 back to the edit cursor; F2 at every cursor move.
    # Wrap and jump are not captured: assumed to be sent as a seek.
    Daw("REAPER", CUED, SEEK_WRAP, SEEK_JUMP, locate=CURSOR, stop="FC | F2 00 00", before=NOTES_OFF),
    # stereoping.com/peachclock: sixteen All Notes Off, 48 bytes, before Start. The rest is unknown: the specification, and a silent wrap.
    Daw("FL Studio", CUED, SILENT_WRAP, POSITION_JUMP, locate="", before=ALL_NOTES_OFF),
    # libs/ardour/ticker.cc: any discontinuity is Stop, position, Continue; Continue comes on the next sixteenth, at the tick's own time;
    # no tick while stopped.
    Daw("Ardour", Act(f"{NINE} | +40 | FB", ("LOCATED 9",), 10), SEEK_WRAP, SEEK_JUMP, locate=""),
    # zynthian #1462, arduino_midi #14: ticks while stopped. Wrap and jump are unknown: F2 while running.
    Daw("Renoise", CUED, POSITION_WRAP, POSITION_JUMP, locate=NINE, idle_clock=True),
    # zynthian #1462: ticks while stopped are an option. The rest follows the specification.
    Daw("Cubase, clock always", CUED, SEEK_WRAP, SEEK_JUMP, locate="", idle_clock=True),
    Daw("Cubase", CUED, SEEK_WRAP, SEEK_JUMP, locate=""),
    # Reason's documents: position and Continue in the middle of a song. The rest follows the specification.
    Daw("Reason", CUED, SEEK_WRAP, SEEK_JUMP, locate=""),
    # hedron #495: Continue where others send Start. A position before it is the specification's.
    Daw("Pro Tools", CUED, SEEK_WRAP, SEEK_JUMP, locate="", play="F2 00 00 | FB"),
    # zynthian #1466: Start and Continue five milliseconds apart, and ticks that alternate with JACK's periods.
    Daw("zynthian", Act(f"{NINE} | FB | +5 | FB", ("LOCATED 9",), 10), SILENT_WRAP, POSITION_JUMP, locate="", play="FA | +5 | FB"),
)


def send(sender: Sender, text: str) -> Sender:
    """Adds a trace to a song; the next tick comes after the last wait in it."""
    for part in filter(None, (part.strip() for part in text.split("|"))):
        if part.startswith("+"):
            sender.rest(float(part) / 1000)
        else:
            sender.say(bytes.fromhex(part))
    return sender


def rest(daw: Daw, sender: Sender, seconds: float) -> Sender:
    """Adds time while stopped, with the ticks that this DAW sends meanwhile."""
    return sender.ticks(round(seconds * sender.bpm * 24 / 60)) if daw.idle_clock else sender.rest(seconds)
