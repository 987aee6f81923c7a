"""An engine and a job in, a Loop out: what the drummer can be asked to do, each mode in a few lines.

A mode says when it wants a job (`ahead`: as soon as the last loop is taken; otherwise: when four bars with notes in them are
over), and how a job becomes a grid. A new mode is a new entry in MODES.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from drumvae.errors import BundleError, DrumVAEError, nearest
from drumvae.grid import LOOP_BARS, LOOP_STEPS, STEPS_PER_BAR, Grid

from .controls import Controls
from .player import Loop


class Verbs(Protocol):
    """What a mode needs of the engine; drumvae.engine.Engine has it."""

    tasks: tuple[str, ...]
    provider: str
    encoding: str
    steps: int

    def generate(self, seed: int, temperature: float | None = None, count: int = 1) -> list[Grid]: ...

    def humanize(self, grid: Grid, amount: float = 1.0, seed: int = 0) -> Grid: ...


@dataclass(frozen=True)
class Job:
    """Asks for one loop."""

    index: int
    """The how-manieth loop of the session, from 0."""
    seed: int
    played: Grid
    """What was played during the four bars before; silent where the mode does not listen."""
    controls: Controls
    draft: bool = False
    """Whether four bars are answered before they are over, in case the whole answer comes too late."""


@dataclass(frozen=True)
class Mode:
    """Says how a job becomes a loop, and when the next job is due."""

    task: str
    """What the bundle must be able to do."""
    ahead: bool
    """Whether loops are made one ahead of the bar, from nothing; otherwise each answers what was played."""
    source: str
    """The word for what it makes."""
    grid: Callable[[Verbs, Job], Grid]


def _generated(engine: Verbs, job: Job) -> Grid:
    return engine.generate(job.seed, job.controls.temperature, 1)[0]


def _humanized(engine: Verbs, job: Job) -> Grid:
    return engine.humanize(job.played, job.controls.humanize, job.seed)


MODES: Mapping[str, Mode] = {
    "generate": Mode("generate", True, "generated", _generated),
    "humanize": Mode("humanize", False, "humanized", _humanized),
}


def check_playable(engine: Verbs) -> None:
    """Refuses a model whose loops the player cannot play: melodies, and loops of other than four bars; raises BundleError."""
    if engine.encoding == "melody":
        raise BundleError("This bundle writes melodies; drumvae-live plays drums: name another with --bundle, or type drumvae-export midi.")
    if engine.steps != LOOP_STEPS:
        loops = f"This bundle writes loops of {engine.steps / STEPS_PER_BAR:g} bars; drumvae-live plays loops of {LOOP_BARS}"
        raise BundleError(f"{loops}: name another with --bundle, or type drumvae-export midi.")


def mode_named(name: str, engine: Verbs) -> Mode:
    """Returns a mode; raises DrumVAEError where there is none of that name, BundleError where the model cannot do it."""
    mode = MODES.get(name)
    if mode is None:
        raise DrumVAEError(f"There is no mode {name!r}; {nearest(name, list(MODES))}")
    if mode.task not in engine.tasks:
        offered = ", ".join(m for m in MODES if MODES[m].task in engine.tasks) or "none of the modes"
        raise BundleError(f"This bundle cannot {mode.task}; it can do {', '.join(engine.tasks)}: type --mode {offered}.")
    return mode


def make_loop(engine: Verbs, mode: Mode, job: Job) -> Loop:
    """Runs the model once; whatever the engine raises passes through. Called by the worker's thread."""
    return Loop(job.index, mode.grid(engine, job), job.seed, mode.source, job.draft)


def loop_seed(seed: int, index: int) -> int:
    """Returns the seed of loop `index` (0, 1, 2, ...) of a session with a seed, in [0, 2**32).

    It is the first word of NumPy's SeedSequence((seed, index)), whose values NumPy promises to keep; neighbouring seeds share
    nothing. So a loop of a session can be made again without the ones before it.
    """
    import numpy as np

    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
