"""The model in a process of its own: real processes, with a puppet for a model, and once the model that ships."""

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
Open = Callable[..., WorkerProcess]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Starts workers, and sees to it that none is left."""
    workers: list[WorkerProcess] = []

    def start(load: Callable[[], object] = Puppet) -> WorkerProcess:
        workers.append(WorkerProcess(load, make))  # type: ignore[arg-type]
        workers[-1].start()
        return workers[-1]

    yield start
    for each in workers:
        each.close()


def until(condition: Callable[[], object], within_s: float = 60.0) -> object:
    """Polls until something is so, and returns it."""
    end_s = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.005)
    return value


def next_loop(maker: WorkerProcess) -> Loop | None:
    """Takes loops until one comes, or until nothing is outstanding."""
    taken: list[Loop] = []
    until(lambda: taken.extend(filter(None, [maker.poll()])) or taken or not maker.busy)
    return taken[0] if taken else None


def exists(pid: int | None) -> bool:
    """Says whether there is such a process, a zombie included."""
    assert pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def runs(pid: int) -> bool:
    """Says whether there is such a process, a zombie not included: nobody may be there to bury an orphan."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_a_model_is_known_without_being_here(opened: Open) -> None:
    assert opened().ready() == ModelInfo(("generate",), "cpu", "groove", 64)


def test_loops_come_back_in_order_each_once_and_frozen(opened: Open) -> None:
    maker = opened()
    assert (maker.poll(), maker.busy) == (None, False)
    for index in range(3):
        maker.submit(job(index))  # before it is ready
    loops = [next_loop(maker) for _ in range(3)]
    assert loops == [Loop(index, grid(index + 10), index + 10, "made") for index in range(3)]
    assert (maker.poll(), maker.busy, maker.error) == (None, False, None)
    assert not any(array.flags.writeable for loop in loops if loop for array in loop.grid.arrays())


def test_the_model_that_ships_says_over_there_what_it_says_here() -> None:
    maker, here = WorkerProcess(partial(load_engine, None, "cpu")), load_engine(None, "cpu")
    maker.start()
    try:
        for asked in (Job(0, 3, "generate"), Job(1, 4, "humanize", (grid(5),))):
            maker.submit(asked)
            assert next_loop(maker) == make_loop(here, asked)
    finally:
        maker.close()


def test_waiting_for_the_first_loop_ends_when_it_is_there(opened: Open) -> None:
    maker = opened()
    maker.submit(job(0))
    maker.wait_for_first(60)
    assert maker.poll() is not None


# deaths


