"""The model in another process: real processes with a puppet model, and once with the model that ships."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.puppet import Puppet, grid, job, load_dying, load_if_present, load_missing, load_printing, load_slowly, load_with_a_bug, make

from drumvae.live import realtime
from drumvae.live.generation import supervisor
from drumvae.live.generation.modes import Job, make_loop
from drumvae.live.generation.supervisor import WorkerProcess, back_off_s
from drumvae.live.generation.worker_main import ModelInfo, load_engine
from drumvae.live.looper.loop import Loop
from drumvae.util.errors import BundleError, DrumVAEError

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    """Starts workers, and closes them after the test."""
    started: list[WorkerProcess] = []

    def start(load: Callable[[], object] = Puppet) -> WorkerProcess:
        started.append(WorkerProcess(load, make))  # type: ignore[arg-type]
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.close()


def wait_for(condition: Callable[[], object], within_s: float = 60.0) -> object:
    """Polls a condition until it holds, and returns its value."""
    end_s = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < end_s, "the condition never held"
        time.sleep(0.005)
    return value


def next_loop(worker: WorkerProcess) -> Loop | None:
    """Polls until a loop is returned, or until no job is left."""
    taken: list[Loop] = []
    wait_for(lambda: taken.extend(filter(None, [worker.poll()])) or taken or not worker.busy)
    return taken[0] if taken else None


def process_exists(pid: int | None) -> bool:
    """Returns whether a process exists, a zombie included."""
    assert pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def process_runs(pid: int) -> bool:
    """Returns whether a process exists, a zombie not included: an orphan may have no parent that reaps it."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_the_properties_of_a_model_are_read_from_its_process(start_worker: StartWorker) -> None:
    assert start_worker().ready() == ModelInfo(("generate",), "cpu", "groove", 64)


def test_loops_come_back_in_order_each_once_and_frozen(start_worker: StartWorker) -> None:
    worker = start_worker()
    assert (worker.poll(), worker.busy) == (None, False)
    for index in range(3):
        worker.submit(job(index))  # before it is ready
    loops = [next_loop(worker) for _ in range(3)]
    assert loops == [Loop(index, grid(index + 10), index + 10, "made") for index in range(3)]
    assert (worker.poll(), worker.busy, worker.error) == (None, False, None)
    assert not any(array.flags.writeable for loop in loops if loop for array in loop.grid.arrays())


def test_the_shipped_model_makes_the_same_loops_in_its_process_as_here() -> None:
    worker, here = WorkerProcess(partial(load_engine, None, "cpu")), load_engine(None, "cpu")
    worker.start()
    try:
        for each in (Job(0, 3, "generate"), Job(1, 4, "humanize", (grid(5),))):
            worker.submit(each)
            assert next_loop(worker) == make_loop(here, each)
    finally:
        worker.close()


def test_waiting_for_the_first_loop_ends_when_it_is_there(start_worker: StartWorker) -> None:
    worker = start_worker()
    worker.submit(job(0))
    worker.wait_for_first(60)
    assert worker.poll() is not None


# deaths


