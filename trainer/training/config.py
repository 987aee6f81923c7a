"""Everything that a training run can be told, as data: defaults, a preset, a file and single settings in, one configuration out."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drumvae.bundle.tasks import TASKS
from drumvae.models.config import ModelConfig
from drumvae.music.grid import STEPS_PER_BAR
from drumvae.util.errors import RunError, nearest
from drumvae.util.settings import from_table, to_toml

OPTIMISERS = ("adam", "adamw")
SCHEDULES = ("constant", "decay", "cosine", "restarts")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
SHARES = ("humanize_share", "drumify_share", "infill_share", "continue_share", "generate_share")
"""What the windows are divided into; what is left of 1 is read as it was played."""
_POSITIVE, _MANY = 1e-12, 10**9
_RANGES = (
    dict.fromkeys(("batch_size", "accumulate", "max_steps", "patience", "restart_steps", "validation_windows"), (1, _MANY))
    | dict.fromkeys(
        (
            *SHARES,
            "input_hit_drop",
            "tap_dropout",
            "taps_thinned",
            "taps_styled",
            "velocity_scaling",
            "mixed_halves",
            "conditions_keep",
            "weight_decay",
        ),
        (0, 1),
    )
    | dict.fromkeys(("learning_rate", "learning_rate_decay"), (_POSITIVE, 1))
    | dict.fromkeys(
        (
            "min_duration_s",
            "gradient_clip",
            "free_bits",
            "beta",
            "scheduled_sampling",
            "learning_rate_floor",
            "warm_up_steps",
            "feel_weight",
        ),
        (0, _MANY),
    )
    | {"beta_rate": (0, 1), "averaging": (0, 1 - 1e-9), "timing_shift": (0, 0.5), "validate_every": (0, _MANY), "seed": (0, 2**32 - 1)}
)


@dataclass(frozen=True)
class TrainConfig:
    """Describes a training run; what is saved beside a run and inside its checkpoints."""

    preset: str = "groovae_4bar"
    """The preset that the run started from."""
    about: str = ""
    """What the preset is, in a few words."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The encoding and the architecture."""
    min_duration_s: float = 0.0
    """Takes shorter than this are left out, in seconds."""
    batch_size: int = 512
    """Windows in a step of the optimiser, over all devices and all parts."""
    accumulate: int = 1
    """Parts that a step's windows are read in, one after the other, where memory is short; the gradient is the same."""
    precision: str = "32-true"
    """Arithmetic: "32-true", "bf16-mixed" or "16-mixed"."""
    optimiser: str = "adam"
    """"adam" or "adamw"."""
    learning_rate: float = 1e-3
    """The optimiser's rate at the start."""
    weight_decay: float = 0.01
    """Of AdamW."""
    warm_up_steps: int = 0
    """Steps in which the rate rises from 0."""
    schedule: str = "decay"
    """How the rate falls: "constant", "decay" by a factor a step, "cosine" over all steps, or "restarts" of it."""
    learning_rate_decay: float = 0.9999
    """Factor on the rate at each step of a "decay", on the way to the floor."""
    learning_rate_floor: float = 1e-5
    """The rate that every schedule but the constant one falls to."""
    restart_steps: int = 1000
    """Steps to the first of the warm "restarts"; each span is twice the one before."""
    gradient_clip: float = 1.0
    """Largest norm of a gradient; 0 leaves gradients alone."""
    free_bits: float = 48.0
    """Bits of divergence from the prior that cost nothing, for the whole latent."""
    beta: float = 0.2
    """Weight of the divergence above the free bits."""
    beta_rate: float = 0.0
    """Anneals the weight as beta (1 - beta_rate^step), MusicVAE's way; 0 begins with all of it."""
    scheduled_sampling: float = 0.0
    """k of the share 1 - k / (k + exp(step / k)) of steps at which the decoder sees its own last step in training; 0 never."""
    humanize_share: float = 0.0
    """Share of the windows that are read without velocity and offset, and written back with them."""
    drumify_share: float = 0.0
    """Share of the windows that are read as a tap of one voice."""
    infill_share: float = 0.0
    """Share of the windows that are read without one of their voices."""
    continue_share: float = 0.0
    """Share of the windows of which a drummer is shown the first bars."""
    generate_share: float = 0.0
    """Share of the windows of which a drummer is shown nothing but style, tempo, density and fills."""
    conditions_keep: float = 0.6
    """How often each of style, tempo, density and fills is told to a drummer."""
    mixed_halves: float = 0.0
    """Share of the windows whose second half is put in from elsewhere in the same take; a drummer's."""
    feel_weight: float = 0.5
    """Weight of velocity and timing beside the hits; a drummer's."""
    input_hit_drop: float = 0.0
    """Share of the hits that the encoder does not get to read, so that it learns to be told less than everything."""
    tap_dropout: float = 0.0
    """Most hits that are dropped before a tap is made of a window, as a share drawn for each window; soft ones go first."""
    taps_thinned: float = 0.0
    """Share of a drummer's taps that hits are dropped from."""
    taps_styled: float = 0.0
    """Share of the taps with which a drummer's readers of taps are told the style: mostly there is a tap and nothing else."""
    velocity_scaling: float = 0.0
    """Every window is played louder or softer by up to this share."""
    timing_shift: float = 0.0
    """Every window is played earlier or later by up to this many sixteenths."""
    averaging: float = 0.0
    """Decay a step of a moving average of the weights, which is what is scored and kept; 0 keeps the last weights."""
    max_steps: int = 20_000
    """Steps of the optimiser after which training ends."""
    patience: int = 25
    """Validations without a better score after which training ends."""
    validate_every: int = 0
    """Steps between validations; 0 means an epoch, but at least 100 and at most 1,000."""
    validation_windows: int = 2_000
    """Most windows that a validation scores, evenly spread."""
    seed: int = 0
    """Draws the first weights, the order of windows and every dropout."""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                reach = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
                raise RunError(f"{name} is {getattr(self, name)}; it is {reach}.")
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise RunError(f"There is no {name} {getattr(self, name)!r}; {nearest(getattr(self, name), list(known))}")
        if self.model.steps % STEPS_PER_BAR:
            raise RunError(f"model.steps is {self.model.steps}; a loop is whole bars of {STEPS_PER_BAR} steps.")
        if self.batch_size % self.accumulate:
            raise RunError(
                f"A batch of {self.batch_size} does not fall into {self.accumulate} equal parts; set accumulate to what divides it."
            )
        self._check_tasks()

    def _check_tasks(self) -> None:
        encoding = self.model.encoding
        if sum(getattr(self, name) for name in SHARES) > 1 + 1e-9:
            raise RunError(f"{', '.join(SHARES)} are more than 1 together; what is left of 1 is read as it was played.")
        drums_only = tuple(name for name in ("continue_share", "generate_share") if self.model.family != "drummer")
        for name in drums_only:
            if getattr(self, name):
                raise RunError(
                    f"{name} is {getattr(self, name)}, which a drummer alone learns; set {name} to 0, or take a drummer's preset."
                )
        impossible = {"pattern": ("humanize_share",), "melody": SHARES}.get(encoding, ())
        for name in impossible:
            if getattr(self, name):
                raise RunError(f"{name} is {getattr(self, name)}, but a {encoding} cannot be trained for that task; set {name} to 0.")

    @property
    def tasks(self) -> tuple[str, ...]:
        """What a model trained this way can do."""
        whole = 1 - sum(getattr(self, name) for name in SHARES)
        shares = {"reconstruct": whole if whole > 1e-9 else 0.0} | {name.removesuffix("_share"): getattr(self, name) for name in SHARES}
        return ("generate", *(task for task, share in shares.items() if share and task in TASKS and task != "generate"))

    @property
    def learned_tasks(self) -> tuple[str, ...]:
        """The tasks that training shows examples of: all but to generate."""
        return self.tasks[1:]

    @property
    def kind(self) -> str:
        """The corpus that it needs: "drums" or "melody"."""
        return "melody" if self.model.encoding == "melody" else "drums"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Reads what `to_dict` wrote; raises RunError on an unknown field and on a value of the wrong type."""
        return from_table(cls, values)

    def changed(self, values: Mapping[str, Any]) -> "TrainConfig":
        """Returns it with some settings changed; those of the model stand in a table of their own, as in a file."""
        mine = self.to_dict()
        model = values.get("model", {})
        if not isinstance(model, Mapping):
            return self.from_dict(mine | dict(values))  # which says what is wrong
        return self.from_dict(mine | dict(values) | {"model": mine["model"] | dict(model)})

    def save(self, path: Path) -> None:
        """Writes all of it as TOML, which `--config` reads."""
        path.write_text(to_toml(self.to_dict()), "utf-8")


def too_small(config: TrainConfig, windows: int, rejected: Mapping[str, int]) -> str:
    """Returns the sentence for so many training windows that they do not fill one step; `rejected` counts takes by reason."""
    left_out = ", ".join(f"{number} takes {reason}" for reason, number in sorted(rejected.items()))
    because = f" (left out were {left_out})" if left_out else ""
    few = f"There are {windows} windows to train on{because}, fewer than one batch of {config.batch_size}"
    fits = windows - windows % config.accumulate
    return f"{few}; type --batch-size {fits} or less, or add takes." if fits else f"{few}; add takes."


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a table of settings; raises RunError where the file is missing or no TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"The configuration {path} cannot be read ({reason}); name a TOML file with --config.") from None
    except tomllib.TOMLDecodeError as error:
        raise RunError(f"The configuration {path} is no TOML ({error}); a line looks like batch_size = 128.") from None


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Reads settings such as `model.latent_size=128` into a table; raises RunError where one has no name or value."""
    table: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        *parents, last = name.strip().split(".")
        if not equals or not last or len(parents) > 1:
            raise RunError(f"The setting {setting!r} is not NAME=VALUE; type for example --set model.latent_size=128.")
        place = table.setdefault(parents[0], {}) if parents else table
        if not isinstance(place, dict) or isinstance(place.get(last), dict):
            raise RunError(f"The setting {setting!r} contradicts one before it; give each setting once.")
        place[last] = _parsed(text.strip())
    return table


def _parsed(text: str) -> Any:
    """Reads a value as TOML does; what is none, such as a bare word, is taken as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
