"""What a player moved in; what it changes in the controls, the loops and the requests, and a sentence that says so, out."""

from dataclasses import dataclass, field, replace

from drumvae.kit import Kit

from .controls.actions import Event, Kind
from .controls.controls import Controls
from .playing.player import Loop, Player
from .playing.shelf import Shelf
from .requests import Requests


@dataclass
class Desk:
    """Turns events into changes. Called by the performer's thread only. Panic, clear and align are the performer's own."""

    player: Player
    requests: Requests
    shelf: Shelf
    _first_kit: Kit = field(init=False)

    def __post_init__(self) -> None:
        self._first_kit = self.controls.kit

    @property
    def controls(self) -> Controls:
        return self.player.controls

    def move(self, event: Event) -> str:
        """Takes what was moved and says what that did, in words; nothing that plays stops for what cannot be done."""
        action = event.action
        if action.slot is not None:
            return self._keep(action.slot) if action.verb == "keep" else self._recall(action.slot)
        if action.name == "next":
            return "Another loop comes with the next bar." if self.requests.renew() else "There is nothing to make another loop of."
        if action.name == "undo":
            return self._undo()
        if action.name == "first kit":
            self.turn(replace(self.controls, kit=self._first_kit))
            return self._kit_title()
        if action.mode is not None and action.mode not in self.requests.offered:
            return f"This bundle cannot {action.mode}; it offers {', '.join(self.requests.offered)}."
        self.turn(self.controls.after(event, self.requests.offered))
        return self._title(event)

    def turn(self, controls: Controls) -> None:
        """Takes controls as a whole; they are heard from the next bar on."""
        self.requests.turn(controls)

    def _title(self, event: Event) -> str:
        action = event.action
        if action.kind is Kind.SWITCH:
            return f"{action.name} {'on' if self.controls.is_on(action) else 'off'}"
        if action.verb == "mode":
            needs = ". Keep two loops, and it goes between them." if self.controls.mode == "morph" and not self.shelf.pair else ""
            return f"mode {self.controls.mode}{needs}"
        if action.kit is not None:
            return self._kit_title()
        value = getattr(self.controls, action.name, None)
        return f"{action.name} {value:.2f}" if value is not None else action.name

    def _kit_title(self) -> str:
        return f"The kit {self.controls.kit.name} comes with the next bar."

    def _keep(self, slot: int) -> str:
        loop = self.player.loop
        if loop is None or not loop.grid.hits.any():
            return "Nothing plays that could be kept."
        self.shelf.keep(slot, loop)
        self.requests.pair = self.shelf.pair
        return f"Loop {loop.index} is kept in slot {slot}."

    def _recall(self, slot: int) -> str:
        loop = self.shelf.kept.get(slot)
        if loop is None:
            return f"Slot {slot} holds no loop; keep one there first."
        self._go_to(loop)
        return f"Slot {slot} comes with the next bar and is held."

    def _undo(self) -> str:
        loop = self.shelf.back()
        if loop is None:
            return "There is no loop before this one."
        self._go_to(loop)
        return f"Loop {loop.index} comes back with the next bar and is held."

    def _go_to(self, loop: Loop) -> None:
        """Brings in a loop that is to stay: hold goes on, and a press of hold lets the drummer go on."""
        self.player.change(loop)
        self.turn(replace(self.controls, hold=True))
        self.requests.adopt(loop)
