"""Draws piano rolls of a task's inputs, the model's outputs and the human performances side by side."""

from typing import TYPE_CHECKING

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import MELODY_FIRST_PITCH, MELODY_LOWEST, VOICE_COUNT, groove_to_arrays, melody_to_notes
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.inputs import TAP_VOICE, to_tap, without_feel, without_voices
from drumvae.music.kit import VOICES

from .conditional_tasks import drumified, infilled
from .generation import generated
from .humanization import MEAN, humanized

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOWS = 4
_INPUT, _MODEL, _HUMAN = "input", "model", "human"


def roll_columns(engine: Engine, task: str, true: Array) -> dict[str, Array]:
    """Returns the loops of a task's picture by column heading; nothing for a task without a picture."""
    no_bpm = np.zeros(len(true), np.float32)  # without the tempo as a condition
    if task == "generate":
        return {f"loop {number}": loop[None] for number, loop in enumerate(generated(engine, WINDOWS), start=1)}
    if task == "reconstruct":
        return {_INPUT: true, _MODEL: engine.reconstruct(true)}
    if task == "humanize":
        return {_INPUT: without_feel(true), _MODEL: humanized(engine, true, no_bpm, 0)[MEAN], _HUMAN: true}
    if task == "drumify":
        return {_INPUT: to_tap(true), _MODEL: drumified(engine, true, no_bpm), _HUMAN: true}
    if task == "infill":
        voices = [_second_voice(groove) for groove in true]
        inputs = [without_voices(groove, np.arange(VOICE_COUNT) == voice) for groove, voice in zip(true, voices, strict=True)]
        outputs = [infilled(engine, groove[None], voice, no_bpm[:1])[0] for groove, voice in zip(true, voices, strict=True)]
        return {_INPUT: np.stack(inputs), _MODEL: np.stack(outputs), _HUMAN: true}
    return {}


def _second_voice(groove: Array) -> int:
    """Returns the voice with the second most hits, so that both the voice and the others are visible."""
    counts = groove_to_arrays(groove)[0].sum(axis=0)
    active = np.argsort(-counts)[: max(int((counts > 0).sum()), 1)]
    return int(active[min(1, len(active) - 1)])


def draw_roll(axis: "Axes", loop: Array) -> None:
    """Draws a groove (S, 27) with a dot for each hit, darker and larger where it is louder, or the notes of a melody (S,)."""
    for step in range(0, len(loop) + 1, STEPS_PER_BAR // 4):
        axis.axvline(step, color="0.75" if step % STEPS_PER_BAR == 0 else "0.92", linewidth=0.8, zorder=0)
    axis.set_xticks(range(0, len(loop), STEPS_PER_BAR), [str(bar + 1) for bar in range(len(loop) // STEPS_PER_BAR)])
    axis.set_xlim(-1, len(loop))
    if loop.ndim == 1:
        _draw_notes(axis, loop)
        return
    hits, velocities, offsets = groove_to_arrays(loop)
    steps, voices = np.nonzero(hits > 0.5)
    loudness = np.clip(velocities[steps, voices], 0, 1)
    colours = np.where(loudness > 0, 0.25 + 0.75 * loudness, 0.15)  # faint for inputs without velocity
    axis.scatter(steps + offsets[steps, voices], voices, s=6 + 26 * loudness, c=colours, cmap="viridis_r", vmin=0, vmax=1, linewidths=0)
    axis.set_yticks(range(VOICE_COUNT), VOICES, fontsize=6)
    axis.set_ylim(-0.7, VOICE_COUNT - 0.3)
    if voices.size and (voices == TAP_VOICE).all():
        axis.set_yticks([TAP_VOICE], ["tap"], fontsize=6)


def _draw_notes(axis: "Axes", melody: Array) -> None:
    notes = melody_to_notes(melody.astype(np.int64))
    for first, end, pitch in notes:
        axis.barh(pitch, end - first, left=first, height=0.9, color="tab:purple")
    pitches = [pitch for *_, pitch in notes] or [MELODY_LOWEST + MELODY_FIRST_PITCH + 37]
    axis.set_ylim(min(pitches) - 3, max(pitches) + 3)
