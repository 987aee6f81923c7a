"""Selects the MIDI system (ALSA, JACK, CoreMIDI, Windows MIDI) and creates rtmidi objects for it.

rtmidi is imported here only, and only when used. python-rtmidi's errors derive from OSError, ValueError and RuntimeError, not from the
built-in SystemError; they are caught by their common base.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from drumvae.util.errors import PortError, nearest

from .jack import silence_jack_log
from .port_names import PROBE_CLIENT

BACKENDS = ("auto", "alsa", "jack", "core", "windows")
_CONSTANTS = {"alsa": "API_LINUX_ALSA", "jack": "API_UNIX_JACK", "core": "API_MACOSX_CORE", "windows": "API_WINDOWS_MM"}
_TITLES = {"alsa": "ALSA", "jack": "JACK", "core": "CoreMIDI", "windows": "Windows MIDI"}
ALSA_SEQUENCER = Path("/dev/snd/seq")
NO_DRIVER = "type drumvae-live --demo, which needs none"


class Backend:
    """One MIDI system of this machine. Called by the main thread.

    Thread-safe: no.
    Realtime-safe: no.
    """

    def __init__(self, rtmidi: ModuleType, name: str) -> None:
        self.name = name
        self.rtmidi = rtmidi
        self.error: type[Exception] = rtmidi.RtMidiError
        self._api = getattr(rtmidi, _CONSTANTS[name])
        if name == "jack":
            silence_jack_log(rtmidi)

    @property
    def title(self) -> str:
        return _TITLES[self.name]

    @property
    def can_create(self) -> bool:
        """Whether virtual ports can be created; WinMM has none."""
        return self.name != "windows"

    def midi_in(self, client: str) -> Any:
        """Returns an unopened rtmidi.MidiIn; raises rtmidi's error where the system does not respond."""
        with quiet():
            return self.rtmidi.MidiIn(self._api, name=client)

    def midi_out(self, client: str) -> Any:
        with quiet():
            return self.rtmidi.MidiOut(self._api, name=client)

    def names(self, midi: Any) -> list[str]:
        """Returns the names of the ports that an rtmidi object can connect to, by number; "" for one that vanished during the listing.

        rtmidi appends the port's number in the list to a Windows name. It changes when another port vanishes, and no DAW shows it.
        """
        names = [name or "" for name in midi.get_ports()]
        return [name.removesuffix(f" {number}") for number, name in enumerate(names)] if self.name == "windows" else names


def find_backend(requested: str = "auto") -> Backend:
    """Returns the requested MIDI system, or the first that responds; raises PortError if none does."""
    if requested not in BACKENDS:
        raise PortError(f"There is no backend {requested!r}; {nearest(requested, list(BACKENDS))}")
    rtmidi = _rtmidi()
    candidates = _candidates(requested, set(rtmidi.get_compiled_api()), rtmidi)
    refusals = []
    for name in candidates:
        backend = Backend(rtmidi, name)
        refusal = _refusal(backend)
        if refusal is None:
            return backend
        refusals.append(f"{backend.title} {refusal}")
    tried = "; ".join(refusals) or f"python-rtmidi was built without {requested}"
    raise PortError(f"No MIDI system responds on this machine ({tried}); start one (on Linux e.g. jackd or PipeWire), or {NO_DRIVER}.")


def _candidates(requested: str, compiled: set[int], rtmidi: ModuleType) -> list[str]:
    if requested != "auto":
        return [requested] if getattr(rtmidi, _CONSTANTS[requested]) in compiled else []
    order = {"darwin": ["core", "jack"], "win32": ["windows"]}.get(sys.platform, ["alsa", "jack"])
    return [name for name in order if getattr(rtmidi, _CONSTANTS[name]) in compiled]


def _refusal(backend: Backend) -> str | None:
    """Returns the reason why a system cannot be used, or None."""
    if backend.name == "alsa" and sys.platform == "linux" and not ALSA_SEQUENCER.exists():
        return "has no sequencer here"  # opening it would print ALSA's own errors on the screen
    try:
        probe = backend.midi_in(PROBE_CLIENT)
    except backend.error:
        return "does not respond"
    probe.delete()
    return None


def _rtmidi() -> ModuleType:
    try:
        import rtmidi
    except ImportError:
        raise PortError(f"Real ports need python-rtmidi, which is not installed: type pip install python-rtmidi, or {NO_DRIVER}.") from None
    module: ModuleType = rtmidi
    return module


@contextmanager
def quiet() -> Iterator[None]:
    """Discards the output of C libraries to stderr: ALSA and JACK print errors there that they also return."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):  # AttributeError: stderr was closed before
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)
