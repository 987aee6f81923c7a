"""What was played, what was turned and where the music stands in; jobs for the generator and finished loops for the player out.

A mode that makes loops from nothing is asked one loop ahead. One that answers is asked when four bars are over; because half a step
is then all the time there is, a draft of the answer is made a beat earlier, of what was played until then, and stands in for the
whole answer where that misses the line. An amount that is turned has the loop that plays made once more, from the same seed.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from drumvae.music.grid import Grid

from ..controls.state import ControlState
from ..looper.player import Loop, Player
from .generator import LoopGenerator
from .modes import MODES, Job, Mode, When, loop_seed

DRAFT_BEATS = 1.0
"""So long before the line the draft is asked for."""
LAST_CALL_S = 0.015
"""So long before the line the draft comes in, if the whole answer is not there: time for the notes of its first step."""
REMEMBERED = 8
"""So many jobs are remembered, to be made again when an amount is turned."""

_NEVER: tuple[object, ...] = (None, None, None, None)


@dataclass
class GenerationScheduler:
    """Asks for the loops of a session. Called by the performer's thread only."""

    generator: LoopGenerator
    player: Player
    offered: tuple[str, ...]
    """The modes that the model can play."""
    seed: int
    styles: tuple[str, ...] = ()
    """The styles that the model knows; none where it is no drummer."""
    bpm: float | None = None
    """The tempo of the song, in whole beats a minute; None while it is not known."""
    fill: bool = False
    """Whether a fill was asked for that no loop has yet."""
    pair: tuple[Grid, Grid] | None = None
    """The two loops that are morphed; None where there are no two."""
    _base: Grid | None = None  # what is varied: the last thing played, or what sounded when the mode was chosen
    _asked: int = 0
    _jobs: deque[Job] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _pass: int = 0  # the four bars that are being played
    _draft: Grid | None = None  # what the draft of the coming answer was asked for
    _draft_job: Job | None = None
    _drafted: Loop | None = None  # that draft, finished and kept
    _draft_is_whole: bool = False  # nothing was played after it was asked for
    _open: Job | None = None  # what was asked for last, as long as nothing has come of it
    _failed_at: tuple[int, int] | None = None  # the pass and the bar in which the last job failed
    _looked_at: tuple[object, ...] = _NEVER  # what was in force when amounts were last compared

    @property
    def controls(self) -> ControlState:
        """What the player has turned to."""
        return self.player.controls

    @property
    def mode(self) -> Mode:
        return MODES[self.controls.mode]

    @property
    def listening(self) -> bool:
        """Whether what is played now will be answered or varied."""
        return self.mode.when is not When.CALL_AND_RESPONSE or self.player.rests_in(self._pass)

    @property
    def _sounds(self) -> bool:
        return self.player.loop is not None and bool(self.player.loop.grid.hits.any())

    @property
    def _holds(self) -> bool:
        return self.controls.hold and (self._sounds or self.player.queued_loop is not None)

    @property
    def needs_draft(self) -> bool:
        """Whether the four bars being played have no draft yet."""
        return self._draft is None and self.mode.listens and self.listening

    def attend(self) -> None:
        """Takes what is finished, and asks for what is due whatever the place in the song."""
        loop = self.generator.poll()
        if loop is not None:
            self._take(loop)
        if self.generator.busy:
            return
        if self._open is not None and loop is None:
            self._fail(self._open)
        self._open = None
        if self._failed_at == (self.player.cycles_started, self.player.bar):
            return
        if self._failed_at is not None:
            self._failed_at = None
            if self.mode.listens:
                self._go_on()
                return
        begins = self.mode.when is When.ON_CHANGE and self.pair is None and not self._sounds and "generate" in self.offered
        if (self.mode.when is When.PREFETCH or begins) and not self.player.queued_loop and not self._holds:
            self._ask(self._ahead())
            return
        now = (self.controls, self.player.loop, self.pair, self.fill)
        if any(one is not other for one, other in zip(now, self._looked_at, strict=True)):
            self._looked_at = now
            self._remake()

    def turn(self, controls: ControlState) -> None:
        """Takes what the player has turned to; another mode begins with what sounds and forgets what waits."""
        if controls.mode != self.controls.mode:
            self._base = self.player.loop.grid if self._sounds and self.player.loop else self._base
            self.player.unqueue_loop()
            self._asked = max(self._asked, *(job.index + 1 for job in self._jobs), 0)  # a morph has the number of the loop to come
            self._jobs.clear()
            self.fill = False
            self.forget()
        self.player.controls = controls
        self.player.call_and_response = self.mode.when is When.CALL_AND_RESPONSE and not controls.hold

    def draft(self, played: Grid) -> None:
        """Takes what was played so far of four bars that end within a beat, and asks for a draft of their answer."""
        self._draft, self._drafted, self._draft_is_whole = played, None, False
        self._draft_job = self._job((played,), draft=True)
        if not played.hits.any() or not self._ask(self._draft_job):
            self._draft_job = None

    def answer(self, played: Grid) -> None:
        """Takes what was played in four bars that are over. Silence is not answered: what sounds plays on, or a loop is made up."""
        draft, self._draft = self._draft, None
        listened, self._pass = self.listening, self._pass + 1
        if draft is None:
            self._drafted = None
        if played.hits.any() and listened:
            self._base = played
        if not (self.mode.listens and listened):
            return
        if not played.hits.any():
            self._go_on()
            return
        self._draft_is_whole = played == draft
        if not self._draft_is_whole or self._draft_job is None:
            self._ask(self._job((played,)))
            return
        self._jobs.append(replace(self._draft_job, draft=False))
        self._asked += 1
        if self._drafted is not None:
            self._offer(self._drafted)

    def last_call(self, to_line_s: float) -> None:
        """Takes how far the line is ahead once four bars were closed; lets the draft in where the whole answer is not there."""
        if self._drafted is not None and 0 < to_line_s < LAST_CALL_S:
            self._offer(self._drafted)

    @property
    def fill_comes(self) -> bool:
        """Whether a loop that has yet to come is to end in the fill that was asked for."""
        waiting = self.player.queued_loop
        return self.fill or any(job.fill and waiting is not None and job.index == waiting.index for job in self._jobs)

    def renew(self) -> bool:
        """Brings another loop with the next bar, the one that waits or one more like the last; False where there is neither."""
        waiting = self.player.unqueue_loop()
        if waiting is not None:
            self.player.replace_loop(waiting)
            return True
        job = self._jobs[-1] if self._jobs else replace(self._job(), mode="generate")
        if MODES[job.mode].when is When.ON_CHANGE or job.mode not in self.offered:
            return False
        seed = loop_seed(self.seed, self._asked)
        self._ask(replace(job, index=self._asked, seed=seed, controls=self.controls, remake=True, bpm=self.bpm, fill=False))
        return True

    def adopt(self, loop: Loop) -> None:
        """Takes a loop that is brought back as it was: only what is turned from now on has it made anew."""
        same = [replace(job, controls=self.controls) if job.index == loop.index else job for job in self._jobs]
        self._jobs.clear()
        self._jobs.extend(same)

    def forget(self) -> None:
        """Drops the draft: the song has jumped."""
        self._draft = self._drafted = self._draft_job = None
        self._draft_is_whole = False

    def rewind(self, number: int, answered: bool = False) -> None:
        """Begins to listen in a pass: the song has started, or jumped; what was played before the jump may have been answered."""
        self._pass = number
        if not answered:
            self.forget()

    # what is asked for

    def _ahead(self) -> Job:
        if self.mode.task == "generate":
            return self._job()
        self._base = self._base or (self.player.loop.grid if self.player.loop else None)
        if self._base is not None and self.mode.when is When.PREFETCH:
            return self._job((self._base,))
        return replace(self._job(), mode="generate")

    def _go_on(self) -> None:
        """Plays on by itself, where nothing sounds or another turn has come."""
        if "generate" in self.offered and not self.generator.busy and not self._sounds:
            self._ask(replace(self._job(), mode="generate"))

    def _remake(self) -> None:
        """Asks again for what sounds, then for what waits, where an amount that it depends on was turned since.

        A fill that was asked for goes into the loop that waits.
        """
        if self.mode.when is When.ON_CHANGE:
            wanted = self._job(self.pair, remake=True) if self.pair else None
            if wanted and not (self._jobs and self._same(wanted, self._jobs[-1])):
                self.player.unqueue_loop()
                self._ask(wanted)
            return
        for loop in (self.player.loop, None if self._holds else self.player.queued_loop):
            job = next((job for job in self._jobs if loop is not None and loop.index == job.index), None)
            if job is None:
                continue
            plays = loop is self.player.loop
            wanted = replace(job, controls=self.controls, fill=job.fill or (self.fill and not plays))
            if self._same(wanted, job):
                continue
            self._jobs.remove(job)
            self._ask(replace(wanted, draft=False, remake=plays))
            self._looked_at = _NEVER  # and at the other one, once this is made
            return

    def _same(self, one: Job, other: Job) -> bool:
        """Says whether two jobs make the same loop, their seeds apart."""
        amounts = MODES[other.mode].amounts
        turned = any(getattr(one.controls, name) != getattr(other.controls, name) for name in amounts)
        return (one.mode, one.given, one.fills) == (other.mode, other.given, other.fills) and not turned

    def _job(self, given: tuple[Grid, ...] = (), draft: bool = False, remake: bool = False) -> Job:
        seed, mode = loop_seed(self.seed, self._asked), self.controls.mode
        return Job(self._asked, seed, mode, given, self.controls, draft, remake, self.bpm, self.fill and mode == "generate")

    def _ask(self, job: Job) -> bool:
        """Asks for a loop, and says whether it did: what is held is not to be replaced."""
        if self._holds and not job.remake:
            return False
        self.generator.submit(job)
        self._open = job
        self.fill = self.fill and not job.fill
        if not job.draft:
            self._jobs.append(job)
        if not job.draft and MODES[job.mode].when is not When.ON_CHANGE:  # an answer has its draft's number and seed
            self._asked = max(self._asked, job.index + 1)
        return True

    # what comes back

    def _fail(self, job: Job) -> None:
        """Takes that a job came to nothing; asked again at once, it would fail a thousand times a second."""
        self._failed_at = (self.player.cycles_started, self.player.bar)
        self._looked_at = _NEVER
        if job in self._jobs:
            self._jobs.remove(job)

    def _take(self, loop: Loop) -> None:
        asked = (self._draft_job,) if loop.draft else self._jobs
        if not any(job and job.index == loop.index for job in asked):
            return  # asked for in another mode, or before a jump
        if loop.remake:
            playing = self.player.loop
            if playing is None or loop.index >= playing.index or MODES[self.controls.mode].when is When.ON_CHANGE:
                self.player.replace_loop(replace(loop, remake=False))  # else its turn is over
        elif loop.draft and not self._draft_is_whole:
            self._drafted = loop
        else:
            self._offer(loop)

    def _offer(self, loop: Loop) -> None:
        self._drafted = None
        self.player.queue_loop(replace(loop, draft=False))
