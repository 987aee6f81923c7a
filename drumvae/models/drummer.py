"""Defines the drummer, one model for every task: it completes a loop from its known parts.

B batch, S steps, V = 9 voices, Z latent size, D width, U units of the core, T styles, R bars, K low-rank factors, L lags.

Inputs are hits, expression (velocities and offsets), a tapped rhythm, style, tempo, density and fills, and a latent that encodes a whole
loop. Each has a mask or a flag that marks it as known. Transformer layers turn the inputs into a context for every step. A small recurrent
core then samples the hits step by step. It reads its own hits up to two bars back, which keeps a sample consistent. Finally, layers that
read all hits predict the expression: a location, a scale, and low-rank factors shared by the loop, because a drummer who rushes one hit
rushes the next.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from ..bundle.schema import DECODER, DRUMMER, GRAPHS, axis_sizes
from ..music.encoding import GROOVE_SIZE, VOICE_COUNT
from ..music.grid import STEPS_PER_BAR
from .attention import LoopDropout, PositionalEmbedding, TransformerBlock
from .config import LAGS, READ_SIZE, TAP_SIZE, DrummerConfig
from .features import tempo_features
from .heads import GrooveHead
from .plan import small_linear
from .tap_model import TapEnsemble

_HITS_A_BAR = 20.0
_MIN_SCALE = 0.02


class Conditioning(NamedTuple):
    """Holds the known parts of loops, by their names in the bundle's schema."""

    has_latent: Tensor
    """1 where the latent is that of a loop, 0 where there is none; (B,)."""
    hit_values: Tensor
    """Hits, 0 or 1; (B, S, V)."""
    hit_mask: Tensor
    """1 where they are known; (B, S, V)."""
    expression: Tensor
    """Velocities in [0, 1] and offsets in [-1, 1] of hits; (B, S, 2 V)."""
    expression_mask: Tensor
    """1 where they are known; (B, S, V)."""
    tap: Tensor
    """Hit, velocity and offset of a tapped rhythm; (B, S, 3)."""
    has_tap: Tensor
    """1 where there is a tap; (B,)."""
    style: Tensor
    """1 at the style, or nowhere; (B, T)."""
    bpm: Tensor
    """Beats a minute; 0 is unknown; (B,)."""
    density: Tensor
    """Hits a bar; 0 is unknown; (B,)."""
    fill: Tensor
    """1 a fill, -1 none, 0 unknown; (B, R)."""


class ExpressionDistribution(NamedTuple):
    """A low-rank Gaussian of velocities, then offsets."""

    loc: Tensor
    """(B, S, 2 V)."""
    scale: Tensor
    """Standard deviation of the independent part; (B, S, 2 V)."""
    factors: Tensor
    """Low-rank factors shared by the loop; (B, S, 2 V, K)."""

    def deviation(self, note_noise: Tensor, loop_noise: Tensor) -> Tensor:
        """Returns a sample's distance from the location, (B, S, 2 V), for standard normal noise (B, S, 2 V) and (B, K)."""
        return self.scale * note_noise + (self.factors @ loop_noise[:, None, :, None]).squeeze(-1)


