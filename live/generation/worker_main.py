"""Runs the model inside its own process: reads jobs from standard input and writes loops to standard output.

`supervisor.WorkerProcess` starts it. A message is a pickle within pickled bytes, so that the reader thread finds its end without
unpickling it. The process prints nothing. A thread reads the pipe all the time, so that the process exits as soon as its standard input
ends, even during a job.
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

from ..looper.loop import Loop
from ..realtime import MODEL_PRIORITY, raise_priority
from .generator import GenerationResult, run_job
from .modes import DrumEngine, Job, ModelProperties


class Model(DrumEngine, ModelProperties, Protocol):
    """A loaded bundle: its properties and its verbs; drumvae.inference.engine.Engine is one."""

    @property
    def provider(self) -> str: ...

    @property
    def provider_reason(self) -> str: ...

    def pop_notice(self) -> str | None: ...


@dataclass(frozen=True)
class ModelInfo:
    """The properties of a model in another process."""

    tasks: tuple[str, ...]
    provider: str
    """The execution provider at the start: a name of `drumvae.inference.providers.NAMES`."""
    encoding: str
    """groove, pattern or melody."""
    steps: int
    """The length of its loops."""
    provider_reason: str = ""
    """A sentence that explains the choice of the provider."""
    styles: tuple[str, ...] = ()
    """Empty for a model without conditions."""

    @classmethod
    def of(cls, model: Model) -> "ModelInfo":
        """Returns the properties of a model."""
        return cls(tuple(model.tasks), model.provider, model.encoding, model.steps, model.provider_reason, tuple(model.styles))


def load_engine(bundle: Path | None, provider: str) -> Model:
    """Loads a bundle, by default the one that ships; raises BundleError. Imports ONNX Runtime, and so is called in the process only."""
    from drumvae.inference.engine import Engine

    return Engine.load(bundle, provider)


def pack(value: object) -> bytes:
    """Returns a message; pickle protocol 5 and above keep an array read-only."""
    return pickle.dumps(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), pickle.HIGHEST_PROTOCOL)


def read_messages(stream: IO[bytes], put: Callable[[bytes], None]) -> None:
    """Passes messages on, each ready for `pickle.loads`, until the stream ends or breaks off."""
    with suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
        while True:
            put(pickle.load(stream))


def main() -> None:
    """Runs jobs until the standard input ends, then exits at once without output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # imports and libraries that print must not disturb the replies
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read_stdin, args=(requests.put,), daemon=True).start()

    def reply(value: object) -> None:
        stdout.write(pack(value))
        stdout.flush()

    try:
        model, make = _load(requests, reply)
        raise_priority(MODEL_PRIORITY)
        while True:
            reply(run_job_with_notice(model, make, pickle.loads(requests.get())))
    finally:
        os._exit(1)  # a normal exit would wait for the reader thread, and print the exception


def _read_stdin(put: Callable[[bytes], None]) -> None:
    raise_priority(MODEL_PRIORITY)
    read_messages(sys.stdin.buffer, put)
    os._exit(0)


def run_job_with_notice(model: Model, make: Callable[[Model, Job], Loop], job: Job) -> GenerationResult:
    """Runs one job; if the model fell back to another provider, the result has both the loop and a notice."""
    result = run_job(partial(make, model), job)
    notice = model.pop_notice()
    return result if result.error else GenerationResult(result.loop, notice)


def _load(requests: "SimpleQueue[bytes]", reply: Callable[[object], None]) -> tuple[Model, Callable[[Model, Job], Loop]]:
    """Loads the model and replies with its properties, or with the exception."""
    try:
        sys.path[:] = pickle.loads(requests.get())
        load, make = pickle.loads(requests.get())
        model: Model = load()
        info = ModelInfo.of(model)
    except DrumVAEError as error:
        reply(error)
        raise
    except Exception:
        reply(RuntimeError(f"the model could not be loaded; in its process:\n{traceback.format_exc()}"))
        raise
    reply(info)
    return model, make
