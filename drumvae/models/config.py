"""Defines the hyperparameters of the two families of models, without torch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..bundle.schema import DRUMMER, FAMILIES, LSTM
from ..music.encoding import GROOVE_SIZE, MELODY_CLASSES, PATTERN_CLASSES, VOICE_COUNT
from ..music.grid import STEPS_PER_BAR
from ..util.errors import RunError, nearest
from ..util.settings import from_table

OUTPUT_OF = {"groove": "groove", "pattern": "categorical", "melody": "categorical"}
"""The output layer of each encoding."""
PLANS = ("flat", "conductor", "segments")
LAGS = (1, 2, 4, 8, 16, 32)
"""Distances in steps at which a drummer's core reads its own earlier hits."""
READ_SIZE = 16
"""Features of each step from which a drummer's latent is computed, and to which it is expanded."""
TAP_SIZE = 3
"""Features of a step of a tap: hit (0 or 1), velocity in [0, 1], offset in [-1, 1]."""
TAP_VELOCITIES, TAP_OFFSETS = 12, 8
"""Levels to which velocities and offsets of a tap are compared."""
TAP_FEATURES = TAP_SIZE + TAP_VELOCITIES + TAP_OFFSETS + 8
"""Features of each step that the tap model reads."""


@dataclass(frozen=True)
class ModelConfig(ABC):
    """Holds the hyperparameters that all models have; `from_dict` returns the configuration of a family.

    >>> ModelConfig.from_dict({"family": "drummer", "latent_size": 96}).feel_layers
    1
    """

    family: str = field(init=False)
    """"lstm" (`VAEConfig`) or "drummer" (`DrummerConfig`)."""
    encoding: str = "groove"
    """The encoder's input, as in `drumvae.music.encoding`: "groove", "pattern" or "melody"."""
    output: str = "groove"
    """The decoder's output: "groove" (hits, velocities, offsets) or "categorical" (one class a step)."""
    steps: int = 64
    """Length of a loop, in sixteenth steps."""
    latent_size: int = 256
    """Dimensions of the latent."""
    previous_keep: float = 1.0
    """Share of the decoder's previous outputs that dropout keeps; low values make it rely on the latent."""

    def __post_init__(self) -> None:
        self._check_encoding()
        if min(self.steps, self.latent_size) < 1:
            raise RunError("A model needs at least one step and one latent dimension.")
        self._check_family()
        for name in (each.name for each in fields(self) if each.name.endswith("keep")):
            if not 0 < getattr(self, name) <= 1:
                raise RunError(f"model.{name} is {getattr(self, name)}; it is a share above 0 and up to 1.")

    @abstractmethod
    def _check_family(self) -> None:
        """Raises RunError for impossible values of the fields that only this family has."""

    def _check_encoding(self) -> None:
        """Refuses an output whose loss does not fit the encoding; training would not converge."""
        if self.encoding not in OUTPUT_OF:
            raise RunError(f"There is no encoding {self.encoding!r}; {nearest(self.encoding, list(OUTPUT_OF))}")
        wanted = OUTPUT_OF[self.encoding]
        if self.output != wanted:
            holds = "a groove holds 27 numbers a step" if self.encoding == "groove" else f"a {self.encoding} is one class a step"
            raise RunError(
                f"An output of {self.output!r} cannot learn the encoding {self.encoding!r}: {holds}. Set model.output to {wanted!r},"
                " or choose another model.encoding."
            )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "ModelConfig":
        """Returns the configuration of the family that a table names, "lstm" by default; the table is as written by `to_dict`.

        Saved tables can hold the fields of both families. A field of the other family is ignored if it has its default.

        Raises:
            RunError: There is no such family, a field is unknown or of the other family, or a value has the wrong type.
        """
        family = values.get("family", LSTM)
        if family not in FAMILIES:
            raise RunError(f"There is no family {family!r}; {nearest(str(family), list(FAMILIES))}")
        cls, other = (VAEConfig, DrummerConfig) if family == LSTM else (DrummerConfig, VAEConfig)
        foreign = {each.name: each.default for each in fields(other) if each.name not in {own.name for own in fields(cls)}}
        for name, default in foreign.items():
            value = values.get(name, default)
            if (tuple(value) if isinstance(value, list) else value) != default:
                raise RunError(
                    f"model.{name} is a setting of the family {other.family!r}, and this model is of the family {family!r};"
                    f" omit it, or set model.family to {other.family!r}."
                )
        return from_table(cls, {name: value for name, value in values.items() if name not in (*foreign, "family")}, "model.")

    def changed(self, values: Mapping[str, Any]) -> "ModelConfig":
        """Returns a configuration with some fields changed. With another family, it keeps the fields that both families have."""
        own = self.to_dict()
        if values.get("family", self.family) != self.family:
            own = {each.name: own[each.name] for each in fields(ModelConfig)}
        return self.from_dict(own | dict(values))


