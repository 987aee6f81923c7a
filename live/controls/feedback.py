"""Makes controller messages that show the control values on motor faders, LED rings or in a DAW.

An amount is shown on the CC that controls it, a switch as 127 or 0. A trigger is shown by a value below 64, which triggers nothing if it is
echoed. `recall` and `keep` are 63 while their slot holds a loop; `mode NAME`, `kit NAME` and `style NAME` are 63 while selected; `fill` is
63 while one is pending. `align` rises from 0 to 60, by 4 a beat, through the four bars.

`is_echo` recognises echoes of feedback, so that they do not count as moves. A moved control is not sent back to its controller, so that a
hand and a motor never pull against each other.
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
"""The feedback channel of a CC that is bound on any channel."""
LIT = ON - 1
"""The value of a trigger whose LED is on."""
FEEDBACK_ECHO_S = 0.2
"""A copy of a sent message within this time is its echo. A bus takes 2 ms, the MIDI thru of a DAW some tens of ms."""


@dataclass
class Feedback:
    """The values that controllers show. Times are monotonic seconds.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> from drumvae.live.controls.actions import ACTIONS
    >>> feedback = Feedback(ControlMap({Binding("cc", 24): ACTIONS["swing"]}))
    >>> [message.hex() for message in feedback.messages(0.0, ControlState(swing=1.0))]
    ['bf187f']
    """

    control_map: ControlMap
    modes: Sequence[str] = MODE_NAMES
    """The modes that the model supports."""
    styles: Sequence[str] = STYLE_NAMES
    """The styles that the bundle knows."""
    _addresses: list[tuple[tuple[int, int], Action]] = field(init=False)  # status byte and number of every CC
    _shown: dict[tuple[int, int], int] = field(default_factory=dict)
    _sent: deque[tuple[float, bytes]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._addresses = [
            (_address(binding), action) for binding, action in self.control_map.bindings.items() if binding.message_type == "cc"
        ]

    def messages(
        self,
        now_s: float,
        controls: ControlState,
        filled_slots: Collection[int] = (),
        beat: float | None = None,
        at_most: int = 128,
        fill: bool = False,
    ) -> list[bytes]:
        """Returns messages for controllers that do not show the current values; the rest follow in the next calls.

        Args:
            now_s: The time of sending.
            controls: The control values.
            filled_slots: The slots, from 1 to 8, that hold a loop.
            beat: The song's beat; None while it does not run.
            at_most: The largest number of messages.
            fill: Whether a fill is pending.

        Returns:
            MIDI messages. They are assumed to be sent, so that the controllers show them.
        """
        out: list[bytes] = []
        for address, action in self._addresses:
            if len(out) == at_most:
                break
            value = LIT * fill if action.name == "fill" else self._value(action, controls, filled_slots, beat)
            if value is None or self._meaning(action, self._shown.get(address)) == self._meaning(action, value):
                continue
            self._shown[address] = value
            out.append(bytes((*address, value)))
            if action.kind is not Kind.TRIGGER:  # a released button sends 0, as a LED that goes out receives
                self._sent.append((now_s, out[-1]))
        return out

    def is_echo(self, arrival_s: float, message: bytes) -> bool:
        """Returns whether a message is a copy of recent feedback; more than one copy may arrive."""
        while self._sent and arrival_s - self._sent[0][0] > FEEDBACK_ECHO_S:
            self._sent.popleft()
        return any(message == sent for _, sent in self._sent)

    def received(self, message: bytes) -> None:
        """Records a CC that the user moved: its controller shows the value already."""
        if len(message) == 3 and message[0] & 0xF0 == STATUS["cc"]:
            self._shown[message[0], message[1]] = message[2]

    def forget(self) -> None:
        """Forgets the shown values, so that all are sent again, as after a reconnect."""
        self._shown.clear()

    def _value(self, action: Action, controls: ControlState, filled_slots: Collection[int], beat: float | None) -> int | None:
        """Returns the value for a CC, from 0 to 127; None for an action without one."""
        if action.kind is Kind.SWITCH:
            return TOP if controls.is_on(action) else 0
        if action.slot is not None:
            return LIT if action.slot in filled_slots else 0
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
            return action.value((bisect_right(FILL_EVERY, controls.fill_every) - 0.5) / len(FILL_EVERY))  # 3 shows as 2
        if (choices := self._choices(action)) is not None:
            chosen = getattr(controls, action.name)
            at = choices.index(chosen) if chosen in choices else 0
            return action.value((at + 0.5) / len(choices))
        if action.kind is Kind.AMOUNT:
            amount = getattr(controls, action.name)
            return None if amount is None else action.value(amount)
        return None

    def _meaning(self, action: Action, value: int | None) -> object:
        """Returns the meaning of a value; several values may have the same."""
        if value is None or action.kind is Kind.TRIGGER:
            return value
        if action.kind is Kind.SWITCH:
            return value >= ON
        choices = self._choices(action)
        return value if choices is None else (choice_at(action.amount(value), choices),)  # in a tuple, because a choice may be None

    def _choices(self, action: Action) -> Sequence[object] | None:
        """Returns the choices of a knob; None for an amount."""
        return {"mode": self.modes, "style": (None, *self.styles), "fill_every": FILL_EVERY}.get(action.name)


def _address(binding: Binding) -> tuple[int, int]:
    return STATUS[binding.message_type] | (binding.channel or OWN_CHANNEL) - 1, binding.number
