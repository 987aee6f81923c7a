"""The errors a user can cause or cure. Each one is a sentence: what was asked, what there is, what to type."""


class DrumVAEError(Exception):
    """Is shown as one sentence on stderr, with exit status 2; anything else that escapes is a bug and keeps its traceback."""


class DataError(DrumVAEError):
    """Concerns MIDI files and data sets: nothing to read, nothing usable, a download that did not arrive whole."""


class NoDrumsError(DataError):
    """Concerns a whole MIDI file in which nothing is a drum."""


class BundleError(DrumVAEError):
    """Concerns an exported model: a missing or changed file, wrong shapes, a task it cannot do, a provider it cannot run on."""


class RunError(DrumVAEError):
    """Concerns a training run: its options, its checkpoints, the disk they are written to."""


class PortError(DrumVAEError):
    """Concerns MIDI ports: an unknown name, a system without MIDI, a port that is taken."""


def nearest(name: str, known: list[str]) -> str:
    """Returns a clause that offers the names closest to a mistyped one, or all of them when none is close."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there is {', '.join(known) or 'none'}."
