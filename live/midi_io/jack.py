"""Detects the end of a JACK server, and keeps its library from printing.

A client cannot detect through rtmidi that the server died, because libjack keeps the list of ports in memory. There are two reasons to
detect it. rtmidi waits forever once the buffer of a dead port is full. And libjack frees the remains of a dead server's clients as soon as
a new client is opened; rtmidi then frees them again (seen with 1.9.22).
"""

import ctypes
import os
import socket
from contextlib import suppress
from pathlib import Path
from types import ModuleType

SOCKET_FOLDERS = (Path("/dev/shm"), Path("/tmp"))
"""The folders of jackd's socket, on Linux and elsewhere."""


class ServerWatch:
    """Holds an idle connection to the JACK server, which breaks when the server ends, for any reason.

    A JACK other than jackd (PipeWire's) has no such socket; its end is not detected. Called by the main thread.

    Thread-safe: no.
    Realtime-safe: no.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def connect(self) -> bool:
        """Connects to the server that this process's clients would connect to; returns False where none listens."""
        self.close()
        for path in _socket_paths():
            connection = socket.socket(socket.AF_UNIX)
            connection.setblocking(False)
            try:
                connection.connect(str(path))
            except (OSError, ValueError):  # no server listens, or the path is longer than a socket's may be
                connection.close()
                continue
            self._socket = connection
            return True
        return False

    @property
    def is_connected(self) -> bool:
        """Whether a server was connected to, even if it has ended since."""
        return self._socket is not None

    def is_broken(self) -> bool:
        """Returns at once whether the connected server has ended."""
        if self._socket is None:
            return False
        try:
            return self._socket.recv(1) == b""  # the server never sends first
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _socket_paths() -> list[Path]:
    """Returns the sockets that a server may listen on.

    JACK_DEFAULT_SERVER gives another server name; a server shared by all users has no user id in its socket's name.
    """
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "getuid"):
        return []
    server = os.environ.get("JACK_DEFAULT_SERVER") or "default"
    names = (f"jack_{server}_{os.getuid()}_0", f"jack_{server}_0")
    return [folder / name for folder in SOCKET_FOLDERS for name in names if (folder / name).exists()]


def silence_jack_log(rtmidi: ModuleType) -> None:
    """Keeps libjack from printing, in any thread and at any time: every error is also returned.

    libjack passes its messages to a C function. This one measures their length: a Python function would need the interpreter lock in
    JACK's own threads.
    """
    with suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(rtmidi._rtmidi.__file__)  # a symbol is also looked up in the libraries that it links to
        ignore = ctypes.CDLL(None).strlen
        library.jack_set_error_function(ignore)
        library.jack_set_info_function(ignore)
