"""What the player may turn, as one frozen value: any thread may share it, and a change is a new value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Controls:
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
    muted: frozenset[int] = frozenset()
    """Voices, from 0 to 8, that are not played."""
    locked: frozenset[int] = frozenset()
    """Voices, from 0 to 8, that keep what they play while loops change."""
    hold: bool = False
    """Whether the loop that plays is kept."""
    overdub: bool = False
    """Whether what is played is added to what was played before; otherwise each four bars stand alone."""
