"""The configuration of a training run, from defaults, a preset, a TOML file and single settings."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drumvae.bundle.tasks import GENERATE, RECONSTRUCT, TASK_TABLE
from drumvae.models.config import DrummerConfig, ModelConfig, VAEConfig
from drumvae.music.grid import STEPS_PER_BAR
from drumvae.util.errors import RunError, nearest
from drumvae.util.settings import from_table, to_toml

OPTIMISERS = ("adam", "adamw")
SCHEDULES = ("constant", "decay", "cosine", "restarts")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
SHARES = ("humanize_share", "drumify_share", "infill_share", "continue_share", "generate_share")
"""Settings with the share of each training task; the rest of the windows trains reconstruction."""
_POSITIVE, _MANY = 1e-12, 10**9
_SHARE, _COUNT, _AMOUNT, _RATE = (0, 1), (1, _MANY), (0, _MANY), (_POSITIVE, 1)
_RANGES: dict[str, tuple[float, float]] = dict.fromkeys(SHARES, _SHARE) | {
    "min_duration_s": _AMOUNT,
    "batch_size": _COUNT,
    "accumulate": _COUNT,
    "learning_rate": _RATE,
    "weight_decay": _SHARE,
    "warm_up_steps": _AMOUNT,
    "learning_rate_decay": _RATE,
    "learning_rate_floor": _AMOUNT,
    "restart_steps": _COUNT,
    "gradient_clip": _AMOUNT,
    "free_bits": _AMOUNT,
    "beta": _AMOUNT,
    "beta_rate": _SHARE,
    "scheduled_sampling": _AMOUNT,
    "conditions_keep": _SHARE,
    "mixed_halves": _SHARE,
    "feel_weight": _AMOUNT,
    "input_hit_drop": _SHARE,
    "tap_dropout": _SHARE,
    "taps_thinned": _SHARE,
    "taps_styled": _SHARE,
    "velocity_scaling": _SHARE,
    "timing_shift": (0, 0.5),
    "averaging": (0, 1 - 1e-9),
    "max_steps": _COUNT,
    "patience": _COUNT,
    "validate_every": _AMOUNT,
    "validation_windows": _COUNT,
    "seed": (0, 2**32 - 1),
}
"""The smallest and the largest value of each numeric setting."""


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a training run. They are saved in the run folder and in its checkpoints.

    >>> TrainConfig(humanize_share=0.5).tasks
    ('generate', 'reconstruct', 'humanize')
    """

    preset: str = "groovae_4bar"
    """The preset that the run is based on."""
    about: str = ""
    """A description of the preset in a few words."""
    model: ModelConfig = field(default_factory=VAEConfig)
    """The encoding and the architecture of the model."""
    min_duration_s: float = 0.0
    """Takes shorter than this are left out, in seconds."""
    batch_size: int = 512
    """Windows in a step of the optimizer, over all devices and micro-batches."""
    accumulate: int = 1
    """Micro-batches in a step. More of them need less memory and give the same gradient."""
    precision: str = "32-true"
    """Arithmetic: "32-true", "bf16-mixed" or "16-mixed"."""
    optimiser: str = "adam"
    """"adam" or "adamw"."""
    learning_rate: float = 1e-3
    """Initial learning rate of the optimizer."""
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    warm_up_steps: int = 0
    """Steps in which the learning rate rises linearly from 0."""
    schedule: str = "decay"
    """Decrease of the learning rate: "constant", "decay" by a factor a step, "cosine" over all steps, or cosine with "restarts"."""
    learning_rate_decay: float = 0.9999
    """Factor on the learning rate at each step of a "decay", down to the floor."""
    learning_rate_floor: float = 1e-5
    """Final learning rate of all schedules but the constant one."""
    restart_steps: int = 1000
    """Steps before the first of the warm "restarts"; each span is twice the previous one."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient; 0 disables clipping."""
    free_bits: float = 48.0
    """KL divergence without a loss, in bits for the whole latent."""
    beta: float = 0.2
    """Weight of the KL divergence above the free bits."""
    beta_rate: float = 0.0
    """Anneals the weight as beta (1 - beta_rate^step), as in MusicVAE; 0 disables annealing."""
    scheduled_sampling: float = 0.0
    """k of the share 1 - k / (k + exp(step / k)) of steps at which the decoder reads its own previous sample in training; 0 disables it."""
    humanize_share: float = 0.0
    """Share of the windows that train to add velocity and timing to given hits."""
    drumify_share: float = 0.0
    """Share of the windows that train to play a whole kit from a tapped rhythm."""
    infill_share: float = 0.0
    """Share of the windows that train to add a missing voice."""
    continue_share: float = 0.0
    """Share of the windows that train to continue the first bars; drummer only."""
    generate_share: float = 0.0
    """Share of the windows that train to generate from style, tempo, density and fills only; drummer only."""
    conditions_keep: float = 0.6
    """Probability with which each of style, tempo, density and fills conditions a window; drummer only."""
    mixed_halves: float = 0.0
    """Share of the windows whose second half comes from another window of the same take; drummer only."""
    feel_weight: float = 0.5
    """Weight of the velocity and timing losses relative to that of the hits; drummer only."""
    input_hit_drop: float = 0.0
    """Share of the hits that are dropped from the encoder's input, as regularization."""
    tap_dropout: float = 0.0
    """Largest share of hits, drawn for each window, that are dropped before it is converted to a tap; soft hits are dropped first."""
    taps_thinned: float = 0.0
    """Share of the taps from which hits are dropped; drummer only."""
    taps_styled: float = 0.0
    """Share of the taps that come with a style, for the tap model; in use, most taps come without. Drummer only."""
    velocity_scaling: float = 0.0
    """Largest relative change of the velocities of a window."""
    timing_shift: float = 0.0
    """Largest shift of the timing of a window, in sixteenths."""
    averaging: float = 0.0
    """Decay at each step of a moving average of the weights, which is validated and saved; 0 disables averaging."""
    max_steps: int = 20_000
    """Steps of the optimizer after which training ends."""
    patience: int = 25
    """Validations without a better score after which training ends early."""
    validate_every: int = 0
    """Steps between validations; 0 means one epoch, within 100 to 1,000 steps."""
    validation_windows: int = 2_000
    """Most windows in a validation, evenly spaced."""
    seed: int = 0
    """Seed of the initial weights, the order of windows, augmentation and dropout."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                valid_range = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
                raise RunError(f"{name} is {getattr(self, name)}; it is {valid_range}.")
        for name, choices in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise RunError(f"There is no {name} {getattr(self, name)!r}; {nearest(getattr(self, name), list(choices))}")
        if self.model.steps % STEPS_PER_BAR:
            raise RunError(f"model.steps is {self.model.steps}; a loop is whole bars of {STEPS_PER_BAR} steps.")
        if self.batch_size % self.accumulate:
            raise RunError(f"A batch of {self.batch_size} does not divide into {self.accumulate} equal parts; set accumulate to a divisor.")
        self._check_tasks()

    def _check_tasks(self) -> None:
        encoding = self.model.encoding
        if sum(getattr(self, name) for name in SHARES) > 1 + 1e-9:
            raise RunError(f"{', '.join(SHARES)} are more than 1 together; the rest of 1 trains reconstruction.")
        drums_only = tuple(name for name in ("continue_share", "generate_share") if not isinstance(self.model, DrummerConfig))
        for name in drums_only:
            if getattr(self, name):
                raise RunError(
                    f"{name} is {getattr(self, name)}, but only a drummer learns that task; set {name} to 0, or choose a drummer's preset."
                )
        for name in SHARES:
            task = TASK_TABLE.get(name.removesuffix("_share"))
            if task and encoding not in task.encodings and getattr(self, name):
                raise RunError(f"{name} is {getattr(self, name)}, but a {encoding} cannot be trained for that task; set {name} to 0.")

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of a model with this configuration."""
        rest = 1 - sum(getattr(self, name) for name in SHARES)
        shares = {RECONSTRUCT: rest if rest > 1e-9 else 0.0} | {name.removesuffix("_share"): getattr(self, name) for name in SHARES}
        return (GENERATE, *(task for task, share in shares.items() if share and task in TASK_TABLE and task != GENERATE))

    @property
    def learned_tasks(self) -> tuple[str, ...]:
        """The tasks that are validated: all but generate."""
        return self.tasks[1:]

    @property
    def kind(self) -> str:
        """The kind of corpus that the model needs: "drums" or "melody"."""
        return "melody" if self.model.encoding == "melody" else "drums"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Reads the result of `to_dict`. Raises RunError for an unknown field and for a value of the wrong type."""
        return from_table(cls, values)

    def changed(self, values: Mapping[str, Any]) -> "TrainConfig":
        """Returns a configuration with some settings changed; `model` is a table of model settings, as in a TOML file."""
        own = self.to_dict()
        model = values.get("model", {})
        if not isinstance(model, Mapping):
            return self.from_dict(own | dict(values))  # raises RunError
        return self.from_dict(own | dict(values) | {"model": self.model.changed(model).to_dict()})

    def save(self, path: Path) -> None:
        """Writes all settings as TOML, for `--config`."""
        path.write_text(to_toml(self.to_dict()), "utf-8")


def too_small(config: TrainConfig, windows: int, rejected: Mapping[str, int]) -> str:
    """Returns the error for a corpus with fewer training windows than a batch; `rejected` counts takes by reason."""
    left_out = ", ".join(f"{number} takes {reason}" for reason, number in sorted(rejected.items()))
    reasons = f" (left out: {left_out})" if left_out else ""
    problem = f"There are {windows} windows to train on{reasons}, fewer than one batch of {config.batch_size}"
    size = windows - windows % config.accumulate
    return f"{problem}; type --batch-size {size} or less, or add takes." if size else f"{problem}; add takes."
