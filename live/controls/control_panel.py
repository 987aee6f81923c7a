"""Holds the session's current control values in one place."""

from dataclasses import dataclass, field

from .state import ControlState


@dataclass
class ControlPanel:
    """Owns the control values. Player, scheduler, recorder and display read `state` and keep no copy of it.

    The performer's thread replaces `state` as a whole. The value is frozen, so any thread may read it.

    Thread-safe: reading yes, writing no.
    Realtime-safe: yes.

    >>> panel = ControlPanel()
    >>> panel.state = ControlState(swing=0.5)
    >>> panel.state.swing
    0.5
    """

    state: ControlState = field(default_factory=ControlState)
