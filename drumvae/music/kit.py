"""MIDI pitches in, voices out, and back. The kits of other instruments are in kits.toml; there are no other tables of drum pitches.

The nine voices follow the reduced kit of the Groove MIDI Dataset. What a voice hears is the union of General MIDI and the
Roland TD modules, so that a pad set and a drum machine are both understood. What it plays is a plain drum on every sampler
looked at: 48 for the high tom, because 50 chokes a cymbal in Superior Drummer 3 and EZdrummer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..util.errors import BundleError

VOICES = ("kick", "snare", "closed hat", "open hat", "low tom", "mid tom", "high tom", "crash", "ride")
"""The nine voices, in the order of every array's last axis."""

DRUM_CHANNEL = 9
"""Zero-based: channel 10 of the General MIDI standard."""
PERCUSSION = frozenset({39, 54, 56, *range(60, 82)})
"""The pitches at which that standard has claps, bells, congas and the like, which no voice of the default kit hears."""


@dataclass(frozen=True)
class Kit:
    """Says which pitches each voice hears and which one it plays."""

    name: str
    input_notes: tuple[tuple[int, ...], ...]
    """For each voice, every MIDI pitch (0 to 127) that counts as it."""
    output_notes: tuple[int, ...]
    """For each voice, the MIDI pitch (0 to 127) that sounds it; no two are the same."""
    chokes: tuple[int, ...] = ()
    """MIDI pitches that cut a cymbal off on this instrument; no voice plays one."""
    _voice_of: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ValueError(problem)
        table = {pitch: voice for voice, pitches in enumerate(self.input_notes) for pitch in pitches}
        object.__setattr__(self, "_voice_of", table)

    def _problem(self) -> str:
        """Returns what is wrong first, and the cure; nothing where all is well."""
        if len(self.input_notes) != len(VOICES) or len(self.output_notes) != len(VOICES):
            return f"it needs {len(VOICES)} voices."
        heard = [(pitch, voice) for voice, pitches in enumerate(self.input_notes) for pitch in pitches]
        played = [(pitch, voice) for voice, pitch in enumerate(self.output_notes)]
        for pitch in (*(pitch for pitch, _ in heard + played), *self.chokes):
            if not 0 <= pitch <= 127:
                return f"{pitch} is no note; type one of 0 to 127."
        for verb, pairs in (("hear", heard), ("play", played)):
            if (twice := _twice(pairs)) is not None:
                first, second, *_ = (VOICES[voice] for pitch, voice in pairs if pitch == twice)
                return f"{first} and {second} both {verb} {twice}, and a note belongs to no two voices; change one of them."
        for pitch, voice in played:
            if pitch in self.chokes:
                return f"{VOICES[voice]} plays {pitch}, which only chokes a cymbal there; type another note."
        return ""

    def voice_of(self, pitch: int) -> int | None:
        """Returns the voice that hears a pitch, or None where no voice does."""
        return self._voice_of.get(pitch)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values; chokes only where there are any, so that what was written before there were chokes stays as it was."""
        notes = {"input_notes": [list(p) for p in self.input_notes], "output_notes": list(self.output_notes)}
        values: dict[str, Any] = {"name": self.name, **notes}
        return values | ({"chokes": list(self.chokes)} if self.chokes else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Kit":
        """Reads what `to_dict` wrote; raises BundleError where it is not a kit of nine voices."""
        try:
            heard: Sequence[Sequence[int]] = values["input_notes"]
            rows = tuple(tuple(int(pitch) for pitch in row) for row in heard)
            return cls(str(values["name"]), rows, tuple(map(int, values["output_notes"])), tuple(map(int, values.get("chokes", ()))))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"The kit is not a table of nine voices ({str(error).rstrip('.')}); export the model again.") from None


def _twice(pairs: Sequence[tuple[int, int]]) -> int | None:
    """Returns the first pitch that stands in two pairs of (pitch, voice)."""
    return next((pitch for pitch, count in Counter(pitch for pitch, _ in pairs).items() if count > 1), None)


DEFAULT_KIT = Kit(
    name="default",
    input_notes=(
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
    output_notes=(36, 38, 42, 46, 43, 47, 48, 49, 51),
)
