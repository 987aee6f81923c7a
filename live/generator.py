"""Jobs in, finished loops out, on a thread of its own: the model never runs where notes are timed."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from .modes import Job
from .player import Loop


class Generator:
    """Makes loops one after the other in a worker thread; what it hands over is frozen."""

    def __init__(self, make: Callable[[Job], Loop]) -> None:
        self._make = make
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._loops: SimpleQueue[Loop] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="generator", daemon=True)
        self._asked = 0
        self._answered = 0
        self.trouble: str | None = None
        """What the model said when it failed last, in a sentence; any thread may read it."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Lets the worker end after the job at hand; does not wait for it."""
        self._jobs.put(None)

    @property
    def busy(self) -> bool:
        """Whether a job is under way. Called by the performer's thread."""
        return self._asked > self._answered

    def ask(self, job: Job) -> None:
        """Queues a job and returns at once. Called by the performer's thread."""
        self._asked += 1
        self._jobs.put(job)

    def take(self) -> Loop | None:
        """Returns a finished loop, or None at once. Called by the performer's thread."""
        try:
            return self._loops.get_nowait()
        except Empty:
            return None

    def work_once(self) -> bool:
        """Does one job, waiting for it; False when there will be none. Tests call it in place of the thread."""
        job = self._jobs.get()
        if job is None:
            return False
        try:
            self._loops.put(self._make(job))
            self.trouble = None
        except Exception as error:  # the drummer plays on: a model that fails must not stop the music
            self.trouble = f"The model failed on loop {job.index} ({type(error).__name__}: {error}); the last loop plays on."
        finally:
            self._answered += 1
        return True

    def _work(self) -> None:
        while self.work_once():
            pass
