"""What was played and where the music stands in, jobs for the generator and finished loops for the player out.

A mode that makes loops from nothing is asked one loop ahead. One that answers is asked when four bars are over; because half a step
is then all the time there is, a draft of the answer is made a beat earlier, of what was played until then, and stands in for the
whole answer where that misses the line.
"""

from dataclasses import dataclass, replace

from drumvae.grid import Grid

from .controls import Controls
from .generator import Generator
from .modes import Job, Mode, loop_seed
from .player import Loop, Player

DRAFT_BEATS = 1.0
"""So long before the line the draft is asked for."""
LAST_CALL_S = 0.015
"""So long before the line the draft comes in, if the whole answer is not there: time for the notes of its first step."""


@dataclass
class Requests:
    """Asks for the loops of a session. Called by the performer's thread only."""

    generator: Generator
    player: Player
    mode: Mode
    seed: int
    controls: Controls
    hold: bool
    _asked: int = 0
    _draft: Grid | None = None  # what the draft of the coming answer was asked for
    _drafted: Loop | None = None  # that draft, finished and kept
    _draft_is_whole: bool = False  # nothing was played after it was asked for

    def attend(self) -> None:
        """Takes what is finished, and asks for the next loop of a mode that makes them from nothing."""
        loop = self.generator.take()
        if loop is not None and loop.draft and not self._draft_is_whole:
            self._drafted = loop
        elif loop is not None:
            self._offer(loop)
        if self.mode.ahead and not (self.generator.busy or self.player.waiting):
            self._ask(Grid.empty())

    @property
    def wants_draft(self) -> bool:
        """Whether the four bars being played have no draft yet."""
        return self._draft is None and not self.mode.ahead

    def draft(self, played: Grid) -> None:
        """Takes what was played so far of four bars that end within a beat, and asks for a draft of their answer."""
        self._draft, self._drafted, self._draft_is_whole = played, None, False
        if played.hits.any():
            self._ask(played, draft=True)

    def answer(self, played: Grid) -> None:
        """Takes what was played in four bars; silence is not answered, so the last answer plays on."""
        draft, self._draft = self._draft, None
        if draft is None:
            self._drafted = None
        if self.mode.ahead or not played.hits.any():
            return
        self._draft_is_whole = played == draft
        if not self._draft_is_whole:
            self._ask(played)
            return
        self._asked += 1
        if self._drafted is not None:
            self._offer(self._drafted)

    def last_call(self, to_line_s: float) -> None:
        """Takes how far the line is ahead once four bars were closed; lets the draft in where the whole answer is not there."""
        if self._drafted is not None and 0 < to_line_s < LAST_CALL_S:
            self._offer(self._drafted)

    def forget(self) -> None:
        """Drops the draft: the song has jumped."""
        self._draft = self._drafted = None

    def _ask(self, played: Grid, draft: bool = False) -> None:
        if self.hold and (self.player.loop or self.player.waiting):
            return
        self.generator.ask(Job(self._asked, loop_seed(self.seed, self._asked), played, self.controls, draft))
        self._asked += not draft  # an answer has its draft's number and seed

    def _offer(self, loop: Loop) -> None:
        self._drafted = None
        self.player.offer(replace(loop, draft=False))
