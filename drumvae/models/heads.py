"""What the top decoder layer says in, what is written at a step out. B batch, S steps, V = 9 voices, H hidden size, F features.

Every head has four verbs: `predict` for the loss, `draw` for a whole sequence at once, and as it is exported `border` for all that
a sequence can be told beforehand and `write` for one step.
"""

import torch
from torch import Tensor, nn

from ..music.encoding import VOICE_COUNT
from .config import ModelConfig
from .features import class_features
from .lstm import InputDropout

_FORBIDDEN = 1e4  # log odds against what contradicts a locked cell
_NEVER_SURE = (1e-7, 1 - 6e-8)  # noise within which log odds stay finite; 1 - 6e-8 is the number before 1


def new_head(size: int, config: ModelConfig) -> "GrooveHead | ClassHead":
    """Returns the head that a configuration names, for a top layer of `size` units."""
    return GrooveHead(size, config) if config.output == "groove" else ClassHead(size, config)


class GrooveHead(nn.Module):
    """Writes hits, velocities and offsets: nine Bernoulli draws, sigmoid and tanh (GrooVAE, Gillick et al. 2019).

    With `feel_units`, velocity and offset are decided after the step's hits and knowing them, so that a kick under a snare is
    played as such.
    """

    def __init__(self, size: int, config: ModelConfig) -> None:
        super().__init__()
        self.hits = nn.Linear(size, VOICE_COUNT)
        self.feel = _feel_layers(size, config)
        self.feel_sees_hits = config.feel_units > 0

    def predict(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Returns hit logits, velocities in [0, 1], offsets in [-1, 1], each (B, S, V), from (B, S, H) and the true grooves."""
        return self.hits(outputs), *self._feel(outputs, target[..., :VOICE_COUNT])

    def draw(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Returns grooves (B, S, F) drawn step by step on their own, with noise (B, S, V) uniform in [0, 1)."""
        hits = (torch.sigmoid(self.hits(outputs)) > noise).to(outputs)
        return self._played(outputs, hits)

    def border(self, noise: Tensor, temperature: Tensor, bias: Tensor, hit_values: Tensor, hit_mask: Tensor) -> Tensor:
        """Returns the log odds (B, S, V) above which there is a hit: the noise's own, spread by the temperature, and the bias.

        `noise`, `hit_values`, `hit_mask` (B, S, V), `temperature` (B,), `bias` (V,) in log odds. All of it is worked out before the
        first step, so that a step does no more than compare.
        """
        return self.bordered(noise, temperature, bias, hit_values, hit_mask)

    @staticmethod
    def bordered(noise: Tensor, temperature: Tensor, bias: Tensor, hit_values: Tensor, hit_mask: Tensor) -> Tensor:
        """As `border`; the bias may also be (B, S, V)."""
        noise = noise.clamp(*_NEVER_SURE)
        drawn = (torch.log(noise) - torch.log1p(-noise)) * temperature[:, None, None] + bias
        return torch.where(hit_mask > 0.5, _FORBIDDEN * (1 - 2 * hit_values), drawn)

    def write(self, hidden: Tensor, border: Tensor, temperature: Tensor) -> Tensor:
        """Returns a step of groove (B, F) from (B, H) and the step's border (B, V); the temperature is in the border."""
        return self._played(hidden, (self.hits(hidden) > border).to(hidden.dtype))

    def _played(self, outputs: Tensor, hits: Tensor) -> Tensor:
        velocities, offsets = self._feel(outputs, hits)
        return torch.cat([hits, velocities * hits, offsets * hits], dim=-1)

    def _feel(self, outputs: Tensor, hits: Tensor) -> tuple[Tensor, Tensor]:
        velocities, offsets = self.feel(torch.cat([outputs, hits], dim=-1) if self.feel_sees_hits else outputs).chunk(2, dim=-1)
        return torch.sigmoid(velocities), torch.tanh(offsets)


class ClassHead(nn.Module):
    """Writes one of many classes a step: which voices sound, or what a melody does.

    A threshold and a lock of a voice act on every class that holds it: exact, because a class is nothing but its nine hits.
    """

    codes: Tensor  # (classes, F)

    def __init__(self, size: int, config: ModelConfig) -> None:
        super().__init__()
        self.logits = nn.Linear(size, config.classes)
        self.of_voices = config.encoding == "pattern"
        self.register_buffer("codes", class_features(config.encoding), persistent=False)

    def predict(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Returns logits (B, S, classes) from (B, S, H)."""
        return (self.logits(outputs),)

    def draw(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Returns features (B, S, F) drawn step by step on their own, with noise (B, S, 1 or more) uniform in [0, 1)."""
        return self._drawn(self.logits(outputs), noise)

    def border(self, noise: Tensor, temperature: Tensor, bias: Tensor, hit_values: Tensor, hit_mask: Tensor) -> Tensor:
        """Returns what is drawn with (B, S, 1), and behind it, for patterns, what it costs to hold each voice (B, S, V) in log odds.

        Arguments are those of `GrooveHead.border`; a melody has neither bias nor locks and ignores them.
        """
        if not self.of_voices:
            return noise[..., :1]
        return torch.cat([noise[..., :1], bias + _FORBIDDEN * hit_mask * (1 - 2 * hit_values)], dim=-1)

    def write(self, hidden: Tensor, border: Tensor, temperature: Tensor) -> Tensor:
        """Returns a step's features (B, F) from (B, H), the step's border (B, 1) or (B, 1 + V), and the temperature (B, 1)."""
        scores = self.logits(hidden)
        if self.of_voices:
            scores = scores - border[..., 1:] @ self.codes.T
        return self._drawn(scores / temperature, border)

    def _drawn(self, scores: Tensor, noise: Tensor) -> Tensor:
        """Draws by inverting the cumulative distribution at the first noise of the step."""
        scores = scores.float()  # halves hold no odd number above 256, and there are 512 classes
        below = torch.softmax(scores, dim=-1).cumsum(dim=-1)
        number = (below <= noise[..., :1] * below[..., -1:]).to(scores.dtype).sum(dim=-1, keepdim=True)
        chosen = number == torch.arange(len(self.codes), device=scores.device)
        return chosen.to(scores.dtype) @ self.codes


def _feel_layers(size: int, config: ModelConfig) -> nn.Module:
    if not config.feel_units:
        return nn.Linear(size, 2 * VOICE_COUNT)
    layers = [nn.Linear(size + VOICE_COUNT, config.feel_units), nn.ReLU(), InputDropout(config.feel_keep)]
    return nn.Sequential(*layers, nn.Linear(config.feel_units, 2 * VOICE_COUNT))