@dataclass(frozen=True)
class VAEConfig(ModelConfig):
    """Describes a VAE of loops: a bidirectional LSTM encoder, a Gaussian latent, a plan of the loop, an autoregressive LSTM decoder.

    >>> VAEConfig(plan="conductor", segments=16).plan_size
    256
    """

    family: str = field(default=LSTM, init=False)
    encoder_units: tuple[int, ...] = (512,)
    """LSTM units of each encoder layer, in each direction."""
    decoder_units: tuple[int, ...] = (256, 256)
    """LSTM units of each decoder layer."""
    plan: str = "flat"
    """How the latent reaches the steps: "flat" (the same at every step), "conductor" (an LSTM over segments), "segments" (a layer)."""
    segments: int = 1
    """Parts of the loop, each with its own plan and its own first decoder state; 1 if the plan is flat."""
    conductor_units: tuple[int, ...] = (256, 256)
    """LSTM units of each conductor layer; only a conductor has them."""
    segment_size: int = 64
    """Size of each segment's part of the plan; only a plan of segments has it."""
    input_keep: float = 1.0
    """Share of every LSTM layer's input that dropout keeps in training, with a new mask at each step; 1 keeps all."""
    bar_readout: bool = False
    """Whether the latent is computed from the encoder's states at the end of every bar, in each direction, or only at its two ends."""
    position_size: int = 0
    """Size of a learned embedding of each step's position in the decoder; 0 for none."""
    show_hits: bool = False
    """Whether the decoder reads the given hits of each step (humanize); grooves only."""
    feel_units: int = 0
    """Units of a layer that predicts velocity and offset from the step's hits; 0 predicts all three from the same state."""
    feel_keep: float = 1.0
    """Share of that layer that dropout keeps."""

    def _check_family(self) -> None:
        if self.encoding != "groove" and (self.show_hits or self.feel_units):
            raise RunError(f"model.show_hits and model.feel_units are for grooves; a {self.encoding} has no feel to decide.")
        units = (self.encoder_units, self.decoder_units, self.conductor_units)
        if min(self.segments, self.segment_size) < 1 or any(not layers or min(layers) < 1 for layers in units):
            raise RunError("A model needs at least one segment and one unit in each of its layers.")
        if min(self.feel_units, self.position_size) < 0:
            raise RunError("model.feel_units and model.position_size are 0 or more.")
        if self.bar_readout and self.steps % STEPS_PER_BAR:
            raise RunError(f"A readout at every bar needs whole bars; {self.steps} steps are not.")
        self._check_plan()

    def _check_plan(self) -> None:
        if self.plan not in PLANS:
            raise RunError(f"There is no plan {self.plan!r}; {nearest(self.plan, list(PLANS))}")
        if (self.plan == "flat") != (self.segments == 1):
            raise RunError(f"A {self.plan} plan cannot have {self.segments} segments; a flat one has 1, the others 2 and more.")
        if self.steps % self.segments:
            raise RunError(f"{self.steps} steps do not fall into {self.segments} equal segments; choose model.segments that divides them.")

    @property
    def feature_size(self) -> int:
        """Features of a step that encoder and decoder read."""
        return {"groove": GROOVE_SIZE, "pattern": VOICE_COUNT, "melody": MELODY_CLASSES}[self.encoding]

    @property
    def classes(self) -> int:
        """Classes a step of a categorical output."""
        return MELODY_CLASSES if self.encoding == "melody" else PATTERN_CLASSES

    @property
    def plan_size(self) -> int:
        """Features of a segment's plan."""
        return {"flat": self.latent_size, "conductor": self.conductor_units[-1], "segments": self.segment_size}[self.plan]


@dataclass(frozen=True)
class DrummerConfig(ModelConfig):
    """Describes one model for all tasks (`drumvae.models.drummer`).

    >>> DrummerConfig(styles=("funk", "jazz")).width
    128
    """

    family: str = field(default=DRUMMER, init=False)
    styles: tuple[str, ...] = ()
    """Styles that condition the model, as the corpus names them."""
    width: int = 128
    """Features of each step in the transformer layers."""
    heads: int = 4
    """Attention heads of a layer."""
    encoder_layers: int = 2
    """Transformer layers of the encoder."""
    context_layers: int = 4
    """Transformer layers that compute the context from the known parts of a loop."""
    feel_layers: int = 1
    """Transformer layers that predict the expression of the hits."""
    core_units: int = 96
    """Units of the recurrent core that predicts the hits."""
    moods: int = 4
    """Low-rank factors of the expression that a loop shares."""
    readers: int = 9
    """Members of the tap model's ensemble (`drumvae.models.tap_model`); every second begins with an LSTM."""
    reader_width: int = 72
    """Features of each step in a member."""
    reader_layers: int = 3
    """Layers of a member."""
    reader_keep: float = 1.0
    """Share that dropout keeps in a member's layers."""
    keep: float = 1.0
    """Share that dropout keeps in the other layers."""

    def _check_family(self) -> None:
        counts = ("heads", "encoder_layers", "context_layers", "feel_layers", "core_units", "readers", "reader_layers")
        least = dict.fromkeys(counts, 1) | {"moods": 0}
        few = [f"model.{name} is {getattr(self, name)}" for name, count in least.items() if getattr(self, name) < count]
        if few:
            raise RunError(f"{', '.join(few)}; a drummer has 1 or more of each, and 0 moods or more.")
        for name in ("width", "reader_width"):
            if getattr(self, name) < 1 or getattr(self, name) % self.heads:
                raise RunError(f"model.{name} is {getattr(self, name)}; {self.heads} heads need a whole multiple of {self.heads}.")
        if self.readers > 1 and self.reader_width % 2:
            raise RunError(f"model.reader_width is {self.reader_width}; readers in both directions need an even one.")
