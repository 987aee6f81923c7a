"""MIDI pitches in, voices out, and back. The only tables of drum pitches in the project.

The nine voices follow the reduced kit of the Groove MIDI Dataset. What a voice hears is the union of General MIDI and the
Roland TD modules, so that a pad set and a drum machine are both understood. What it plays is a plain drum on every sampler
looked at: 48 for the high tom, because 50 chokes a cymbal in Superior Drummer 3 and EZdrummer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import BundleError

VOICES = ("kick", "snare", "closed hat", "open hat", "low tom", "mid tom", "high tom", "crash", "ride")
"""The nine voices, in the order of every array's last axis."""

DRUM_CHANNEL = 9
"""Zero-based: channel 10 of the General MIDI standard."""


@dataclass(frozen=True)
class Kit:
    """Says which pitches each voice hears and which one it plays."""

    name: str
    heard: tuple[tuple[int, ...], ...]
    """For each voice, every MIDI pitch (0 to 127) that counts as it."""
    played: tuple[int, ...]
    """For each voice, the MIDI pitch (0 to 127) that sounds it."""
    _voice_of: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table = {pitch: voice for voice, pitches in enumerate(self.heard) for pitch in pitches}
        if len(table) != sum(map(len, self.heard)):
            raise ValueError(f"kit {self.name}: a pitch belongs to two voices")
        if len(self.heard) != len(VOICES) or len(self.played) != len(VOICES):
            raise ValueError(f"kit {self.name}: needs {len(VOICES)} voices")
        object.__setattr__(self, "_voice_of", table)

    def voice_of(self, pitch: int) -> int | None:
        """Returns the voice that hears a pitch, or None where no voice does."""
        return self._voice_of.get(pitch)

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "heard": [list(p) for p in self.heard], "played": list(self.played)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Kit":
        """Reads what `to_dict` wrote; raises BundleError where it is not a kit of nine voices."""
        try:
            heard: Sequence[Sequence[int]] = values["heard"]
            return cls(str(values["name"]), tuple(tuple(int(p) for p in row) for row in heard), tuple(map(int, values["played"])))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"The kit is not a table of nine voices ({error}); export the model again.") from None


DEFAULT_KIT = Kit(
    name="default",
    heard=(
        (36, 35),  # kick
        (38, 37, 40),  # snare: head, cross-stick, rim
        (42, 22, 44),  # closed hat: bow, edge, pedal
        (46, 26),  # open hat: bow, edge
        (43, 41, 58),  # low tom
        (47, 45),  # mid tom
        (48, 50),  # high tom
        (49, 52, 55, 57),  # crash: bow, china, edge and splash, second crash
        (51, 53, 59),  # ride: bow, bell, edge
    ),
    played=(36, 38, 42, 46, 43, 47, 48, 49, 51),
)
