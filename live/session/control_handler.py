"""What a player moved in; what it changes in the controls, the loops and the requests, and a sentence that says so, out."""

from dataclasses import dataclass, field, replace

from drumvae.music.conditions import one_hot_style
from drumvae.music.kit import Kit
from drumvae.util.errors import BundleError

from ..controls.actions import Action, Event, Kind
from ..controls.state import ControlState, fills_title
from ..generation.modes import MODES, NO_STYLES
from ..generation.scheduler import GenerationScheduler
from ..looper.clip_slots import ClipSlots
from ..looper.player import Loop, Player

_DRUMMERS_OWN = ("style", "complexity", "fill", "fill_every")
"""The verbs of what only a bundle that knows styles can be asked for."""


@dataclass
class ControlHandler:
    """Turns events into changes. Called by the performer's thread only. Panic, clear and align are the performer's own."""

    player: Player
    requests: GenerationScheduler
    shelf: ClipSlots
    _first_kit: Kit = field(init=False)

    def __post_init__(self) -> None:
        self._first_kit = self.controls.kit

    @property
    def controls(self) -> ControlState:
        return self.player.controls

    def move(self, event: Event) -> str:
        """Takes what was moved and says what that did, in words; nothing that plays stops for what cannot be done."""
        action = event.action
        if action.slot is not None:
            return self._keep(action.slot) if action.verb == "keep" else self._recall(action.slot)
        if action.name == "next":
            return "Another loop comes with the next bar." if self.requests.renew() else "There is nothing to make another loop of."
        if refusal := self._refusal(action):
            return refusal
        if action.name == "fill":
            return self._fill()
        if action.name == "undo":
            return self._undo()
        if action.name == "first kit":
            self.turn(replace(self.controls, kit=self._first_kit))
            return self._kit_title()
        self.turn(self.controls.after(event, self.requests.offered, self.requests.styles))
        return self._title(event)

    def turn(self, controls: ControlState) -> None:
        """Takes controls as a whole; they are heard from the next bar on."""
        self.requests.turn(controls)

    def _refusal(self, action: Action) -> str | None:
        """Says why the bundle cannot be asked for something; None where it can."""
        if action.mode is not None and action.mode not in self.requests.offered:
            return f"This bundle cannot {action.mode}; it offers {', '.join(self.requests.offered)}."
        if action.verb in _DRUMMERS_OWN and not self.requests.styles:
            return NO_STYLES
        try:
            one_hot_style(action.style, self.requests.styles)
        except BundleError as error:
            return str(error)
        return None

    def _fill(self) -> str:
        if self.controls.mode != "generate":
            return f"The mode {self.controls.mode} makes no fills; choose the mode generate."
        self.requests.fill = self.requests.fill or not self.requests.fill_comes  # pressed twice, it is still one
        return f"The next loop ends in a fill{'; hold keeps the one that plays' if self.controls.hold else ''}."

    def _title(self, event: Event) -> str:
        action = event.action
        if action.verb == "style":
            return self._style_title()
        if action.name == "fill_every":
            return fills_title(self.controls.fill_every)
        if action.kind is Kind.SWITCH:
            return f"{action.name} {'on' if self.controls.is_on(action) else 'off'}"
        if action.verb == "mode":
            needs = ". Keep two loops, and it goes between them." if self.controls.mode == "morph" and not self.shelf.pair else ""
            return f"mode {self.controls.mode}{needs}"
        if action.kit is not None:
            return self._kit_title()
        value = getattr(self.controls, action.name, None)
        return f"{action.name} {value:.2f}" if value is not None else action.name

    def _style_title(self) -> str:
        if self.controls.style is None:
            return "no style: the model's own choice"
        mode = self.controls.mode
        return f"style {self.controls.style}{'' if 'style' in MODES[mode].amounts else f', which the mode {mode} does not ask for'}"

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
        self.player.replace_loop(loop)
        self.turn(replace(self.controls, hold=True))
        self.requests.adopt(loop)
