"""Loads a folder or zip of MIDI files as a corpus: all takes on one grid, and windows that begin on each bar.

Whole takes are quantized before windows are cut, so that a hit ahead of a bar line stays with its bar. The arrays are cached by the
bytes of the files and the options, and memory-mapped.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from drumvae.music.encoding import arrays_to_groove
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.kit import DEFAULT_KIT
from drumvae.util.errors import DataError
from drumvae.util.progress import watched

from .cache import ARRAYS, INDEX, TAKE_STATS, build_corpus, format_counts
from .download import source_folder
from .manifest import DRUMS, MELODY, CorpusOptions, ManifestEntry, Take, list_entries
from .melodies import drop_orphan_note_offs
from .take_parser import TakeStats

__all__ = ["Corpus", "CorpusOptions", "Take", "load_corpus", "read_corpus"]

_FORMAT = 5  # of the cache; increase it when the content changes, so that older caches are not found
_DEFAULTS = CorpusOptions()


@dataclass(frozen=True)
class Corpus:
    """All takes of a data set on one grid of T steps, one after the other, and the positions of n windows."""

    source: str
    """The name of a known data set, or "MIDI files"."""
    options: CorpusOptions
    takes: tuple[Take, ...]
    rejected: dict[str, int]
    """Number of takes that were left out, by reason."""
    dropped: dict[str, int]
    """Number of notes that were left out, by reason."""
    left_out: dict[str, int]
    """Number of windows that were left out, by reason."""
    hits: NDArray[np.uint8]
    """(T, 9), 0 or 1; (0, 9) in a corpus of melodies."""
    velocities: NDArray[np.uint8]
    """(T, 9), MIDI velocity; (0, 9) in a corpus of melodies."""
    offsets: Array
    """(T, 9), steps, positive late; (0, 9) in a corpus of melodies."""
    melody: NDArray[np.uint8]
    """(T,), melody classes; (0,) in a corpus of drums."""
    first_steps: NDArray[np.int64]
    """The grid step on which each window begins; (n,)."""
    take_indices: NDArray[np.int64]
    """The index of the take of each window; (n,)."""
    window_bpm: Array
    """The mean tempo of each window, beats a minute; (n,)."""
    home: Path
    """The folder of the cache."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles the folder only: worker processes open the arrays again and do not copy them."""
        return read_corpus, (self.home,)

    @property
    def steps(self) -> int:
        """The length S of a window."""
        return self.options.bars * STEPS_PER_BAR

    def take_stats(self) -> Iterator[TakeStats]:
        """Yields the statistics of all takes, also of those left out, in the order of the files.

        Raises DataError if the cache lacks them.
        """
        try:
            with (self.home / TAKE_STATS).open(encoding="utf-8") as lines:
                yield from (TakeStats(**json.loads(line)) for line in lines)
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{self.home} is not a complete corpus ({error}); remove it and start again.") from None

    def windows(self, split: str) -> NDArray[np.int64]:
        """Returns the indices of a split's windows. Raises DataError if the split has none."""
        in_split = np.array([take.split == split for take in self.takes])
        windows = np.flatnonzero(in_split[self.take_indices])
        if not len(windows):
            counts = Counter(self.takes[i].split for i in self.take_indices)
            raise DataError(
                f"No window is in the split {split!r}; there is {format_counts(counts)}. Add takes (two at least), or name another split."
            )
        return windows

    def arrays(self, windows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Returns hits, velocities in [0, 1] and offsets in steps of drum windows, each (n, S, 9)."""
        rows = self._rows(windows, DRUMS)
        return (
            self.hits[rows].astype(np.float32),
            self.velocities[rows].astype(np.float32) / np.float32(127),
            np.asarray(self.offsets[rows], np.float32),
        )

    def grooves(self, windows: NDArray[np.int64]) -> Array:
        """Returns groove tensors (n, S, 27) of drum windows."""
        return arrays_to_groove(*self.arrays(windows))

    def melodies(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns melody classes (n, S) of melody windows, without the note-offs of notes that began before the window."""
        return drop_orphan_note_offs(self.melody[self._rows(windows, MELODY)].astype(np.int64))

    def loops(self, windows: NDArray[np.int64]) -> Array:
        """Returns windows in the encoding of the models: groove tensors (n, S, 27), or melody classes (n, S) as float32."""
        return self.grooves(windows) if self.options.kind == DRUMS else self.melodies(windows).astype(np.float32)

    def _rows(self, windows: NDArray[np.int64], kind: str) -> NDArray[np.int64]:
        """Returns the grid steps of windows, (n, S). Raises DataError in a corpus of another kind."""
        if self.options.kind != kind:
            raise DataError(f"The corpus holds {self.options.kind}, not {kind}; choose a preset for {self.options.kind}.")
        return self.first_steps[windows][:, None] + np.arange(self.steps)


def load_corpus(source: Path, options: CorpusOptions = _DEFAULTS, cache: Path | None = None) -> Corpus:
    """Opens a corpus from its cache. Builds the cache first if necessary, with a progress bar.

    Args:
        source: A folder or zip of MIDI files, or the folder of a cached corpus. An `info.csv` as in the Groove MIDI Dataset
            gives the splits.
        options: How takes are cut into windows.
        cache: The folder of all cached corpora, by default in the user's cache.

    Raises:
        DataError: If there is no MIDI file or no window, or if a cached corpus has windows of another kind or length.
    """
    if (source / INDEX).is_file():
        return _with_options(read_corpus(source), source, options)
    folder = source_folder(source)
    entries = list_entries(folder, options.min_duration_s)
    cache = cache or user_cache_path("drumvae") / "corpora"
    home = cache / _cache_key(folder, entries, options)
    if not (home / INDEX).is_file():
        build_corpus(folder, entries, options, home)
    return read_corpus(home)


def read_corpus(home: Path) -> Corpus:
    """Opens a cached corpus; its arrays are memory-mapped. Raises DataError if the cache is incomplete."""
    try:
        index = json.loads((home / INDEX).read_text("utf-8"))
        arrays = {name: np.load(home / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        options, takes = CorpusOptions(**index["options"]), tuple(Take(**take) for take in index["takes"])
        return Corpus(index["source"], options, takes, index["rejected"], index["dropped"], index["left_out"], **arrays, home=home)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{home} is not a complete corpus ({error}); remove it and start again.") from None


def _with_options(corpus: Corpus, home: Path, options: CorpusOptions) -> Corpus:
    """Returns a cached corpus. Raises DataError if its windows have another kind or length than the options."""
    found, needed = (f"{o.bars} bars of {o.kind}" for o in (corpus.options, options))
    if found != needed:
        raise DataError(f"{home} holds windows of {found}, not of {needed}; name the folder of MIDI files instead.")
    return corpus


def _cache_key(folder: Path, entries: Sequence[ManifestEntry], options: CorpusOptions) -> str:
    """Returns a hash over the bytes of all files, their splits, the options and the default kit."""
    digest = hashlib.sha256(json.dumps([_FORMAT, asdict(options), DEFAULT_KIT.to_dict()]).encode())
    for entry in watched(entries, "Looking for the cache", len(entries)):
        digest.update(repr(entry).encode())
        digest.update(_bytes_of(folder / entry.name))
    return digest.hexdigest()[:32]


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b"missing"  # ingestion rejects the file for this reason
