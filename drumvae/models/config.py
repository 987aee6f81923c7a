"""The hyperparameters of a model, as plain data; no torch, so that a preset can be listed without it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from drumvae.errors import RunError, nearest
from drumvae.grid import STEPS_PER_BAR


@dataclass(frozen=True)
class ModelConfig:
    """Describes a groove VAE: a bidirectional LSTM encoder, a Gaussian latent, an autoregressive LSTM decoder."""

    steps: int = 64
    """Length of a loop, in sixteenth steps."""
    latent_size: int = 256
    """Dimensions of the latent."""
    encoder_units: tuple[int, ...] = (512,)
    """LSTM units of each encoder layer, in each direction."""
    decoder_units: tuple[int, ...] = (256, 256)
    """LSTM units of each decoder layer."""
    input_keep: float = 1.0
    """Share of every LSTM layer's input that dropout keeps in training, drawn anew each step; 1 keeps all."""
    previous_keep: float = 1.0
    """Share of the decoder's previous outputs that dropout keeps, beside `input_keep`; low values make it lean on the latent."""
    bar_readout: bool = False
    """Whether the latent is read off the encoder at the end of every bar, in each direction, or only at its two ends."""
    position_size: int = 0
    """Size of a learned mark of each step that tells the decoder where in the loop it is; 0 leaves it to count."""
    show_hits: bool = False
    """Whether the decoder is shown, at each step, the hits that are given beforehand (humanize)."""
    feel_units: int = 0
    """Units of a layer that sees the step's hits before velocity and offset are decided; 0 decides all three at once."""
    feel_keep: float = 1.0
    """Share of that layer that dropout keeps."""

    def __post_init__(self) -> None:
        for name in ("encoder_units", "decoder_units"):
            object.__setattr__(self, name, tuple(int(units) for units in getattr(self, name)))
        sizes = (self.steps, self.latent_size, *self.encoder_units, *self.decoder_units)
        if min(sizes) < 1 or not self.encoder_units or not self.decoder_units or min(self.feel_units, self.position_size) < 0:
            raise RunError("A model needs at least one step, one latent dimension and one unit in each of its layers.")
        if self.bar_readout and self.steps % STEPS_PER_BAR:
            raise RunError(f"A readout at every bar needs whole bars; {self.steps} steps are not.")
        for name in ("input_keep", "previous_keep", "feel_keep"):
            if not 0 < getattr(self, name) <= 1:
                raise RunError(f"{name} is {getattr(self, name)}; it is a share above 0 and up to 1.")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ModelConfig":
        """Reads what `to_dict` wrote; raises RunError on an unknown field."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise RunError(f"A model has no {name!r}; {nearest(name, known)}")
        return cls(**values)
