"""Writes checkpoints of tiny LSTM models of all kinds."""

from dataclasses import replace
from pathlib import Path

import torch

from drumvae.models.checkpoint import FORMAT, KEY
from drumvae.models.config import VAEConfig
from drumvae.models.vae import LoopVAE

PLAIN = VAEConfig(steps=16, latent_size=8, encoder_units=(8,), decoder_units=(8, 6))
CLASSES = replace(PLAIN, encoding="pattern", output="categorical")
KINDS = {
    "published": PLAIN,
    "stage": replace(PLAIN, steps=32, bar_readout=True, position_size=4, show_hits=True, feel_units=8),
    "conducted grooves": replace(PLAIN, plan="conductor", segments=16, conductor_units=(12, 10)),
    "conducted patterns": replace(CLASSES, plan="conductor", segments=8, conductor_units=(12,)),
    "segmented patterns of 16 bars": replace(CLASSES, steps=256, plan="segments", segments=4, segment_size=8),
    "melodies": replace(CLASSES, encoding="melody", plan="conductor", segments=8, conductor_units=(12,)),
}


def loops(model: VAEConfig, count: int) -> torch.Tensor:
    if model.encoding == "melody":
        return torch.randint(0, 90, (count, model.steps)).float()
    grooves = torch.rand(count, model.steps, 27)
    hits = (grooves[..., :9] < 0.2).float()
    return torch.cat([hits, grooves[..., 9:18] * hits, grooves[..., 18:] * hits], dim=-1)


def checkpoint(path: Path, model: VAEConfig) -> Path:
    """Writes a checkpoint of a new model, with the entries of a trained one."""
    torch.manual_seed(0)
    vae = LoopVAE(model)
    for parameter in vae.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    metadata = {"format": FORMAT, "preset": "tiny", "tasks": ["generate", "reconstruct"], "windows": loops(model, 5)}
    metadata |= {"config": {"preset": "tiny", "model": model.to_dict()}}
    metadata["facts"] = {"data": "MIDI files", "validation": {"hit_f1": 0.5}, "step": 1}
    torch.save({"state_dict": {f"vae.{k}": v for k, v in vae.state_dict().items()}, KEY: metadata}, path)
    return path