@posix
def test_a_worker_that_is_killed_comes_back_and_says_so(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ERROR_SHOWN_S", 600.0)
    maker = opened()
    maker.ready()
    before = maker.pid
    assert before
    os.kill(before, signal.SIGKILL)
    died = until(lambda: maker.error)
    until(lambda: maker.restarts == 1)
    back = maker.error
    maker.submit(job(1))
    assert died == "The model's process was ended by signal 9 (Killed). It is started again (restart 1); the last loop plays on."
    assert back == "The model is back (restart 1)."
    assert next_loop(maker) is not None
    assert maker.pid != before
    assert not exists(before)


def test_no_sentence_stands_for_ever(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as long:
        long.setattr(supervisor, "ERROR_SHOWN_S", 600.0)
        maker = opened()
        maker.submit(job(0, "raise"))
        assert next_loop(maker) is None
        assert maker.error
    monkeypatch.setattr(supervisor, "ERROR_SHOWN_S", 0.05)
    maker.submit(job(1))
    until(lambda: maker.error is None)


def test_a_worker_that_dies_over_a_job_fails_it(opened: Open) -> None:
    maker = opened()
    maker.submit(job(0, "die"))
    assert next_loop(maker) is None
    assert maker.error == "The model's process ended with status 3. It is started again (restart 1); the last loop plays on."
    maker.submit(job(1))
    assert next_loop(maker) == Loop(1, grid(11), 11, "made")


@posix
def test_jobs_that_wait_behind_one_that_is_lost_are_lost_with_it(opened: Open) -> None:
    maker = opened()
    maker.ready()
    for index, mode in enumerate(("hang", "loop", "loop")):
        maker.submit(job(index, mode))
    assert maker.pid
    os.kill(maker.pid, signal.SIGKILL)
    assert next_loop(maker) is None
    assert not maker.busy
    maker.submit(job(3))
    assert next_loop(maker) == Loop(3, grid(13), 13, "made")


def test_a_worker_that_hangs_over_a_job_is_replaced(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = opened()
    maker.ready()
    hung = maker.pid
    with monkeypatch.context() as short:
        short.setattr(supervisor, "JOB_TIMEOUT_S", 0.3)
        maker.submit(job(0, "hang"))
        until(lambda: maker.poll() or not maker.busy)
    assert "gave no answer for 0.3 s" in (maker.error or "")
    maker.submit(job(1))
    assert next_loop(maker) is not None
    assert maker.restarts == 1
    assert not exists(hung)


def test_a_model_that_fails_is_told_of_and_its_process_lives_on(opened: Open) -> None:
    maker = opened()
    maker.submit(job(4, "raise"))
    assert next_loop(maker) is None
    assert maker.error == "The model failed on loop 4 (RuntimeError: out of memory); the last loop plays on."
    maker.submit(job(5))
    assert next_loop(maker) is not None
    assert maker.restarts == 0


def test_a_model_that_cannot_be_loaded_again_is_tried_until_it_can(opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_S", (0.05, 0.05))
    bundle = tmp_path / "bundle"
    bundle.touch()
    maker = opened(partial(load_if_present, bundle))
    maker.ready()
    bundle.unlink()
    maker.submit(job(0, "die"))
    until(lambda: "could not be loaded again: There is no bundle in that folder; name another." in (maker.error or ""))
    maker.poll()
    maker.submit(job(1))
    bundle.touch()
    until(lambda: maker.restarts == 1)
    maker.submit(job(2))
    assert next_loop(maker) is not None


def test_the_longer_it_fails_the_longer_it_is_left_alone() -> None:
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
def test_what_goes_wrong_at_loading_is_raised_here(opened: Open, load: Callable[[], object], error: type[Exception], sentence: str) -> None:
    maker = opened(load)
    with pytest.raises(error, match=sentence) as raised:
        maker.ready()
    assert type(raised.value) is error
    assert (maker.error, maker.restarts) == (None, 0)


def test_a_model_that_hangs_at_loading_is_given_up(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOAD_TIMEOUT_S", 0.3)
    with pytest.raises(DrumVAEError, match=r"gave no answer for 0.3 s. Try --provider cpu"):
        opened(load_slowly).ready()


def test_what_a_model_prints_is_seen_nowhere_and_disturbs_nothing(opened: Open, capfd: pytest.CaptureFixture[str]) -> None:
    maker = opened(load_printing)
    maker.submit(job(0))
    assert next_loop(maker) is not None
    assert tuple(capfd.readouterr()) == ("", "")


# never blocked, never left behind


@posix
def test_a_stopped_worker_blocks_nobody_and_goes_on_where_it_was(opened: Open) -> None:
    """What is asked for is far more than a pipe holds."""
    maker, played = opened(), tuple(grid(seed) for seed in range(20))
    maker.ready()
    assert maker.pid
    os.kill(maker.pid, signal.SIGSTOP)
    taken: list[Loop | None] = []
    performer = threading.Thread(
        target=lambda: [(maker.submit(job(i, inputs=played)), taken.append(maker.poll())) for i in range(50)], daemon=True
    )
    performer.start()
    performer.join(5)
    assert not performer.is_alive()
    assert taken == [None] * 50
    os.kill(maker.pid, signal.SIGCONT)
    assert [loop.index for loop in (next_loop(maker) for _ in range(50)) if loop] == list(range(50))
    assert maker.restarts == 0


@posix
@pytest.mark.parametrize("state", ["loading", "idle", "busy", "stopped", "dead"])
def test_closing_leaves_no_process_and_no_thread_whatever_it_is_doing(opened: Open, state: str) -> None:
    threads = threading.active_count()
    maker = opened(load_slowly if state == "loading" else Puppet)
    until(lambda: maker.pid)
    if state != "loading":
        maker.ready()
    assert maker.pid
    if state == "busy":
        maker.submit(job(0, "hang"))
    elif state in ("stopped", "dead"):
        os.kill(maker.pid, signal.SIGSTOP if state == "stopped" else signal.SIGKILL)
        maker.submit(job(0, inputs=tuple(grid(seed) for seed in range(20))))
    maker.close()
    until(lambda: threading.active_count() == threads, 1.0)
    assert not exists(maker.pid)
    assert maker.error is None or state == "dead"


def test_closing_before_it_was_ready_is_said_to_who_waits(opened: Open) -> None:
    maker = opened(load_slowly)
    maker.close()
    with pytest.raises(DrumVAEError, match="closed before it was loaded"):
        maker.ready()


@posix
def test_ctrl_c_is_not_the_worker_s_affair(opened: Open) -> None:
    maker = opened()
    maker.ready()
    assert maker.pid
    assert os.getpgid(maker.pid) not in (os.getpgrp(), os.getpgid(os.getppid()))  # a terminal sends it to a whole group
    os.kill(maker.pid, signal.SIGINT)
    maker.submit(job(0))
    assert next_loop(maker) is not None
    assert maker.restarts == 0


PARENT = """
import sys, time
from functools import partial
from drumvae.live.generation.worker_main import load_engine
from helpers.puppet import *
from drumvae.live.generation.modes import make_loop
from drumvae.live.generation.supervisor import WorkerProcess
maker = WorkerProcess({load}, {make})
maker.start()
while not maker.pid:
    time.sleep(0.005)
if {mode!r} != "loading":
    maker.ready()
if {mode!r} == "hang":
    maker.submit(job(0, "hang"))
    time.sleep(0.05)
print(maker.pid, "onnxruntime" in sys.modules, flush=True)
time.sleep(600)
"""


@posix
@pytest.mark.parametrize(
    ("mode", "load", "make"),
    [("loading", "load_slowly", "make"), ("hang", "Puppet", "make"), ("shipped", 'partial(load_engine, None, "cpu")', "make_loop")],
)
def test_a_worker_whose_parent_is_killed_is_gone_without_a_word(mode: str, load: str, make: str) -> None:
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})" + PARENT.format(mode=mode, load=load, make=make)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout
        assert parent.stderr
        pid, has_runtime = parent.stdout.readline().split()
        assert runs(int(pid))
        parent.kill()
        parent.wait()
        until(lambda: not runs(int(pid)))
        assert parent.stderr.read() == ""
    assert has_runtime == "False"  # the model is over there, and only there


# priority


def test_real_time_is_said_only_where_the_system_grants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_setscheduler", refused, raising=False)
    assert realtime.raise_priority() is False


@pytest.mark.skipif(not hasattr(os, "SCHED_RESET_ON_FORK"), reason="Linux only")
def test_whoever_shows_a_performance_gives_way_to_it_alone_and_only_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ordinary work must not come between a thread that holds the interpreter lock and the performer that waits for it."""
    asked: list[tuple[str, int, int]] = []

    def grant(_: int, policy: int, param: os.sched_param) -> None:
        asked.append((threading.current_thread().name, policy & ~os.SCHED_RESET_ON_FORK, param.sched_priority))

    monkeypatch.setattr(os, "sched_setscheduler", grant)
    thread = realtime.PerformerThread(lambda now_s: realtime.NextCall(now_s, False), lambda _: None, lambda: True)
    thread.start()
    thread.stop()
    here = threading.current_thread().name
    assert sorted(asked) == sorted([(here, os.SCHED_FIFO, 1), ("performer", os.SCHED_FIFO, 2), (here, os.SCHED_OTHER, 0)])
    assert asked[-1] == (here, os.SCHED_OTHER, 0)
    assert thread.real_time is True


@pytest.mark.skipif(not hasattr(os, "SCHED_RESET_ON_FORK"), reason="Linux only")
def test_what_a_raised_thread_starts_is_ordinary() -> None:
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
def test_windows_puts_the_notes_before_the_model(monkeypatch: pytest.MonkeyPatch, granted: int) -> None:
    asked: list[tuple[int, int]] = []

    class Function:
        def __init__(self, call: Callable[..., int]) -> None:
            self.call = call

        def __call__(self, *values: int) -> int:
            return self.call(*values)

    def set_priority(thread: int, level: int) -> int:
        asked.append((thread, level))
        return granted

    kernel = SimpleNamespace(GetCurrentThread=Function(lambda: -2), SetThreadPriority=Function(set_priority))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", {"kernel32": kernel}.__getitem__)
    assert realtime.raise_priority() is bool(granted)
    assert realtime.raise_priority(realtime.MODEL_PRIORITY) is bool(granted)
    realtime.raise_priority(realtime.ORDINARY)
    assert asked == [(-2, 15), (-2, 1), (-2, 0)]


def test_a_mac_is_asked_for_a_fast_core_and_nothing_more_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    library = SimpleNamespace(pthread_set_qos_class_self_np=lambda *values: asked.append(values))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    assert realtime.raise_priority() is False
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())  # an older one
    assert realtime.raise_priority(realtime.MODEL_PRIORITY) is False
    assert asked == [(0x21, 0)]
