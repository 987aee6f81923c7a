"""Loops and a task in, the lesson that asks a drummer for them without chance out. B loops, S steps, V = 9 voices."""

import torch
from torch import Tensor

from drumvae.models.config import ModelConfig
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import STEPS_PER_BAR
from drumvae.music.inputs import tap_of

from .drummer_batches import PARTS, DrummerBatch
from .vae_batches import view_for


def validation_batch(task: str, loops: Tensor, bpm: Tensor, model: ModelConfig) -> DrummerBatch[Tensor]:
    """Returns what is shown of loops (B, S, 27) for a task, their tempi (B,) told and nothing else; tensors in place of arrays."""
    count, steps = loops.shape[:2]
    _, hit_mask = view_for(task, loops.cpu().numpy())
    given = torch.tensor(hit_mask).to(loops)
    nothing = torch.zeros_like(given)
    tap = torch.from_numpy(tap_of(loops.cpu().numpy())).to(loops)
    no_style = loops.new_zeros(count, len(model.styles))
    has_tap = loops.new_full((count,), float(task == "drumify"))
    has_latent = loops.new_full((count,), float(task == "reconstruct"))
    return DrummerBatch(
        target=loops,
        read=loops,
        has_latent=has_latent,
        hit_mask=given,
        expression_mask=given if task == "infill" else nothing,
        tap=tap,
        has_tap=has_tap,
        style=no_style,
        bpm=bpm.to(loops),
        density=loops.new_zeros(count),
        fill=loops.new_zeros(count, steps // STEPS_PER_BAR),
        noise=loops.new_zeros(count, model.latent_size),
        rhythm=tap,
        expected=loops[..., :VOICE_COUNT],
        rhythm_style=no_style,
        rhythm_bpm=bpm.to(loops),
        part=torch.arange(count, device=loops.device) % PARTS,
    )
