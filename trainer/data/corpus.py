"""A folder or zip of MIDI files in, whole takes on one long grid and the windows cut from them out, cached as arrays.

Takes are written onto the grid whole and windows are runs of its steps, so that a hit played ahead of a bar line stays with
its bar. Windows begin on every bar. The cache is keyed by the bytes of the files and the options, and is memory-mapped.
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

from .cache import ARRAYS, FACTS, INDEX, build_corpus, listed
from .download import source_folder
from .ingest import Facts
from .manifest import DRUMS, MELODY, CorpusOptions, ManifestEntry, Take, list_entries
from .melodies import drop_orphan_note_offs

__all__ = ["Corpus", "CorpusOptions", "Take", "load_corpus", "read_corpus"]

_FORMAT = 4  # of the cache; a change of meaning makes old caches invisible
_DEFAULTS = CorpusOptions()


@dataclass(frozen=True)
class Corpus:
    """Holds every take end to end, T steps in all, and where windows begin."""

    source: str
    """What the takes are: the name of a known data set, or "MIDI files"."""
    options: CorpusOptions
    takes: tuple[Take, ...]
    rejected: dict[str, int]
    """Why takes were left out, and how many."""
    dropped: dict[str, int]
    """Why notes were left out, and how many."""
    left_out: dict[str, int]
    """Why windows were left out, and how many."""
    hits: NDArray[np.uint8]
    """(T, 9), 0 or 1; (0, 9) where melodies were read."""
    velocities: NDArray[np.uint8]
    """(T, 9), MIDI velocity; (0, 9) where melodies were read."""
    offsets: Array
    """(T, 9), steps, positive late; (0, 9) where melodies were read."""
    melody: NDArray[np.uint8]
    """(T,), melody classes; (0,) where drums were read."""
    first_steps: NDArray[np.int64]
    """Where each window begins on the long grid; (n,)."""
    take_indices: NDArray[np.int64]
    """The take each window is cut from; (n,)."""
    window_bpm: Array
    """The mean tempo of each window, beats a minute; (n,)."""
    home: Path
    """Where it is cached."""

    def __reduce__(self) -> tuple[object, ...]:
        """Lets a loader's processes open the arrays anew, and not copy them."""
        return read_corpus, (self.home,)

    @property
    def steps(self) -> int:
        """The length S of a window."""
        return self.options.bars * STEPS_PER_BAR

    def facts(self) -> Iterator[Facts]:
        """Yields what is known of every take, used or left out, in the order of the files; raises DataError where that is lost."""
        try:
            with (self.home / FACTS).open(encoding="utf-8") as lines:
                yield from (Facts(**json.loads(line)) for line in lines)
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{self.home} is not a whole corpus ({error}); remove it and start again.") from None

    def windows(self, split: str) -> NDArray[np.int64]:
        """Returns the numbers of a split's windows; raises DataError where it has none."""
        wanted = np.array([take.split == split for take in self.takes])
        chosen = np.flatnonzero(wanted[self.take_indices])
        if not len(chosen):
            counts = Counter(self.takes[i].split for i in self.take_indices)
            raise DataError(
                f"No window is in the split {split!r}; there is {listed(counts)}. Add takes (two at least), or name another split."
            )
        return chosen

    def arrays(self, windows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Returns hits, velocities in [0, 1] and offsets in steps of some windows of drums, each (n, S, 9)."""
        rows = self._rows(windows, DRUMS)
        return (
            self.hits[rows].astype(np.float32),
            self.velocities[rows].astype(np.float32) / np.float32(127),
            np.asarray(self.offsets[rows], np.float32),
        )

    def grooves(self, windows: NDArray[np.int64]) -> Array:
        """Returns groove tensors (n, S, 27) of some windows of drums."""
        return arrays_to_groove(*self.arrays(windows))

    def melodies(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns melody classes (n, S) of some windows of melody, without the end of a note that began before its window."""
        return drop_orphan_note_offs(self.melody[self._rows(windows, MELODY)].astype(np.int64))

    def loops(self, windows: NDArray[np.int64]) -> Array:
        """Returns some windows as a model reads them: groove tensors (n, S, 27), or melody classes (n, S) as numbers."""
        return self.grooves(windows) if self.options.kind == DRUMS else self.melodies(windows).astype(np.float32)

    def _rows(self, windows: NDArray[np.int64], kind: str) -> NDArray[np.int64]:
        """Returns the steps of some windows on the long grid, (n, S); raises DataError where the corpus holds something else."""
        if self.options.kind != kind:
            raise DataError(f"The corpus holds {self.options.kind}, and {kind} was asked for; choose a preset for {self.options.kind}.")
        return self.first_steps[windows][:, None] + np.arange(self.steps)


def load_corpus(source: Path, options: CorpusOptions = _DEFAULTS, cache: Path | None = None) -> Corpus:
    """Opens a corpus from its cache, which is built first, with progress, where it is not there.

    `source` is a folder or a zip of MIDI files, or a cached corpus, which is opened as it is; an `info.csv` as in the Groove
    MIDI Dataset gives the splits. Raises DataError where there is no file or no window, and for a cached corpus of other windows.
    """
    if (source / INDEX).is_file():
        return _as_asked(read_corpus(source), source, options)
    folder = source_folder(source)
    rows = list_entries(folder, options.min_duration_s)
    cache = cache or user_cache_path("drumvae") / "corpora"
    home = cache / _key(folder, rows, options)
    if not (home / INDEX).is_file():
        build_corpus(folder, rows, options, home)
    return read_corpus(home)


def read_corpus(home: Path) -> Corpus:
    """Opens a cached corpus without reading its arrays into memory; raises DataError where it is not one."""
    try:
        facts = json.loads((home / INDEX).read_text("utf-8"))
        arrays = {name: np.load(home / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        options, takes = CorpusOptions(**facts["options"]), tuple(Take(**take) for take in facts["takes"])
        return Corpus(facts["source"], options, takes, facts["rejected"], facts["dropped"], facts["left_out"], **arrays, home=home)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{home} is not a whole corpus ({error}); remove it and start again.") from None


def _as_asked(corpus: Corpus, home: Path, options: CorpusOptions) -> Corpus:
    """Returns a cached corpus; raises DataError where its windows do not fit what is asked for."""
    there, asked = (f"{o.bars} bars of {o.kind}" for o in (corpus.options, options))
    if there != asked:
        raise DataError(f"{home} holds windows of {there}, and {asked} are asked for; name the folder of MIDI files instead.")
    return corpus


def _key(folder: Path, rows: Sequence[ManifestEntry], options: CorpusOptions) -> str:
    """Returns a name that changes when any byte of a file, a split, an option or the kit does."""
    digest = hashlib.sha256(json.dumps([_FORMAT, asdict(options), DEFAULT_KIT.to_dict()]).encode())
    for row in watched(rows, "Looking for the cache", len(rows)):
        digest.update(repr(row).encode())
        digest.update(_bytes(folder / row.name))
    return digest.hexdigest()[:32]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b"missing"  # and left out with that reason
