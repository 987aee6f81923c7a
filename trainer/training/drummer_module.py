"""What a drummer learns: a batch of lessons in, a loss and scores out. A LightningModule. B batch, S steps."""

import torch
from torch import Tensor

from drumvae.models.drummer import Drummer, Known, in_reach
from drumvae.models.features import tap_features
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.sampling import LIKELY_HIT

from .base_module import DrumModule
from .calibrate import Write
from .config import TrainConfig
from .datamodule import Batch
from .drummer_batches import PARTS, DrummerBatch
from .drummer_losses import hits_loss, loc_loss, scale_loss, tap_loss
from .losses import divergence, kl_loss
from .validation_batches import validation_batch

_AT_ONCE = 256


class DrummerModule(DrumModule):
    """Teaches a Drummer to play what it is not shown."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.vae = Drummer(config.model)

    def batch_losses(self, batch: Batch) -> dict[str, Tensor]:
        return self._costs(DrummerBatch(*batch))

    def _costs(self, lesson: DrummerBatch[Tensor]) -> dict[str, Tensor]:
        model, config = self.vae, self.config
        target = lesson.target
        hits, played = torch.split(target, [VOICE_COUNT, 2 * VOICE_COUNT], dim=-1)
        known = known_of(lesson, target)
        latent, nats = self._latent(lesson)
        context = model.decoder.context(latent, known)
        logits = model.decoder.logits(context, hits)
        feel = model.decoder.feel(context, hits)
        asked = (hits * (1 - known.expression_mask)).repeat(1, 1, 2)
        costs = {
            "hits": hits_loss(logits.float(), hits, known.hit_mask),
            "middle": loc_loss(feel, played, asked),
            "spread": scale_loss(feel, played, asked),
        }
        beta = config.beta * (1 - config.beta_rate ** max(self.global_step, 1))
        reading = known.has_latent.sum().clamp(min=1)
        loss = costs["hits"] + config.feel_weight * (costs["middle"] + costs["spread"])
        if len(nats):
            loss = loss + kl_loss(nats, config.free_bits, beta) * reading / len(target)
        costs["taps"] = self._listening_cost(lesson)
        loss = loss + costs["taps"]
        return {"loss": loss, **costs, "bits": nats.mean() / 0.6931 if len(nats) else loss.new_zeros(())}

    def _listening_cost(self, lesson: DrummerBatch[Tensor]) -> Tensor:
        """Returns what the readers of taps are wrong by in a rhythm, the mean over them; each reads its part of the rhythms."""
        features = tap_features(lesson.rhythm)
        total = features.new_zeros(())
        readers = self.vae.tap_model.readers
        for number, reader in enumerate(readers):
            mine = lesson.part == number % PARTS
            odds = reader(features[mine], lesson.rhythm_bpm[mine], lesson.rhythm_style[mine])
            total = total + tap_loss(odds.float(), lesson.expected[mine])
        return total * PARTS / (len(features) * len(readers))

    def _latent(self, lesson: DrummerBatch[Tensor]) -> tuple[Tensor, Tensor]:
        """Returns latents (B, Z), zero where nothing is heard, and the divergence in nats of those that are."""
        read, noise = lesson.read, lesson.noise
        has_latent = lesson.has_latent > 0
        mean, scale = (value.float() for value in self.vae.encoder(read[has_latent]))
        latent = torch.zeros_like(noise)
        latent[has_latent] = mean + scale * noise[has_latent]
        return latent, divergence(mean, scale)

    def write_for(self, task: str, loops: Tensor, bpm: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the likeliest loops for a task's view of loops (B, S, 27), and 1 in the cells (B, S, V) that were given."""
        return write_for(self.vae, task, loops, bpm)

    def validation_losses(self, loops: Tensor, bpm: Tensor) -> dict[str, Tensor]:
        """Returns the costs of writing loops back, the mean latent taken."""
        lesson = validation_batch("reconstruct", loops, bpm, self.config.model)
        return self._costs(lesson)


def known_of(lesson: DrummerBatch[Tensor], target: Tensor) -> Known:
    """Returns what a lesson shows, in tensors."""
    hits, played = torch.split(target, [VOICE_COUNT, 2 * VOICE_COUNT], dim=-1)
    wanted = (lesson.tap, lesson.has_tap, lesson.style, lesson.bpm, lesson.density, lesson.fill)
    expression = played * lesson.expression_mask.repeat(1, 1, 2)
    return Known(lesson.has_latent, hits * lesson.hit_mask, lesson.hit_mask, expression, lesson.expression_mask, *wanted)


@torch.no_grad()
def write_for(model: Drummer, task: str, loops: Tensor, bpm: Tensor, thresholds: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns the likeliest loops that a model writes for a task's view of loops, and what was given.

    A tap is answered by what the readers expect, or, where thresholds (V,) are to be tried, by the core that they are for.
    """
    lesson = validation_batch(task, loops, bpm, model.config)
    known = known_of(lesson, loops)
    latent = loops.new_zeros(len(loops), model.config.latent_size)
    if task == "reconstruct":
        latent = model.encoder(loops)[0].float()
    if task == "drumify" and thresholds is None:
        expected = model.tap_model(known.tap, known.bpm, known.style)
        known = known._replace(hit_values=(expected >= LIKELY_HIT).to(loops), hit_mask=torch.ones_like(known.hit_mask))
    return model.likeliest(latent, known, thresholds), lesson.hit_mask


@torch.no_grad()
def played_loosely(model: Drummer, loops: Tensor, bpm: Tensor) -> Write:
    """Returns what plays the hits of loops (B, S, 27) at tempi (B,) as a model does, its spreads times (2 V,) factors; always one draw."""
    draw = torch.Generator().manual_seed(0)
    hits = loops[..., :VOICE_COUNT]
    middles, drawn = [], []
    for first in range(0, len(loops), _AT_ONCE):
        some = loops[first : first + _AT_ONCE]
        known = known_of(validation_batch("humanize", some, bpm[first : first + _AT_ONCE], model.config), some)
        context = model.decoder.context(some.new_zeros(len(some), model.config.latent_size), known)
        feel = model.decoder.feel(context, some[..., :VOICE_COUNT])
        shapes = (feel.spread.shape, (len(some), model.config.moods))
        note_noise, loop_noise = (torch.randn(shape, generator=draw).to(some) for shape in shapes)
        middles.append(feel.middle)
        drawn.append(feel.drawn(note_noise, loop_noise))
    middle, off = torch.cat(middles), torch.cat(drawn)
    return lambda factors: torch.cat([hits, in_reach(middle + factors * off) * hits.repeat(1, 1, 2)], dim=-1)
