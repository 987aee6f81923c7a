"""Controls in, controller messages out, for a motor fader, a ring of lamps or a DAW to show what the drummer stands at.

An amount is shown on the CC that moves it, a switch as 127 or 0. What triggers something is shown below 64, where it can set off
nothing if it comes back: `recall` and `keep` are 63 while their slot holds a loop, `mode NAME`, `kit NAME` and `style NAME` while that
is the mode, the kit or the style, `fill` while one is to come, and `align` climbs from 0 to 60, by 4 a beat, through the four bars.

A message that comes back is no move of the player: `is_echo` knows it by what was sent in the last moment. And what the player
moves is not sent back to where it came from, so that a hand and a motor never pull against each other.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from drumvae.music.grid import LOOP_BEATS
from drumvae.music.styles import STYLE_NAMES

from .actions import FILL_EVERY, MODE_NAMES, ON, TOP, Action, Kind, choice_at
from .mapping import STATUS, Binding, ControlMap
from .state import ControlState

OWN_CHANNEL = 16
"""Where a CC that is heard on any channel is shown."""
LIT = ON - 1
ECHO_S = 0.2
"""A copy of a sent message that arrives within this time is its echo. A bus takes 2 ms, a DAW's thru some tens of them."""


@dataclass
class Feedback:
    """Remembers what every CC shows. Called by the performer's thread only; times are monotonic seconds passed in."""

    controls: ControlMap
    modes: Sequence[str] = MODE_NAMES
    """The modes that are offered."""
    styles: Sequence[str] = STYLE_NAMES
    """The styles that the bundle knows."""
    _places: list[tuple[tuple[int, int], Action]] = field(init=False)  # status byte and number of every CC
    _shown: dict[tuple[int, int], int] = field(default_factory=dict)
    _sent: deque[tuple[float, bytes]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._places = [(_place(binding), action) for binding, action in self.controls.bindings.items() if binding.message_type == "cc"]

    def messages(
        self,
        now_s: float,
        controls: ControlState,
        kept: Collection[int] = (),
        beat: float | None = None,
        at_most: int = 128,
        fill: bool = False,
    ) -> list[bytes]:
        """Returns a message for every CC that does not show the truth yet, which it is then taken to do; those left over come next time.

        `kept` are the slots, from 1 to 8, that hold a loop; `beat` is where the song stands, or None while it does not run;
        `fill` says whether a fill is to come.
        """
        out: list[bytes] = []
        for place, action in self._places:
            if len(out) == at_most:
                break
            value = LIT * fill if action.name == "fill" else self._value(action, controls, kept, beat)
            if value is None or self._reads(action, self._shown.get(place)) == self._reads(action, value):
                continue
            self._shown[place] = value
            out.append(bytes((*place, value)))
            if action.kind is not Kind.TRIGGER:  # a button that is let go sends what a lamp that goes out was sent
                self._sent.append((now_s, out[-1]))
        return out

    def is_echo(self, arrival_s: float, message: bytes) -> bool:
        """Says whether a message is an amount or a switch that was sent a moment ago. It may come back more than once."""
        while self._sent and arrival_s - self._sent[0][0] > ECHO_S:
            self._sent.popleft()
        return any(message == sent for _, sent in self._sent)

    def heard(self, message: bytes) -> None:
        """Takes a CC that the player moved: that is what it shows now."""
        if len(message) == 3 and message[0] & 0xF0 == STATUS["cc"]:
            self._shown[message[0], message[1]] = message[2]

    def forget(self) -> None:
        """Has everything sent again: what shows it was away, or the map is another one."""
        self._shown.clear()

    def _value(self, action: Action, controls: ControlState, kept: Collection[int], beat: float | None) -> int | None:
        """Returns what a CC is to show, from 0 to 127, or None where there is nothing to show."""
        if action.kind is Kind.SWITCH:
            return TOP if controls.is_on(action) else 0
        if action.slot is not None:
            return LIT if action.slot in kept else 0
        if action.mode is not None:
            return LIT if action.mode == controls.mode else 0
        if action.kit is not None:
            return LIT if action.kit == controls.kit.name else 0
        if action.style is not None:
            return LIT if action.style == controls.style else 0
        if action.name == "align":
            return int(beat % LOOP_BEATS) * 4 if beat is not None else 0
        if action.name == "style" and not self.styles:
            return None
        if action.name == "fill_every":
            return action.value((bisect_right(FILL_EVERY, controls.fill_every) - 0.5) / len(FILL_EVERY))  # of 3, 2 is what comes nearest
        if (choices := self._choices(action)) is not None:
            chosen = getattr(controls, action.name)
            at = choices.index(chosen) if chosen in choices else 0
            return action.value((at + 0.5) / len(choices))
        if action.kind is Kind.AMOUNT:
            amount = getattr(controls, action.name)
            return None if amount is None else action.value(amount)
        return None

    def _reads(self, action: Action, value: int | None) -> object:
        """Returns what a value says, where several say the same."""
        if value is None or action.kind is Kind.TRIGGER:
            return value
        if action.kind is Kind.SWITCH:
            return value >= ON
        choices = self._choices(action)
        return value if choices is None else (choice_at(action.amount(value), choices),)  # that no style is asked for says something

    def _choices(self, action: Action) -> Sequence[object] | None:
        """Returns what a knob goes through, or None where it is an amount."""
        return {"mode": self.modes, "style": (None, *self.styles), "fill_every": FILL_EVERY}.get(action.name)


def _place(binding: Binding) -> tuple[int, int]:
    return STATUS[binding.message_type] | (binding.channel or OWN_CHANNEL) - 1, binding.number
