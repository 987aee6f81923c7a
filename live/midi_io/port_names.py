"""Finds a MIDI port by a part of its name, also after the system has changed the numbers in the name.

A driver's port name consists of a name from the manufacturer or the user, and of numbers that change. ALSA appends "20:0", JACK calls
the second client of a name "Synth-01", and Windows says "2- Synth" where the device is plugged into another socket.
"""

import re
from collections.abc import Collection, Sequence

IN_CLIENT, OUT_CLIENT, PROBE_CLIENT = "drumvae-in", "drumvae-out", "drumvae-probe"
OWN_CLIENTS = (IN_CLIENT, OUT_CLIENT, PROBE_CLIENT)
SYSTEM_NUMBERS = re.compile(r"^\d+- | \d+:\d+$|(?<=[^:])-\d+(?=:)")


def without_own(names: Sequence[str]) -> list[str]:
    """Returns the names of other programs' ports; ALSA and JACK put the client's name first. A port without a name is left out."""
    return [name for name in names if name and name.split(":")[0].rstrip("0123456789-") not in OWN_CLIENTS]


def without_system_numbers(name: str) -> str:
    """Returns a name without the numbers that the system chose.

    Numbers that distinguish ports stay: "Bus 1" is another port than "Bus 2".

    >>> without_system_numbers("Launchpad:Launchpad MIDI 1 20:0")
    'Launchpad:Launchpad MIDI 1'
    """
    return SYSTEM_NUMBERS.sub("", name)


def match(requested: str, names: Sequence[str]) -> str | None:
    """Returns the first name that contains `requested`, ignoring case, or None.

    An equal name takes precedence. A name that was copied from a list and has an outdated number matches without its number.

    >>> match("clock", ["Keys:out", "Ardour:MIDI Clock out"])
    'Ardour:MIDI Clock out'
    """
    lowered, unnumbered = requested.casefold(), without_system_numbers(requested).casefold()
    equal = [name for name in names if name.casefold() == lowered]
    containing = [name for name in names if lowered in name.casefold()]
    renumbered = [name for name in names if unnumbered and unnumbered in without_system_numbers(name).casefold()]
    return next(iter(equal + containing + renumbered), None)


def match_again(requested: str, last_name: str, names: Sequence[str], other_names: Collection[str]) -> str | None:
    """Finds a lost port in a new list of ports.

    Args:
        requested: The part of a name that the user typed.
        last_name: The name that the port had before it was lost.
        names: The ports there are now.
        other_names: The ports that existed beside it before. None of them is the lost port, even where its name matches.

    Returns:
        The port's present name, or None while it is away.
    """
    if last_name in names:
        return last_name
    new = [name for name in names if name not in other_names]
    renumbered = [name for name in new if without_system_numbers(name) == without_system_numbers(last_name)]
    return next(iter(renumbered), None) or match(requested, new)
