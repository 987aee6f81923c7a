"""Loops as they are played in, one .mid each out, written on a thread of its own while the music goes on.

A name sorts in order of playing and tells the loop and the bar of the song where it began: loop-0003-bar-0009.mid. A loop that
repeats is given, and written, once.
"""

import threading
from itertools import chain, count
from pathlib import Path
from queue import SimpleQueue

from drumvae.util.errors import DataError
from drumvae.util.files import check_writable

from ..messages import PlayedLoop
from ..realtime import MODEL_PRIORITY, raise_priority

SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0
"""What a file can say, and a clock was followed at: a machine that slept meanwhile played at less."""


class LoopWriter:
    """Writes what it is given into a folder. `add` is called by the performer's thread, the rest by the main thread."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder and tries to write into it; raises DataError where that fails."""
        import mido  # noqa: F401  # loaded now, not while the first loop plays

        self.folder = folder
        self.written = 0
        self.error: str | None = None
        """Why the last loop could not be written, in a sentence."""
        self._queue: SimpleQueue[PlayedLoop | None] = SimpleQueue()
        check_writable(folder, "Loops", "name another folder after --record")
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)
        self._thread.start()

    def add(self, played: PlayedLoop) -> None:
        """Queues a loop and returns at once."""
        self._queue.put(played)

    def close(self) -> None:
        """Waits until everything is written."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        raise_priority(MODEL_PRIORITY)  # it holds the interpreter's lock, for which the performer would wait
        while (played := self._queue.get()) is not None:
            try:
                write_played(self.folder, played)
                self.written += 1
            except DataError as error:  # e.g. a full disk: the music is worth more than the recording
                self.error = str(error)


def write_played(folder: Path, played: PlayedLoop) -> Path:
    """Writes one loop at the tempo it was played at; a name that is taken, by an earlier session, gets a number more."""
    from drumvae.midi.io import write_midi

    stem = f"loop-{played.loop.index:04d}-bar-{played.bar:04d}"
    names = chain([f"{stem}.mid"], (f"{stem}-{number}.mid" for number in count(2)))
    path = next(folder / name for name in names if not (folder / name).exists())
    bpm = min(max(played.bpm, SLOWEST_BPM), FASTEST_BPM)
    write_midi(path, played.loop.grid, bpm, played.kit, name=f"drumvae {played.loop.source}".strip())
    return path
