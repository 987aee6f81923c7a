"""Every preset, as data: the model's size, the task, the optimiser and its schedule."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from drumvae.errors import RunError, nearest
from drumvae.models.config import ModelConfig


@dataclass(frozen=True)
class TrainConfig:
    """Describes a training run; what is saved beside a run and inside its checkpoints."""

    preset: str = "groovae_4bar"
    """The preset that the run started from."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The architecture."""
    batch_size: int = 512
    """Windows in a step of the optimiser."""
    learning_rate: float = 1e-3
    """Adam's rate at the start."""
    learning_rate_decay: float = 0.9999
    """Factor on the rate at each step, on the way to the floor."""
    learning_rate_floor: float = 1e-5
    """The rate that the decay approaches."""
    gradient_clip: float = 1.0
    """Largest norm of a gradient; 0 leaves gradients alone."""
    free_bits: float = 48.0
    """Bits of divergence from the prior that cost nothing, for the whole latent."""
    beta: float = 0.2
    """Weight of the divergence above the free bits."""
    humanize_share: float = 0.5
    """Share of the windows that are read without velocity and offset, and written back with them."""
    input_hit_drop: float = 0.0
    """Share of the hits that the encoder does not get to read, so that it learns to be told less than everything."""
    averaging: float = 0.0
    """Decay a step of a moving average of the weights, which is what is scored and kept; 0 keeps the last weights."""
    max_steps: int = 20_000
    """Steps of the optimiser after which training ends."""
    patience: int = 25
    """Epochs without a better score on validation after which training ends."""
    seed: int = 0
    """Draws the first weights, the order of windows and every dropout."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_steps", "patience"):
            if getattr(self, name) < 1:
                raise RunError(f"{name} is {getattr(self, name)}; it is at least 1.")
        for name in ("humanize_share", "input_hit_drop"):
            if not 0 <= getattr(self, name) <= 1:
                raise RunError(f"{name} is {getattr(self, name)}; it is a share from 0 to 1.")

    @property
    def tasks(self) -> tuple[str, ...]:
        """What a model trained this way can do."""
        return ("generate", "humanize") if self.humanize_share > 0 else ("generate",)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """Reads what `to_dict` wrote; raises RunError on an unknown field."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise RunError(f"A run has no {name!r}; {nearest(name, known)}")
        return cls(**{**values, "model": ModelConfig.from_dict(values.get("model", {}))})


PRESETS = {
    config.preset: config
    for config in (
        # The published GrooVAE for four bars (Gillick et al. 2019; Magenta's groovae_4bar), but for the loss, which counts
        # velocity and offset only where there is a hit, and for the half of the windows that teach it to humanize.
        TrainConfig(preset="groovae_4bar", model=ModelConfig(input_keep=0.3)),
        # The model that ships: an hour or two on two cores. Half the encoder, read at every bar; a decoder that knows where in the
        # loop it is, leans on the latent and sees the hits before it decides how they are played; small batches, averaged weights.
        TrainConfig(
            preset="stage_4bar",
            model=ModelConfig(
                encoder_units=(256,),
                previous_keep=0.5,
                bar_readout=True,
                position_size=16,
                show_hits=True,
                feel_units=128,
                feel_keep=0.7,
            ),
            batch_size=128,
            learning_rate_decay=0.9998,
            learning_rate_floor=1e-4,
            humanize_share=0.4,
            input_hit_drop=0.05,
            averaging=0.998,
        ),
    )
}


def preset(name: str) -> TrainConfig:
    """Returns a preset; raises RunError with the nearest names where there is none."""
    if name not in PRESETS:
        raise RunError(f"There is no preset {name!r}; {nearest(name, list(PRESETS))}")
    return PRESETS[name]