class DrummerEncoder(nn.Module):
    """Encodes a whole loop with transformer layers."""

    def __init__(self, config: DrummerConfig) -> None:
        super().__init__()
        self.in_proj = nn.Linear(GROOVE_SIZE, config.width)
        self.positions = PositionalEmbedding(config.steps, config.width)
        self.layers = nn.ModuleList(TransformerBlock(config.width, config.heads, 1 - config.keep) for _ in range(config.encoder_layers))
        self.out_proj = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, READ_SIZE))
        self.mean = small_linear(config.steps * READ_SIZE, config.latent_size)
        self.std = small_linear(config.steps * READ_SIZE, config.latent_size)

    def forward(self, loops: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation, each (B, Z), of groove tensors (B, S, 27)."""
        steps = self.in_proj(loops) + self.positions()
        for layer in self.layers:
            steps = layer(steps)
        read = torch.tanh(self.out_proj(steps)).flatten(1)
        mean: Tensor = self.mean(read)
        return mean, softplus(self.std(read) + 0.5)


class DrummerDecoder(nn.Module):
    """Decodes the unknown parts of loops."""

    scale_correction: Tensor
    """Factors of each voice's deviation, calibrated to the standard deviation of human velocities and offsets; (2 V,)."""

    def __init__(self, config: DrummerConfig) -> None:
        super().__init__()
        width, drop = config.width, 1 - config.keep
        self.steps, self.bars, self.units, self.factors = config.steps, config.steps // STEPS_PER_BAR, config.core_units, config.moods
        self.positions = PositionalEmbedding(config.steps, width)
        self.known_proj = nn.Linear(5 * VOICE_COUNT + TAP_SIZE + 1 + 2, width)
        self.condition_proj = nn.Linear(len(config.styles) + 4 + 1, width)
        self.latent_proj = nn.Linear(config.latent_size, config.steps * READ_SIZE)
        self.latent_step_proj = nn.Linear(READ_SIZE, width)
        self.layers = nn.ModuleList(TransformerBlock(width, config.heads, drop) for _ in range(config.context_layers))
        self.context_norm = nn.LayerNorm(width)
        self.core_context = nn.Linear(width, 3 * config.core_units)
        self.core_past = nn.Linear(len(LAGS) * VOICE_COUNT, 3 * config.core_units, bias=False)
        self.core_state = nn.Linear(config.core_units, 3 * config.core_units)
        self.hits_context = nn.Linear(width, VOICE_COUNT)
        self.hits_core = nn.Linear(config.core_units, VOICE_COUNT, bias=False)
        self.hits_past = nn.Linear(len(LAGS) * VOICE_COUNT, VOICE_COUNT, bias=False)
        self.hit_proj = nn.Linear(VOICE_COUNT, width)
        self.expression_layers = nn.ModuleList(TransformerBlock(width, config.heads, drop) for _ in range(config.feel_layers))
        self.expression_head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * VOICE_COUNT * (2 + config.moods)))
        self.dropout = LoopDropout(drop)
        self.past_dropout = nn.Dropout(1 - config.previous_keep)
        self.register_buffer("scale_correction", torch.ones(2 * VOICE_COUNT))

    def logits(self, context: Tensor, hits: Tensor) -> Tensor:
        """Returns the logits (B, S, V) of hits; each step sees the true hits (B, S, V) before it."""
        past = self.past_dropout(lagged(hits))
        states = _run_core(self.dropout(self.core_context(context)) + self.core_past(past), self.core_state)
        logits: Tensor = self.hits_context(context) + self.hits_core(states) + self.hits_past(past)
        return logits

    def context(self, latent: Tensor, conditioning: Conditioning) -> Tensor:
        """Returns the context (B, S, D) of every step for latents (B, Z) and the known parts of loops."""
        with_expression = conditioning.expression_mask.repeat(1, 1, 2) * conditioning.hit_values.repeat(1, 1, 2)
        has_tap = conditioning.has_tap[:, None, None].expand(-1, self.steps, -1)
        fill = conditioning.fill.repeat_interleave(STEPS_PER_BAR, dim=1)[..., None]
        inputs = [
            conditioning.hit_values * conditioning.hit_mask,
            conditioning.hit_mask,
            conditioning.expression_mask,
            conditioning.expression * with_expression,
        ]
        inputs += [conditioning.tap * has_tap, has_tap]
        steps = self.known_proj(torch.cat([*inputs, fill, fill.abs()], dim=-1)) + self.positions()
        density = conditioning.density[:, None]
        has_density = (density > 0).to(density.dtype)
        conditions = [
            conditioning.style,
            tempo_features(conditioning.bpm),
            has_density,
            (density / _HITS_A_BAR - 1) * has_density,
            conditioning.has_latent[:, None],
        ]
        steps = steps + self.condition_proj(torch.cat(conditions, dim=-1))[:, None]
        of_latent = self.latent_step_proj(self.latent_proj(latent * conditioning.has_latent[:, None]).view(-1, self.steps, READ_SIZE))
        steps = steps + of_latent * conditioning.has_latent[:, None, None]
        for layer in self.layers:
            steps = layer(steps)
        result: Tensor = self.context_norm(steps)
        return result

    def expression(self, context: Tensor, hits: Tensor) -> ExpressionDistribution:
        """Returns the distribution of the expression of hits (B, S, V)."""
        steps = context + self.hit_proj(hits)
        for layer in self.expression_layers:
            steps = layer(steps)
        loc, scale, factors = torch.split(self.expression_head(steps).float(), [18, 18, 18 * self.factors], dim=-1)
        velocities, offsets = loc.chunk(2, dim=-1)
        loc = torch.cat([torch.sigmoid(velocities), torch.tanh(offsets)], dim=-1)
        return ExpressionDistribution(loc, softplus(scale - 1.5) + _MIN_SCALE, 0.1 * factors.view(-1, self.steps, 18, self.factors))

    def forward(
        self,
        latent: Tensor,
        noise: Tensor,
        temperature: Tensor,
        thresholds: Tensor,
        logit_bias: Tensor,
        note_noise: Tensor,
        loop_noise: Tensor,
        expression_temperature: Tensor,
        conditioning: Conditioning,
        true_hits: Tensor,
        teacher_forcing: Tensor,
    ) -> Tensor:
        """Decodes grooves (B, S, 27).

        Args:
            latent: Latents (B, Z), used where `conditioning.has_latent` is 1.
            noise: Uniform in [0, 1), (B, S, V); decides which hits are sampled.
            temperature: Spread of the hits, above 0, (B,).
            thresholds: In (0, 1), (V,); a higher one means fewer hits.
            logit_bias: Added to the logits of hits, (B, S, V).
            note_noise: Standard normal, (B, S, 2 V); samples the expression of each note.
            loop_noise: Standard normal, (B, K); samples the expression that the loop shares.
            expression_temperature: Factor of the expression's deviation, (B,); 0 gives the location.
            conditioning: The known parts of the loops.
            true_hits: Hits (B, S, V) that are fed back where `teacher_forcing` is 1.
            teacher_forcing: 0 or 1, (B, S).
        """
        context, gates, skip = self.begin(latent, noise, temperature, thresholds, logit_bias, conditioning)
        state = latent.new_zeros(latent.shape[0], self.units)
        silence = noise.new_zeros(noise.shape[0], VOICE_COUNT)
        past: list[Tensor] = []
        outputs = []
        for step in range(self.steps):
            past_hits = torch.cat([past[step - lag] if step >= lag else silence for lag in LAGS], dim=-1)
            hits, state = self.step(gates[:, step], skip[:, step], past_hits, state)
            outputs.append(hits)
            forced = teacher_forcing[:, step, None]
            past.append(true_hits[:, step] * forced + hits * (1 - forced))
        hits = torch.stack(outputs, dim=1)
        return self.with_expression(
            context, hits, note_noise, loop_noise, expression_temperature, conditioning.expression, conditioning.expression_mask
        )

    def begin(
        self, latent: Tensor, noise: Tensor, temperature: Tensor, thresholds: Tensor, logit_bias: Tensor, conditioning: Conditioning
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the context (B, S, D), and each step's gates (B, S, 3 U) and log odds (B, S, V) without its previous hits."""
        context = self.context(latent, conditioning)
        threshold = self.hit_threshold(noise, temperature, thresholds, logit_bias, conditioning)
        return context, self.core_context(context), self.hits_context(context) - threshold

    def hit_threshold(
        self, noise: Tensor, temperature: Tensor, thresholds: Tensor, logit_bias: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """Returns the log odds (B, S, V) above which there is a hit."""
        bias = torch.log(thresholds) - torch.log1p(-thresholds) - logit_bias
        return GrooveHead.hit_threshold(noise, temperature, bias, conditioning.hit_values, conditioning.hit_mask)

    def step(self, gates: Tensor, skip: Tensor, past_hits: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a step's hits (B, V) and the new state (B, U).

        Args:
            gates: The gates of the step, (B, 3 U).
            skip: The log odds of its hits without its previous hits, (B, V).
            past_hits: The hits of the steps `LAGS` before it, (B, L V).
            state: The state after the step before, (B, U).
        """
        state = core_step(gates + linear(past_hits, self.core_past.weight), self.core_state(state), state)
        odds = skip + linear(state, self.hits_core.weight) + linear(past_hits, self.hits_past.weight)
        return (odds > 0).to(odds.dtype), state

    def with_expression(
        self,
        context: Tensor,
        hits: Tensor,
        note_noise: Tensor,
        loop_noise: Tensor,
        expression_temperature: Tensor,
        expression: Tensor,
        expression_mask: Tensor,
    ) -> Tensor:
        """Returns grooves (B, S, 27): hits (B, S, V) with sampled expression, or the given one where `expression_mask` is 1."""
        distribution = self.expression(context, hits)
        deviation = self.scale_correction * distribution.deviation(note_noise, loop_noise)
        sampled = clamp_expression(distribution.loc + expression_temperature[:, None, None] * deviation)
        mask = expression_mask.repeat(1, 1, 2)
        return torch.cat([hits, (sampled * (1 - mask) + expression * mask) * hits.repeat(1, 1, 2)], dim=-1)


class Drummer(nn.Module):
    """Joins encoder, decoder and tap model; all three are exported."""

    def __init__(self, config: DrummerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = DrummerEncoder(config)
        self.decoder = DrummerDecoder(config)
        self.tap_model = TapEnsemble(config)

    def unknown(self, loops: int) -> Conditioning:
        """Returns conditioning in which everything is unknown, for a number of loops."""
        inputs = self._defaults(loops)
        inputs["has_latent"] = torch.zeros_like(inputs["has_latent"])
        return Conditioning(**{name: inputs[name] for name in Conditioning._fields})

    @torch.no_grad()
    def decode(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns loops (B, S, 27) for all inputs of the decoder, by their names in the schema."""
        conditioning = Conditioning(**{name: inputs[name] for name in Conditioning._fields})
        named = {name: value for name, value in inputs.items() if name not in Conditioning._fields and name != "teacher_target"}
        result: Tensor = self.decoder(**named, conditioning=conditioning, true_hits=inputs["teacher_target"][..., :VOICE_COUNT])
        return result

    def latent_inputs(self, latent: Tensor) -> dict[str, Tensor]:
        """Returns all inputs of the decoder, by their names in the schema, for the most likely loops of latents (B, Z).

        All conditions but the latents are unknown.
        """
        return self._defaults(len(latent)) | {"latent": latent}

    def _defaults(self, loops: int) -> dict[str, Tensor]:
        """Returns the schema's default of every input of the decoder."""
        config, like = self.config, self.decoder.known_proj.weight
        sizes = axis_sizes(loops, config.steps, config.latent_size, len(config.styles), config.moods)
        tensors = GRAPHS[DRUMMER][DECODER].inputs.values()
        return {tensor.name: like.new_full(tensor.shape(sizes), tensor.default) for tensor in tensors}

    @torch.no_grad()
    def most_likely(self, latent: Tensor, conditioning: Conditioning, thresholds: Tensor | None = None) -> Tensor:
        """Returns the most likely loops (B, S, 27) for latents (B, Z) and the known parts of loops."""
        given = {} if thresholds is None else {"thresholds": thresholds}
        return self.decode(self.latent_inputs(latent) | conditioning._asdict() | given)


def clamp_expression(expression: Tensor) -> Tensor:
    """Clamps velocities and offsets (..., 2 V) to the range of notes: velocity at least 1/127, offset less than half a step late."""
    velocities, offsets = expression.chunk(2, dim=-1)
    return torch.cat([velocities.clamp(1 / 127, 1.0), offsets.clamp(-1.0, 0.9999)], dim=-1)


def lagged(hits: Tensor) -> Tensor:
    """Returns the hits of the steps `LAGS` before each step, (B, S, L V), for hits (B, S, V); zeros before the first step."""
    return torch.cat([nn.functional.pad(hits, (0, 0, lag, 0))[:, : hits.shape[1]] for lag in LAGS], dim=-1)


def core_step(gates: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """Returns the new state (B, U) of a gated recurrent unit (Cho et al. 2014) from input and recurrent gates, each (B, 3 U)."""
    units = state.shape[-1]
    from_input, candidate = torch.split(gates, [2 * units, units], dim=-1)
    from_state, recalled = torch.split(recurrent, [2 * units, units], dim=-1)
    reset, update = torch.sigmoid(from_input + from_state).chunk(2, dim=-1)
    new = torch.tanh(candidate + reset * recalled)
    return new + update * (state - new)


def _run_core(gates: Tensor, recurrent: nn.Linear) -> Tensor:
    """Returns the states (B, S, U) of the core for gates (B, S, 3 U), in float32, computed by torch's GRU."""
    units = recurrent.weight.shape[1]
    with torch.autocast(gates.device.type, enabled=False):
        gates, weight, bias = gates.float(), recurrent.weight.float(), recurrent.bias.float()
        eye = torch.eye(3 * units, device=gates.device)
        state = gates.new_zeros(1, gates.shape[0], units)
        flat = [eye, weight, torch.zeros_like(bias), bias]
        outputs, _ = torch.gru(gates, state, flat, True, 1, 0.0, False, False, True)
    result: Tensor = outputs
    return result
