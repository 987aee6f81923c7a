"""Defines all control values as one frozen dataclass; a change returns a new instance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from drumvae.music.kit import DEFAULT_KIT, Kit
from drumvae.music.kits import known_kits
from drumvae.music.styles import STYLE_NAMES

from .actions import FILL_EVERY, MODE_NAMES, Action, Event, Kind, choice_at


def fills_title(every: int) -> str:
    """Returns a phrase for `fill_every`."""
    return "fills are left to the model" if not every else "a fill in every loop" if every == 1 else f"a fill every {every} loops"


@dataclass(frozen=True)
class ControlState:
    """Every amount, choice and switch; with the defaults a loop is played as the model generated it.

    >>> from drumvae.live.controls.actions import ACTIONS
    >>> ControlState().after(Event(ACTIONS["swing"], 0.5)).swing
    0.5
    """

    mode: str = "generate"
    """A key of modes.MODES."""
    temperature: float | None = None
    """The sampling temperature of generated loops: 0 takes the most likely hits, 1 is as trained; None is the bundle's default."""
    humanize: float = 1.0
    """How much humanize changes velocity and timing: 0 not at all, 1 completely."""
    drift: float = 0.3
    """How far vary and respond move from their input: 0 is unchanged, 1 as far as a new loop."""
    morph: float = 0.0
    """The position of morph between its two loops: 0 the first, 1 the second."""
    density: float = 1.0
    """The number of hits, from 0 to 2: below 1 the least important are left out, above 1 the model generates more."""
    velocity_low: float = 0.0
    """The played velocity of the softest hit, 0, in [0, 1]."""
    velocity_high: float = 1.0
    """The played velocity of the loudest hit, 1, in [0, 1]; not below `velocity_low`."""
    swing: float = 0.0
    """How late every second sixteenth is played: 0 is unchanged, 1 is the third note of a triplet, a third of a step late."""
    speed: float = 1.0
    """0.5 is half time, 1 unchanged, 2 double time."""
    muted_voices: frozenset[int] = frozenset()
    """Voices, from 0 to 8, that are not played."""
    locked_voices: frozenset[int] = frozenset()
    """Voices, from 0 to 8, that keep their hits while loops change."""
    hold: bool = False
    """Whether the loop that plays is kept."""
    overdub: bool = False
    """Whether recorded notes are added to those of the cycles before."""
    kit: Kit = DEFAULT_KIT
    """The kit of the output."""
    style: str | None = None
    """One of the bundle's styles; None leaves the choice to the model."""
    complexity: float = 0.0
    """The syncopation of generated loops: -1 moves hits to the beats, 0 is the model's own, 1 moves them between the beats."""
    fill_every: int = 0
    """One generated loop in this number ends in a fill; 0 leaves fills to the model."""

    @property
    def half_time(self) -> bool:
        return self.speed < 1

    @property
    def double_time(self) -> bool:
        return self.speed > 1

    def after(self, event: Event, modes: Sequence[str] = MODE_NAMES, styles: Sequence[str] = STYLE_NAMES) -> "ControlState":
        """Returns the control values after an event; a trigger without a value changes nothing.

        The amounts `mode` and `style` choose among the given modes and styles. An end of the velocity range stops at the other end.
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
        """Returns whether a switch is on."""
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
        return replace(self, speed=1.0) if self.is_on(action) else self  # the other of the two stays on
