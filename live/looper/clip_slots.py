"""Loops that were played and loops that were kept, in numbered slots: what can be gone back to. Pure."""

from collections import deque
from collections.abc import Mapping

from drumvae.music.grid import Grid

from .player import Loop

HISTORY = 64
"""So many loops can be gone back through."""


class ClipSlots:
    """Remembers loops. Called by the performer's thread only."""

    def __init__(self) -> None:
        self._slots: dict[int, Loop] = {}
        self._history: deque[Loop] = deque(maxlen=HISTORY)

    @property
    def kept(self) -> Mapping[int, Loop]:
        """The loops that are kept, by slot."""
        return self._slots

    @property
    def pair(self) -> tuple[Grid, Grid] | None:
        """The loops of the two lowest slots that hold one, which morph goes between."""
        grids = [self._slots[slot].grid for slot in sorted(self._slots)[:2]]
        return (grids[0], grids[1]) if len(grids) == 2 else None

    def keep(self, slot: int, loop: Loop) -> None:
        """Puts a loop into a slot, in place of the one that was there."""
        self._slots[slot] = loop

    def played(self, loop: Loop) -> None:
        """Takes the loop that plays now; the same loop made again takes the place of the former."""
        if self._history and self._history[-1].index == loop.index >= 0:
            self._history.pop()
        self._history.append(loop)

    def back(self) -> Loop | None:
        """Returns the loop that played before the last one and makes it the last; None where there was none."""
        if len(self._history) < 2:
            return None
        self._history.pop()
        return self._history[-1]
