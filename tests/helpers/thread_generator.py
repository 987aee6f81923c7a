"""Runs the model in a thread of this process, or job by job in simulated time."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from drumvae.live.generation.generator import PendingJobs, run_job
from drumvae.live.generation.modes import Job
from drumvae.live.looper.loop import Loop
from drumvae.live.realtime import MODEL_PRIORITY, raise_priority


class ThreadGenerator(PendingJobs):
    """A loop generator without a process."""

    def __init__(self, make: Callable[[Job], Loop]) -> None:
        super().__init__()
        self._make = make
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="generator", daemon=True)
        self.error: str | None = None

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the thread after the current job; does not wait for it."""
        self._jobs.put(None)

    def submit(self, job: Job) -> None:
        self._count += 1
        self._jobs.put(job)

    @property
    def has_jobs(self) -> bool:
        """Whether a job waits."""
        return not self._jobs.empty()

    def run_next(self) -> bool:
        """Waits for a job and runs it; False after `close`. Simulated sessions call it in place of the thread."""
        job = self._jobs.get()
        if job is None:
            return False
        loop, self.error = run_job(self._make, job)
        self._deliver(loop)
        return True

    def _work(self) -> None:
        raise_priority(MODEL_PRIORITY)
        while self.run_next():
            pass
