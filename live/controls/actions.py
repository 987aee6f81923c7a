"""Lists the actions of knobs, pads and automation, and converts controller values, 0 to 127, to amounts and back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from drumvae.music.kit import VOICES
from drumvae.music.kits import known_kits
from drumvae.music.styles import STYLE_NAMES

MODE_NAMES = ("generate", "humanize", "drumify", "respond", "vary", "morph")
"""Every mode, in the order of the amount `mode`."""
FILL_EVERY = (0, 1, 2, 4, 8)
"""The choices of `fill_every`, in order: one loop in this number ends in a fill; 0 is none."""
SLOTS = tuple(range(1, 9))
"""The numbers of the slots for loops."""
ON = 64
"""A switch is on from this controller value; a trigger fires when a value rises to it. MIDI 1.0 defines pedals in the same way."""
MIDDLE, TOP = 64, 127


class Kind(Enum):
    """The kind of control that an action needs."""

    AMOUNT = "amount"
    """By a knob or a fader: a controller's value, from 0 to 127."""
    SWITCH = "switch"
    """By a controller, on from 64; a pad's note toggles it."""
    TRIGGER = "trigger"
    """By a pad's note, or by a controller that rises through 64."""


@dataclass(frozen=True)
class Action:
    """One action.

    >>> ACTIONS["density"].amount(64), ACTIONS["density"].value(1.0)
    (1.0, 64)
    """

    name: str
    """The name in a control map, such as `mute open hat`."""
    verb: str
    """The first part of the name, such as `mute`."""
    kind: Kind
    help: str
    """One line for the user."""
    low: float = 0.0
    """The amount at controller value 0."""
    high: float = 1.0
    """The amount at controller value 127."""
    voice: int | None = None
    """The voice, from 0 to 8, of `mute` and `lock`."""
    slot: int | None = None
    """The slot, from 1 to 8, of `keep` and `recall`."""
    mode: str | None = None
    """The mode that a trigger selects."""
    kit: str | None = None
    """The name of the kit that a trigger selects."""
    style: str | None = None
    """The style that a trigger selects."""

    def amount(self, value: int) -> float:
        """Returns the amount for a controller value: linear from `low` at 0 to the middle at 64, and from there to `high` at 127.

        The middle is exactly 64, because a knob's detent and a DAW's centre are 64. The two halves have 64 and 63 values.
        """
        part = value / (2 * MIDDLE) if value <= MIDDLE else 0.5 + (value - MIDDLE) / (2 * (TOP - MIDDLE))
        return self.low + part * (self.high - self.low)

    def value(self, amount: float) -> int:
        """Returns the controller value, from 0 to 127, nearest to an amount; the inverse of `amount`."""
        part = min(max((amount - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(part * 2 * MIDDLE if part <= 0.5 else MIDDLE + (part - 0.5) * 2 * (TOP - MIDDLE))

    @property
    def range_text(self) -> str:
        return f"{self.low:g} to {self.high:g}" if self.kind is Kind.AMOUNT else self.kind.value


class Event(NamedTuple):
    """A moved control: its action and its new value."""

    action: Action
    value: float | None = None
    """An amount in its range; 1 or 0 for a switch set on or off; None for a trigger, and for a toggled switch."""


Choice = TypeVar("Choice")


def choice_at(position: float, choices: Sequence[Choice]) -> Choice:
    """Returns the choice at a position from 0 to 1; all choices have an equal share of a knob's travel."""
    return choices[min(int(position * len(choices)), len(choices) - 1)]


_AMOUNTS = (
    ("temperature", 0, 1.5, "how adventurous generated loops are"),
    ("humanize", 0, 1, "how much humanize changes velocity and timing"),
    ("drift", 0, 1, "how far vary and respond go from their input"),
    ("morph", 0, 1, "the position of morph between its two loops"),
    ("density", 0, 2, "how many hits there are: fewer below 1, more above"),
    ("complexity", -1, 1, "how intricate generated loops are: on the beats below 0, between them above"),
    ("velocity_low", 0, 1, "the velocity that the softest hit is played at"),
    ("velocity_high", 0, 1, "the velocity that the loudest hit is played at"),
    ("swing", 0, 1, "how late every second sixteenth is played: 1 is a triplet's third"),
)
_CHOICES = (
    ("mode", "chooses among the modes, from the first to the last"),
    ("style", "chooses among the bundle's styles; 0 is none, which leaves it to the model"),
    ("fill_every", f"ends one loop in a number of loops in a fill: {', '.join(map(str, FILL_EVERY))}; 0 is never"),
)
_SWITCHES = (
    ("hold", "keeps the loop that plays"),
    ("overdub", "adds the played notes to those of the bars before"),
    ("half_time", "plays the first two bars at half the speed"),
    ("double_time", "plays the four bars twice, at double speed"),
)
_TRIGGERS = (
    ("next", "brings in another loop"),
    ("fill", "ends the next loop in a fill, once"),
    ("undo", "goes back to the loop before"),
    ("panic", "ends all notes at once"),
    ("clear", "clears the overdubbed layers"),
    ("align", "makes the nearest beat the first of bar one"),
    ("first kit", "goes back to the kit of the start"),
)
_STYLE_TRIGGERS = (
    ("next style", "selects the next of the bundle's styles; after the last, none"),
    ("no style", "leaves the style to the model"),
)


def _all_actions() -> Iterator[Action]:
    yield from (Action(name, name, Kind.AMOUNT, line, low, high) for name, low, high, line in _AMOUNTS)
    yield from (Action(name, name, Kind.AMOUNT, line) for name, line in _CHOICES)
    yield from (Action(name, name, Kind.SWITCH, line) for name, line in _SWITCHES)
    for verb, line in (("mute", "leaves out the {}"), ("lock", "keeps the hits of the {} while loops change")):
        yield from (Action(f"{verb} {name}", verb, Kind.SWITCH, line.format(name), voice=v) for v, name in enumerate(VOICES))
    yield from (Action(name, name, Kind.TRIGGER, line) for name, line in _TRIGGERS)
    for verb, line in (("keep", "keeps the loop that plays in slot {}"), ("recall", "plays the loop in slot {} again")):
        yield from (Action(f"{verb} {slot}", verb, Kind.TRIGGER, line.format(slot), slot=slot) for slot in SLOTS)
    yield from (Action(f"mode {mode}", "mode", Kind.TRIGGER, f"selects the mode {mode}", mode=mode) for mode in MODE_NAMES)
    yield from (Action(f"kit {name}", "kit", Kind.TRIGGER, f"plays on {row.title}", kit=name) for name, row in known_kits().items())
    yield from (Action(name, "style", Kind.TRIGGER, line) for name, line in _STYLE_TRIGGERS)
    yield from (Action(f"style {name}", "style", Kind.TRIGGER, f"selects the style {name}", style=name) for name in STYLE_NAMES)


ACTIONS: Mapping[str, Action] = MappingProxyType({action.name: action for action in _all_actions()})
"""Every action by its name."""
