"""Writes each played loop to a MIDI file, on its own thread.

A name sorts in order of playing and gives the loop and the bar of the song where it began: loop-0003-bar-0009.mid. A loop that
repeats is written once.
"""

import threading
from itertools import chain, count
from pathlib import Path
from queue import SimpleQueue

from drumvae.util.errors import DataError
from drumvae.util.files import check_writable

from ..messages import PlayedLoop
from ..realtime import MODEL_PRIORITY, raise_priority

FILE_BPM_RANGE = (20.0, 400.0)
"""The tempi that are written. A machine that slept during a loop played it at less."""


class LoopWriter:
    """Writes loops into a folder.

    Thread-safe: `add` is called by the performer's thread, all else by the main thread.
    Realtime-safe: `add` yes, all else no.
    """

    def __init__(self, folder: Path) -> None:
        """Makes the folder and writes a probe into it; raises DataError if that fails."""
        import mido  # noqa: F401  # imported now, not while the first loop plays

        self.folder = folder
        self.written = 0
        self.error: str | None = None
        """Why the last loop could not be written."""
        self._queue: SimpleQueue[PlayedLoop | None] = SimpleQueue()
        check_writable(folder, "Loops", "name another folder after --record")
        self._thread = threading.Thread(target=self._write_all, name="record", daemon=True)
        self._thread.start()

    def add(self, played: PlayedLoop) -> None:
        """Queues a loop and returns at once."""
        self._queue.put(played)

    def close(self) -> None:
        """Waits until every loop is written."""
        self._queue.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        raise_priority(MODEL_PRIORITY)  # this thread takes the interpreter lock, for which the performer would wait
        while (played := self._queue.get()) is not None:
            try:
                write_loop(self.folder, played)
                self.written += 1
            except DataError as error:  # such as a full disk; the session goes on
                self.error = str(error)


def write_loop(folder: Path, played: PlayedLoop) -> Path:
    """Writes one loop at its mean tempo; a name that an earlier session has taken gets a number."""
    from drumvae.midi.io import write_midi

    stem = f"loop-{played.loop.index:04d}-bar-{played.bar:04d}"
    names = chain([f"{stem}.mid"], (f"{stem}-{number}.mid" for number in count(2)))
    path = next(folder / name for name in names if not (folder / name).exists())
    slowest, fastest = FILE_BPM_RANGE
    bpm = min(max(played.bpm, slowest), fastest)
    write_midi(path, played.loop.grid, bpm, played.kit, name=f"drumvae {played.loop.source}".strip())
    return path
