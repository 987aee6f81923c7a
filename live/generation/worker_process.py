"""Starts the model's process, sends it jobs, delivers its replies, and ends it.

The process has no terminal. It has its own process group, so that Ctrl-C does not reach it, and its outputs are discarded from its
first instruction on. (A multiprocessing child would inherit the terminal: if a session is killed while the model loads, the child's
traceback would be left on the screen.)
"""

import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..realtime import MODEL_PRIORITY, raise_priority
from .worker_main import read_messages

EXIT_TIMEOUT_S = 0.9
"""How long to wait for an exit; a killed process is gone in a millisecond."""
_CREATE_NO_WINDOW = 0x08000000  # subprocess has the name on Windows only
_COMMAND = (sys.executable, "-P", "-c", "from drumvae.live.generation.worker_main import main; main()")


class EndedError(Exception):
    """Says, in a sentence, how a process ended or why it must end."""


class ModelProcess:
    """A process that runs `worker_main.main`, and the thread that reads its replies.

    One request is under way at a time: `send`, then `wait`.

    Thread-safe: `kill` yes, all else no.
    Realtime-safe: no.
    """

    def __init__(self, on_reply: Callable[[object], None], on_end: "Callable[[ModelProcess], None]") -> None:
        """Starts the process and the reader thread, which calls `on_reply` for each reply and `on_end` after the last one.

        Raises EndedError if the process cannot be started.
        """
        apart: dict[str, Any] = {"creationflags": _CREATE_NO_WINDOW} if sys.platform == "win32" else {"process_group": 0}
        try:
            self._process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **apart)
        except OSError as error:
            raise EndedError(f"The model's process could not be started ({error}).") from None
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._on_reply, self._on_end = on_reply, on_end
        self._changed = threading.Condition()
        self._has_reply = self._has_ended = False
        self._reader = threading.Thread(target=self._read, name="model replies", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: bytes) -> None:
        """Writes a request; where the pipe is full it waits until the process reads or ends."""
        self._has_reply = False
        with suppress(OSError):  # the process has ended; the reader thread reports it
            self._stdin.write(message)
            self._stdin.flush()

    def wait(self, timeout_s: float) -> None:
        """Waits for the reply to the last request; raises EndedError if none comes in time, or ever."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_reply or self._has_ended, timeout_s)
        if not self._has_reply:
            raise EndedError(self.exit_description() if self._has_ended else f"The model gave no answer for {timeout_s:g} s.")

    def exit_description(self) -> str:
        """Returns a sentence on how the process ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_TIMEOUT_S)
        code = self._process.returncode or 0
        how = f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with status {code}"
        return f"The model's process {how}."

    def kill(self) -> None:
        """Kills the process, which holds nothing that could be lost."""
        self._process.kill()

    def end(self) -> None:
        """Kills the process and leaves no zombie, no thread and no open pipe."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_TIMEOUT_S)
        self._reader.join(EXIT_TIMEOUT_S)
        for pipe in (self._stdin, self._stdout):
            with suppress(OSError):
                pipe.close()

    def _read(self) -> None:
        raise_priority(MODEL_PRIORITY)
        try:
            read_messages(self._stdout, self._receive)
        finally:
            with self._changed:
                self._has_ended = True
                self._changed.notify_all()
            self._on_end(self)

    def _receive(self, message: bytes) -> None:
        self._on_reply(pickle.loads(message))
        with self._changed:
            self._has_reply = True
            self._changed.notify_all()
