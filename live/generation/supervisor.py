"""Runs the model in another process, so that inference never holds the interpreter lock that the performer's thread needs.

    performer ── submit ──► queue ─► supervisor thread ─► pipe ─┐
                                                               the model's process (worker_main.py)
    performer ◄─ poll ──── queue ◄── reader thread ◄───── pipe ─┘

A job crosses one queue and one pipe, and its loop returns through one pipe and one queue. The supervisor thread sends one job at a time,
so that it can time each job and restart a process that dies or hangs. Inside the process, a thread reads the pipe for the main thread, so
that the process exits together with this one, even during a job.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from drumvae.util.errors import DrumVAEError

from ..looper.loop import Loop
from ..realtime import MODEL_PRIORITY, raise_priority
from .generator import GenerationResult, PendingJobs
from .modes import Job, make_loop
from .worker_main import Model, ModelInfo, pack
from .worker_process import EXIT_TIMEOUT_S, EndedError, ModelProcess

LOAD_TIMEOUT_S = 60.0
"""A model that takes longer to load has hung; the first start of CUDA on a machine may take ten seconds."""
JOB_TIMEOUT_S = 10.0
"""A loop that takes longer has hung."""
BACK_OFF_S = (0.2, 5.0)
"""The first and the longest wait before a dead process is started again."""
ERROR_SHOWN_S = 2.0
"""The shortest time that an error is shown, longer than the display's period."""


def back_off_s(deaths: int) -> float:
    """Returns the wait before the next start after a number of deaths (1, 2, ...) in a row without a finished job."""
    first_s, longest_s = BACK_OFF_S
    return float(min(first_s * 2.0 ** min(deaths - 1, 30), longest_s))


class WorkerProcess(PendingJobs):
    """A `generator.LoopGenerator` that runs the model in another process, and restarts the process if it dies."""

    def __init__(self, load: Callable[[], Model], make: Callable[[Model, Job], Loop] = make_loop) -> None:
        """Takes two picklable functions that the process calls: `load` once, and `make` with the model for every job."""
        super().__init__()
        self._setup = pack(sys.path) + pack((load, make))
        self._inbox: SimpleQueue[Job | ModelProcess | None] = SimpleQueue()  # a process that has ended; None to close
        self._supervisor = threading.Thread(target=self._supervise, name="generator", daemon=True)
        self._process: ModelProcess | None = None
        self._starting = threading.Lock()
        self._closed = threading.Event()
        self._loaded = threading.Event()
        self._info: ModelInfo | Exception | None = None  # an exception if the first start failed
        self._load_reply: object = None
        self._running = threading.Semaphore(0)  # 1 while the process has a job
        self._error_s = 0.0
        self.error: str | None = None
        self.restarts = 0
        """How many times the model was restarted."""

    @property
    def pid(self) -> int | None:
        """The model's latest process; None before the first."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Starts the process, which loads the model; returns at once."""
        self._supervisor.start()

    def ready(self) -> ModelInfo:
        """Waits until the model is loaded. Raises the exception if loading failed: a DrumVAEError, or another one for a bug."""
        while not self._loaded.wait(0.1):  # in short waits, because on Windows Ctrl-C does not interrupt a wait
            pass
        if isinstance(self._info, ModelInfo):
            return self._info
        raise self._info or DrumVAEError("The model was closed before it was loaded; start drumvae-live again.")

    def close(self) -> None:
        """Ends the process, even during a job, and waits at most a second for its exit."""
        self._closed.set()
        self._inbox.put(None)
        with self._starting:
            if self._process:
                self._process.kill()
        if self._supervisor.is_alive():
            self._supervisor.join(EXIT_TIMEOUT_S)

    def submit(self, job: Job) -> None:
        self._count += 1
        self._inbox.put(job)

    # the reader thread of a process

    def _on_reply(self, reply: object) -> None:
        if not isinstance(reply, GenerationResult):
            self._load_reply = reply
        elif self._running.acquire(blocking=False):
            if reply.error:
                self._report(reply.error)
            self._deliver(reply.loop)

    # the supervisor thread

    def _supervise(self) -> None:
        raise_priority(MODEL_PRIORITY)  # the performer waits for the jobs that it passes on
        deaths = 0
        try:
            while not self._closed.is_set():
                deaths = 1 if self._run_process() else deaths + 1
                if not isinstance(self._info, ModelInfo):
                    return
                self._fail_jobs()
                self._closed.wait(back_off_s(deaths))
        finally:
            self._loaded.set()

    def _run_process(self) -> int:
        """Starts a process and sends it jobs until it ends or is closed; returns the number of finished jobs."""
        process, done = None, 0
        try:
            process = self._start_process()
            process.send(self._setup)
            process.wait(LOAD_TIMEOUT_S)
            self._on_loaded(self._load_reply)
            while job := self._next_job(process):
                self._running.release()
                process.send(pack(job))
                process.wait(JOB_TIMEOUT_S)
                done += 1
        except EndedError as end:
            self._on_worker_death(end)
        finally:
            if process:
                process.end()
        return done

    def _start_process(self) -> ModelProcess:
        with self._starting:  # or `close` could miss it
            if self._closed.is_set():
                raise EndedError("The model was closed.")
            self._process = ModelProcess(self._on_reply, self._inbox.put)
            return self._process

    def _on_loaded(self, reply: object) -> None:
        """Handles the first reply of a process: the model's properties, or the exception if loading failed."""
        if self._info is None:
            assert isinstance(reply, ModelInfo | Exception)
            self._info = reply
            self._loaded.set()
        elif isinstance(reply, ModelInfo):
            self._report(f"The model is back (restart {self.restarts + 1}).")
            self.restarts += 1
        if isinstance(reply, Exception):
            raise EndedError(f"The model could not be loaded again: {reply}")

    def _next_job(self, process: ModelProcess) -> Job | None:
        """Waits for a job, and clears an error that was shown long enough; None to close. Raises EndedError if the process ended."""
        while True:
            if self.error and time.monotonic() - self._error_s >= ERROR_SHOWN_S:
                self.error = None
            with suppress(Empty):
                item = self._inbox.get(timeout=ERROR_SHOWN_S if self.error else None)
                if item is process:
                    raise EndedError(process.exit_description())
                if item is None or isinstance(item, Job):
                    return item

    def _fail_jobs(self) -> None:
        """Fails the running job and the waiting ones. All are counted first: a job that is submitted meanwhile is not failed with them."""
        failed = int(self._running.acquire(blocking=False))
        with suppress(Empty):
            while True:
                failed += isinstance(self._inbox.get_nowait(), Job)
        for _ in range(failed):
            self._deliver(None)

    def _on_worker_death(self, end: EndedError) -> None:
        if self._closed.is_set():
            return
        if isinstance(self._info, ModelInfo):
            self._report(f"{end} It is started again (restart {self.restarts + 1}); the last loop plays on.")
        elif self._info is None:
            self._info = DrumVAEError(f"{end} Try --provider cpu, or another --bundle.")

    def _report(self, sentence: str) -> None:
        self.error, self._error_s = sentence, time.monotonic()
