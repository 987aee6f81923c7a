"""Builds the inputs of a drummer's tasks without randomness, for validation. B loops, S steps, V = 9 voices."""

import torch
from torch import Tensor

from drumvae.models.drummer import Drummer
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.inputs import tap_of

from .drummer_batches import TAP_GROUPS, DrummerBatch, TapBatch, given_inputs
from .vae_batches import view_for


def validation_batch(model: Drummer, task: str, loops: Tensor, bpm: Tensor) -> DrummerBatch[Tensor]:
    """Returns the batch of a task with the tempo as its only condition.

    Args:
        model: The model, for the shapes of its inputs.
        task: The task, such as "infill".
        loops: Groove tensors, (B, S, 27).
        bpm: Their tempi in beats a minute, (B,).
    """
    count, array = len(loops), loops.cpu().numpy()
    hit_mask = torch.tensor(view_for(task, array)[1]).to(loops)
    expression_mask = hit_mask if task == "infill" else torch.zeros_like(hit_mask)
    tap, bpm = torch.from_numpy(tap_of(array)).to(loops), bpm.to(loops)
    inputs = {name: value.to(loops) for name, value in model.unknown(count)._asdict().items()}
    inputs |= given_inputs(loops, hit_mask, expression_mask) | {"tap": tap, "bpm": bpm}
    inputs["has_tap"] = loops.new_full((count,), float(task == "drumify"))
    inputs["has_latent"] = loops.new_full((count,), float(task == "reconstruct"))
    group = torch.arange(count, device=loops.device) % TAP_GROUPS
    taps = TapBatch(tap, loops[..., :VOICE_COUNT], inputs["style"], bpm, group)
    return DrummerBatch(loops, loops, loops.new_zeros(count, model.config.latent_size), inputs, taps)
