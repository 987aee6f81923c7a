"""Detects the kit of the incoming notes and maps their pitches to voices."""

from collections import Counter
from dataclasses import dataclass, field

from drumvae.music.kit import DEFAULT_KIT, Kit
from drumvae.music.kit_detection import detect_kit

MEMORY_NOTES = 512
"""After this many notes all counts are halved, so that another instrument at the same port is detected within a minute or two."""


@dataclass
class InputKit:
    """The kit that maps incoming pitches to voices.

    Thread-safe: no.
    Realtime-safe: yes.

    >>> InputKit().voice_of(36)
    0
    """

    kit: Kit = DEFAULT_KIT
    fixed: bool = False
    """Whether the user chose the kit; then it is not detected."""
    _counts: Counter[int] = field(default_factory=Counter)
    _candidate: Kit | None = None

    def voice_of(self, pitch: int) -> int | None:
        """Counts a pitch and returns its voice, or None for an unmapped pitch."""
        self._counts[pitch] += 1
        if self._counts.total() > MEMORY_NOTES:
            self._counts = Counter({pitch: count // 2 for pitch, count in self._counts.items() if count > 1})
        return self.kit.voice_of(pitch)

    def detect(self) -> Kit | None:
        """Changes to the kit that two detections in a row agree on, and returns it if it is another; called once a cycle."""
        if self.fixed:
            return None
        before, self._candidate = self._candidate, detect_kit(self._counts)
        if self._candidate is None or self._candidate != before or self._candidate == self.kit:
            return None
        self.kit = self._candidate
        return self.kit
