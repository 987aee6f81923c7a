"""Latents in, loops out: an LSTM that writes a groove step by step, each step seeing the one before.

B batch, S steps, V = 9 voices, Z latent size. Outputs are groove tensors; their three blocks are hits, velocities, offsets.
The decoder exists twice over the same weights: `teacher_forced` runs whole layers at once for training, `forward` writes its
own previous step for sampling and for export.
"""

import torch
from torch import Tensor, nn

from ..tensors import GROOVE_SIZE, VOICE_COUNT
from .config import ModelConfig
from .lstm import InputDropout, lstm_step, new_lstm


class GrooveDecoder(nn.Module):
    """The GrooVAE decoder (Gillick et al. 2019), with three options of our own.

    With `position_size`, a learned mark tells the step from its place in the loop. With `feel_units`, velocity and offset are decided after the step's hits and knowing them, so that a kick under a snare is
    played as such. With `show_hits`, hits that are given beforehand are seen at their step; a flag tells given from unknown.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.steps = config.steps
        self.show_hits = config.show_hits
        shown = VOICE_COUNT + 1 if config.show_hits else 0
        sizes = [GROOVE_SIZE + shown + config.position_size + config.latent_size, *config.decoder_units]
        self.positions = nn.Parameter(torch.randn(config.steps, config.position_size) * 0.1)  # (S, P)
        self.layers = nn.ModuleList(new_lstm(size, units) for size, units in zip(sizes, config.decoder_units, strict=False))
        self.initial = nn.Linear(config.latent_size, 2 * sum(config.decoder_units))
        nn.init.normal_(self.initial.weight, std=0.001)
        nn.init.zeros_(self.initial.bias)
        self.dropout = InputDropout(config.input_keep)
        self.previous_dropout = InputDropout(config.previous_keep)
        self.hits = nn.Linear(sizes[-1], VOICE_COUNT)
        self.feel = _feel_head(sizes[-1], config)
        self.feel_sees_hits = config.feel_units > 0

    def teacher_forced(self, latent: Tensor, target: Tensor, given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns hit logits, velocities in [0, 1], offsets in [-1, 1], each (B, S, V), with the true previous step at every step.

        `latent` (B, Z); `target` (B, S, 27); `given` (B,) is 1 where a window's hits are given beforehand.
        """
        previous = self.previous_dropout(nn.functional.pad(target[:, :-1], (0, 0, 1, 0)))  # the first step sees silence
        positions = self.positions.expand(len(latent), -1, -1)
        parts = [previous, positions, latent[:, None].expand(-1, self.steps, -1)]
        hits = target[..., :VOICE_COUNT]
        if self.show_hits:
            flag = given[:, None, None].expand(-1, self.steps, 1)
            parts[1:1] = [hits * flag, flag]
        outputs = torch.cat(parts, dim=-1)  # (B, S, 27 + shown + P + Z)
        for layer, (hidden, cell) in zip(self.layers, self._initial_state(latent), strict=True):
            outputs, _ = layer(self.dropout(outputs), (hidden[None], cell[None]))
        return self.hits(outputs), *self._feel(outputs, hits)

    def forward(
        self, latent: Tensor, noise: Tensor, temperature: Tensor, thresholds: Tensor, locked_hits: Tensor, locked: Tensor
    ) -> Tensor:
        """Writes loops as groove tensors (B, S, 27) with hits in {0, 1}.

        `latent` (B, Z). `noise` (B, S, V) uniform in [0, 1) decides the hits; 0.5 everywhere takes every hit that is likelier
        than its threshold. `temperature` (B,) above 0 spreads them. `thresholds` (V,) in (0, 1): a higher one means fewer
        hits, 0.5 leaves the model as it is. `locked_hits` (B, S, V) in {0, 1} are kept wherever `locked` (B, S, V) is 1.
        """
        first, *upper = self.layers
        known = GROOVE_SIZE + (VOICE_COUNT + 1 if self.show_hits else 0)
        from_previous, from_position, from_latent = first.weight_ih_l0.split([known, self.positions.shape[1], latent.shape[1]], dim=1)
        of_loop = nn.functional.linear(latent, from_latent, first.bias_ih_l0 + first.bias_hh_l0)  # (B, 4 units)
        of_steps = nn.functional.linear(self.positions, from_position)  # (S, 4 units)
        bias = torch.log(thresholds) - torch.log1p(-thresholds)
        # A loop whose every cell is given is "given" to the model, as in training.
        flag = locked.flatten(1).amin(dim=1, keepdim=True)  # (B, 1)
        states = self._initial_state(latent)
        previous = latent.new_zeros(latent.shape[0], GROOVE_SIZE)
        written = []
        for step in range(self.steps):
            seen = [previous, locked_hits[:, step] * flag, flag] if self.show_hits else [previous]
            gates = of_loop + of_steps[step] + nn.functional.linear(torch.cat(seen, dim=-1), from_previous)
            previous, states = self._write_step(
                gates, states, upper, bias, temperature, noise[:, step], locked_hits[:, step], locked[:, step]
            )
            written.append(previous)
        return torch.stack(written, dim=1)

    def _write_step(
        self,
        gates: Tensor,
        states: list[tuple[Tensor, Tensor]],
        upper: list[nn.Module],
        bias: Tensor,
        temperature: Tensor,
        noise: Tensor,
        locked_hits: Tensor,
        locked: Tensor,
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Returns one step of groove (B, 27) and the new states."""
        hidden, cell = states[0]
        hidden, cell = lstm_step(gates + nn.functional.linear(hidden, self.layers[0].weight_hh_l0), cell)
        new_states = [(hidden, cell)]
        for layer, (upper_hidden, upper_cell) in zip(upper, states[1:], strict=True):
            gates = nn.functional.linear(hidden, layer.weight_ih_l0, layer.bias_ih_l0 + layer.bias_hh_l0)
            hidden, cell = lstm_step(gates + nn.functional.linear(upper_hidden, layer.weight_hh_l0), upper_cell)
            new_states.append((hidden, cell))
        likely = torch.sigmoid((self.hits(hidden) - bias) / temperature[:, None])
        hits = (likely > noise).to(hidden.dtype)
        hits = hits + locked * (locked_hits - hits)
        velocities, offsets = self._feel(hidden, hits)
        return torch.cat([hits, velocities * hits, offsets * hits], dim=-1), new_states

    def _feel(self, outputs: Tensor, hits: Tensor) -> tuple[Tensor, Tensor]:
        """Returns velocities and offsets, each (..., V), from the top layer and the step's hits."""
        velocities, offsets = self.feel(torch.cat([outputs, hits], dim=-1) if self.feel_sees_hits else outputs).chunk(2, dim=-1)
        return torch.sigmoid(velocities), torch.tanh(offsets)

    def _initial_state(self, latent: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Returns (hidden, cell), each (B, units), for every layer."""
        sizes = [layer.hidden_size for layer in self.layers for _ in range(2)]
        parts = torch.tanh(self.initial(latent)).split(sizes, dim=-1)
        return list(zip(parts[0::2], parts[1::2], strict=True))


def _feel_head(size: int, config: ModelConfig) -> nn.Module:
    if not config.feel_units:
        return nn.Linear(size, 2 * VOICE_COUNT)
    layers = [nn.Linear(size + VOICE_COUNT, config.feel_units), nn.ReLU(), InputDropout(config.feel_keep)]
    return nn.Sequential(*layers, nn.Linear(config.feel_units, 2 * VOICE_COUNT))
