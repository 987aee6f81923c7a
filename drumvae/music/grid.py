"""Converts between onsets in beats and the Grid, a groove on sixteenth steps that every stage uses.

An onset at beat b lands on step floor(4 b + 0.5); its offset is 4 b - step, in [-0.5, 0.5). Positive is late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .kit import VOICES

Array = NDArray[np.float32]

STEPS_PER_BEAT = 4
BEATS_PER_BAR = 4
STEPS_PER_BAR = STEPS_PER_BEAT * BEATS_PER_BAR
LOOP_BARS = 4
LOOP_STEPS = LOOP_BARS * STEPS_PER_BAR
LOOP_BEATS = LOOP_BARS * BEATS_PER_BAR

_LATEST = np.nextafter(np.float32(0.5), np.float32(0))
_LETTERS = ".-xX"  # silence, soft (below 1/3), medium (below 2/3), loud
_LETTER_VELOCITY = {"-": 0.25, "x": 0.5, "X": 0.9}


class Onset(NamedTuple):
    """The start of a note: its beat, its voice (0 to 8), its velocity in [0, 1]."""

    beat: float
    voice: int
    velocity: float


@dataclass(frozen=True, eq=False)
class Grid:
    """Holds a groove on sixteenth steps: three read-only float32 arrays of shape (steps, voices).

    Velocity and offset are 0 where there is no hit.

    >>> grid = Grid.from_onsets([Onset(beat=1.05, voice=1, velocity=0.9)], steps=16)
    >>> print(grid.to_text())
    snare      ....X...........|
    >>> round(float(grid.offsets[4, 1]), 3)
    0.2
    """

    hits: Array
    """In {0, 1}."""
    velocities: Array
    """In [0, 1]: MIDI velocity over 127."""
    offsets: Array
    """In steps, [-0.5, 0.5); positive is late."""

    def __post_init__(self) -> None:
        hits = np.asarray(self.hits) > 0.5
        if hits.ndim != 2 or hits.shape[1] != len(VOICES):
            raise ValueError(f"a grid is (steps, {len(VOICES)}), not {hits.shape}")
        velocities = np.where(hits, np.clip(self.velocities, 0, 1), 0).astype(np.float32)
        offsets = np.where(hits, np.clip(self.offsets, -0.5, _LATEST), 0).astype(np.float32)
        for name, array in (("hits", hits.astype(np.float32)), ("velocities", velocities), ("offsets", offsets)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def steps(self) -> int:
        return int(self.hits.shape[0])

    @property
    def beats(self) -> float:
        return self.steps / STEPS_PER_BEAT

    @property
    def bars(self) -> float:
        return self.steps / STEPS_PER_BAR

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return all(np.array_equal(a, b) for a, b in zip(self.arrays(), other.arrays(), strict=True))

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    def arrays(self) -> tuple[Array, Array, Array]:
        """Returns hits, velocities, offsets."""
        return self.hits, self.velocities, self.offsets

    @classmethod
    def empty(cls, steps: int = LOOP_STEPS) -> "Grid":
        zeros = np.zeros((steps, len(VOICES)), np.float32)
        return cls(zeros, zeros, zeros)

    @classmethod
    def from_onsets(cls, onsets: Sequence[Onset], steps: int = LOOP_STEPS, start_beat: float = 0.0, circular: bool = False) -> "Grid":
        """Returns a grid of onsets; of two onsets of a voice in one step the louder stays, the first on a tie.

        Args:
            onsets: In order of playing.
            steps: The length of the grid.
            start_beat: The beat of step 0.
            circular: Whether the grid is a loop: an onset in the last half step is then an early one on step 0, and an onset outside is
                wrapped around. Otherwise an onset outside is left out.
        """
        table = np.array(onsets, np.float64).reshape(-1, 3)
        return cls(*onsets_to_arrays(table[:, 0] - start_beat, table[:, 1], table[:, 2], steps, circular))

    def onsets(self) -> list[Onset]:
        """Returns the onsets in order of step and voice; an early hit on step 0 has a negative beat."""
        steps, voices = np.nonzero(self.hits)
        beats = (steps + self.offsets[steps, voices].astype(np.float64)) / STEPS_PER_BEAT
        return [Onset(float(b), int(v), float(s)) for b, v, s in zip(beats, voices, self.velocities[steps, voices], strict=True)]

    def blended(self, other: "Grid", amount: float) -> "Grid":
        """Returns these hits with velocities and offsets interpolated from this grid's (amount 0) to the other's (amount 1)."""
        there, here = np.float32(amount), np.float32(1 - amount)  # exact at both ends
        return Grid(self.hits, here * self.velocities + there * other.velocities, here * self.offsets + there * other.offsets)

    def window(self, first_step: int, steps: int = LOOP_STEPS) -> "Grid":
        """Returns a range of steps; steps after the end are silent."""
        cut = [a[first_step : first_step + steps] for a in self.arrays()]
        return Grid(*(np.pad(a, ((0, steps - len(a)), (0, 0))) for a in cut))

    def to_text(self, voices: Sequence[int] | None = None) -> str:
        """Returns one line for each voice, e.g. `kick       X...x...|x...X...|`; silent voices are left out unless they are named."""
        shown = [v for v in range(len(VOICES)) if self.hits[:, v].any()] if voices is None else voices
        return "\n".join(f"{VOICES[v]:<10} {self._voice_text(v)}" for v in shown)

    def _voice_text(self, voice: int) -> str:
        loudness = np.where(self.hits[:, voice] > 0, 1 + np.minimum(self.velocities[:, voice] * 3, 2).astype(int), 0)
        letters = "".join(_LETTERS[i] for i in loudness)
        return "".join(letters[i : i + STEPS_PER_BAR] + "|" for i in range(0, len(letters), STEPS_PER_BAR))

    @classmethod
    def from_text(cls, text: str) -> "Grid":
        """Parses lines such as `kick  X...x...x.......|`: `-` is soft (0.25), `x` medium (0.5), `X` loud (0.9); offsets are 0.

        Raises ValueError if a voice or a letter is unknown or the lines differ in length.
        """
        rows: dict[int, str] = {}
        for line in filter(None, map(str.strip, text.splitlines())):
            voice = next((v for v, name in enumerate(VOICES) if line.startswith(name)), None)
            if voice is None:
                raise ValueError(f"no voice is named at the start of {line!r}; there are {', '.join(VOICES)}")
            rows[voice] = line[len(VOICES[voice]) :].replace("|", "").replace(" ", "")
        lengths = set(map(len, rows.values()))
        if len(lengths) != 1 or set("".join(rows.values())) - set(_LETTERS):
            raise ValueError("every line needs the same number of steps, written with . - x X")
        velocities = np.zeros((lengths.pop(), len(VOICES)), np.float32)
        for voice, letters in rows.items():
            velocities[:, voice] = [_LETTER_VELOCITY.get(letter, 0.0) for letter in letters]
        return cls((velocities > 0).astype(np.float32), velocities, np.zeros_like(velocities))


def onsets_to_arrays(
    beats: ArrayLike, voices: ArrayLike, velocities: ArrayLike, steps: int, circular: bool = False
) -> tuple[Array, Array, Array]:
    """Returns hits, velocities and offsets, each float32 (steps, 9), as `Grid.from_onsets`.

    Args:
        beats: The beats of the onsets from step 0, in order of playing; (n,).
        voices: The voice of each, 0 to 8; (n,).
        velocities: The velocity of each, in [0, 1]; (n,).
        steps: The length of the arrays.
        circular: Whether onsets outside are wrapped around.
    """
    exact = np.asarray(beats, np.float64) * STEPS_PER_BEAT
    voice, loud = np.asarray(voices, np.int64), np.asarray(velocities, np.float32)
    step = np.floor(exact + 0.5).astype(np.int64)
    offset = exact - step
    step = step % steps if circular else step
    inside = np.flatnonzero((step >= 0) & (step < steps))
    quietest_first = inside[np.lexsort((-inside, loud[inside]))]  # the last write stays: the loudest, and of equals the first
    hits, velocity, offsets = (np.zeros((steps, len(VOICES)), np.float32) for _ in range(3))
    cells = (step[quietest_first], voice[quietest_first])
    hits[cells] = 1
    velocity[cells] = loud[quietest_first]
    offsets[cells] = np.clip(offset[quietest_first], -0.5, _LATEST)
    return hits, velocity, offsets
