"""Jobs in, finished loops out, away from where notes are timed: what the performer knows of whatever runs the model.

`worker.WorkerProcess` runs it in another process, as on stage; `Generator` in a thread of this one, for tests and for whoever brings
an engine of his own. The performer cannot tell them apart: both are a `LoopGenerator`.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

from ..looper.player import Loop
from ..realtime import MODEL_PRIORITY, raise_priority
from .modes import Job


class LoopGenerator(Protocol):
    """Makes loops one after the other, in the order in which they were asked for; what it hands over is frozen."""

    error: str | None
    """What went wrong last, or came right again, in a sentence; any thread may read it."""

    def start(self) -> None:
        """Begins to work. Called by the main thread, once."""

    def close(self) -> None:
        """Ends the work; jobs that wait are dropped. Called by the main thread."""

    def wait_for_first(self, timeout_s: float) -> None:
        """Waits until the first job is done, well or badly. Called by the main thread, before the performer runs."""

    @property
    def busy(self) -> bool:
        """Whether a job was asked for whose result was not taken yet. Called by the performer's thread."""

    def submit(self, job: Job) -> None:
        """Queues a job and returns at once. Called by the performer's thread."""

    def poll(self) -> Loop | None:
        """Returns a finished loop, or None at once; takes a failed job off the count too. Called by the performer's thread."""


class GenerationResult(NamedTuple):
    """What became of a job: a loop, or the sentence that says why there is none; both where the model went elsewhere to make it."""

    loop: Loop | None
    error: str | None = None


def run_job(make: Callable[[Job], Loop], job: Job) -> GenerationResult:
    """Does one job; whatever the model raises becomes a sentence, because a model that fails must not stop the music."""
    try:
        return GenerationResult(make(job))
    except Exception as error:
        return GenerationResult(None, f"The model failed on loop {job.index} ({type(error).__name__}: {error}); the last loop plays on.")


class Pending:
    """The performer's side of every maker: jobs into one queue, finished loops out of another, and how many are between."""

    def __init__(self) -> None:
        self._results: SimpleQueue[Loop | None] = SimpleQueue()  # None where a job failed
        self._first_done = threading.Event()
        self._outstanding = 0  # touched by the performer's thread only, so that no result is counted before it is taken

    def wait_for_first(self, timeout_s: float) -> None:
        if self._outstanding:
            self._first_done.wait(timeout_s)

    @property
    def busy(self) -> bool:
        return self._outstanding > 0

    def poll(self) -> Loop | None:
        try:
            loop = self._results.get_nowait()
        except Empty:
            return None
        self._outstanding -= 1
        return loop

    def _hand_over(self, loop: Loop | None) -> None:
        self._results.put(loop)
        self._first_done.set()


class Generator(Pending):
    """A maker that runs the model in a thread of this process."""

    def __init__(self, make: Callable[[Job], Loop]) -> None:
        super().__init__()
        self._make = make
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="generator", daemon=True)
        self.error: str | None = None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Lets the thread end after the job at hand; does not wait for it."""
        self._jobs.put(None)

    def submit(self, job: Job) -> None:
        self._outstanding += 1
        self._jobs.put(job)

    @property
    def waits(self) -> bool:
        """Whether a job waits to be done."""
        return not self._jobs.empty()

    def work_once(self) -> bool:
        """Does one job, waiting for it; False when there will be none. Tests call it in place of the thread."""
        job = self._jobs.get()
        if job is None:
            return False
        loop, self.error = run_job(self._make, job)
        self._hand_over(loop)
        return True

    def _work(self) -> None:
        raise_priority(MODEL_PRIORITY)
        while self.work_once():
            pass
