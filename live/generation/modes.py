"""An engine and a job in, a Loop out: what the drummer can be asked to do, each mode in a few lines.

A mode says when it asks for a loop, what it works on, and how that becomes a grid. A new mode is a new entry in MODES.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from drumvae.music.conditions import UNCONDITIONED, Conditions, one_hot_style
from drumvae.music.grid import LOOP_BARS, LOOP_STEPS, STEPS_PER_BAR, Grid
from drumvae.util.errors import BundleError, DrumVAEError, nearest

from ..controls.state import ControlState
from ..looper.player import Loop


class DrumEngine(Protocol):
    """What the modes need of the engine; drumvae.inference.engine.Engine has it."""

    @property
    def styles(self) -> tuple[str, ...]: ...

    def generate(
        self,
        seed: int,
        temperature: float | None = None,
        count: int = 1,
        density: float = 1.0,
        conditions: Conditions = UNCONDITIONED,
        complexity: float = 0.0,
    ) -> list[Grid]: ...

    def humanize(
        self, grid: Grid, amount: float = 1.0, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED
    ) -> Grid: ...

    def drumify(self, grid: Grid, seed: int = 0, temperature: float = 0.0, conditions: Conditions = UNCONDITIONED) -> Grid: ...

    def vary(self, grid: Grid, amount: float, seed: int, *, conditions: Conditions = UNCONDITIONED) -> Grid: ...

    def morph(self, first: Grid, last: Grid, position: float) -> Grid: ...


class ModelProperties(Protocol):
    """What must be known of a model before it plays."""

    @property
    def tasks(self) -> tuple[str, ...]: ...

    @property
    def encoding(self) -> str: ...

    @property
    def steps(self) -> int: ...

    @property
    def styles(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Job:
    """Asks for one loop. It crosses to another process: plain values only."""

    index: int
    """The how-manieth loop of the session, from 0."""
    seed: int
    mode: str
    """A key of MODES."""
    given: tuple[Grid, ...] = ()
    """What the mode works on: nothing, what was played or is varied, or the two loops that are morphed."""
    controls: ControlState = field(default_factory=ControlState)
    draft: bool = False
    """Whether four bars are answered before they are over, in case the whole answer comes too late."""
    remake: bool = False
    """Whether the loop that plays is made once more because an amount was turned; it comes in at the next bar."""
    bpm: float | None = None
    """The tempo that it is to be played at, where that is known."""
    fill: bool = False
    """Whether a fill was asked for, once, in its last bar."""

    @property
    def fills(self) -> bool:
        """Whether its last bar is to be a fill: because one was asked for, or because that is its turn by its number."""
        every = self.controls.fill_every
        return self.mode == "generate" and (self.fill or (every > 0 and (self.index + 1) % every == 0))


class When(Enum):
    """When a mode asks for the next loop."""

    PREFETCH = auto()
    """As soon as the last one is taken."""
    AFTER_RECORDING = auto()
    """When four bars with notes in them are over."""
    CALL_AND_RESPONSE = auto()
    """As AFTER_RECORDING, but it is silent for the four bars in which it listens."""
    ON_CHANGE = auto()
    """When an amount is turned or what it works on has changed."""


@dataclass(frozen=True)
class Mode:
    """Says how a job becomes a loop, and when the next job is due."""

    task: str
    """What the bundle must be able to do."""
    when: When
    source: str
    """The word for what it makes."""
    amounts: tuple[str, ...]
    """The fields of Controls that its loops depend on."""
    grid: Callable[[DrumEngine, Job], Grid]

    @property
    def listens(self) -> bool:
        """Whether it answers what is played."""
        return self.when in (When.AFTER_RECORDING, When.CALL_AND_RESPONSE)


def _generated(engine: DrumEngine, job: Job) -> Grid:
    controls = job.controls
    fill = (*[False] * (LOOP_BARS - 1), job.fills) if job.fills or controls.fill_every else None
    complexity = controls.complexity if engine.styles else 0.0
    density = max(controls.density, 1.0)  # fewer hits are left where it is played
    return engine.generate(job.seed, controls.temperature, 1, density, _told(engine, job, fill), complexity)[0]


def _told(engine: DrumEngine, job: Job, fill: tuple[bool, ...] | None = None) -> Conditions:
    """Returns what a model is told beside its task; one that knows no styles, nothing."""
    return Conditions(job.controls.style, job.bpm, fill=fill) if engine.styles else UNCONDITIONED


def _humanized(engine: DrumEngine, job: Job) -> Grid:
    told = _told(engine, job)
    return engine.humanize(job.given[0], seed=job.seed, conditions=told)  # wholly: how much is heard is decided where it is played


def _drumified(engine: DrumEngine, job: Job) -> Grid:
    return engine.drumify(job.given[0], job.seed, conditions=_told(engine, job))


def _varied(engine: DrumEngine, job: Job) -> Grid:
    return engine.vary(job.given[0], job.controls.drift, job.seed, conditions=_told(engine, job))


def _morphed(engine: DrumEngine, job: Job) -> Grid:
    first, last = job.given
    return engine.morph(first, last, job.controls.morph)


MODES: Mapping[str, Mode] = {
    "generate": Mode("generate", When.PREFETCH, "generated", ("temperature", "density", "style", "complexity"), _generated),
    "humanize": Mode("humanize", When.AFTER_RECORDING, "humanized", ("style",), _humanized),
    "drumify": Mode("drumify", When.AFTER_RECORDING, "drumified", ("style",), _drumified),
    "respond": Mode("reconstruct", When.CALL_AND_RESPONSE, "responded", ("drift", "style"), _varied),
    "vary": Mode("reconstruct", When.PREFETCH, "varied", ("drift", "style"), _varied),
    "morph": Mode("reconstruct", When.ON_CHANGE, "morphed", ("morph",), _morphed),
}


def check_playable(facts: ModelProperties) -> None:
    """Refuses a model whose loops the player cannot play: melodies, and loops of other than four bars; raises BundleError."""
    if facts.encoding == "melody":
        raise BundleError("This bundle writes melodies; drumvae-live plays drums: name another with --bundle, or type drumvae-export midi.")
    if facts.steps != LOOP_STEPS:
        loops = f"This bundle writes loops of {facts.steps / STEPS_PER_BAR:g} bars; drumvae-live plays loops of {LOOP_BARS}"
        raise BundleError(f"{loops}: name another with --bundle, or type drumvae-export midi.")


def offered_modes(facts: ModelProperties) -> tuple[str, ...]:
    """Returns the modes that a model can play."""
    return tuple(name for name, mode in MODES.items() if mode.task in facts.tasks)


def check_mode(name: str, facts: ModelProperties) -> str:
    """Returns the name of a mode; raises DrumVAEError where there is none of that name, BundleError where the model cannot do it."""
    if name not in MODES:
        raise DrumVAEError(f"There is no mode {name!r}; {nearest(name, list(MODES))}")
    if name not in (offered := offered_modes(facts)):
        raise BundleError(
            f"This bundle cannot {name}; it can do {', '.join(facts.tasks)}: type --mode {', '.join(offered) or 'none of the modes'}."
        )
    return name


NO_STYLES = "This bundle knows no styles, and takes neither complexity nor fills; name a drummer's bundle with --bundle."


def check_supported(controls: ControlState, facts: ModelProperties) -> None:
    """Refuses a style that the model does not know, with the nearest names, and what only a drummer takes; raises BundleError."""
    one_hot_style(controls.style, facts.styles)
    if not facts.styles and (controls.complexity or controls.fill_every):
        raise BundleError(NO_STYLES)


def make_loop(engine: DrumEngine, job: Job) -> Loop:
    """Runs the model once; whatever the engine raises passes through."""
    mode = MODES[job.mode]
    played = job.given[0] if mode.task == "humanize" else None
    source = f"{mode.source} with a fill" if job.fills else mode.source
    return Loop(job.index, mode.grid(engine, job), job.seed, source, job.draft, job.remake, played)


def loop_seed(seed: int, index: int) -> int:
    """Returns the seed of loop `index` (0, 1, 2, ...) of a session with a seed, in [0, 2**32).

    It is the first word of NumPy's SeedSequence((seed, index)), whose values NumPy promises to keep; neighbouring seeds share
    nothing. So a loop of a session can be made again without the ones before it.
    """
    import numpy as np

    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
