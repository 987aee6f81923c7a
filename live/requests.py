"""What was played, what was turned and where the music stands in; jobs for the generator and finished loops for the player out.

A mode that makes loops from nothing is asked one loop ahead. One that answers is asked when four bars are over; because half a step
is then all the time there is, a draft of the answer is made a beat earlier, of what was played until then, and stands in for the
whole answer where that misses the line. An amount that is turned has the loop that plays made once more, from the same seed.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from drumvae.grid import Grid

from .controls import Controls
from .generator import Maker
from .modes import MODES, Job, Mode, When, loop_seed
from .player import Loop, Player

DRAFT_BEATS = 1.0
"""So long before the line the draft is asked for."""
LAST_CALL_S = 0.015
"""So long before the line the draft comes in, if the whole answer is not there: time for the notes of its first step."""
REMEMBERED = 8
"""So many jobs are remembered, to be made again when an amount is turned."""
REST = Loop(-1, Grid.empty(), source="listening")
"""What plays while a mode that takes turns listens."""


@dataclass
class Requests:
    """Asks for the loops of a session. Called by the performer's thread only."""

    generator: Maker
    player: Player
    offered: tuple[str, ...]
    """The modes that the model can play."""
    seed: int
    controls: Controls
    pair: tuple[Grid, Grid] | None = None
    """The two loops that are morphed; None where there are no two."""
    _base: Grid | None = None  # what is varied: the last thing played, or what sounded when the mode was chosen
    _asked: int = 0
    _jobs: deque[Job] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _listening: bool = True  # of a mode that takes turns
    _draft: Grid | None = None  # what the draft of the coming answer was asked for
    _drafted: Loop | None = None  # that draft, finished and kept
    _draft_is_whole: bool = False  # nothing was played after it was asked for
    _open: bool = False  # a job was asked for and nothing has come of it yet
    _failed_bar: int | None = None  # where the last job failed
    _looked_at: tuple[object, ...] = (None, None, None)  # what was in force when amounts were last compared

    @property
    def mode(self) -> Mode:
        return MODES[self.controls.mode]

    @property
    def listening(self) -> bool:
        """Whether what is played now will be answered or varied."""
        return self._listening or self.mode.when is not When.TURNS

    @property
    def _sounds(self) -> bool:
        return self.player.loop is not None and bool(self.player.loop.grid.hits.any())

    @property
    def _holds(self) -> bool:
        return self.controls.hold and (self._sounds or self.player.waiting is not None)

    @property
    def wants_draft(self) -> bool:
        """Whether the four bars being played have no draft yet."""
        return self._draft is None and self.mode.listens and self._listening

    def attend(self) -> None:
        """Takes what is finished, and asks for what is due whatever the place in the song."""
        loop = self.generator.take()
        if loop is not None:
            self._take(loop)
        if self.generator.busy:
            return
        if self._open and loop is None:  # it failed; asked at once again, it would fail a thousand times a second
            self._failed_bar = self.player.bar
        self._open = False
        if self._failed_bar == self.player.bar:
            return
        self._failed_bar = None
        begins = self.mode.when is When.MOVED and not self._sounds and "generate" in self.offered
        if (self.mode.when is When.AHEAD or begins) and not self.player.waiting and not self._holds:
            self._ask(self._ahead())
            return
        now = (self.controls, self.player.loop, self.pair)
        if any(one is not other for one, other in zip(now, self._looked_at, strict=True)):
            self._looked_at = now
            self._remake()

    def turn(self, controls: Controls) -> None:
        """Takes what the player has turned to; another mode begins with what sounds and forgets what waits."""
        if controls.mode != self.controls.mode:
            self._base = self.player.loop.grid if self.player.loop and self.player.loop is not REST else self._base
            self._listening = True
            self.player.withdraw()
            self._jobs.clear()
            self.forget()
        self.controls = controls

    def draft(self, played: Grid) -> None:
        """Takes what was played so far of four bars that end within a beat, and asks for a draft of their answer."""
        self._draft, self._drafted, self._draft_is_whole = played, None, False
        if played.hits.any():
            self._ask(self._job((played,), draft=True))

    def answer(self, played: Grid) -> None:
        """Takes what was played in four bars that are over. Silence is not answered: what sounds plays on, or a loop is made up."""
        draft, self._draft = self._draft, None
        if draft is None:
            self._drafted = None
        if played.hits.any() and self.listening:
            self._base = played
        if not self.mode.listens:
            return
        if self.mode.when is When.TURNS:
            self._listening = not self._listening
            if self._listening:
                self._rest()
                return
        if not played.hits.any():
            self._go_on()
            return
        self._draft_is_whole = played == draft
        if not self._draft_is_whole:
            self._ask(self._job((played,)))
            return
        self._asked += 1
        if self._drafted is not None:
            self._offer(self._drafted)

    def last_call(self, to_line_s: float) -> None:
        """Takes how far the line is ahead once four bars were closed; lets the draft in where the whole answer is not there."""
        if self._drafted is not None and 0 < to_line_s < LAST_CALL_S:
            self._offer(self._drafted)

    def renew(self) -> None:
        """Makes another loop of what the last one was made of, for the next bar; the one that waits, where one does."""
        waiting = self.player.withdraw()
        if waiting is not None:
            self.player.change(waiting)
        elif self._jobs:
            self._ask(
                replace(self._jobs[-1], index=self._asked, seed=loop_seed(self.seed, self._asked), controls=self.controls, remake=True)
            )

    def forget(self) -> None:
        """Drops the draft: the song has jumped."""
        self._draft = self._drafted = None

    def rewind(self) -> None:
        """Begins to listen: the song has started."""
        self._listening = True
        if self.mode.when is When.TURNS and self.player.loop is not None:
            self._rest()
        self.forget()

    # what is asked for

    def _ahead(self) -> Job:
        if self.mode.task == "generate":
            return self._job()
        self._base = self._base or (self.player.loop.grid if self.player.loop else None)
        varies = self._base is not None and self.mode.when is When.AHEAD
        return self._job((self._base,)) if varies and self._base else replace(self._job(), mode="generate")

    def _go_on(self) -> None:
        """Plays on by itself, where nothing sounds or another turn has come."""
        if "generate" in self.offered and not self.generator.busy and not self._sounds:
            self._ask(replace(self._job(), mode="generate"))

    def _remake(self) -> None:
        """Asks again for what sounds, or what waits, where an amount that it depends on was turned since."""
        if self.mode.when is When.MOVED:
            wanted = self._job(self.pair, remake=True) if self.pair else None
            if wanted and not any(self._same(wanted, job) for job in self._jobs):
                self._ask(wanted)
            return
        for job in self._jobs:
            current = self.player.loop is not None and self.player.loop.index == job.index
            if current and not self._same(replace(job, controls=self.controls), job):
                self._jobs.remove(job)
                self._ask(replace(job, controls=self.controls, draft=False, remake=True))
                return

    def _same(self, one: Job, other: Job) -> bool:
        """Says whether two jobs make the same loop, their seeds apart."""
        amounts = MODES[other.mode].amounts
        turned = any(getattr(one.controls, name) != getattr(other.controls, name) for name in amounts)
        return one.mode == other.mode and one.given == other.given and not turned

    def _job(self, given: tuple[Grid, ...] = (), draft: bool = False, remake: bool = False) -> Job:
        return Job(self._asked, loop_seed(self.seed, self._asked), self.controls.mode, given, self.controls, draft, remake)

    def _ask(self, job: Job) -> None:
        if self._holds and not job.remake:
            return
        self.generator.ask(job)
        self._open = True
        if not job.draft:
            self._jobs.append(job)
        self._asked = max(self._asked, job.index + (not job.draft))  # an answer has its draft's number and seed

    # what comes back

    def _take(self, loop: Loop) -> None:
        job = next((job for job in self._jobs if job.index == loop.index), None)
        if job is None and not loop.draft:
            return  # asked for in another mode
        if loop.remake:
            self.player.change(replace(loop, remake=False))
        elif loop.draft and not self._draft_is_whole:
            self._drafted = loop
        else:
            self._offer(loop)

    def _rest(self) -> None:
        self._drafted = None
        self.player.offer(REST)

    def _offer(self, loop: Loop) -> None:
        self._drafted = None
        self.player.offer(replace(loop, draft=False))
