"""Maps MIDI pitches to the nine voices and back. Kits of other instruments are in kits.toml; no other module has a table of drum pitches.

The nine voices follow the reduced kit of the Groove MIDI Dataset. The input notes of the default kit are the union of General MIDI and
the Roland TD modules, so that it reads a pad set and a drum machine. Its output notes are a plain drum on every sampler that was
examined: 48 for the high tom, because 50 chokes a cymbal in Superior Drummer 3 and EZdrummer.
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
"""The pitches of claps, bells, congas and the like in General MIDI; the default kit does not map them."""


@dataclass(frozen=True)
class Kit:
    """Maps input notes to voices, and voices to output notes.

    >>> DEFAULT_KIT.voice_of(40) == VOICES.index("snare")
    True
    >>> DEFAULT_KIT.output_notes[VOICES.index("snare")]
    38
    """

    name: str
    input_notes: tuple[tuple[int, ...], ...]
    """For each voice, the MIDI pitches (0 to 127) that are mapped to it."""
    output_notes: tuple[int, ...]
    """For each voice, the MIDI pitch (0 to 127) that plays it; no two are the same."""
    chokes: tuple[int, ...] = ()
    """MIDI pitches that choke a cymbal on this instrument; none is an output note."""
    _voice_of: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ValueError(problem)
        table = {pitch: voice for voice, pitches in enumerate(self.input_notes) for pitch in pitches}
        object.__setattr__(self, "_voice_of", table)

    def _problem(self) -> str:
        """Returns the first problem and its cure; an empty text if there is none."""
        if len(self.input_notes) != len(VOICES) or len(self.output_notes) != len(VOICES):
            return f"it needs {len(VOICES)} voices."
        inputs = [(pitch, voice) for voice, pitches in enumerate(self.input_notes) for pitch in pitches]
        outputs = [(pitch, voice) for voice, pitch in enumerate(self.output_notes)]
        for pitch in (*(pitch for pitch, _ in inputs + outputs), *self.chokes):
            if not 0 <= pitch <= 127:
                return f"{pitch} is no note; type one of 0 to 127."
        for verb, pairs in (("hear", inputs), ("play", outputs)):
            if (twice := _twice(pairs)) is not None:
                first, second, *_ = (VOICES[voice] for pitch, voice in pairs if pitch == twice)
                return f"{first} and {second} both {verb} {twice}, and a note belongs to no two voices; change one of them."
        for pitch, voice in outputs:
            if pitch in self.chokes:
                return f"{VOICES[voice]} plays {pitch}, which only chokes a cymbal there; type another note."
        return ""

    def voice_of(self, pitch: int) -> int | None:
        """Returns the voice of a pitch, or None if it is unmapped.

        Thread-safe: yes.
        Realtime-safe: yes.
        """
        return self._voice_of.get(pitch)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values; chokes only where there are any, so that kits without them are written as in earlier versions."""
        values: dict[str, Any] = {
            "name": self.name,
            "input_notes": [list(p) for p in self.input_notes],
            "output_notes": list(self.output_notes),
        }
        return values | ({"chokes": list(self.chokes)} if self.chokes else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Kit":
        """Reads the values of `to_dict`; raises BundleError if they are not a kit of nine voices."""
        try:
            rows: Sequence[Sequence[int]] = values["input_notes"]
            input_notes = tuple(tuple(int(pitch) for pitch in row) for row in rows)
            return cls(str(values["name"]), input_notes, tuple(map(int, values["output_notes"])), tuple(map(int, values.get("chokes", ()))))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"The kit is not a table of nine voices ({str(error).rstrip('.')}); export the model again.") from None


def _twice(pairs: Sequence[tuple[int, int]]) -> int | None:
    """Returns the first pitch that is in two pairs of (pitch, voice)."""
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
