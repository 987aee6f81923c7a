"""Messages of a controller in, a binding out: the control that was moved; and the conversation that binds one action after another."""

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TextIO

from drumvae.util.errors import DrumVAEError

from .actions import ACTIONS, Action, Kind
from .mapping import LAST, STATUS, Binding, ControlMap, learned
from .mapping_file import default_text, parse_map, read_map, updated

TRAVEL = 16
"""A controller that moves by less, an eighth of its way, is not meant: worn knobs flicker by one or two."""
LOOK_S = 0.05
MOMENT_S = 0.4
"""So long a turn that has begun is watched: of two controllers that moved meanwhile, the one that went further is meant."""
QUIT = "q"
Key = Callable[[float], str | None]
"""Waits up to so many seconds and returns the line that was typed, or None where none was."""


class ControllerTravel:
    """Sums up how far every controller has gone since a question was asked; takes any message, in order."""

    def __init__(self) -> None:
        self._ends: dict[Binding, tuple[int, int]] = {}  # lowest and highest

    def feed(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            binding = binding_of(message)
            if binding:
                value = message[2]
                low, high = self._ends.get(binding, (value if binding.message_type == "cc" else 0, value))
                self._ends[binding] = min(low, value), max(high, value)

    def most_moved(self, kind: Kind, but: Collection[Binding] = ()) -> Binding | None:
        """Returns what was moved for a kind of action, or None where nothing was moved far enough.

        A struck note goes before a controller, because some pads send both; it cannot give an amount.
        """
        ways = {binding: self._way(binding, kind) for binding in self._ends if binding not in but}
        binding = max(ways, key=lambda one: (one.message_type == "note" and ways[one] > 0, ways[one]), default=None)
        enough = 1 if binding and binding.message_type == "note" else TRAVEL
        return binding if binding and ways[binding] >= enough else None

    def _way(self, binding: Binding, kind: Kind) -> int:
        low, high = self._ends[binding]
        if kind is Kind.AMOUNT:
            return high - low if binding.message_type == "cc" else 0
        return high if low == 127 else high - low  # a button that sends 127 at every press and nothing after it


def binding_of(message: bytes) -> Binding | None:
    """Returns what a message is the movement of; None for note-offs, channel mode messages, the clock and all else."""
    if len(message) != 3 or max(message[1:]) > 127:
        return None
    status, number, value = message
    if status & 0xF0 == STATUS["note"] and value:
        return Binding("note", number, (status & 0x0F) + 1)
    if status & 0xF0 == STATUS["cc"] and number <= LAST["cc"]:
        return Binding("cc", number, (status & 0x0F) + 1)
    return None


def learn(
    poll: Callable[[], Iterable[bytes]],
    say: Callable[[str], None],
    key: Key,
    path: Path,
    actions: Sequence[Action] = tuple(ACTIONS.values()),
) -> ControlMap:
    """Asks for one action after another, writes what is moved into a file at once, and returns the map that stands there.

    A file that does not exist begins as the default map. `poll` returns what has arrived since it was last called; `say` shows
    a sentence. Raises DrumVAEError where the file is no map or cannot be written.
    """
    controls = read_map(path) if path.exists() else parse_map(default_text())
    text = path.read_text("utf-8") if path.exists() else default_text()
    bound: list[Binding] = []
    say(f"What you move is written into {path}. Enter goes on to the next one, {QUIT} and Enter ends.")
    for action in actions:
        held = ", ".join(binding.title for binding in controls.of(action)) or "nothing"
        say(f"{'Turn' if action.kind is Kind.AMOUNT else 'Press or turn'} what is to move {action.name}: {action.help} (now {held}).")
        moved = _listen(poll, key, action.kind, bound)
        if moved == QUIT:
            break
        if isinstance(moved, Binding):
            for loser, name in [(b, a.name) for b, a in controls.bindings.items() if b.overlaps(moved) and a is not action]:
                say(f"{loser.sentence} no longer moves {name}.")
            controls = learned(controls, action, moved)
            text = updated(text, controls)
            bound.append(moved)
            _write(path, text)
            say(f"{moved.sentence} moves {action.name}.")
    return controls


def _listen(poll: Callable[[], Iterable[bytes]], key: Key, kind: Kind, bound: Collection[Binding]) -> Binding | str:
    """Returns what was moved, or what was typed. A control that was bound a moment ago may still be turning: it is no answer."""
    poll()  # what came before the question is none either
    travels = ControllerTravel()
    while True:
        typed = key(LOOK_S)
        if typed is not None:
            return typed.strip().lower()
        travels.feed(poll())
        if travels.most_moved(kind, bound):
            key(MOMENT_S)
            travels.feed(poll())
            return travels.most_moved(kind, bound) or ""


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise DrumVAEError(f"The map of controls {path} cannot be written ({error.strerror or error}); name another file.") from None


def typed_lines(stream: TextIO | None = None) -> Key:
    """Returns a `Key` that reads lines, the terminal's by default, on a thread of its own; where they end it answers q."""
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in stream or sys.stdin:
            lines.put(line.rstrip("\n"))
        lines.put(QUIT)

    Thread(target=read, name="typed", daemon=True).start()

    def key(wait_s: float) -> str | None:
        try:
            return lines.get(timeout=wait_s)
        except Empty:
            return None

    return key