@posix
def test_a_killed_worker_is_restarted_and_reported(start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ERROR_SHOWN_S", 600.0)
    worker = start_worker()
    worker.ready()
    before = worker.pid
    assert before
    os.kill(before, signal.SIGKILL)
    died = wait_for(lambda: worker.error)
    wait_for(lambda: worker.restarts == 1)
    back = worker.error
    worker.submit(job(1))
    assert died == "The model's process was ended by signal 9 (Killed). It is started again (restart 1); the last loop plays on."
    assert back == "The model is back (restart 1)."
    assert next_loop(worker) is not None
    assert worker.pid != before
    assert not process_exists(before)


def test_no_error_is_shown_for_ever(start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as long:
        long.setattr(supervisor, "ERROR_SHOWN_S", 600.0)
        worker = start_worker()
        worker.submit(job(0, "raise"))
        assert next_loop(worker) is None
        assert worker.error
    monkeypatch.setattr(supervisor, "ERROR_SHOWN_S", 0.05)
    worker.submit(job(1))
    wait_for(lambda: worker.error is None)


def test_a_worker_that_dies_during_a_job_fails_it(start_worker: StartWorker) -> None:
    worker = start_worker()
    worker.submit(job(0, "die"))
    assert next_loop(worker) is None
    assert worker.error == "The model's process ended with status 3. It is started again (restart 1); the last loop plays on."
    worker.submit(job(1))
    assert next_loop(worker) == Loop(1, grid(11), 11, "made")


@posix
def test_jobs_that_wait_behind_a_lost_job_fail_with_it(start_worker: StartWorker) -> None:
    worker = start_worker()
    worker.ready()
    for index, mode in enumerate(("hang", "loop", "loop")):
        worker.submit(job(index, mode))
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    assert next_loop(worker) is None
    assert not worker.busy
    worker.submit(job(3))
    assert next_loop(worker) == Loop(3, grid(13), 13, "made")


def test_a_worker_that_hangs_during_a_job_is_replaced(start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = start_worker()
    worker.ready()
    hung = worker.pid
    with monkeypatch.context() as short:
        short.setattr(supervisor, "JOB_TIMEOUT_S", 0.3)
        worker.submit(job(0, "hang"))
        wait_for(lambda: worker.poll() or not worker.busy)
    assert "gave no answer for 0.3 s" in (worker.error or "")
    worker.submit(job(1))
    assert next_loop(worker) is not None
    assert worker.restarts == 1
    assert not process_exists(hung)


def test_a_failing_model_is_reported_and_its_process_lives_on(start_worker: StartWorker) -> None:
    worker = start_worker()
    worker.submit(job(4, "raise"))
    assert next_loop(worker) is None
    assert worker.error == "The model failed on loop 4 (RuntimeError: out of memory); the last loop plays on."
    worker.submit(job(5))
    assert next_loop(worker) is not None
    assert worker.restarts == 0


def test_a_model_that_fails_to_reload_is_retried_until_it_loads(
    start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.05, 0.05))
    bundle = tmp_path / "bundle"
    bundle.touch()
    worker = start_worker(partial(load_if_present, bundle))
    worker.ready()
    bundle.unlink()
    worker.submit(job(0, "die"))
    wait_for(lambda: "could not be loaded again: There is no bundle in that folder; name another." in (worker.error or ""))
    worker.poll()
    worker.submit(job(1))
    bundle.touch()
    wait_for(lambda: worker.restarts == 1)
    worker.submit(job(2))
    assert next_loop(worker) is not None


def test_the_wait_before_a_restart_grows_with_the_failures() -> None:
    assert [back_off_s(deaths) for deaths in (1, 2, 3, 4, 5, 6, 7, 100_000)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


# loading


@pytest.mark.parametrize(
    ("load", "error", "sentence"),
    [
        (load_missing, BundleError, "^There is no bundle in that folder; name another.$"),
        (load_dying, DrumVAEError, "^The model's process ended with status 7. Try --provider cpu, or another --bundle.$"),
        (load_with_a_bug, RuntimeError, "KeyError: 'a bug'"),
    ],
)
def test_an_exception_of_loading_is_raised_here(
    start_worker: StartWorker, load: Callable[[], object], error: type[Exception], sentence: str
) -> None:
    worker = start_worker(load)
    with pytest.raises(error, match=sentence) as raised:
        worker.ready()
    assert type(raised.value) is error
    assert (worker.error, worker.restarts) == (None, 0)


def test_a_model_that_hangs_while_loading_is_an_error(start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOAD_TIMEOUT_S", 0.3)
    with pytest.raises(DrumVAEError, match=r"gave no answer for 0.3 s. Try --provider cpu"):
        start_worker(load_slowly).ready()


def test_output_of_a_model_is_shown_nowhere_and_disturbs_nothing(start_worker: StartWorker, capfd: pytest.CaptureFixture[str]) -> None:
    worker = start_worker(load_printing)
    worker.submit(job(0))
    assert next_loop(worker) is not None
    assert tuple(capfd.readouterr()) == ("", "")


# never blocked, never left behind


@posix
def test_a_suspended_worker_blocks_no_thread_and_resumes(start_worker: StartWorker) -> None:
    """The jobs are far larger than the buffer of the pipe."""
    worker, played = start_worker(), tuple(grid(seed) for seed in range(20))
    worker.ready()
    assert worker.pid
    os.kill(worker.pid, signal.SIGSTOP)
    taken: list[Loop | None] = []
    performer = threading.Thread(
        target=lambda: [(worker.submit(job(i, inputs=played)), taken.append(worker.poll())) for i in range(50)], daemon=True
    )
    performer.start()
    performer.join(5)
    assert not performer.is_alive()
    assert taken == [None] * 50
    os.kill(worker.pid, signal.SIGCONT)
    assert [loop.index for loop in (next_loop(worker) for _ in range(50)) if loop] == list(range(50))
    assert worker.restarts == 0


@posix
@pytest.mark.parametrize("state", ["loading", "idle", "busy", "stopped", "dead"])
def test_closing_in_any_state_leaves_no_process_and_no_thread(start_worker: StartWorker, state: str) -> None:
    threads = threading.active_count()
    worker = start_worker(load_slowly if state == "loading" else Puppet)
    wait_for(lambda: worker.pid)
    if state != "loading":
        worker.ready()
    assert worker.pid
    if state == "busy":
        worker.submit(job(0, "hang"))
    elif state in ("stopped", "dead"):
        os.kill(worker.pid, signal.SIGSTOP if state == "stopped" else signal.SIGKILL)
        worker.submit(job(0, inputs=tuple(grid(seed) for seed in range(20))))
    worker.close()
    wait_for(lambda: threading.active_count() == threads, 1.0)
    assert not process_exists(worker.pid)
    assert worker.error is None or state == "dead"


def test_closing_before_the_model_is_ready_raises_in_the_waiting_thread(start_worker: StartWorker) -> None:
    worker = start_worker(load_slowly)
    worker.close()
    with pytest.raises(DrumVAEError, match="closed before it was loaded"):
        worker.ready()


@posix
def test_ctrl_c_does_not_reach_the_worker(start_worker: StartWorker) -> None:
    worker = start_worker()
    worker.ready()
    assert worker.pid
    assert os.getpgid(worker.pid) not in (os.getpgrp(), os.getpgid(os.getppid()))  # a terminal sends it to a whole group
    os.kill(worker.pid, signal.SIGINT)
    worker.submit(job(0))
    assert next_loop(worker) is not None
    assert worker.restarts == 0


PARENT = """
import sys, time
from functools import partial
from drumvae.live.generation.worker_main import load_engine
from helpers.puppet import *
from drumvae.live.generation.modes import make_loop
from drumvae.live.generation.supervisor import WorkerProcess
worker = WorkerProcess({load}, {make})
worker.start()
while not worker.pid:
    time.sleep(0.005)
if {mode!r} != "loading":
    worker.ready()
if {mode!r} == "hang":
    worker.submit(job(0, "hang"))
    time.sleep(0.05)
print(worker.pid, "onnxruntime" in sys.modules, flush=True)
time.sleep(600)
"""


@posix
@pytest.mark.parametrize(
    ("mode", "load", "make"),
    [("loading", "load_slowly", "make"), ("hang", "Puppet", "make"), ("shipped", 'partial(load_engine, None, "cpu")', "make_loop")],
)
def test_a_worker_whose_parent_is_killed_exits_without_output(mode: str, load: str, make: str) -> None:
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})" + PARENT.format(mode=mode, load=load, make=make)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout
        assert parent.stderr
        pid, has_runtime = parent.stdout.readline().split()
        assert process_runs(int(pid))
        parent.kill()
        parent.wait()
        wait_for(lambda: not process_runs(int(pid)))
        assert parent.stderr.read() == ""
    assert has_runtime == "False"  # the model is only in its process


# priority


def test_real_time_is_reported_only_where_the_system_grants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_setscheduler", refused, raising=False)
    assert realtime.raise_priority() is False


@pytest.mark.skipif(not hasattr(os, "SCHED_RESET_ON_FORK"), reason="Linux only")
def test_the_display_has_the_priority_below_the_performer_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ordinary work must not preempt a thread that holds the interpreter lock while the performer waits for it."""
    requested: list[tuple[str, int, int]] = []

    def grant(_: int, policy: int, param: os.sched_param) -> None:
        requested.append((threading.current_thread().name, policy & ~os.SCHED_RESET_ON_FORK, param.sched_priority))

    monkeypatch.setattr(os, "sched_setscheduler", grant)
    thread = realtime.PerformerThread(lambda now_s: realtime.NextCall(now_s, False), lambda _: None, lambda: True)
    thread.start()
    thread.stop()
    here = threading.current_thread().name
    assert sorted(requested) == sorted([(here, os.SCHED_FIFO, 1), ("performer", os.SCHED_FIFO, 2), (here, os.SCHED_OTHER, 0)])
    assert requested[-1] == (here, os.SCHED_OTHER, 0)
    assert thread.real_time is True


@pytest.mark.skipif(not hasattr(os, "SCHED_RESET_ON_FORK"), reason="Linux only")
def test_threads_started_by_a_raised_thread_are_ordinary() -> None:
    inherited: list[int] = []

    def raised() -> None:
        realtime.raise_priority(realtime.MODEL_PRIORITY)
        child = threading.Thread(target=lambda: inherited.append(os.sched_getscheduler(0)))
        child.start()
        child.join()

    parent = threading.Thread(target=raised)
    parent.start()
    parent.join()
    assert [policy & ~os.SCHED_RESET_ON_FORK for policy in inherited] == [os.SCHED_OTHER]


@pytest.mark.parametrize("granted", [1, 0])
def test_on_windows_the_performer_has_a_higher_priority_than_the_model(monkeypatch: pytest.MonkeyPatch, granted: int) -> None:
    requested: list[tuple[int, int]] = []

    class Function:
        def __init__(self, call: Callable[..., int]) -> None:
            self.call = call

        def __call__(self, *values: int) -> int:
            return self.call(*values)

    def set_priority(thread: int, level: int) -> int:
        requested.append((thread, level))
        return granted

    kernel = SimpleNamespace(GetCurrentThread=Function(lambda: -2), SetThreadPriority=Function(set_priority))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", {"kernel32": kernel}.__getitem__)
    assert realtime.raise_priority() is bool(granted)
    assert realtime.raise_priority(realtime.MODEL_PRIORITY) is bool(granted)
    realtime.raise_priority(realtime.ORDINARY)
    assert requested == [(-2, 15), (-2, 1), (-2, 0)]


def test_on_a_mac_a_fast_core_is_requested_and_no_real_time_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    requested: list[tuple[int, int]] = []
    library = SimpleNamespace(pthread_set_qos_class_self_np=lambda *values: requested.append(values))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert realtime.raise_priority() is False
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())  # an older one
    assert realtime.raise_priority(realtime.MODEL_PRIORITY) is False
    assert requested == [(0x21, 0)]
