"""Pitches heard in, the kit that they were played on out: the input kit recognised, so that every drum is heard as what it is."""

from collections import Counter
from dataclasses import dataclass, field

from drumvae.music.kit import DEFAULT_KIT, Kit
from drumvae.music.kit_detection import detect_kit

MEMORY_NOTES = 512
"""After so many notes all counts are halved, so that another instrument at the same port is noticed within a minute or two."""


@dataclass
class InputKit:
    """Hears pitches as voices through the kit that they seem to come from. Called by the performer's thread only."""

    kit: Kit = DEFAULT_KIT
    """What notes are heard through now."""
    fixed: bool = False
    """Whether the user set it; then it stays."""
    _counts: Counter[int] = field(default_factory=Counter)
    _guess: Kit | None = None

    def voice_of(self, pitch: int) -> int | None:
        """Notes a pitch that was played, and returns its voice, or None where no voice hears it."""
        self._counts[pitch] += 1
        if self._counts.total() > MEMORY_NOTES:
            self._counts = Counter({pitch: count // 2 for pitch, count in self._counts.items() if count > 1})
        return self.kit.voice_of(pitch)

    def look(self) -> Kit | None:
        """Takes on the kit that two looks running agree on, and returns it if it is another; called at a bar line, now and then."""
        if self.fixed:
            return None
        before, self._guess = self._guess, detect_kit(self._counts)
        if self._guess is None or self._guess != before or self._guess == self.kit:
            return None
        self.kit = self._guess
        return self.kit
