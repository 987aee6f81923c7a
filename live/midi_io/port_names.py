"""Port names in, the one that was meant out: by part of its name, and again after the system has given it another number.

A name that a driver lists is made of what the maker or the user called it and of numbers that change: ALSA ends it with "20:0",
JACK calls the second client of a name "Synth-01", Windows says "2- Synth" where the device sits in another socket.
"""

import re
from collections.abc import Collection, Sequence

IN_CLIENT, OUT_CLIENT, PROBE_CLIENT = "drumvae-in", "drumvae-out", "drumvae-probe"
OWN = (IN_CLIENT, OUT_CLIENT, PROBE_CLIENT)
NUMBERS = re.compile(r"^\d+- | \d+:\d+$|(?<=[^:])-\d+(?=:)")


def others(names: Sequence[str]) -> list[str]:
    """Returns the names that are not ours; the client's name comes first in ALSA's and JACK's. One without a name is no port."""
    return [name for name in names if name and name.split(":")[0].rstrip("0123456789-") not in OWN]


def stable(name: str) -> str:
    """Returns a name without the numbers that the system chose.

    Numbers that tell ports apart stay: "Bus 1" is another port than "Bus 2".
    """
    return NUMBERS.sub("", name)


def match(wanted: str, names: Sequence[str]) -> str | None:
    """Returns the first name that contains what is wanted, whatever the case.

    A name that is equal goes first. A name that was copied from a list, with a number that is no longer true, is found without it.
    """
    lowered, lasting = wanted.casefold(), stable(wanted).casefold()
    equal = [name for name in names if name.casefold() == lowered]
    containing = [name for name in names if lowered in name.casefold()]
    renumbered = [name for name in names if lasting and lasting in stable(name).casefold()]
    return next(iter(equal + containing + renumbered), None)


def match_again(wanted: str, found: str, names: Sequence[str], bystanders: Collection[str]) -> str | None:
    """Returns the name under which a lost port is back, or None.

    `found` is the name it had. `bystanders` are the ports that were there beside it: none of them is it, though the name may fit.
    """
    if found in names:
        return found
    new = [name for name in names if name not in bystanders]
    again = [name for name in new if stable(name) == stable(found)]
    return next(iter(again), None) or match(wanted, new)
