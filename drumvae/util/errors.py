"""Defines the errors that a user can cause or fix; each message has the request, the situation and the fix."""


class DrumVAEError(Exception):
    """Base class; a command prints it as one sentence on stderr and exits with status 2. Any other exception is a bug."""


class DataError(DrumVAEError):
    """Concerns MIDI files and data sets: nothing to read, nothing usable, an incomplete download."""


class NoDrumsError(DataError):
    """Concerns a valid MIDI file without drums."""


class BundleError(DrumVAEError):
    """Concerns an exported model: a missing or changed file, wrong shapes, an unsupported task or execution provider."""


class RunError(DrumVAEError):
    """Concerns a training run: its options, its checkpoints, its disk; and an extra that is not installed."""


class PortError(DrumVAEError):
    """Concerns MIDI ports: an unknown name, a system without MIDI, a port that is taken."""


def nearest(name: str, known: list[str]) -> str:
    """Returns a clause with the names closest to a mistyped one, or with all of them where none is close.

    >>> nearest("jaz", ["funk", "jazz"])
    'did you mean jazz?'
    """
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there is {', '.join(known) or 'none'}."
