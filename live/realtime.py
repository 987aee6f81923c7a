"""Runs the performer's thread: its priority, and its sleep to absolute deadlines.

Absolute deadlines do not accumulate lateness. `time.sleep` wakes some 0.08 ms late, so the last 0.2 ms before a deadline are a busy
wait. The interpreter's switch interval is 0.1 ms instead of 5 ms: with 5 ms, one busy thread would make the performer 5 ms late.
"""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

SPIN_S = 0.0002
"""The busy wait before a deadline."""
SWITCH_INTERVAL_S = 0.0001
PRIORITY = 2
"""The performer's SCHED_FIFO priority: above every ordinary thread, below JACK clients, which have 5 under jackd's default of 10."""
MODEL_PRIORITY = 1
"""The model's SCHED_FIFO priority: above ordinary work, below the notes. A loop takes some 10 ms, and half a step at 174 bpm is 43 ms.

All threads of the performer's process have it too. A preempted thread that holds the interpreter lock would make the performer wait,
for 20 ms on a busy machine.
"""
ORDINARY = 0
"""The default scheduling policy."""


class NextCall(NamedTuple):
    """When to call `step` again, in monotonic seconds; only an exact time ends with a busy wait."""

    at_s: float
    exact: bool


def sleep_until(deadline_s: float, now: Callable[[], float] = time.perf_counter, sleep: Callable[[float], None] = time.sleep) -> float:
    """Sleeps until an absolute deadline; returns the time then.

    >>> sleep_until(0.0) >= 0.0
    True
    """
    while (left_s := deadline_s - now()) > SPIN_S:
        sleep(left_s - SPIN_S)
    while (at_s := now()) < deadline_s:
        pass
    return at_s


def _sleep_about_until(deadline_s: float) -> float:
    """Sleeps until about a deadline: a poll may be 0.1 ms late, and a busy wait for it would take a fifth of a core."""
    time.sleep(max(deadline_s - time.perf_counter(), 0.0))
    return time.perf_counter()


def raise_priority(priority: int = PRIORITY) -> bool:
    """Sets the priority of the calling thread; returns False if the system refuses real-time priority.

    Threads and processes that it starts have the ordinary one.
    """
    if sys.platform == "win32":
        return _set_on_windows(priority)
    if sys.platform == "darwin":
        _set_on_mac(priority)
        return False
    try:
        policy = os.SCHED_FIFO if priority else os.SCHED_OTHER
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except (OSError, AttributeError):
        return False
    return True


def _set_on_windows(priority: int) -> bool:
    """Sets THREAD_PRIORITY_NORMAL, _ABOVE_NORMAL or _TIME_CRITICAL (processthreadsapi.h), which need no rights."""
    import ctypes

    kernel = ctypes.CDLL("kernel32")
    kernel.GetCurrentThread.restype = ctypes.c_void_p
    kernel.SetThreadPriority.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return bool(kernel.SetThreadPriority(kernel.GetCurrentThread(), {ORDINARY: 0, MODEL_PRIORITY: 1, PRIORITY: 15}[priority]))


def _set_on_mac(priority: int) -> None:
    """Sets QOS_CLASS_DEFAULT, _USER_INITIATED or _USER_INTERACTIVE (sys/qos.h): not real-time, but a fast core and an exact timer."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).pthread_set_qos_class_self_np({ORDINARY: 0x15, MODEL_PRIORITY: 0x19, PRIORITY: 0x21}[priority], 0)


def steady_interpreter() -> None:
    """Freezes the loaded objects for the garbage collector and sets the switch interval. Called by the main thread after loading."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)


class PerformerThread(threading.Thread):
    """Calls `step(now_s)` at the times that it returns, until stopped; then `close(now_s)`, even after an exception."""

    def __init__(self, step: Callable[[float], NextCall], close: Callable[[float], None], done: Callable[[], bool]) -> None:
        super().__init__(name="performer", daemon=True)
        self._step, self._close, self._done = step, close, done
        self._stop_requested = threading.Event()
        self.real_time: bool | None = None
        """Whether real-time priority was granted; None before the thread runs."""
        self.error: BaseException | None = None
        """The exception that ended the thread."""

    def start(self) -> None:
        """Starts the thread, and raises the caller, which shows the status, to MODEL_PRIORITY. Called by the main thread."""
        raise_priority(MODEL_PRIORITY)
        super().start()

    def run(self) -> None:
        try:
            self.real_time = raise_priority()
            now_s = time.perf_counter()
            while not (self._stop_requested.is_set() or self._done()):
                call = self._step(now_s)
                now_s = sleep_until(call.at_s) if call.exact else _sleep_about_until(call.at_s)
        except BaseException as error:  # the main thread raises it; here all notes off comes first
            self.error = error
        finally:
            self._close(time.perf_counter())

    def stop(self) -> None:
        """Ends the thread within a poll and waits for it; lowers the caller to ordinary priority. Called by the main thread."""
        self._stop_requested.set()
        if self.is_alive():
            self.join(1.0)
        raise_priority(ORDINARY)
