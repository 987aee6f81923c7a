"""Schedules the jobs of a session: submits them to the generator and hands finished loops to the player.

A prefetching mode requests its next loop one loop ahead. An answering mode can request it only when four bars are over, which leaves half a
step of time. Therefore a draft of the answer is requested a beat earlier, from the notes so far. It is played if the full answer is late.
After a change of an amount, the current loop is generated again from the same seed.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from drumvae.music.grid import Grid

from ..controls.state import ControlState
from ..looper.loop import Loop
from ..looper.player import Player
from .generator import LoopGenerator
from .modes import MODES, Job, Mode, When, loop_seed

DRAFT_BEATS = 1.0
"""The draft is submitted this long before the end of the cycle."""
LATE_S = 0.015
"""The draft is used this long before the end of the cycle: time for the notes of its first step."""
REMEMBERED_JOBS = 8
"""How many jobs are remembered, to be submitted again after a change of an amount."""

_NOT_COMPARED: tuple[object, ...] = (None, None, None, None)


@dataclass
class GenerationScheduler:
    """Decides which loop is generated next, and when.

    Thread-safe: no.
    Realtime-safe: yes.
    """

    generator: LoopGenerator
    player: Player
    modes: tuple[str, ...]
    """The modes that the model supports."""
    seed: int
    styles: tuple[str, ...] = ()
    """The styles that the model knows; empty for a model without conditions."""
    bpm: float | None = None
    """The tempo of the song, in whole beats per minute; None if it is unknown."""
    fill_requested: bool = False
    """Whether a fill was requested and is not in a job yet."""
    morph_pair: tuple[Grid, Grid] | None = None
    """The two loops that the mode morph interpolates; None if there are fewer than two."""
    _base: Grid | None = None  # the input of vary: the last recording, or the loop that played when the mode was chosen
    _next_index: int = 0
    _jobs: deque[Job] = field(default_factory=lambda: deque(maxlen=REMEMBERED_JOBS))
    _cycle: int = 0  # the cycle that is recorded
    _draft_input: Grid | None = None
    _draft_job: Job | None = None
    _draft_loop: Loop | None = None  # finished, and kept until the cycle ends
    _draft_is_complete: bool = False  # no note was played after the draft was submitted
    _last_job: Job | None = None  # the last one submitted, until its result has arrived
    _failed_at: tuple[int, int] | None = None  # the cycle count and the bar in which the last job failed
    _compared: tuple[object, ...] = _NOT_COMPARED  # the values at the last comparison of amounts

    @property
    def controls(self) -> ControlState:
        return self.player.panel.state

    @property
    def mode(self) -> Mode:
        return MODES[self.controls.mode]

    @property
    def listening(self) -> bool:
        """Whether the notes of this cycle will be answered or varied."""
        return self.mode.when is not When.CALL_AND_RESPONSE or self.player.rests_in(self._cycle)

    @property
    def _plays(self) -> bool:
        return self.player.loop is not None and bool(self.player.loop.grid.hits.any())

    @property
    def _holds(self) -> bool:
        return self.controls.hold and (self._plays or self.player.queued_loop is not None)

    @property
    def needs_draft(self) -> bool:
        """Whether the recorded cycle has no draft yet."""
        return self._draft_input is None and self.mode.listens and self.listening

    @property
    def fill_pending(self) -> bool:
        """Whether a coming loop ends in a requested fill."""
        queued = self.player.queued_loop
        return self.fill_requested or any(job.fill and queued is not None and job.index == queued.index for job in self._jobs)

    def update(self) -> None:
        """Handles a finished loop, and submits a job if one is due. Called in every step of the performer."""
        loop = self.generator.poll()
        if loop is not None:
            self._take_result(loop)
        if self.generator.busy:
            return
        if self._last_job is not None and loop is None:
            self._on_failure(self._last_job)
        self._last_job = None
        if self._failed_at == (self.player.cycles_started, self.player.bar):
            return
        if self._failed_at is not None:
            self._failed_at = None
            if self.mode.listens:
                self._generate_if_silent()
                return
        starts_morph = self.mode.when is When.ON_CHANGE and self.morph_pair is None and not self._plays and "generate" in self.modes
        if (self.mode.when is When.PREFETCH or starts_morph) and not self.player.queued_loop and not self._holds:
            self._submit(self._prefetch_job())
            return
        current = (self.controls, self.player.loop, self.morph_pair, self.fill_requested)
        if any(one is not other for one, other in zip(current, self._compared, strict=True)):
            self._compared = current
            self._remake_changed()

    def set_controls(self, controls: ControlState) -> None:
        """Replaces the control values. A change of mode drops the queued loop and starts from the loop that plays."""
        if controls.mode != self.controls.mode:
            self._base = self.player.loop.grid if self._plays and self.player.loop else self._base
            self.player.unqueue_loop()
            self._next_index = max(self._next_index, *(job.index + 1 for job in self._jobs), 0)  # a morph has the next loop's index
            self._jobs.clear()
            self.fill_requested = False
            self.drop_draft()
        self.player.panel.state = controls
        self.player.call_and_response = self.mode.when is When.CALL_AND_RESPONSE and not controls.hold

    def draft(self, played: Grid) -> None:
        """Submits a draft of the answer to a cycle that ends within a beat, from the notes played so far."""
        self._draft_input, self._draft_loop, self._draft_is_complete = played, None, False
        self._draft_job = self._new_job((played,), draft=True)
        if not played.hits.any() or not self._submit(self._draft_job):
            self._draft_job = None

    def answer(self, played: Grid) -> None:
        """Submits the answer to a finished cycle. An empty cycle has no answer: the loop continues, or one is generated."""
        draft, self._draft_input = self._draft_input, None
        listened, self._cycle = self.listening, self._cycle + 1
        if draft is None:
            self._draft_loop = None
        if played.hits.any() and listened:
            self._base = played
        if not (self.mode.listens and listened):
            return
        if not played.hits.any():
            self._generate_if_silent()
            return
        self._draft_is_complete = played == draft
        if not self._draft_is_complete or self._draft_job is None:
            self._submit(self._new_job((played,)))
            return
        self._jobs.append(replace(self._draft_job, draft=False))
        self._next_index += 1
        if self._draft_loop is not None:
            self._queue(self._draft_loop)

    def use_draft_if_late(self, to_cycle_s: float) -> None:
        """Queues the draft if the full answer is missing shortly before the next cycle, which starts in `to_cycle_s` seconds."""
        if self._draft_loop is not None and 0 < to_cycle_s < LATE_S:
            self._queue(self._draft_loop)

    def regenerate(self) -> bool:
        """Replaces the loop at the next bar, by the queued loop or by a new one of the same kind; returns False if neither is possible."""
        queued = self.player.unqueue_loop()
        if queued is not None:
            self.player.replace_loop(queued)
            return True
        job = self._jobs[-1] if self._jobs else replace(self._new_job(), mode="generate")
        if MODES[job.mode].when is When.ON_CHANGE or job.mode not in self.modes:
            return False
        seed = loop_seed(self.seed, self._next_index)
        self._submit(replace(job, index=self._next_index, seed=seed, controls=self.controls, remake=True, bpm=self.bpm, fill=False))
        return True

    def keep_unchanged(self, loop: Loop) -> None:
        """Records that a loop was recalled unchanged: only later changes of an amount generate it again."""
        jobs = [replace(job, controls=self.controls) if job.index == loop.index else job for job in self._jobs]
        self._jobs.clear()
        self._jobs.extend(jobs)

    def drop_draft(self) -> None:
        self._draft_input = self._draft_loop = self._draft_job = None
        self._draft_is_complete = False

    def restart(self, cycle: int, keep_draft: bool = False) -> None:
        """Continues at a cycle after a start or a jump of the song."""
        self._cycle = cycle
        if not keep_draft:
            self.drop_draft()

    # jobs

    def _prefetch_job(self) -> Job:
        if self.mode.task == "generate":
            return self._new_job()
        self._base = self._base or (self.player.loop.grid if self.player.loop else None)
        if self._base is not None and self.mode.when is When.PREFETCH:
            return self._new_job((self._base,))
        return replace(self._new_job(), mode="generate")

    def _generate_if_silent(self) -> None:
        if "generate" in self.modes and not self.generator.busy and not self._plays:
            self._submit(replace(self._new_job(), mode="generate"))

    def _remake_changed(self) -> None:
        """Submits the current loop again, or else the queued one, if an amount that it depends on has changed.

        A requested fill is added to the queued loop.
        """
        if self.mode.when is When.ON_CHANGE:
            wanted = self._new_job(self.morph_pair, remake=True) if self.morph_pair else None
            if wanted and not (self._jobs and self._makes_same_loop(wanted, self._jobs[-1])):
                self.player.unqueue_loop()
                self._submit(wanted)
            return
        for loop in (self.player.loop, None if self._holds else self.player.queued_loop):
            job = next((job for job in self._jobs if loop is not None and loop.index == job.index), None)
            if job is None:
                continue
            plays = loop is self.player.loop
            wanted = replace(job, controls=self.controls, fill=job.fill or (self.fill_requested and not plays))
            if self._makes_same_loop(wanted, job):
                continue
            self._jobs.remove(job)
            self._submit(replace(wanted, draft=False, remake=plays))
            self._compared = _NOT_COMPARED  # compare the other one when this one is finished
            return

    def _makes_same_loop(self, one: Job, other: Job) -> bool:
        """Returns whether two jobs make the same loop, apart from their seeds."""
        amounts = MODES[other.mode].amounts
        changed = any(getattr(one.controls, name) != getattr(other.controls, name) for name in amounts)
        return (one.mode, one.inputs, one.ends_in_fill) == (other.mode, other.inputs, other.ends_in_fill) and not changed

    def _new_job(self, inputs: tuple[Grid, ...] = (), draft: bool = False, remake: bool = False) -> Job:
        seed, mode = loop_seed(self.seed, self._next_index), self.controls.mode
        fill = self.fill_requested and mode == "generate"
        return Job(self._next_index, seed, mode, inputs, self.controls, draft, remake, self.bpm, fill)

    def _submit(self, job: Job) -> bool:
        """Submits a job, unless a loop is held; returns whether it was submitted."""
        if self._holds and not job.remake:
            return False
        self.generator.submit(job)
        self._last_job = job
        self.fill_requested = self.fill_requested and not job.fill
        if not job.draft:
            self._jobs.append(job)
        if not job.draft and MODES[job.mode].when is not When.ON_CHANGE:  # an answer has its draft's index and seed
            self._next_index = max(self._next_index, job.index + 1)
        return True

    # results

    def _on_failure(self, job: Job) -> None:
        """Remembers the bar in which a job failed. If it were submitted again at once, it could fail a thousand times a second."""
        self._failed_at = (self.player.cycles_started, self.player.bar)
        self._compared = _NOT_COMPARED
        if job in self._jobs:
            self._jobs.remove(job)

    def _take_result(self, loop: Loop) -> None:
        jobs = (self._draft_job,) if loop.draft else self._jobs
        if not any(job and job.index == loop.index for job in jobs):
            return  # submitted in another mode, or before a jump
        if loop.remake:
            playing = self.player.loop
            if playing is None or loop.index >= playing.index or self.mode.when is When.ON_CHANGE:
                self.player.replace_loop(replace(loop, remake=False))  # otherwise a later loop plays already
        elif loop.draft and not self._draft_is_complete:
            self._draft_loop = loop
        else:
            self._queue(loop)

    def _queue(self, loop: Loop) -> None:
        self._draft_loop = None
        self.player.queue_loop(replace(loop, draft=False))
