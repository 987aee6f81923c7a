"""What the player may turn, as one frozen value: any thread may share it, and a change is a new value."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from drumvae.music.kit import DEFAULT_KIT, Kit
from drumvae.music.kits import known_kits
from drumvae.music.styles import STYLE_NAMES

from .actions import FILL_EVERY, MODE_NAMES, Action, Event, Kind, choice_at


def fills_title(every: int) -> str:
    """Says how often a generated loop ends in a fill."""
    return "fills are left to the model" if not every else "a fill in every loop" if every == 1 else f"a fill every {every} loops"


@dataclass(frozen=True)
class ControlState:
    """Holds every amount and switch; the defaults leave a loop as the model wrote it."""

    mode: str = "generate"
    """A key of modes.MODES."""
    temperature: float | None = None
    """How adventurous generated loops are: 0 takes the likeliest hits, 1 is as trained; None is the bundle's own choice."""
    humanize: float = 1.0
    """How much humanize changes velocity and timing: 0 nothing, 1 all the way."""
    drift: float = 0.3
    """How far vary and respond go from what they start from: 0 nowhere, 1 as far as a loop of its own."""
    morph: float = 0.0
    """Where morph stands between its two loops: 0 the first, 1 the second."""
    density: float = 1.0
    """How many hits there are, from 0 to 2: below 1 the least important are left out, above 1 the model is asked for more."""
    velocity_low: float = 0.0
    """The velocity that the softest hit, 0, is played at, in [0, 1]."""
    velocity_high: float = 1.0
    """The velocity that the loudest hit, 1, is played at, in [0, 1]; not below `velocity_low`."""
    swing: float = 0.0
    """How late every second sixteenth is played: 0 as written, 1 a triplet's third, a third of a step late."""
    speed: float = 1.0
    """0.5 half time, 1 as written, 2 double time."""
    muted_voices: frozenset[int] = frozenset()
    """Voices, from 0 to 8, that are not played."""
    locked_voices: frozenset[int] = frozenset()
    """Voices, from 0 to 8, that keep what they play while loops change."""
    hold: bool = False
    """Whether the loop that plays is kept."""
    overdub: bool = False
    """Whether what is played is added to what was played before; otherwise each four bars stand alone."""
    kit: Kit = DEFAULT_KIT
    """What the drums are played on."""
    style: str | None = None
    """What is played, one of the bundle's styles; None leaves it to the model."""
    complexity: float = 0.0
    """How intricate generated loops are: -1 on the beats, 0 as the model plays, 1 between them."""
    fill_every: int = 0
    """One of so many generated loops ends in a fill; 0 never, but for the model's own."""

    @property
    def half_time(self) -> bool:
        return self.speed < 1

    @property
    def double_time(self) -> bool:
        return self.speed > 1

    def after(self, event: Event, modes: Sequence[str] = MODE_NAMES, styles: Sequence[str] = STYLE_NAMES) -> "ControlState":
        """Returns the controls once an event is over; a trigger that only does something leaves them as they are.

        `modes` are those that the amount `mode` goes through, the ones that are offered, and `styles` those of the bundle. The end
        of the velocity range that is moved stops at the other.
        """
        action, value = event
        if action.kind is Kind.SWITCH:
            return self._switched(action, not self.is_on(action) if value is None else value >= 0.5)
        if action.verb == "mode":
            return replace(self, mode=action.mode or choice_at(value or 0.0, modes))
        if action.verb == "style":
            return replace(self, style=self._style_after(event, (None, *styles)))
        if action.name == "fill_every":
            return replace(self, fill_every=choice_at(value or 0.0, FILL_EVERY))
        if action.kit is not None:
            return replace(self, kit=known_kits()[action.kit].kit)
        if action.kind is not Kind.AMOUNT or value is None:
            return self
        amount = min(max(value, action.low), action.high)
        if action.name == "velocity_low":
            amount = min(amount, self.velocity_high)
        elif action.name == "velocity_high":
            amount = max(amount, self.velocity_low)
        return replace(self, **{action.name: amount})  # type: ignore[arg-type]  # an amount is named as its field

    def is_on(self, action: Action) -> bool:
        """Says whether a switch is on."""
        if action.voice is not None:
            return action.voice in (self.muted_voices if action.verb == "mute" else self.locked_voices)
        return bool(getattr(self, action.name))

    def _style_after(self, event: Event, choices: Sequence[str | None]) -> str | None:
        action, value = event
        if action.kind is Kind.AMOUNT:
            return choice_at(value or 0.0, choices)
        if action.name == "next style":
            here = choices.index(self.style) if self.style in choices else 0
            return choices[(here + 1) % len(choices)]
        return action.style

    def _switched(self, action: Action, on: bool) -> "ControlState":
        if action.voice is not None:
            field = "muted_voices" if action.verb == "mute" else "locked_voices"
            voices = getattr(self, field) | {action.voice} if on else getattr(self, field) - {action.voice}
            return replace(self, **{field: voices})
        if action.name not in ("half_time", "double_time"):
            return replace(self, **{action.name: on})  # type: ignore[arg-type]  # a switch is named as its field
        if on:
            return replace(self, speed=0.5 if action.name == "half_time" else 2.0)
        return replace(self, speed=1.0) if self.is_on(action) else self  # what is off already leaves the other one on
