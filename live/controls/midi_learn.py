"""MIDI learn: detects the control that the user moves, and binds the actions one after another in a dialogue."""

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

MIN_TRAVEL = 16
"""A controller that moves less, an eighth of its range, is ignored: worn knobs flicker by one or two."""
POLL_S = 0.05
SETTLE_S = 0.4
"""After the first movement, controllers are watched for this time; then the one that moved most is bound."""
QUIT = "q"
Key = Callable[[float], str | None]
"""Waits up to a number of seconds and returns the line that was typed, or None."""


class ControllerTravel:
    """Measures how far every controller has moved; takes any message, in order."""

    def __init__(self) -> None:
        self._ranges: dict[Binding, tuple[int, int]] = {}  # lowest and highest

    def feed(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            binding = binding_of(message)
            if binding:
                value = message[2]
                low, high = self._ranges.get(binding, (value if binding.message_type == "cc" else 0, value))
                self._ranges[binding] = min(low, value), max(high, value)

    def most_moved(self, kind: Kind, ignored: Collection[Binding] = ()) -> Binding | None:
        """Returns the control that moved most and suits a kind of action; None if nothing moved far enough.

        A note has precedence over a controller, because some pads send both. A note cannot control an amount.
        """
        travels = {binding: self._travel(binding, kind) for binding in self._ranges if binding not in ignored}
        binding = max(travels, key=lambda one: (one.message_type == "note" and travels[one] > 0, travels[one]), default=None)
        enough = 1 if binding and binding.message_type == "note" else MIN_TRAVEL
        return binding if binding and travels[binding] >= enough else None

    def _travel(self, binding: Binding, kind: Kind) -> int:
        low, high = self._ranges[binding]
        if kind is Kind.AMOUNT:
            return high - low if binding.message_type == "cc" else 0
        return high if low == 127 else high - low  # a button that sends 127 at every press and nothing after it


def binding_of(message: bytes) -> Binding | None:
    """Returns the binding of a note-on or a controller; None for any other message."""
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
    """Binds one action after another to the control that is moved, and writes each binding into the file at once.

    Args:
        poll: Returns the MIDI messages that have arrived since its last call.
        say: Shows a sentence.
        key: Returns a typed line.
        path: The control map; a new file starts as the default map.
        actions: The actions to bind, in order.

    Returns:
        The map in the file.

    Raises:
        DrumVAEError: The file is not a control map or cannot be written.
    """
    controls = read_map(path) if path.exists() else parse_map(default_text())
    text = path.read_text("utf-8") if path.exists() else default_text()
    bound: list[Binding] = []
    say(f"Each control that you move is written into {path}. Enter skips an action, {QUIT} and Enter ends.")
    for action in actions:
        held = ", ".join(binding.title for binding in controls.of(action)) or "nothing"
        say(f"{'Turn' if action.kind is Kind.AMOUNT else 'Press or turn'} a control for {action.name}: {action.help} (now {held}).")
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
    """Returns the moved control, or the typed line. Controls that were just bound are ignored: they may still be moving."""
    poll()  # earlier messages are ignored too
    travels = ControllerTravel()
    while True:
        typed = key(POLL_S)
        if typed is not None:
            return typed.strip().lower()
        travels.feed(poll())
        if travels.most_moved(kind, bound):
            key(SETTLE_S)
            travels.feed(poll())
            return travels.most_moved(kind, bound) or ""


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise DrumVAEError(f"The map of controls {path} cannot be written ({error.strerror or error}); name another file.") from None


def typed_lines(stream: TextIO | None = None) -> Key:
    """Returns a `Key` that reads lines on its own thread, by default from the terminal; at their end it returns q."""
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
