"""Decodes latents into loops with an autoregressive LSTM.

B batch, S steps, U segments, V = 9 voices, Z latent size, F features. The decoder has two methods over the same weights:
`teacher_forced` runs whole layers at once for training; `forward` feeds back its own output for sampling and for export. The latter
is `begin` once and `step` S times, which is how it is exported.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..music.encoding import VOICE_COUNT
from .config import VAEConfig
from .features import features_loop, loop_features, previous_steps
from .heads import new_head
from .lstm import InputDropout, lstm_step, lstm_weights, new_lstm, run_lstm
from .plan import new_plan, small_linear

State = list[Tensor]
"""Hidden and cell state in turn, each (B, units), of every layer."""


class Decoder(nn.Module):
    """An autoregressive LSTM over steps, conditioned on the plan of its segment; a flat plan gives MusicVAE's and GrooVAE's decoder.

    Each segment begins with its own state (MusicVAE's hierarchical decoder), and sees the last step of the segment before. With
    `position_size`, each step has a learned embedding of its position. With `show_hits`, each step sees its given hits, and a flag
    that says whether hits are given.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.steps, self.segments, self.encoding = config.steps, config.segments, config.encoding
        self.show_hits = config.show_hits
        self.input_size = config.feature_size + (VOICE_COUNT + 1 if config.show_hits else 0)
        self.state_sizes = [units for units in config.decoder_units for _ in ("hidden", "cell")]
        sizes = [self.input_size + config.position_size + config.plan_size, *config.decoder_units]
        self.plan = new_plan(config)
        self.positions = nn.Parameter(torch.randn(config.steps, config.position_size) * 0.1)  # (S, P)
        self.layers = nn.ModuleList(new_lstm(size, units) for size, units in zip(sizes, config.decoder_units, strict=False))
        self.initial = small_linear(config.plan_size, sum(self.state_sizes))
        self.dropout = InputDropout(config.input_keep)
        self.previous_dropout = InputDropout(config.previous_keep)
        self.head = new_head(sizes[-1], config)

    @property
    def feature_size(self) -> int:
        """Features that a step outputs and the next one reads."""
        return self.input_size - (VOICE_COUNT + 1 if self.show_hits else 0)

    def teacher_forced(self, latent: Tensor, target: Tensor, given: Tensor, previous: Tensor | None = None) -> Tensor:
        """Returns the top layer's outputs (B, S, H).

        Args:
            latent: Latents (B, Z).
            target: Features (B, S, F) of the true loops.
            given: 1 where a window's hits are given, (B,).
            previous: Features (B, S, F) that each step reads as the step before; by default the true ones.
        """
        parts = [self.previous_dropout(previous_steps(target) if previous is None else previous)]
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
        """Decodes latents into groove tensors (B, S, 27) with hits in {0, 1}, or melody classes (B, S).

        Args:
            latent: Latents (B, Z).
            noise: Uniform in [0, 1), (B, S, V) or for melodies (B, S); decides each draw.
            temperature: Spread of the draws, above 0, (B,).
            thresholds: In (0, 1), (V,): a higher one means fewer hits; 0.5 leaves the model as it is.
            hit_values: Hits, 0 or 1, that are kept where `hit_mask` is 1; (B, S, V).
            hit_mask: 0 or 1, (B, S, V).
            teacher_target: Loops whose steps are fed back where `teacher_forcing` is 1.
            teacher_forcing: 0 or 1, (B, S).
        """
        noise = noise if noise.dim() == 3 else noise[..., None]
        free = noise.new_zeros(*noise.shape[:2], VOICE_COUNT)
        hit_values, hit_mask = (free if value is None else value for value in (hit_values, hit_mask))
        bias = free.new_zeros(VOICE_COUNT) if thresholds is None else torch.log(thresholds) - torch.log1p(-thresholds)
        threshold = self.head.hit_threshold(noise, temperature, bias, hit_values, hit_mask)
        forced = free[..., :1] > 0 if teacher_forcing is None else teacher_forcing[..., None] > 0.5
        target = loop_features(teacher_target, self.encoding) if teacher_target is not None else free.new_zeros(*forced.shape[:2], 1)
        gates, states, flag = self.begin(latent, hit_mask)
        outputs, state = [], states[0]
        previous = latent.new_zeros(latent.shape[0], self.feature_size)
        for step in range(self.steps):
            segment, inside = divmod(step, self.steps // self.segments)
            state = state if inside else states[segment]
            features, state = self.step(
                gates[:, step], previous, state, threshold[:, step], temperature[:, None], hit_values[:, step], flag
            )
            previous = torch.where(forced[:, step], target[:, step], features)
            outputs.append(features)
        return features_loop(torch.stack(outputs, dim=1), self.encoding)

    def begin(self, latent: Tensor, hit_mask: Tensor) -> tuple[Tensor, list[State], Tensor]:
        """Returns everything that does not depend on earlier steps.

        That is the first layer's gate inputs (B, S, 4 units), the first state of each segment, and a flag (B, 1) that is 1 where the
        mask covers every cell, which means given hits as in training.
        """
        (weight, _, bias), plans = self._first(), self.plan(latent)
        sizes = [self.input_size, self.positions.shape[1], plans.shape[-1]]
        _, from_position, from_plan = torch.split(weight, sizes, dim=1)
        from_plans = linear(plans, from_plan, bias).repeat_interleave(self.steps // self.segments, dim=1)
        states = [self._initial_state(plan) for plan in plans.unbind(dim=1)]
        return from_plans + linear(self.positions, from_position), states, hit_mask.flatten(1).amin(dim=1, keepdim=True)

    def step(
        self, gates: Tensor, previous: Tensor, state: State, threshold: Tensor, temperature: Tensor, hit_values: Tensor, flag: Tensor
    ) -> tuple[Tensor, State]:
        """Returns one step's features (B, F) and the new state.

        `gates` (B, 4 units), `previous` (B, F), `threshold` as the head returns, `temperature` and `flag` (B, 1), `hit_values` (B, V).
        """
        weight, recurrent, _ = self._first()
        inputs = torch.cat([previous, hit_values * flag, flag], dim=-1) if self.show_hits else previous
        hidden, cell = lstm_step(gates + linear(inputs, weight[:, : self.input_size]) + linear(state[0], recurrent), state[1])
        new_state = [hidden, cell]
        for layer, below, old_cell in zip(list(self.layers)[1:], state[2::2], state[3::2], strict=True):
            from_below, recurrent, bias_of_layer = lstm_weights(layer)
            hidden, cell = lstm_step(linear(hidden, from_below, bias_of_layer) + linear(below, recurrent), old_cell)
            new_state += [hidden, cell]
        return self.head.step_output(hidden, threshold, temperature), new_state

    def _first(self) -> tuple[Tensor, Tensor, Tensor]:
        return lstm_weights(self.layers[0])

    def _initial_state(self, plan: Tensor) -> State:
        return list(torch.split(torch.tanh(self.initial(plan)), self.state_sizes, dim=-1))
