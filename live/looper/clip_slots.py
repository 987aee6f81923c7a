"""Keeps loops in numbered slots, and the history of the loops that were played."""

from collections import deque
from collections.abc import Mapping

from drumvae.music.grid import Grid

from .loop import Loop

HISTORY = 64
"""How many loops `undo` can go back."""


class ClipSlots:
    """The kept loops and the history.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> slots = ClipSlots()
    >>> slots.keep(3, Loop(0, Grid.empty()))
    >>> sorted(slots.loops)
    [3]
    """

    def __init__(self) -> None:
        self._slots: dict[int, Loop] = {}
        self._history: deque[Loop] = deque(maxlen=HISTORY)

    @property
    def loops(self) -> Mapping[int, Loop]:
        """The kept loops by slot."""
        return self._slots

    @property
    def morph_pair(self) -> tuple[Grid, Grid] | None:
        """The loops of the two lowest filled slots, which the mode morph interpolates."""
        grids = [self._slots[slot].grid for slot in sorted(self._slots)[:2]]
        return (grids[0], grids[1]) if len(grids) == 2 else None

    def keep(self, slot: int, loop: Loop) -> None:
        """Puts a loop into a slot and replaces the one there."""
        self._slots[slot] = loop

    def add_played(self, loop: Loop) -> None:
        """Adds the current loop to the history; a remake replaces the earlier version of its loop."""
        if self._history and self._history[-1].index == loop.index >= 0:
            self._history.pop()
        self._history.append(loop)

    def undo(self) -> Loop | None:
        """Removes the last loop from the history and returns the one before it; None if there is none."""
        if len(self._history) < 2:
            return None
        self._history.pop()
        return self._history[-1]
