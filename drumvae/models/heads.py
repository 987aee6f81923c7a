"""Defines the output layers of a decoder. B batch, S steps, V = 9 voices, H hidden size, F features.

Both heads have four methods: `predict` for the loss, `sample` for a whole sequence at once, and for export `hit_threshold`, which
computes everything that does not depend on earlier steps, and `step_output` for one step.
"""

import torch
from torch import Tensor, nn

from ..music.encoding import VOICE_COUNT
from .config import VAEConfig
from .features import class_features
from .lstm import InputDropout

_FORBIDDEN = 1e4  # log odds against a hit that contradicts the hit mask
_NOISE_RANGE = (1e-7, 1 - 6e-8)  # for finite log odds; 1 - 6e-8 is the largest float32 below 1


def new_head(size: int, config: VAEConfig) -> "GrooveHead | ClassHead":
    """Returns the configured head for a top layer of `size` units."""
    return GrooveHead(size, config) if config.output == "groove" else ClassHead(size, config)


class GrooveHead(nn.Module):
    """Outputs hits, velocities and offsets: nine Bernoulli draws, sigmoid and tanh (GrooVAE, Gillick et al. 2019).

    With `feel_units`, velocity and offset are conditioned on the step's hits: a kick under a snare is played differently from one alone.
    """

    def __init__(self, size: int, config: VAEConfig) -> None:
        super().__init__()
        self.hits = nn.Linear(size, VOICE_COUNT)
        self.expression = _expression_layers(size, config)
        self.expression_sees_hits = config.feel_units > 0

    def predict(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Returns hit logits, velocities in [0, 1], offsets in [-1, 1], each (B, S, V), from (B, S, H) and the true grooves."""
        return self.hits(outputs), *self._expression(outputs, target[..., :VOICE_COUNT])

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Samples grooves (B, S, F), each step independently, with noise (B, S, V) uniform in [0, 1)."""
        hits = (torch.sigmoid(self.hits(outputs)) > noise).to(outputs)
        return self._with_expression(outputs, hits)

    @staticmethod
    def hit_threshold(noise: Tensor, temperature: Tensor, bias: Tensor, hit_values: Tensor, hit_mask: Tensor) -> Tensor:
        """Returns the log odds (B, S, V) above which there is a hit: those of the noise times the temperature, plus the bias.

        A step then only compares its logits with them.

        Args:
            noise: Uniform in [0, 1), (B, S, V).
            temperature: Above 0, (B,).
            bias: Log odds, (V,) or (B, S, V).
            hit_values: Hits, 0 or 1, that are kept where `hit_mask` is 1; (B, S, V).
            hit_mask: 0 or 1, (B, S, V).
        """
        noise = noise.clamp(*_NOISE_RANGE)
        sampled = (torch.log(noise) - torch.log1p(-noise)) * temperature[:, None, None] + bias
        return torch.where(hit_mask > 0.5, _FORBIDDEN * (1 - 2 * hit_values), sampled)

    def step_output(self, hidden: Tensor, threshold: Tensor, temperature: Tensor) -> Tensor:
        """Returns a step of groove (B, F) from (B, H) and the step's threshold (B, V), which includes the temperature."""
        return self._with_expression(hidden, (self.hits(hidden) > threshold).to(hidden.dtype))

    def _with_expression(self, outputs: Tensor, hits: Tensor) -> Tensor:
        velocities, offsets = self._expression(outputs, hits)
        return torch.cat([hits, velocities * hits, offsets * hits], dim=-1)

    def _expression(self, outputs: Tensor, hits: Tensor) -> tuple[Tensor, Tensor]:
        velocities, offsets = self.expression(torch.cat([outputs, hits], dim=-1) if self.expression_sees_hits else outputs).chunk(2, dim=-1)
        return torch.sigmoid(velocities), torch.tanh(offsets)


class ClassHead(nn.Module):
    """Outputs one of many classes a step: the voices that have a hit, or the event of a melody.

    The threshold and the mask of a voice apply to every class that contains the voice, which is exact: a class is its nine hits.
    """

    codes: Tensor  # (classes, F)

    def __init__(self, size: int, config: VAEConfig) -> None:
        super().__init__()
        self.logits = nn.Linear(size, config.classes)
        self.of_voices = config.encoding == "pattern"
        self.register_buffer("codes", class_features(config.encoding), persistent=False)

    def predict(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Returns logits (B, S, classes) from (B, S, H)."""
        return (self.logits(outputs),)

    def sample(self, outputs: Tensor, noise: Tensor) -> Tensor:
        """Samples features (B, S, F), each step independently, with noise (B, S, 1 or more) uniform in [0, 1)."""
        return self._sample(self.logits(outputs), noise)

    def hit_threshold(self, noise: Tensor, temperature: Tensor, bias: Tensor, hit_values: Tensor, hit_mask: Tensor) -> Tensor:
        """Returns the noise of each step (B, S, 1), and for patterns the cost of each voice in log odds (B, S, V) after it.

        Arguments are those of `GrooveHead.hit_threshold`; melodies ignore all but the noise.
        """
        if not self.of_voices:
            return noise[..., :1]
        return torch.cat([noise[..., :1], bias + _FORBIDDEN * hit_mask * (1 - 2 * hit_values)], dim=-1)

    def step_output(self, hidden: Tensor, threshold: Tensor, temperature: Tensor) -> Tensor:
        """Returns a step's features (B, F) from (B, H), the step's threshold (B, 1) or (B, 1 + V), and the temperature (B, 1)."""
        scores = self.logits(hidden)
        if self.of_voices:
            scores = scores - threshold[..., 1:] @ self.codes.T
        return self._sample(scores / temperature, threshold)

    def _sample(self, scores: Tensor, noise: Tensor) -> Tensor:
        """Inverts the cumulative distribution at the first noise of the step."""
        scores = scores.float()  # bfloat16 holds no odd number above 256, and there are 512 classes
        below = torch.softmax(scores, dim=-1).cumsum(dim=-1)
        number = (below <= noise[..., :1] * below[..., -1:]).to(scores.dtype).sum(dim=-1, keepdim=True)
        sampled = number == torch.arange(len(self.codes), device=scores.device)
        return sampled.to(scores.dtype) @ self.codes


def _expression_layers(size: int, config: VAEConfig) -> nn.Module:
    if not config.feel_units:
        return nn.Linear(size, 2 * VOICE_COUNT)
    layers = [nn.Linear(size + VOICE_COUNT, config.feel_units), nn.ReLU(), InputDropout(config.feel_keep)]
    return nn.Sequential(*layers, nn.Linear(config.feel_units, 2 * VOICE_COUNT))
