"""The LightningModule of a drummer. B batch, S steps, V = 9 voices, Z latent size, K factors shared by a loop."""

import math

import torch
from torch import Tensor

from drumvae.models.config import DrummerConfig
from drumvae.models.drummer import Conditioning, Drummer, clamp_expression
from drumvae.models.features import tap_features
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.sampling import LIKELY_HIT

from .base_module import DrumModule
from .calibrate import Predict
from .config import TrainConfig
from .drummer_batches import TAP_GROUPS, DrummerBatch, TapBatch
from .drummer_losses import hits_loss, loc_loss, scale_loss, tap_loss
from .losses import divergence, kl_loss
from .validation_batches import validation_batch

_BATCH = 256


class DrummerModule(DrumModule):
    """Trains a Drummer to predict the hits and the expression that are not among its inputs."""

    vae: Drummer

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        assert isinstance(config.model, DrummerConfig)
        self.vae = Drummer(config.model)

    def batch_losses(self, batch: DrummerBatch[Tensor]) -> dict[str, Tensor]:
        model, config = self.vae, self.config
        hits, expression = torch.split(batch.target, [VOICE_COUNT, 2 * VOICE_COUNT], dim=-1)
        known = Conditioning(**batch.inputs)
        latent, nats = self._sample_latent(batch)
        context = model.decoder.context(latent, known)
        logits = model.decoder.logits(context, hits)
        distribution = model.decoder.expression(context, hits)
        mask = (hits * (1 - known.expression_mask)).repeat(1, 1, 2)
        losses = {
            "hits": hits_loss(logits.float(), hits, known.hit_mask),
            "loc": loc_loss(distribution, expression, mask),
            "scale": scale_loss(distribution, expression, mask),
        }
        loss = losses["hits"] + config.feel_weight * (losses["loc"] + losses["scale"])
        if len(nats):
            beta = config.beta * (1 - config.beta_rate ** max(self.global_step, 1))
            with_latent = known.has_latent.sum().clamp(min=1)
            loss = loss + kl_loss(nats, config.free_bits, beta) * with_latent / len(batch.target)
        losses["taps"] = self._tap_loss(batch.taps)
        bits = nats.mean() / math.log(2) if len(nats) else loss.new_zeros(())
        return {"loss": loss + losses["taps"], **losses, "bits": bits}

    def _tap_loss(self, taps: TapBatch[Tensor]) -> Tensor:
        """Returns the loss of the tap ensemble per tap, averaged over its members; each member reads the taps of one group."""
        features = tap_features(taps.tap)
        total = features.new_zeros(())
        members = self.vae.tap_model.members
        for number, member in enumerate(members):
            own = taps.group == number % TAP_GROUPS
            logits = member(features[own], taps.bpm[own], taps.style[own])
            total = total + tap_loss(logits.float(), taps.hits[own])
        return total * TAP_GROUPS / (len(features) * len(members))

    def _sample_latent(self, batch: DrummerBatch[Tensor]) -> tuple[Tensor, Tensor]:
        """Returns sampled latents (B, Z), 0 for windows without one, and the KL divergences of the others in nats."""
        has_latent = batch.inputs["has_latent"] > 0
        mean, std = (value.float() for value in self.vae.encoder(batch.view[has_latent]))
        latent = torch.zeros_like(batch.noise)
        latent[has_latent] = mean + std * batch.noise[has_latent]
        return latent, divergence(mean, std)

    def predict_loops(self, task: str, loops: Tensor, bpm: Tensor) -> tuple[Tensor, Tensor]:
        return predict_loops(self.vae, task, loops, bpm)

    def validation_losses(self, loops: Tensor, bpm: Tensor) -> dict[str, Tensor]:
        """Returns the losses of reconstruction with the mean latents."""
        return self.batch_losses(validation_batch(self.vae, "reconstruct", loops, bpm))


@torch.no_grad()
def predict_loops(model: Drummer, task: str, loops: Tensor, bpm: Tensor, thresholds: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns a drummer's most likely loops for a task, and a mask (B, S, V) that is 1 in the cells whose hits the task gives.

    Args:
        model: The drummer.
        task: The task, such as "infill".
        loops: Groove tensors, (B, S, 27), from which the inputs of the task are derived.
        bpm: Their tempi in beats a minute, (B,).
        thresholds: Hit thresholds (V,) of the decoder. Without them, the tap model decides the hits of "drumify".
    """
    batch = validation_batch(model, task, loops, bpm)
    known = Conditioning(**batch.inputs)
    latent = loops.new_zeros(len(loops), model.config.latent_size)
    if task == "reconstruct":
        latent = model.encoder(loops)[0].float()
    if task == "drumify" and thresholds is None:
        probability = model.tap_model(known.tap, known.bpm, known.style)
        known = known._replace(hit_values=(probability >= LIKELY_HIT).to(loops), hit_mask=torch.ones_like(known.hit_mask))
    return model.most_likely(latent, known, thresholds), batch.inputs["hit_mask"]


@torch.no_grad()
def sample_expression(model: Drummer, loops: Tensor, bpm: Tensor) -> Predict:
    """Samples velocities and offsets for the hits of loops (B, S, 27) at tempi (B,), always with the same random numbers.

    The result is a function. Given scale factors (2 V,), it returns the loops with each sample's deviation from the location multiplied by
    them.
    """
    generator = torch.Generator().manual_seed(0)
    hits = loops[..., :VOICE_COUNT]
    locations, deviations = [], []
    for first in range(0, len(loops), _BATCH):
        part = loops[first : first + _BATCH]
        batch = validation_batch(model, "humanize", part, bpm[first : first + _BATCH])
        context = model.decoder.context(torch.zeros_like(batch.noise), Conditioning(**batch.inputs))
        distribution = model.decoder.expression(context, part[..., :VOICE_COUNT])
        shapes = distribution.scale.shape, (len(part), model.config.moods)
        note_noise, loop_noise = (torch.randn(shape, generator=generator).to(part) for shape in shapes)
        locations.append(distribution.loc)
        deviations.append(distribution.deviation(note_noise, loop_noise))
    location, deviation = torch.cat(locations), torch.cat(deviations)
    return lambda factors: torch.cat([hits, clamp_expression(location + factors * deviation) * hits.repeat(1, 1, 2)], dim=-1)
