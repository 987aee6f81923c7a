"""Defines the modes of the drummer: when a mode needs a loop, the job for it, and how the engine makes its grid.

To add a mode, add an entry to MODES and its name to `controls.actions.MODE_NAMES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from drumvae.music.conditions import UNCONDITIONED, Conditions, one_hot_style
from drumvae.music.grid import LOOP_BARS, LOOP_STEPS, STEPS_PER_BAR, Grid
from drumvae.util.errors import BundleError, DrumVAEError, nearest

from ..controls.state import ControlState
from ..looper.loop import Loop


class DrumEngine(Protocol):
    """The musical verbs that the modes call; drumvae.inference.engine.Engine has them."""

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
    """The properties of a model that decide how it can be used in a session."""

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
    """A request for one loop. It is pickled for another process, so it holds plain values only."""

    index: int
    """The number of the loop in the session, from 0."""
    seed: int
    mode: str
    """A key of MODES."""
    inputs: tuple[Grid, ...] = ()
    """The input grids of the mode: none, the recorded or varied one, or the two that are morphed."""
    controls: ControlState = field(default_factory=ControlState)
    """A snapshot: a remake compares it with the current values."""
    draft: bool = False
    """Whether the recording is incomplete. A draft is played if the full loop is late."""
    remake: bool = False
    """Whether it replaces the loop that plays, from the next bar on, after a change of the control values."""
    bpm: float | None = None
    """The tempo of the song; None if it is unknown."""
    fill: bool = False
    """Whether a fill was requested, once, in its last bar."""

    @property
    def ends_in_fill(self) -> bool:
        """Whether its last bar is a fill: a requested one, or the regular one of `fill_every`."""
        every = self.controls.fill_every
        return self.mode == "generate" and (self.fill or (every > 0 and (self.index + 1) % every == 0))


class When(Enum):
    """When a mode needs the next loop."""

    PREFETCH = auto()
    """As soon as the previous loop has started."""
    AFTER_RECORDING = auto()
    """After four bars with notes in them."""
    CALL_AND_RESPONSE = auto()
    """After four bars with notes in them, during which the drummer rests."""
    ON_CHANGE = auto()
    """When an amount or an input grid has changed."""


@dataclass(frozen=True)
class Mode:
    """How a job becomes a loop, and when the next job is due."""

    task: str
    """The task that the bundle must support."""
    when: When
    source: str
    """The word for its loops on the display and in track names, such as "humanized"."""
    amounts: tuple[str, ...]
    """The fields of ControlState that its loops depend on."""
    grid: Callable[[DrumEngine, Job], Grid]

    @property
    def listens(self) -> bool:
        """Whether it answers the recorded notes."""
        return self.when in (When.AFTER_RECORDING, When.CALL_AND_RESPONSE)


def _generate(engine: DrumEngine, job: Job) -> Grid:
    controls = job.controls
    fill = (*[False] * (LOOP_BARS - 1), job.ends_in_fill) if job.ends_in_fill or controls.fill_every else None
    complexity = controls.complexity if engine.styles else 0.0
    density = max(controls.density, 1.0)  # below 1, hits are left out while the loop is played
    return engine.generate(job.seed, controls.temperature, 1, density, _conditions(engine, job, fill), complexity)[0]


def _conditions(engine: DrumEngine, job: Job, fill: tuple[bool, ...] | None = None) -> Conditions:
    return Conditions(job.controls.style, job.bpm, fill=fill) if engine.styles else UNCONDITIONED


def _humanize(engine: DrumEngine, job: Job) -> Grid:
    return engine.humanize(job.inputs[0], seed=job.seed, conditions=_conditions(engine, job))  # the amount is applied while playing


def _drumify(engine: DrumEngine, job: Job) -> Grid:
    return engine.drumify(job.inputs[0], job.seed, conditions=_conditions(engine, job))


def _vary(engine: DrumEngine, job: Job) -> Grid:
    return engine.vary(job.inputs[0], job.controls.drift, job.seed, conditions=_conditions(engine, job))


def _morph(engine: DrumEngine, job: Job) -> Grid:
    first, last = job.inputs
    return engine.morph(first, last, job.controls.morph)


MODES: Mapping[str, Mode] = {
    "generate": Mode("generate", When.PREFETCH, "generated", ("temperature", "density", "style", "complexity"), _generate),
    "humanize": Mode("humanize", When.AFTER_RECORDING, "humanized", ("style",), _humanize),
    "drumify": Mode("drumify", When.AFTER_RECORDING, "drumified", ("style",), _drumify),
    "respond": Mode("reconstruct", When.CALL_AND_RESPONSE, "responded", ("drift", "style"), _vary),
    "vary": Mode("reconstruct", When.PREFETCH, "varied", ("drift", "style"), _vary),
    "morph": Mode("reconstruct", When.ON_CHANGE, "morphed", ("morph",), _morph),
}


def check_playable(model: ModelProperties) -> None:
    """Raises BundleError for a model of melodies, and for one whose loops are not four bars long."""
    if model.encoding == "melody":
        raise BundleError("This bundle writes melodies; drumvae-live plays drums: name another with --bundle, or type drumvae-export midi.")
    if model.steps != LOOP_STEPS:
        loops = f"This bundle writes loops of {model.steps / STEPS_PER_BAR:g} bars; drumvae-live plays loops of {LOOP_BARS}"
        raise BundleError(f"{loops}: name another with --bundle, or type drumvae-export midi.")


def available_modes(model: ModelProperties) -> tuple[str, ...]:
    """Returns the modes that a model supports."""
    return tuple(name for name, mode in MODES.items() if mode.task in model.tasks)


def check_mode(name: str, model: ModelProperties) -> str:
    """Returns the name of a mode; raises DrumVAEError for an unknown name, BundleError where the model does not support it."""
    if name not in MODES:
        raise DrumVAEError(f"There is no mode {name!r}; {nearest(name, list(MODES))}")
    if name not in (available := available_modes(model)):
        raise BundleError(
            f"This bundle cannot {name}; it can do {', '.join(model.tasks)}: type --mode {', '.join(available) or 'none of the modes'}."
        )
    return name


NO_STYLES = "This bundle knows no styles, and takes neither complexity nor fills; name a drummer's bundle with --bundle."


def check_supported(controls: ControlState, model: ModelProperties) -> None:
    """Raises BundleError for an unknown style, with the nearest names, and for conditions that the model does not take."""
    one_hot_style(controls.style, model.styles)
    if not model.styles and (controls.complexity or controls.fill_every):
        raise BundleError(NO_STYLES)


def make_loop(engine: DrumEngine, job: Job) -> Loop:
    """Runs the model once; exceptions of the engine pass through."""
    mode = MODES[job.mode]
    dry_grid = job.inputs[0] if mode.task == "humanize" else None
    source = f"{mode.source} with a fill" if job.ends_in_fill else mode.source
    return Loop(job.index, mode.grid(engine, job), job.seed, source, job.draft, job.remake, dry_grid)


def loop_seed(seed: int, index: int) -> int:
    """Returns the seed of loop `index` (0, 1, 2, ...) of a session with a seed, in [0, 2**32).

    It is the first word of NumPy's SeedSequence((seed, index)), whose values NumPy promises to keep; neighbouring seeds share
    nothing. So a loop of a session can be made again without the ones before it.

    >>> loop_seed(1, 0)
    1835504127
    """
    import numpy as np

    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
