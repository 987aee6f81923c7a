"""What reads a loop as a whole: transformer layers over its steps. B batch, S steps, D width."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from ..music.grid import STEPS_PER_BAR


class LoopDropout(nn.Module):
    """Drops the same numbers at every step of a loop (Gal and Ghahramani 2016): as good as drawing anew, and much faster to draw."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, steps: Tensor) -> Tensor:
        if not self.drop or not self.training:
            return steps
        kept = torch.rand(steps.shape[0], 1, steps.shape[2], device=steps.device) >= self.drop
        return steps * (kept.to(steps.dtype) / (1 - self.drop))


class TransformerBlock(nn.Module):
    """One pre-norm transformer layer in which every step sees every other (Vaswani et al. 2017; Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, drop: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked = nn.Linear(width, 3 * width)
        self.answered = nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = LoopDropout(drop)

    def forward(self, steps: Tensor) -> Tensor:
        """Returns steps (B, S, D) of steps (B, S, D)."""
        size, count, width = steps.shape
        parts = self.asked(self.before(steps)).view(size, count, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, S, D / heads)
        alike = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5
        seen = torch.softmax(alike, dim=-1).to(value.dtype) @ value  # by hand: the fused kernel's gradient is slower on a CPU
        steps = steps + self.dropout(self.answered(seen.transpose(1, 2).reshape(size, count, width)))
        result: Tensor = steps + self.dropout(self.narrow(self.dropout(gelu(self.wide(self.between(steps)), approximate="tanh"))))
        return result


class PositionalEmbedding(nn.Module):
    """Tells every step where in its bar, and in which bar, it lies."""

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.in_bar = nn.Parameter(torch.randn(STEPS_PER_BAR, width) * 0.05)
        self.of_bar = nn.Parameter(torch.randn(steps // STEPS_PER_BAR, 1, width) * 0.05)

    def forward(self) -> Tensor:
        """Returns marks (S, D)."""
        return (self.in_bar + self.of_bar).flatten(0, 1)
