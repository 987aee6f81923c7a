"""Jobs in, finished loops out, on a thread of its own: the model never runs where notes are timed."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from .modes import Job
from .player import Loop
from .realtime import MODEL_PRIORITY, raise_priority


class Generator:
    """Makes loops one after the other in a worker thread; what it hands over is frozen."""

    def __init__(self, make: Callable[[Job], Loop]) -> None:
        self._make = make
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._results: SimpleQueue[Loop | None] = SimpleQueue()  # None where a job failed
        self._thread = threading.Thread(target=self._work, name="generator", daemon=True)
        self._first_done = threading.Event()
        self._outstanding = 0  # touched by the performer's thread only, so that no result is counted before it is taken
        self.trouble: str | None = None
        """What the model said when it failed last, in a sentence; any thread may read it."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Lets the worker end after the job at hand; does not wait for it."""
        self._jobs.put(None)

    def await_first(self, timeout_s: float) -> None:
        """Waits until the first job is done, well or badly. Called by the main thread, before the performer runs."""
        if self._outstanding:
            self._first_done.wait(timeout_s)

    @property
    def busy(self) -> bool:
        """Whether a job was asked for whose result was not taken yet. Called by the performer's thread."""
        return self._outstanding > 0

    def ask(self, job: Job) -> None:
        """Queues a job and returns at once. Called by the performer's thread."""
        self._outstanding += 1
        self._jobs.put(job)

    def take(self) -> Loop | None:
        """Returns a finished loop, or None at once. Called by the performer's thread."""
        try:
            loop = self._results.get_nowait()
        except Empty:
            return None
        self._outstanding -= 1
        return loop

    def work_once(self) -> bool:
        """Does one job, waiting for it; False when there will be none. Tests call it in place of the thread."""
        job = self._jobs.get()
        if job is None:
            return False
        loop = None
        try:
            loop = self._make(job)
            self.trouble = None
        except Exception as error:  # the drummer plays on: a model that fails must not stop the music
            self.trouble = f"The model failed on loop {job.index} ({type(error).__name__}: {error}); the last loop plays on."
        self._results.put(loop)
        self._first_done.set()
        return True

    def _work(self) -> None:
        raise_priority(MODEL_PRIORITY)
        while self.work_once():
            pass
