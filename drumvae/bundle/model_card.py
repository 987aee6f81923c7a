"""Writes a bundle's model card in Markdown."""

from typing import Any

from ..music.grid import STEPS_PER_BAR
from .format import BundleInfo


def model_card(info: BundleInfo) -> str:
    """Returns the card of a bundle; `drumvae-evaluate --card` adds scores beside those of baselines."""
    facts = info.training
    config = facts.get("config", {})
    melody, bars = info.encoding == "melody", f"{info.steps / STEPS_PER_BAR:g} bars"
    holds = {"groove": "nine voices with velocity and timing", "pattern": "nine voices, hits only", "melody": "one note at a time"}
    rows = {
        "preset": info.preset,
        "tasks": ", ".join(info.tasks),
        "one loop": f"{info.steps} sixteenth steps, {holds[info.encoding]}, latent of {info.latent_size}",
        "data": f"{facts.get('data', 'unknown')}, takes of at least {bars} in 4/4",
        "trained on": _part(facts, "train"),
        "validated on": f"{_part(facts, 'validation')}; the best checkpoint {'was' if melody else 'and the thresholds were'} chosen there",
        "trained for": f"{facts.get('step', 0)} steps of {config.get('batch_size', '?')} windows, {facts.get('minutes', 0):.0f} minutes",
        "trained on the machine": facts.get("machine", "unknown"),
        "trained when": facts.get("started", "unknown"),
        "exported by": f"drumvae {info.version}",
        "thresholds by voice": ", ".join(f"{t:.2f}" for t in info.thresholds) or "none",
        "validation, during training": ", ".join(f"{name} {value:.4g}" for name, value in info.scores.items()),
        "precision": {"fp32": "fp32", "fp16": "fp16: stored in half precision", "int8": "int8: stored in bytes"}[info.precision],
        "licence": info.licence,
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"# {info.preset}, a drumvae bundle\n\n| | |\n|---|---|\n{table}\n\n" + (_MELODIES if melody else _DRUMS).format(bars=bars)


def _part(facts: dict[str, Any], split: str) -> str:
    """Returns the size of a split."""
    takes, windows = (facts.get(name, {}).get(split, 0) for name in ("takes", "windows"))
    return f"{takes} takes, {windows} windows"


_DRUMS = """It writes {bars} of 4/4 on a straight sixteenth grid, with at most one hit of a voice in a step. It cannot write flams, drags,
triplets or other meters. It is meant for accompaniment and sketches; it has no information on the song around it.
"""
_MELODIES = """It writes {bars} of 4/4 on a straight sixteenth grid, one note at a time from A0 to C8, all equally loud. It cannot write
chords, triplets or other meters. It is meant for sketches; it has no information on the song around it.
"""
