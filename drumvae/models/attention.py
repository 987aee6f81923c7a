"""Defines transformer layers over the steps of a loop. B batch, S steps, D width."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from ..music.grid import STEPS_PER_BAR


class LoopDropout(nn.Module):
    """Drops the same features at every step of a loop (Gal and Ghahramani 2016): as accurate as a mask for each step, and much faster."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, steps: Tensor) -> Tensor:
        if not self.drop or not self.training:
            return steps
        kept = torch.rand(steps.shape[0], 1, steps.shape[2], device=steps.device) >= self.drop
        return steps * (kept.to(steps.dtype) / (1 - self.drop))


class TransformerBlock(nn.Module):
    """One pre-norm transformer layer with full self-attention (Vaswani et al. 2017; Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int, drop: float) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = LoopDropout(drop)

    def forward(self, steps: Tensor) -> Tensor:
        """Returns steps (B, S, D) for steps (B, S, D)."""
        batch, count, width = steps.shape
        qkv = self.qkv(self.ln1(steps)).view(batch, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, S, D / heads)
        scores = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5
        attn = torch.softmax(scores, dim=-1).to(value.dtype) @ value  # the fused kernel's gradient is slower on a CPU
        steps = steps + self.dropout(self.proj(attn.transpose(1, 2).reshape(batch, count, width)))
        result: Tensor = steps + self.dropout(self.fc2(self.dropout(gelu(self.fc1(self.ln2(steps)), approximate="tanh"))))
        return result


class PositionalEmbedding(nn.Module):
    """Learns an embedding of each step in its bar, and of each bar in the loop."""

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.randn(STEPS_PER_BAR, width) * 0.05)
        self.bar = nn.Parameter(torch.randn(steps // STEPS_PER_BAR, 1, width) * 0.05)

    def forward(self) -> Tensor:
        """Returns embeddings (S, D)."""
        return (self.step + self.bar).flatten(0, 1)
