"""One model for every task: what is known of a loop in, the rest of it out.

B batch, S steps, V = 9 voices, Z latent size, D width, U units of the core, T styles, R bars, K moods.

What is known is shown where it lies: hits, how they are played, a tapped rhythm, style, tempo, density, fills; each with a mark that
tells known from unknown. The latent carries a loop as a whole, where one was heard. From all of it transformer layers make a context
for every step. A small recurrent core then writes the hits step by step, seeing what it wrote itself up to two bars before, so that what
it draws hangs together. Last, layers that see all hits decide how each is played: a middle, a spread of its own, and moods that a whole
loop shares, since a drummer who rushes one hit rushes the next.
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
from .config import LAGS, READ_SIZE, TAP_SIZE, ModelConfig
from .features import tempo_features
from .heads import GrooveHead
from .listener import TapEnsemble
from .plan import small_linear

_HITS_A_BAR = 20.0
_LEAST_SPREAD = 0.02


class Known(NamedTuple):
    """What is known of loops beforehand."""

    has_latent: Tensor
    """1 where the latent is that of a loop, 0 where there is none; (B,)."""
    hit_values: Tensor
    """Hits, 0 or 1; (B, S, V)."""
    hit_mask: Tensor
    """1 where these are known; (B, S, V)."""
    expression: Tensor
    """Velocities in [0, 1] and offsets in [-1, 1] of hits; (B, S, 2 V)."""
    expression_mask: Tensor
    """1 where these are known; (B, S, V)."""
    tap: Tensor
    """A rhythm of no voice; (B, S, 3)."""
    has_tap: Tensor
    """1 where there is one; (B,)."""
    style: Tensor
    """1 at the style, or nowhere; (B, T)."""
    bpm: Tensor
    """Beats a minute; 0 is unknown; (B,)."""
    density: Tensor
    """Hits a bar; 0 is unknown; (B,)."""
    fill: Tensor
    """1 a fill, -1 none, 0 unknown; (B, R)."""


class Feel(NamedTuple):
    """How hits are played: velocities, then offsets, as a Gaussian of low rank."""

    middle: Tensor
    """(B, S, 2 V)."""
    spread: Tensor
    """Standard deviation of each by itself; (B, S, 2 V)."""
    moods: Tensor
    """What each moves by where a mood of the loop does by 1; (B, S, 2 V, K)."""

    def drawn(self, note_noise: Tensor, loop_noise: Tensor) -> Tensor:
        """Returns how far from the middle each is played, (B, S, 2 V), by draws `note_noise` (B, S, 2 V) and `loop_noise` (B, K)."""
        return self.spread * note_noise + (self.moods @ loop_noise[:, None, :, None]).squeeze(-1)


class DrummerEncoder(nn.Module):
    """Reads a whole loop."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.enter = nn.Linear(GROOVE_SIZE, config.width)
        self.places = PositionalEmbedding(config.steps, config.width)
        self.layers = nn.ModuleList(TransformerBlock(config.width, config.heads, 1 - config.keep) for _ in range(config.encoder_layers))
        self.leave = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, READ_SIZE))
        self.mean = small_linear(config.steps * READ_SIZE, config.latent_size)
        self.scale = small_linear(config.steps * READ_SIZE, config.latent_size)

    def forward(self, loops: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and standard deviation, each (B, Z), of groove tensors (B, S, 27)."""
        steps = self.enter(loops) + self.places()
        for layer in self.layers:
            steps = layer(steps)
        read = torch.tanh(self.leave(steps)).flatten(1)
        mean: Tensor = self.mean(read)
        return mean, softplus(self.scale(read) + 0.5)


class DrummerDecoder(nn.Module):
    """Writes what is not known of loops."""

    loosen: Tensor
    """What the spreads of velocities and offsets are multiplied by, voice by voice, to be as wide as people's; (2 V,)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, drop = config.width, 1 - config.keep
        self.steps, self.bars, self.units, self.moods = config.steps, config.steps // STEPS_PER_BAR, config.core_units, config.moods
        self.places = PositionalEmbedding(config.steps, width)
        self.shown = nn.Linear(5 * VOICE_COUNT + TAP_SIZE + 1 + 2, width)
        self.wanted = nn.Linear(len(config.styles) + 4 + 1, width)
        self.of_latent = nn.Linear(config.latent_size, config.steps * READ_SIZE)
        self.from_latent = nn.Linear(READ_SIZE, width)
        self.layers = nn.ModuleList(TransformerBlock(width, config.heads, drop) for _ in range(config.context_layers))
        self.told = nn.LayerNorm(width)
        self.core_context = nn.Linear(width, 3 * config.core_units)
        self.core_past = nn.Linear(len(LAGS) * VOICE_COUNT, 3 * config.core_units, bias=False)
        self.core_state = nn.Linear(config.core_units, 3 * config.core_units)
        self.hits_context = nn.Linear(width, VOICE_COUNT)
        self.hits_core = nn.Linear(config.core_units, VOICE_COUNT, bias=False)
        self.hits_past = nn.Linear(len(LAGS) * VOICE_COUNT, VOICE_COUNT, bias=False)
        self.struck = nn.Linear(VOICE_COUNT, width)
        self.feel_layers = nn.ModuleList(TransformerBlock(width, config.heads, drop) for _ in range(config.feel_layers))
        self.feel_last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * VOICE_COUNT * (2 + config.moods)))
        self.dropout = LoopDropout(drop)
        self.past_dropout = nn.Dropout(1 - config.previous_keep)
        self.register_buffer("loosen", torch.ones(2 * VOICE_COUNT))

    # for the loss

    def logits(self, context: Tensor, hits: Tensor) -> Tensor:
        """Returns the log odds (B, S, V) of hits, each step seeing the true ones (B, S, V) before it."""
        past = self.past_dropout(lagged(hits))
        states = _run_core(self.dropout(self.core_context(context)) + self.core_past(past), self.core_state)
        odds: Tensor = self.hits_context(context) + self.hits_core(states) + self.hits_past(past)
        return odds

    def context(self, latent: Tensor, known: Known) -> Tensor:
        """Returns what every step is told, (B, S, D), by the latents (B, Z) and by what is known."""
        with_expression = known.expression_mask.repeat(1, 1, 2) * known.hit_values.repeat(1, 1, 2)
        has_tap = known.has_tap[:, None, None].expand(-1, self.steps, -1)
        fill = known.fill.repeat_interleave(STEPS_PER_BAR, dim=1)[..., None]
        shown = [known.hit_values * known.hit_mask, known.hit_mask, known.expression_mask, known.expression * with_expression]
        shown += [known.tap * has_tap, has_tap]
        steps = self.shown(torch.cat([*shown, fill, fill.abs()], dim=-1)) + self.places()
        density = known.density[:, None]
        has_density = (density > 0).to(density.dtype)
        wanted = [known.style, tempo_features(known.bpm), has_density, (density / _HITS_A_BAR - 1) * has_density, known.has_latent[:, None]]
        steps = steps + self.wanted(torch.cat(wanted, dim=-1))[:, None]
        spread = self.from_latent(self.of_latent(latent * known.has_latent[:, None]).view(-1, self.steps, READ_SIZE))
        steps = steps + spread * known.has_latent[:, None, None]
        for layer in self.layers:
            steps = layer(steps)
        result: Tensor = self.told(steps)
        return result

    def feel(self, context: Tensor, hits: Tensor) -> Feel:
        """Returns how hits (B, S, V) are played."""
        steps = context + self.struck(hits)
        for layer in self.feel_layers:
            steps = layer(steps)
        middle, spread, moods = torch.split(self.feel_last(steps).float(), [18, 18, 18 * self.moods], dim=-1)
        velocities, offsets = middle.chunk(2, dim=-1)
        middle = torch.cat([torch.sigmoid(velocities), torch.tanh(offsets)], dim=-1)
        return Feel(middle, softplus(spread - 1.5) + _LEAST_SPREAD, 0.1 * moods.view(-1, self.steps, 18, self.moods))

    # for sampling and for export

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
        known: Known,
        true_hits: Tensor,
        teacher_forcing: Tensor,
    ) -> Tensor:
        """Writes grooves (B, S, 27).

        `noise` (B, S, V), uniform in [0, 1), decides which hits are drawn; `temperature` (B,) above 0 spreads them; `thresholds` (V,)
        in (0, 1) and `logit_bias` (B, S, V) in log odds make them rarer and more frequent. `note_noise` (B, S, 2 V) and `loop_noise`
        (B, K), standard normal, decide how they are played, spread by `expression_temperature` (B,); 0 plays the middle. Where
        `teacher_forcing` (B, S) is 1, what follows sees the hits `true_hits` (B, S, V) of that step in place of those written.
        """
        context, gates, skip = self.begin(latent, noise, temperature, thresholds, logit_bias, known)
        state = latent.new_zeros(latent.shape[0], self.units)
        nothing = noise.new_zeros(noise.shape[0], VOICE_COUNT)
        past: list[Tensor] = []
        written = []
        for step in range(self.steps):
            seen = torch.cat([past[step - lag] if step >= lag else nothing for lag in LAGS], dim=-1)
            hits, state = self.step(gates[:, step], skip[:, step], seen, state)
            written.append(hits)
            shown = teacher_forcing[:, step, None]
            past.append(true_hits[:, step] * shown + hits * (1 - shown))
        hits = torch.stack(written, dim=1)
        return self.played(context, hits, note_noise, loop_noise, expression_temperature, known.expression, known.expression_mask)

    def begin(
        self, latent: Tensor, noise: Tensor, temperature: Tensor, thresholds: Tensor, logit_bias: Tensor, known: Known
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the context (B, S, D), and of every step its gates (B, S, 3 U) and log odds (B, S, V) before it sees what is written."""
        context = self.context(latent, known)
        border = self.border(noise, temperature, thresholds, logit_bias, known)
        return context, self.core_context(context), self.hits_context(context) - border

    def border(self, noise: Tensor, temperature: Tensor, thresholds: Tensor, logit_bias: Tensor, known: Known) -> Tensor:
        """Returns the log odds (B, S, V) above which there is a hit."""
        bias = torch.log(thresholds) - torch.log1p(-thresholds) - logit_bias
        return GrooveHead.bordered(noise, temperature, bias, known.hit_values, known.hit_mask)

    def step(self, gates: Tensor, skip: Tensor, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a step's hits (B, V) and the new state (B, U), from its gates (B, 3 U), its log odds so far (B, V), the lags (B, L V)."""
        state = core_step(gates + linear(seen, self.core_past.weight), self.core_state(state), state)
        odds = skip + linear(state, self.hits_core.weight) + linear(seen, self.hits_past.weight)
        return (odds > 0).to(odds.dtype), state

    def played(
        self,
        context: Tensor,
        hits: Tensor,
        note_noise: Tensor,
        loop_noise: Tensor,
        expression_temperature: Tensor,
        expression: Tensor,
        expression_mask: Tensor,
    ) -> Tensor:
        """Returns hits (B, S, V) as they are played, (B, S, 27); what is known of their feel stays."""
        feel = self.feel(context, hits)
        own = in_reach(feel.middle + expression_temperature[:, None, None] * self.loosen * feel.drawn(note_noise, loop_noise))
        twice = expression_mask.repeat(1, 1, 2)
        return torch.cat([hits, (own * (1 - twice) + expression * twice) * hits.repeat(1, 1, 2)], dim=-1)


class Drummer(nn.Module):
    """The one model for every task: `encoder`, `decoder` and `tap_model` are what gets exported."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = DrummerEncoder(config)
        self.decoder = DrummerDecoder(config)
        self.tap_model = TapEnsemble(config)

    def default_inputs(self, loops: int) -> dict[str, Tensor]:
        """Returns every input of the decoder by name, with the defaults of the schema: the most likely loop, of nothing but a latent."""
        config, like = self.config, self.decoder.shown.weight
        sizes = axis_sizes(loops, config.steps, config.latent_size, len(config.styles), config.moods)
        tensors = GRAPHS[DRUMMER][DECODER].inputs.values()
        return {tensor.name: like.new_full(tensor.shape(sizes), tensor.default) for tensor in tensors}

    def nothing_known(self, loops: int) -> Known:
        """Returns that nothing is known of so many loops."""
        inputs = self.default_inputs(loops)
        return Known(**{name: inputs[name] for name in Known._fields})._replace(has_latent=torch.zeros_like(inputs["has_latent"]))

    @torch.no_grad()
    def answer(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns what the decoder writes for its inputs by the names of the contract."""
        known = Known(**{name: inputs[name] for name in Known._fields})
        named = {name: value for name, value in inputs.items() if name not in Known._fields and name != "teacher_target"}
        result: Tensor = self.decoder(**named, known=known, true_hits=inputs["teacher_target"][..., :VOICE_COUNT])
        return result

    def blank(self, latent: Tensor) -> dict[str, Tensor]:
        """Returns every input of the decoder, by the names of the contract, that asks for the likeliest loops of latents (B, Z).

        The latents are taken as heard; all else is unknown.
        """
        return self.default_inputs(len(latent)) | {"latent": latent}

    @torch.no_grad()
    def likeliest(self, latent: Tensor, known: Known, thresholds: Tensor | None = None) -> Tensor:
        """Returns the likeliest loops (B, S, 27) for latents and what is known."""
        chosen = {} if thresholds is None else {"thresholds": thresholds}
        return self.answer(self.blank(latent) | known._asdict() | chosen)


def in_reach(feel: Tensor) -> Tensor:
    """Returns velocities and offsets (..., 2 V) that notes can have: from MIDI velocity 1 up, and short of the next step."""
    velocities, offsets = feel.chunk(2, dim=-1)
    return torch.cat([velocities.clamp(1 / 127, 1.0), offsets.clamp(-1.0, 0.9999)], dim=-1)


def lagged(hits: Tensor) -> Tensor:
    """Returns what each step sees of the steps before it, (B, S, L V), of hits (B, S, V); before the first there is silence."""
    return torch.cat([nn.functional.pad(hits, (0, 0, lag, 0))[:, : hits.shape[1]] for lag in LAGS], dim=-1)


def core_step(gates: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """Returns the new state (B, U) of a gated recurrent unit (Cho et al. 2014) from what comes from outside and from it, (B, 3 U)."""
    units = state.shape[-1]
    outer, candidate = torch.split(gates, [2 * units, units], dim=-1)
    inner, recalled = torch.split(recurrent, [2 * units, units], dim=-1)
    reset, update = torch.sigmoid(outer + inner).chunk(2, dim=-1)
    new = torch.tanh(candidate + reset * recalled)
    return new + update * (state - new)


def _run_core(gates: Tensor, recurrent: nn.Linear) -> Tensor:
    """Returns the states (B, S, U) of the core for gates (B, S, 3 U), in float32, by torch's own layer."""
    units = recurrent.weight.shape[1]
    with torch.autocast(gates.device.type, enabled=False):
        gates, weight, bias = gates.float(), recurrent.weight.float(), recurrent.bias.float()
        eye = torch.eye(3 * units, device=gates.device)
        state = gates.new_zeros(1, gates.shape[0], units)
        flat = [eye, weight, torch.zeros_like(bias), bias]
        outputs, _ = torch.gru(gates, state, flat, True, 1, 0.0, False, False, True)
    result: Tensor = outputs
    return result
