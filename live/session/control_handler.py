"""Applies the events of controls to the control values, the loops and the scheduler, and returns a sentence for each."""

from dataclasses import dataclass, field, replace

from drumvae.music.conditions import one_hot_style
from drumvae.music.kit import Kit
from drumvae.util.errors import BundleError

from ..controls.actions import Action, Event, Kind
from ..controls.state import ControlState, fills_title
from ..generation.modes import MODES, NO_STYLES
from ..generation.scheduler import GenerationScheduler
from ..looper.clip_slots import ClipSlots
from ..looper.loop import Loop
from ..looper.player import Player

_NEEDS_STYLES = ("style", "complexity", "fill", "fill_every")
"""The verbs that only a model with conditions supports."""


@dataclass
class ControlHandler:
    """Applies events. The performer itself handles panic, clear and align.

    Thread-safe: no.
    Realtime-safe: yes.
    """

    player: Player
    scheduler: GenerationScheduler
    clip_slots: ClipSlots
    _first_kit: Kit = field(init=False)

    def __post_init__(self) -> None:
        self._first_kit = self.controls.kit

    @property
    def controls(self) -> ControlState:
        return self.player.controls

    def apply(self, event: Event) -> str:
        """Applies an event and returns a sentence about its effect; a refused event changes nothing."""
        action = event.action
        if action.slot is not None:
            return self._keep(action.slot) if action.verb == "keep" else self._recall(action.slot)
        if action.name == "next":
            return "Another loop comes with the next bar." if self.scheduler.regenerate() else "There is nothing to make another loop of."
        if refusal := self._refusal(action):
            return refusal
        if action.name == "fill":
            return self._fill()
        if action.name == "undo":
            return self._undo()
        if action.name == "first kit":
            self.scheduler.set_controls(replace(self.controls, kit=self._first_kit))
            return self._kit_title()
        self.scheduler.set_controls(self.controls.after(event, self.scheduler.modes, self.scheduler.styles))
        return self._title(event)

    def remember(self, loop: Loop | None) -> None:
        """Adds the current loop to the history of `undo`."""
        if loop is not None:
            self.clip_slots.add_played(loop)

    def _refusal(self, action: Action) -> str | None:
        """Returns a sentence if the model does not support an action, else None."""
        if action.mode is not None and action.mode not in self.scheduler.modes:
            return f"This bundle cannot {action.mode}; it offers {', '.join(self.scheduler.modes)}."
        if action.verb in _NEEDS_STYLES and not self.scheduler.styles:
            return NO_STYLES
        try:
            one_hot_style(action.style, self.scheduler.styles)
        except BundleError as error:
            return str(error)
        return None

    def _fill(self) -> str:
        if self.controls.mode != "generate":
            return f"The mode {self.controls.mode} makes no fills; choose the mode generate."
        self.scheduler.fill_requested = self.scheduler.fill_requested or not self.scheduler.fill_pending  # pressed twice is still one
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
            needs_loops = self.controls.mode == "morph" and not self.clip_slots.morph_pair
            return f"mode {self.controls.mode}{'. Keep two loops, and it goes between them.' if needs_loops else ''}"
        if action.kit is not None:
            return self._kit_title()
        value = getattr(self.controls, action.name, None)
        return f"{action.name} {value:.2f}" if value is not None else action.name

    def _style_title(self) -> str:
        if self.controls.style is None:
            return "no style: the model's own choice"
        mode = self.controls.mode
        return f"style {self.controls.style}{'' if 'style' in MODES[mode].amounts else f', which the mode {mode} does not use'}"

    def _kit_title(self) -> str:
        return f"The kit {self.controls.kit.name} comes with the next bar."

    def _keep(self, slot: int) -> str:
        loop = self.player.loop
        if loop is None or not loop.grid.hits.any():
            return "Nothing plays that could be kept."
        self.clip_slots.keep(slot, loop)
        self.scheduler.morph_pair = self.clip_slots.morph_pair
        return f"Loop {loop.index} is kept in slot {slot}."

    def _recall(self, slot: int) -> str:
        loop = self.clip_slots.loops.get(slot)
        if loop is None:
            return f"Slot {slot} holds no loop; keep one there first."
        self._go_to(loop)
        return f"Slot {slot} comes with the next bar and is held."

    def _undo(self) -> str:
        loop = self.clip_slots.undo()
        if loop is None:
            return "There is no loop before this one."
        self._go_to(loop)
        return f"Loop {loop.index} comes back with the next bar and is held."

    def _go_to(self, loop: Loop) -> None:
        """Plays a loop from the next bar on and switches hold on."""
        self.player.replace_loop(loop)
        self.scheduler.set_controls(replace(self.controls, hold=True))
        self.scheduler.keep_unchanged(loop)
