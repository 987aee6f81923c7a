"""Messages in, replies within a time out: the model's process from without, with its start and its certain end.

The process has no terminal: a process group of its own, so that Ctrl-C is not its affair, and outputs that lead nowhere from its
first instruction on. (With multiprocessing it would have ours: where a session is killed while the model loads, the model's
traceback would be left on the screen.)
"""

import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from ..realtime import MODEL_PRIORITY, raise_priority
from .worker_main import forward

END_S = 0.9
"""How long an end is waited for; a process that was killed is gone in a millisecond."""
_CREATE_NO_WINDOW = 0x08000000  # subprocess has the name on Windows only
_COMMAND = (sys.executable, "-P", "-c", "from drumvae.live.generation.worker_main import main; main()")


class EndedError(Exception):
    """Says, in a sentence, how a process ended or why it has to."""


class ModelProcess:
    """Holds a process that runs `inference.main`. One thread calls it, but `kill` may be called by any."""

    def __init__(self, on_end: "Callable[[ModelProcess], None]") -> None:
        """Starts it; a thread calls `on_end` when nothing more will come. Raises EndedError where it cannot be started."""
        apart: dict[str, Any] = {"creationflags": _CREATE_NO_WINDOW} if sys.platform == "win32" else {"process_group": 0}
        try:
            self._process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **apart)
        except OSError as error:
            raise EndedError(f"The model's process could not be started ({error}).") from None
        assert self._process.stdin
        assert self._process.stdout
        self._orders, self._said = self._process.stdin, self._process.stdout
        self._on_end = on_end
        self._replies: SimpleQueue[bytes | None] = SimpleQueue()
        self._listener = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: bytes) -> None:
        """Writes a message, and waits where the pipe is full until it is read or the process ends."""
        with suppress(OSError):  # it has ended, and the listener says so
            self._orders.write(message)
            self._orders.flush()

    def receive(self, limit_s: float) -> object:
        """Waits for a reply; raises EndedError where none comes in time, or ever."""
        try:
            reply = self._replies.get(timeout=limit_s)
        except Empty:
            raise EndedError(f"The model gave no answer for {limit_s:g} s.") from None
        if reply is None:
            raise EndedError(self.exit_description())
        return pickle.loads(reply)

    def exit_description(self) -> str:
        """Says how a process ended that says nothing more."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        code = self._process.returncode or 0
        how = f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with status {code}"
        return f"The model's process {how}."

    def kill(self) -> None:
        """Ends it without asking; it holds nothing that could be lost."""
        self._process.kill()

    def end(self) -> None:
        """Kills it and leaves nothing of it: no zombie, no thread, no open pipe."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self._listener.join(END_S)
        for pipe in (self._orders, self._said):
            with suppress(OSError):
                pipe.close()

    def _listen(self) -> None:
        raise_priority(MODEL_PRIORITY)
        forward(self._said, self._replies.put)
        self._replies.put(None)
        self._on_end(self)
