"""A JACK server in, word of its death out, and its library kept off the screen.

A server that dies goes unnoticed through rtmidi, because libjack keeps the list of ports in memory and answers from there. It must
be noticed, for two things would end us: rtmidi waits for ever once the buffer of a dead port is full, and libjack frees what is left
of a dead server's clients as soon as a new client is opened, which rtmidi then frees again (seen with 1.9.22).
"""

import ctypes
import os
import socket
from contextlib import suppress
from pathlib import Path
from types import ModuleType

FOLDERS = (Path("/dev/shm"), Path("/tmp"))
"""Where jackd listens, on Linux and elsewhere."""


class ServerWatch:
    """An idle connection to the server: it breaks when the server ends, however it ends, and costs nothing until then.

    A JACK that is no jackd (PipeWire's) has no such socket; its end is not noticed here. Called by the main thread.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def connect(self) -> bool:
        """Connects to the server that clients of this process would get; False where none listens."""
        self.close()
        for path in _socket_paths():
            line = socket.socket(socket.AF_UNIX)
            line.setblocking(False)
            try:
                line.connect(str(path))
            except (OSError, ValueError):  # nobody listens, or the name is longer than a socket's may be
                line.close()
                continue
            self._socket = line
            return True
        return False

    @property
    def is_connected(self) -> bool:
        """Whether a server was there, be it gone by now."""
        return self._socket is not None

    def is_broken(self) -> bool:
        """Says whether the server that was connected to has ended; returns at once."""
        if self._socket is None:
            return False
        try:
            return self._socket.recv(1) == b""  # the server never speaks first
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _socket_paths() -> list[Path]:
    """Returns where the server may listen; a name of its own is given in JACK_DEFAULT_SERVER, and a shared one has no user's number."""
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "getuid"):
        return []
    server = os.environ.get("JACK_DEFAULT_SERVER") or "default"
    names = (f"jack_{server}_{os.getuid()}_0", f"jack_{server}_0")
    return [folder / name for folder in FOLDERS for name in names if (folder / name).exists()]


def silence_jack_log(rtmidi: ModuleType) -> None:
    """Keeps libjack from printing, in whatever thread and whenever it wants to: every error is also returned.

    It takes a C function to hand its messages to. This one measures them: a Python function would want the interpreter's lock in
    JACK's own threads.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(rtmidi._rtmidi.__file__)  # a symbol is looked up in what it is linked to as well
        ignore = ctypes.CDLL(None).strlen
        library.jack_set_error_function(ignore)
        library.jack_set_info_function(ignore)
