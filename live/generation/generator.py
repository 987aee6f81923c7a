"""Defines the interface of a loop generator: submit a job, poll for its loop.

`supervisor.WorkerProcess` runs the model in another process. The tests have a generator that runs it in a thread.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

from ..looper.loop import Loop
from .modes import Job


class LoopGenerator(Protocol):
    """Makes loops in the order of their jobs; every loop is frozen."""

    error: str | None
    """A sentence on the latest failure, or on the recovery from it; any thread may read it."""

    def start(self) -> None:
        """Starts to work. Called once, by the main thread."""

    def close(self) -> None:
        """Stops; waiting jobs are dropped. Called by the main thread."""

    def wait_for_first(self, timeout_s: float) -> None:
        """Waits until the first job has succeeded or failed. Called by the main thread, before the performer runs."""

    @property
    def busy(self) -> bool:
        """Whether a job was submitted whose result was not polled yet.

        Thread-safe: no, the performer's thread only. Realtime-safe: yes.
        """

    def submit(self, job: Job) -> None:
        """Queues a job and returns at once.

        Thread-safe: no, the performer's thread only. Realtime-safe: yes.
        """

    def poll(self) -> Loop | None:
        """Returns a finished loop, or None at once; a failed job is done too.

        Thread-safe: no, the performer's thread only. Realtime-safe: yes.
        """


class GenerationResult(NamedTuple):
    """The result of a job: a loop, or None and the error; both if the model fell back to another provider."""

    loop: Loop | None
    error: str | None = None


def run_job(make: Callable[[Job], Loop], job: Job) -> GenerationResult:
    """Runs one job; any exception of the model becomes a sentence, because a failing model must not stop the music."""
    try:
        return GenerationResult(make(job))
    except Exception as error:
        return GenerationResult(None, f"The model failed on loop {job.index} ({type(error).__name__}: {error}); the last loop plays on.")


class PendingJobs:
    """The performer's side of a loop generator: counts the jobs under way and queues the finished loops."""

    def __init__(self) -> None:
        self._results: SimpleQueue[Loop | None] = SimpleQueue()  # None for a failed job
        self._first_done = threading.Event()
        self._count = 0  # changed by the performer's thread only, so that no result is counted before it is polled

    def wait_for_first(self, timeout_s: float) -> None:
        if self._count:
            self._first_done.wait(timeout_s)

    @property
    def busy(self) -> bool:
        return self._count > 0

    def poll(self) -> Loop | None:
        try:
            loop = self._results.get_nowait()
        except Empty:
            return None
        self._count -= 1
        return loop

    def _deliver(self, loop: Loop | None) -> None:
        self._results.put(loop)
        self._first_done.set()
