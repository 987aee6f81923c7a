"""Latents in, loops out: an LSTM that writes a loop step by step, each step seeing the one before.

B batch, S steps, U segments, V = 9 voices, Z latent size, F features. The decoder exists twice over the same weights:
`teacher_forced` runs whole layers at once for training, `forward` writes its own previous step for sampling and for export. The
latter is `begin` once and `step` S times, which is how it is exported.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..music.encoding import VOICE_COUNT
from .config import ModelConfig
from .features import features_loop, loop_features, previous_steps
from .heads import new_head
from .lstm import InputDropout, lstm_step, lstm_weights, new_lstm, run_lstm
from .plan import new_plan, small_linear

State = list[Tensor]
"""Hidden and cell state in turn, each (B, units), of every layer."""


class Decoder(nn.Module):
    """An autoregressive LSTM over steps, told by a plan what its segment should be; flat, it is MusicVAE's and GrooVAE's decoder.

    Each segment begins from a state of its own (MusicVAE's hierarchical decoder); what was played crosses its border. With
    `position_size`, a learned mark tells each step its place in the loop. With `show_hits`, hits that are given beforehand are
    seen at their step; a flag tells given from unknown.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.steps, self.segments, self.encoding = config.steps, config.segments, config.encoding
        self.show_hits = config.show_hits
        self.seen_size = config.feature_size + (VOICE_COUNT + 1 if config.show_hits else 0)
        self.state_sizes = [units for units in config.decoder_units for _ in ("hidden", "cell")]
        sizes = [self.seen_size + config.position_size + config.plan_size, *config.decoder_units]
        self.plan = new_plan(config)
        self.positions = nn.Parameter(torch.randn(config.steps, config.position_size) * 0.1)  # (S, P)
        self.layers = nn.ModuleList(new_lstm(size, units) for size, units in zip(sizes, config.decoder_units, strict=False))
        self.initial = small_linear(config.plan_size, sum(self.state_sizes))
        self.dropout = InputDropout(config.input_keep)
        self.previous_dropout = InputDropout(config.previous_keep)
        self.head = new_head(sizes[-1], config)

    @property
    def feature_size(self) -> int:
        """Numbers that a step writes and the next one sees."""
        return self.seen_size - (VOICE_COUNT + 1 if self.show_hits else 0)

    def teacher_forced(self, latent: Tensor, target: Tensor, given: Tensor, seen: Tensor | None = None) -> Tensor:
        """Returns the top layer's outputs (B, S, H), with the true previous step at every step, or the one `seen` there.

        `latent` (B, Z); `target` and `seen` features (B, S, F); `given` (B,) is 1 where a window's hits are given beforehand.
        """
        parts = [self.previous_dropout(previous_steps(target) if seen is None else seen)]
        if self.show_hits:
            flag = given[:, None, None].expand(-1, self.steps, 1)
            parts += [target[..., :VOICE_COUNT] * flag, flag]
        plans = self.plan(latent)  # (B, U, E)
        parts += [self.positions.expand(len(latent), -1, -1), plans.repeat_interleave(self.steps // self.segments, dim=1)]
        inputs = torch.cat(parts, dim=-1)
        outputs = inputs.reshape(-1, self.steps // self.segments, inputs.shape[-1])  # (B U, S / U, ...)
        states = self._initial_state(plans.flatten(0, 1))
        for layer, hidden, cell in zip(self.layers, states[0::2], states[1::2], strict=True):
            outputs = run_lstm(layer, self.dropout(outputs), hidden, cell)
        return outputs.reshape(len(latent), self.steps, -1)

    def forward(
        self,
        latent: Tensor,
        noise: Tensor,
        temperature: Tensor,
        thresholds: Tensor | None = None,
        hit_values: Tensor | None = None,
        hit_mask: Tensor | None = None,
        teacher_target: Tensor | None = None,
        teacher_forcing: Tensor | None = None,
    ) -> Tensor:
        """Writes loops: groove tensors (B, S, 27) with hits in {0, 1}, or melody classes (B, S).

        `latent` (B, Z). `noise` (B, S, V), or (B, S) for melodies, uniform in [0, 1), decides what is drawn. `temperature` (B,)
        above 0 spreads it. `thresholds` (V,) in (0, 1): a higher one means fewer hits, 0.5 leaves the model as it is.
        `hit_values` (B, S, V) in {0, 1} are kept wherever `hit_mask` (B, S, V) is 1. Where `teacher_forcing` (B, S) is 1, the next step
        sees that step of the loops `teacher_target` instead of the one written here: 1 everywhere is teacher forcing.
        """
        noise = noise if noise.dim() == 3 else noise[..., None]
        free = noise.new_zeros(*noise.shape[:2], VOICE_COUNT)
        hit_values, hit_mask = (free if value is None else value for value in (hit_values, hit_mask))
        bias = free.new_zeros(VOICE_COUNT) if thresholds is None else torch.log(thresholds) - torch.log1p(-thresholds)
        border = self.head.border(noise, temperature, bias, hit_values, hit_mask)
        shown = free[..., :1] > 0 if teacher_forcing is None else teacher_forcing[..., None] > 0.5
        told = loop_features(teacher_target, self.encoding) if teacher_target is not None else free.new_zeros(*shown.shape[:2], 1)
        gates, states, flag = self.begin(latent, hit_mask)
        written, state = [], states[0]
        previous = latent.new_zeros(latent.shape[0], self.feature_size)
        for step in range(self.steps):
            segment, inside = divmod(step, self.steps // self.segments)
            state = state if inside else states[segment]
            features, state = self.step(gates[:, step], previous, state, border[:, step], temperature[:, None], hit_values[:, step], flag)
            previous = torch.where(shown[:, step], told[:, step], features)
            written.append(features)
        return features_loop(torch.stack(written, dim=1), self.encoding)

    def begin(self, latent: Tensor, hit_mask: Tensor) -> tuple[Tensor, list[State], Tensor]:
        """Returns what does not depend on what is played: the first layer's gate inputs (B, S, 4 units), the state that each
        segment begins with, and a flag (B, 1) that is 1 where every cell is locked, which is "given" to the model, as in training."""
        (weight, _, bias), plans = self._first(), self.plan(latent)
        sizes = [self.seen_size, self.positions.shape[1], plans.shape[-1]]
        _, from_position, from_plan = torch.split(weight, sizes, dim=1)
        of_plans = linear(plans, from_plan, bias).repeat_interleave(self.steps // self.segments, dim=1)
        states = [self._initial_state(plan) for plan in plans.unbind(dim=1)]
        return of_plans + linear(self.positions, from_position), states, hit_mask.flatten(1).amin(dim=1, keepdim=True)

    def step(
        self, gates: Tensor, previous: Tensor, state: State, border: Tensor, temperature: Tensor, hit_values: Tensor, flag: Tensor
    ) -> tuple[Tensor, State]:
        """Returns one step's features (B, F) and the new state.

        `gates` (B, 4 units), `previous` (B, F), `border` as of the head, `temperature` and `flag` (B, 1), `hit_values` (B, V).
        """
        weight, recurrent, _ = self._first()
        seen = torch.cat([previous, hit_values * flag, flag], dim=-1) if self.show_hits else previous
        hidden, cell = lstm_step(gates + linear(seen, weight[:, : self.seen_size]) + linear(state[0], recurrent), state[1])
        new_state = [hidden, cell]
        for layer, below, old_cell in zip(list(self.layers)[1:], state[2::2], state[3::2], strict=True):
            from_below, recurrent, bias_of_layer = lstm_weights(layer)
            hidden, cell = lstm_step(linear(hidden, from_below, bias_of_layer) + linear(below, recurrent), old_cell)
            new_state += [hidden, cell]
        return self.head.write(hidden, border, temperature), new_state

    def _first(self) -> tuple[Tensor, Tensor, Tensor]:
        return lstm_weights(self.layers[0])

    def _initial_state(self, plan: Tensor) -> State:
        return list(torch.split(torch.tanh(self.initial(plan)), self.state_sizes, dim=-1))
