"""Maps controllers and notes to actions. `mapping_file` reads control maps from TOML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from drumvae.midi.constants import CONTROL_CHANGE, NOTE_ON
from drumvae.util.errors import DrumVAEError

from .actions import ACTIONS, ON, Action, Event, Kind

MessageType = Literal["cc", "note"]
MESSAGE_TYPES: tuple[MessageType, ...] = get_args(MessageType)
STATUS: Mapping[MessageType, int] = {"cc": CONTROL_CHANGE, "note": NOTE_ON}
LAST: Mapping[MessageType, int] = {"cc": 119, "note": 127}
"""The highest number of each type. CC 120 to 127 are channel mode messages, which DAWs send by themselves (MIDI 1.0)."""
CHANNELS = range(1, 17)


class Binding(NamedTuple):
    """A controller or a note.

    >>> Binding("cc", 21, 3).title
    'CC 21 on channel 3'
    """

    message_type: MessageType
    number: int
    """From 0 to 119 for a controller, from 0 to 127 for a note."""
    channel: int | None = None
    """From 1 to 16; None is any."""

    @property
    def title(self) -> str:
        name = "CC" if self.message_type == "cc" else "note"
        return f"{name} {self.number} on channel {self.channel}" if self.channel else f"{name} {self.number}"

    @property
    def sentence(self) -> str:
        """The title with a capital, for the start of a sentence."""
        return self.title[0].upper() + self.title[1:]

    def overlaps(self, other: "Binding") -> bool:
        """Returns whether a message can match both."""
        return self[:2] == other[:2] and (self.channel == other.channel or None in (self.channel, other.channel))


class ControllerValues:
    """Holds the latest value of every controller, to detect a rise through 64.

    Thread-safe: no.
    Realtime-safe: yes.
    """

    def __init__(self) -> None:
        self._last = bytearray(16 * 128)

    def rises(self, status: int, number: int, value: int) -> bool:
        """Records a controller's value and returns whether it rose to 64 or above; the value before the first is 0."""
        index = (status & 0x0F) << 7 | number
        before, self._last[index] = self._last[index], value
        return before < ON <= value


@dataclass(frozen=True)
class ControlMap:
    """The bindings of all controls. Raises DrumVAEError for a message with two actions.

    Thread-safe: yes.
    Realtime-safe: yes.

    >>> control_map = ControlMap({Binding("cc", 21): ACTIONS["swing"]})
    >>> control_map.read(bytes((0xB0, 21, 127)), ControllerValues()).value
    1.0
    """

    bindings: Mapping[Binding, Action]
    _actions: Mapping[tuple[int, int], Action] = field(init=False, repr=False, compare=False)  # by status byte and number

    def __post_init__(self) -> None:
        actions: dict[tuple[int, int], Action] = {}
        for binding, action in self.bindings.items():
            _check(binding, action)
            for channel in CHANNELS if binding.channel is None else (binding.channel,):
                address = STATUS[binding.message_type] | channel - 1, binding.number
                if address in actions:
                    raise DrumVAEError(
                        f"{binding.sentence} is bound twice, to {actions[address].name} and to {action.name}; leave one of them out."
                    )
                actions[address] = action
        object.__setattr__(self, "_actions", actions)

    def read(self, message: bytes, values: ControllerValues) -> Event | None:
        """Returns the event of a message, or None; accepts any bytes."""
        if len(message) != 3:
            return None
        status, number, value = message
        action = self._actions.get((status, number))
        if action is None or value > 127:
            return None
        if status & 0xF0 == STATUS["note"]:
            return Event(action) if value else None  # velocity 0 is a note-off
        rises = values.rises(status, number, value)
        if action.kind is Kind.AMOUNT:
            return Event(action, action.amount(value))
        if action.kind is Kind.SWITCH:
            return Event(action, float(value >= ON))
        return Event(action) if rises else None

    def of(self, action: Action) -> list[Binding]:
        """Returns the bindings of an action."""
        return [binding for binding, bound in self.bindings.items() if bound is action]

    def listing(self) -> str:
        """Returns a line for every action: name, range, bindings and help."""
        rows = [(a.name, a.range_text, ", ".join(binding.title for binding in self.of(a)) or "-", a.help) for a in ACTIONS.values()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join("  ".join((*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3])) for row in rows)


def learned(controls: ControlMap, action: Action, binding: Binding) -> ControlMap:
    """Returns a map with a new binding of an action; it replaces the action's bindings of the same type and overlapping ones."""
    kept = {
        b: a for b, a in controls.bindings.items() if not (b.overlaps(binding) or (a is action and b.message_type == binding.message_type))
    }
    return ControlMap({**kept, binding: action})


def _check(binding: Binding, action: Action) -> None:
    if binding.channel is not None and binding.channel not in CHANNELS:
        raise DrumVAEError(f"There is no channel {binding.channel}; channels go from 1 to 16.")
    if not 0 <= binding.number <= LAST[binding.message_type]:
        why = ", because DAWs send those above by themselves" if binding.message_type == "cc" else ""
        raise DrumVAEError(f"{binding.sentence} cannot be bound to {action.name}; choose one from 0 to {LAST[binding.message_type]}{why}.")
    if binding.message_type == "note" and action.kind is Kind.AMOUNT:
        raise DrumVAEError(f"{binding.sentence} cannot move {action.name}, which is an amount; bind it to a CC, under [cc].")
