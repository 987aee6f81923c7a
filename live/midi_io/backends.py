"""The name of a MIDI system in, python-rtmidi's number for it out, and its port objects: rtmidi is imported here, and only when used.

python-rtmidi's errors descend from OSError, ValueError and RuntimeError, not from the built-in SystemError; they are caught by
their common base.
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
    """One MIDI system of this machine. Called by the main thread."""

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
        """Whether virtual ports can be made; WinMM has none."""
        return self.name != "windows"

    def midi_in(self, client: str) -> Any:
        """Returns an unopened rtmidi.MidiIn; raises rtmidi's error where the system does not answer."""
        with quiet():
            return self.rtmidi.MidiIn(self._api, name=client)

    def midi_out(self, client: str) -> Any:
        with quiet():
            return self.rtmidi.MidiOut(self._api, name=client)

    def names(self, midi: Any) -> list[str]:
        """Returns the ports that an rtmidi object can be connected to, by number; "" for one that went while it was listed.

        rtmidi ends a Windows name with its number in the list, which changes when another port goes; no DAW shows it.
        """
        names = [name or "" for name in midi.get_ports()]
        return [name.removesuffix(f" {number}") for number, name in enumerate(names)] if self.name == "windows" else names


def find_backend(wanted: str = "auto") -> Backend:
    """Returns the first MIDI system that answers, or the one that was asked for; raises PortError where none does."""
    if wanted not in BACKENDS:
        raise PortError(f"There is no backend {wanted!r}; {nearest(wanted, list(BACKENDS))}")
    rtmidi = _rtmidi()
    candidates = _candidates(wanted, set(rtmidi.get_compiled_api()), rtmidi)
    refusals = []
    for name in candidates:
        backend = Backend(rtmidi, name)
        refusal = _refusal(backend)
        if refusal is None:
            return backend
        refusals.append(f"{backend.title} {refusal}")
    tried = "; ".join(refusals) or f"python-rtmidi was built without {wanted}"
    raise PortError(f"No MIDI system answers on this machine ({tried}); start one (on Linux e.g. jackd or PipeWire), or {NO_DRIVER}.")


def _candidates(wanted: str, compiled: set[int], rtmidi: ModuleType) -> list[str]:
    if wanted != "auto":
        return [wanted] if getattr(rtmidi, _CONSTANTS[wanted]) in compiled else []
    order = {"darwin": ["core", "jack"], "win32": ["windows"]}.get(sys.platform, ["alsa", "jack"])
    return [name for name in order if getattr(rtmidi, _CONSTANTS[name]) in compiled]


def _refusal(backend: Backend) -> str | None:
    """Says why a system cannot be used, or None."""
    if backend.name == "alsa" and sys.platform == "linux" and not ALSA_SEQUENCER.exists():
        return "has no sequencer here"  # asking it would print its own complaints on the screen
    try:
        probe = backend.midi_in(PROBE_CLIENT)
    except backend.error:
        return "does not answer"
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
    """Keeps what C libraries write to stderr off the screen: ALSA and JACK complain there although the error is also returned."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):  # AttributeError: stderr was closed before we began
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
