"""A step function in, calls at the right moments out: the performer's thread, its priority and its sleep.

Deadlines are absolute, so that lateness never adds up. `time.sleep` wakes some 0.08 ms late, so the last stretch
before a deadline is spun. The interpreter hands its lock over every 0.1 ms instead of every 5, or one busy thread would make the
performer 5 ms late.
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
SWITCH_INTERVAL_S = 0.0001
PRIORITY = 2
"""Of SCHED_FIFO: above every ordinary thread, below JACK's clients, which have 5 where jackd runs with its default of 10."""
MODEL_PRIORITY = 1
"""The model works some 10 ms a loop, and an answer has half a step, 43 ms at 174 bpm: it goes before ordinary work, after the notes.

So do all threads of the performer's process: one that ordinary work puts off the core while it holds the interpreter lock makes the
performer wait for that work, for 20 ms where a machine is busy.
"""
ORDINARY = 0


class NextCall(NamedTuple):
    """Says when to be called again, and whether that moment matters: only then is the last stretch spun."""

    at_s: float
    exact: bool


def sleep_until(deadline_s: float, now: Callable[[], float] = time.perf_counter, sleep: Callable[[float], None] = time.sleep) -> float:
    """Returns the time at or just after an absolute deadline."""
    while (left_s := deadline_s - now()) > SPIN_S:
        sleep(left_s - SPIN_S)
    while (at_s := now()) < deadline_s:
        pass
    return at_s


def _nap_until(deadline_s: float) -> float:
    """Returns about at a deadline, without spinning: a poll that is 0.1 ms late costs nothing, a spun one a fifth of a core."""
    time.sleep(max(deadline_s - time.perf_counter(), 0.0))
    return time.perf_counter()


def raise_priority(priority: int = PRIORITY) -> bool:
    """Puts the calling thread before all ordinary work, or at ORDINARY back into it; False where that is not granted.

    What the thread starts is ordinary, other processes included.
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
    """Asks for THREAD_PRIORITY_NORMAL, _ABOVE_NORMAL or _TIME_CRITICAL (processthreadsapi.h), which need no rights."""
    import ctypes

    kernel = ctypes.CDLL("kernel32")
    kernel.GetCurrentThread.restype = ctypes.c_void_p
    kernel.SetThreadPriority.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return bool(kernel.SetThreadPriority(kernel.GetCurrentThread(), {ORDINARY: 0, MODEL_PRIORITY: 1, PRIORITY: 15}[priority]))


def _set_on_mac(priority: int) -> None:
    """Asks for QOS_CLASS_DEFAULT, _USER_INITIATED or _USER_INTERACTIVE (sys/qos.h): not real-time, but a fast core and an exact timer."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).pthread_set_qos_class_self_np({ORDINARY: 0x15, MODEL_PRIORITY: 0x19, PRIORITY: 0x21}[priority], 0)


def settle() -> None:
    """Makes the interpreter steady once everything is loaded: no long collection, short turns. Called by the main thread."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_INTERVAL_S)


class PerformerThread(threading.Thread):
    """Calls `step(now_s)`, which says when it wants to be called again, until stopped; then `close(now_s)`, whatever happened."""

    def __init__(self, step: Callable[[float], NextCall], close: Callable[[float], None], done: Callable[[], bool]) -> None:
        super().__init__(name="performer", daemon=True)
        self._step, self._close, self._done = step, close, done
        self._stop_asked = threading.Event()
        self.real_time: bool | None = None
        """Whether real-time priority was granted; None before the thread runs."""
        self.error: BaseException | None = None
        """What ended the thread against its will."""

    def start(self) -> None:
        """Starts the thread, and puts the caller, who shows what it does, right behind it. Called by the main thread."""
        raise_priority(MODEL_PRIORITY)
        super().start()

    def run(self) -> None:
        try:
            self.real_time = raise_priority()
            now_s = time.perf_counter()
            while not (self._stop_asked.is_set() or self._done()):
                wake = self._step(now_s)
                now_s = sleep_until(wake.at_s) if wake.exact else _nap_until(wake.at_s)
        except BaseException as error:  # shown by the main thread; here the notes come first
            self.error = error
        finally:
            self._close(time.perf_counter())

    def stop(self) -> None:
        """Ends the thread within a poll and waits for its silence; the caller is ordinary again. Called by the main thread."""
        self._stop_asked.set()
        if self.is_alive():
            self.join(1.0)
        raise_priority(ORDINARY)
