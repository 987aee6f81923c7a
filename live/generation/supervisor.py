"""Jobs in, finished loops out of another process: inference never holds the interpreter lock that the performer's thread needs.

    performer ─ ask ──► queue ─► keeper ─────────────────► pipe ─► the model's process (inference.py)
              ◄ take ── queue ◄─ keeper ◄─ queue ◄─ listener ◄─ pipe ─┘

The keeper, a thread here, has one job at a time over there, so that it knows how long one takes, and starts the process again
where it dies or hangs.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from drumvae.util.errors import DrumVAEError

from ..looper.player import Loop
from ..realtime import MODEL_PRIORITY, raise_priority
from .generator import GenerationResult, Pending
from .modes import Job, make_loop
from .worker_main import Model, ModelInfo, packed
from .worker_process import END_S, EndedError, ModelProcess

LOAD_TIMEOUT_S = 60.0
"""A model that is not loaded by then has hung; the first start of CUDA on a machine may take ten seconds."""
JOB_TIMEOUT_S = 10.0
"""A loop that is not made by then has hung."""
BACK_OFF_S = (0.2, 5.0)
"""How long to wait before a process that died is started again: at first, and at most."""
SAID_S = 2.0
"""How long a sentence stands at least, so that the display comes by."""


def back_off_s(deaths: int) -> float:
    """Returns how long to wait before the next start, after so many deaths (1, 2, ...) in a row with no job done between them."""
    first_s, longest_s = BACK_OFF_S
    return float(min(first_s * 2.0 ** min(deaths - 1, 30), longest_s))


class WorkerProcess(Pending):
    """A `generator.LoopGenerator` that runs the model in another process, and starts that again where it dies."""

    def __init__(self, load: Callable[[], Model], make: Callable[[Model, Job], Loop] = make_loop) -> None:
        """Takes two functions that pickle, to be called over there: `load` once, `make` with the model for every job."""
        super().__init__()
        self._order = packed(sys.path) + packed((load, make))
        self._jobs: SimpleQueue[Job | ModelProcess | None] = SimpleQueue()  # a process where that has ended; None to close
        self._keeper = threading.Thread(target=self._keep, name="generator", daemon=True)
        self._process: ModelProcess | None = None
        self._starting = threading.Lock()
        self._closed = threading.Event()
        self._met = threading.Event()
        self._facts: ModelInfo | Exception | None = None  # an exception where the first start failed
        self._at_work = 0  # 1 while the process has a job
        self._said_s = 0.0
        self.error: str | None = None
        self.restarts = 0
        """How many times the model came back."""

    @property
    def pid(self) -> int | None:
        """The model's process, the last one that was started; None before the first."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Starts the process, which loads the model by itself; returns at once."""
        self._keeper.start()

    def ready(self) -> ModelInfo:
        """Waits until the model is loaded; raises what loading it raised: a DrumVAEError, unless it is a bug."""
        while not self._met.wait(0.1):  # in turns, because Windows does not let Ctrl-C into a wait
            pass
        if isinstance(self._facts, ModelInfo):
            return self._facts
        raise self._facts or DrumVAEError("The model was closed before it was loaded; start drumvae-live again.")

    def close(self) -> None:
        """Ends the process, whatever it is doing, and waits for that, a second at most."""
        self._closed.set()
        self._jobs.put(None)
        with self._starting:
            if self._process:
                self._process.kill()
        if self._keeper.is_alive():
            self._keeper.join(END_S)

    def submit(self, job: Job) -> None:
        self._outstanding += 1
        self._jobs.put(job)

    # everything below is the keeper's

    def _keep(self) -> None:
        raise_priority(MODEL_PRIORITY)  # it passes on what the performer waits for, and does no more than that
        deaths = 0
        try:
            while not self._closed.is_set():
                deaths = 1 if self._serve() else deaths + 1
                if not isinstance(self._facts, ModelInfo):
                    return
                self._fail_waiting()
                self._closed.wait(back_off_s(deaths))
        finally:
            self._met.set()

    def _serve(self) -> int:
        """Starts a process and serves it until it ends or is no longer needed; returns how many jobs it did."""
        process, done = None, 0
        try:
            process = self._started()
            process.send(self._order)
            self._on_loaded(process.receive(LOAD_TIMEOUT_S))
            while job := self._next(process):
                self._do(process, job)
                done += 1
        except EndedError as end:
            self._on_worker_death(end)
        finally:
            if process:
                process.end()
        return done

    def _started(self) -> ModelProcess:
        with self._starting:  # or `close` could miss it
            if self._closed.is_set():
                raise EndedError("The model was closed.")
            self._process = ModelProcess(self._jobs.put)
            return self._process

    def _on_loaded(self, reply: object) -> None:
        """Takes the first word of a process: the facts, or the exception that loading raised."""
        if self._facts is None:
            assert isinstance(reply, ModelInfo | Exception)
            self._facts = reply
            self._met.set()
        elif isinstance(reply, ModelInfo):
            self._say(f"The model is back (restart {self.restarts + 1}).")
            self.restarts += 1
        if isinstance(reply, Exception):
            raise EndedError(f"The model could not be loaded again: {reply}")

    def _next(self, process: ModelProcess) -> Job | None:
        """Waits for a job, and clears a sentence that has stood long enough; None when there will be no more."""
        while True:
            if self.error and time.monotonic() - self._said_s >= SAID_S:
                self.error = None
            with suppress(Empty):
                item = self._jobs.get(timeout=SAID_S if self.error else None)
                if item is process:
                    raise EndedError(process.exit_description())
                if item is None or isinstance(item, Job):
                    return item

    def _do(self, process: ModelProcess, job: Job) -> None:
        self._at_work = 1
        process.send(packed(job))
        reply = process.receive(JOB_TIMEOUT_S)
        assert isinstance(reply, GenerationResult)
        if reply.error:
            self._say(reply.error)
        self._at_work = 0
        self._hand_over(reply.loop)

    def _fail_waiting(self) -> None:
        """Fails the job at work and all behind it; all are counted first, so that what is asked instead is not failed with them."""
        failed, self._at_work = self._at_work, 0
        with suppress(Empty):
            while True:
                failed += isinstance(self._jobs.get_nowait(), Job)
        for _ in range(failed):
            self._hand_over(None)

    def _on_worker_death(self, end: EndedError) -> None:
        if self._closed.is_set():
            return
        if isinstance(self._facts, ModelInfo):
            self._say(f"{end} It is started again (restart {self.restarts + 1}); the last loop plays on.")
        elif self._facts is None:
            self._facts = DrumVAEError(f"{end} Try --provider cpu, or another --bundle.")

    def _say(self, sentence: str) -> None:
        self.error, self._said_s = sentence, time.monotonic()
