"""Latents in, loops out: an LSTM that writes a groove step by step, each step seeing the one before.

B batch, S steps, V = 9 voices, Z latent size. Outputs are groove tensors; their three blocks are hits, velocities, offsets.
The decoder exists twice over the same weights: `teacher_forced` runs whole layers at once for training, `forward` writes its
own previous step for sampling and for export.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from drumvae.tensors import GROOVE_SIZE, VOICE_COUNT

from .config import ModelConfig
from .lstm import InputDropout, lstm_step, lstm_weights, new_lstm

States = list[tuple[Tensor, Tensor]]
"""Hidden and cell state, each (B, units), of every layer."""


class GrooveDecoder(nn.Module):
    """The GrooVAE decoder (Gillick et al. 2019), with three options of our own.

    With `position_size`, a learned mark tells each step its place in the loop. With `feel_units`, velocity and offset are
    decided after the step's hits and knowing them, so that a kick under a snare is played as such. With `show_hits`, hits that
    are given beforehand are seen at their step; a flag tells given from unknown.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.steps = config.steps
        self.show_hits = config.show_hits
        self.state_sizes = [units for units in config.decoder_units for _ in ("hidden", "cell")]
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
        first, *upper = (lstm_weights(layer) for layer in self.layers)
        known = GROOVE_SIZE + (VOICE_COUNT + 1 if self.show_hits else 0)
        from_previous, from_position, from_latent = torch.split(first[0], [known, self.positions.shape[1], latent.shape[1]], dim=1)
        of_loop = linear(latent, from_latent, first[2])  # (B, 4 units)
        of_steps = linear(self.positions, from_position)  # (S, 4 units)
        bias = torch.log(thresholds) - torch.log1p(-thresholds)
        # A loop whose every cell is given is "given" to the model, as in training.
        flag = locked.flatten(1).amin(dim=1, keepdim=True)  # (B, 1)
        states = self._initial_state(latent)
        previous = latent.new_zeros(latent.shape[0], GROOVE_SIZE)
        written = []
        for step in range(self.steps):
            seen = [previous, locked_hits[:, step] * flag, flag] if self.show_hits else [previous]
            gates = of_loop + of_steps[step] + linear(torch.cat(seen, dim=-1), from_previous)
            hidden, states = _run_layers(gates, states, first[1], upper)
            likely = torch.sigmoid((self.hits(hidden) - bias) / temperature[:, None])
            hits = (likely > noise[:, step]).to(hidden.dtype)
            hits = hits + locked[:, step] * (locked_hits[:, step] - hits)
            velocities, offsets = self._feel(hidden, hits)
            previous = torch.cat([hits, velocities * hits, offsets * hits], dim=-1)
            written.append(previous)
        return torch.stack(written, dim=1)

    def _feel(self, outputs: Tensor, hits: Tensor) -> tuple[Tensor, Tensor]:
        """Returns velocities and offsets, each (..., V), from the top layer and the step's hits."""
        velocities, offsets = self.feel(torch.cat([outputs, hits], dim=-1) if self.feel_sees_hits else outputs).chunk(2, dim=-1)
        return torch.sigmoid(velocities), torch.tanh(offsets)

    def _initial_state(self, latent: Tensor) -> States:
        parts = torch.split(torch.tanh(self.initial(latent)), self.state_sizes, dim=-1)
        return list(zip(parts[0::2], parts[1::2], strict=True))


def _run_layers(
    gates: Tensor, states: States, first_recurrent: Tensor, upper: list[tuple[Tensor, Tensor, Tensor]]
) -> tuple[Tensor, States]:
    """Returns the top layer's output (B, units) and the new states of one step, from the first layer's input gates (B, 4 units)."""
    hidden, cell = lstm_step(gates + linear(states[0][0], first_recurrent), states[0][1])
    new_states = [(hidden, cell)]
    for (from_below, recurrent, bias), (state, cell) in zip(upper, states[1:], strict=True):
        hidden, cell = lstm_step(linear(hidden, from_below, bias) + linear(state, recurrent), cell)
        new_states.append((hidden, cell))
    return hidden, new_states


def _feel_head(size: int, config: ModelConfig) -> nn.Module:
    if not config.feel_units:
        return nn.Linear(size, 2 * VOICE_COUNT)
    layers = [nn.Linear(size + VOICE_COUNT, config.feel_units), nn.ReLU(), InputDropout(config.feel_keep)]
    return nn.Sequential(*layers, nn.Linear(config.feel_units, 2 * VOICE_COUNT))
