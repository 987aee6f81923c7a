"""The model's process, from within: how to load a model and jobs on standard input, what it is and loops on standard output.

`worker.WorkerProcess` starts it. Messages are pickles within pickled bytes, so that a thread that understands none of them can
still tell where one ends. Whatever it meets, it says nothing on a screen, and it leaves as soon as its standard input ends.
"""

import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Protocol

from drumvae.util.errors import DrumVAEError

from ..looper.player import Loop
from ..realtime import MODEL_PRIORITY, raise_priority
from .generator import GenerationResult, run_job
from .modes import DrumEngine, Job, ModelProperties


class Model(DrumEngine, ModelProperties, Protocol):
    """What plays a bundle, and says what it is; drumvae.inference.engine.Engine does."""

    @property
    def provider(self) -> str: ...

    @property
    def provider_reason(self) -> str: ...

    def pop_notice(self) -> str | None: ...


@dataclass(frozen=True)
class ModelInfo:
    """Says what is to be known of a model without having it."""

    tasks: tuple[str, ...]
    """What it can do."""
    provider: str
    """Where it runs, as it starts: a name of `drumvae.inference.providers.NAMES`."""
    encoding: str
    """groove, pattern or melody."""
    steps: int
    """How long its loops are."""
    provider_reason: str = ""
    """Why it runs there."""
    styles: tuple[str, ...] = ()
    """What it can be asked to play; none where it is no drummer."""

    @classmethod
    def of(cls, model: Model) -> "ModelInfo":
        """Reads the facts off a model."""
        return cls(tuple(model.tasks), model.provider, model.encoding, model.steps, model.provider_reason, tuple(model.styles))


def load_engine(bundle: Path | None, provider: str) -> Model:
    """Loads a bundle, or the one that ships; raises BundleError. Only where it is called is ONNX Runtime needed."""
    from drumvae.inference.engine import Engine

    return Engine.load(bundle, provider)


def packed(value: object) -> bytes:
    """Returns a message; protocol 5 and above keep an array read-only."""
    return pickle.dumps(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), pickle.HIGHEST_PROTOCOL)


def forward(stream: IO[bytes], put: Callable[[bytes], None]) -> None:
    """Passes messages on, each ready for `pickle.loads`, until the stream ends or breaks off within one."""
    with suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
        while True:
            put(pickle.load(stream))


def main() -> None:
    """Runs the model until the standard input ends; then leaves at once, whatever it is doing, without a word."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what imports and libraries print is no reply
    orders: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders.put,), daemon=True).start()

    def reply(value: object) -> None:
        replies.write(packed(value))
        replies.flush()

    try:
        model, make = _loaded(orders, reply)
        raise_priority(MODEL_PRIORITY)
        while True:
            reply(run_job_with_notice(model, make, pickle.loads(orders.get())))
    finally:
        os._exit(1)  # at once: the interpreter's own way out would wait for the thread that reads, and print what was raised


def _listen(put: Callable[[bytes], None]) -> None:
    raise_priority(MODEL_PRIORITY)
    forward(sys.stdin.buffer, put)
    os._exit(0)


def run_job_with_notice(model: Model, make: Callable[[Model, Job], Loop], job: Job) -> GenerationResult:
    """Does one job, and says with it where the model went over to another provider: the loop is made all the same."""
    done = run_job(partial(make, model), job)
    news = model.pop_notice()
    return done if done.error else GenerationResult(done.loop, news)


def _loaded(orders: "SimpleQueue[bytes]", reply: Callable[[object], None]) -> tuple[Model, Callable[[Model, Job], Loop]]:
    """Loads the model and says what it is; says what went wrong where it cannot."""
    try:
        sys.path[:] = pickle.loads(orders.get())
        load, make = pickle.loads(orders.get())
        model: Model = load()
        facts = ModelInfo.of(model)
    except DrumVAEError as error:
        reply(error)
        raise
    except Exception:
        reply(RuntimeError(f"the model could not be loaded; in its process:\n{traceback.format_exc()}"))
        raise
    reply(facts)
    return model, make
