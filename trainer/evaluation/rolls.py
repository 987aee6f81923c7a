"""A model and a few windows in, what it was given, what it made of it and what people played out, side by side as piano rolls."""

from typing import TYPE_CHECKING

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import MELODY_FIRST_PITCH, MELODY_LOWEST, VOICE_COUNT, groove_to_arrays, melody_to_notes
from drumvae.music.grid import STEPS_PER_BAR, Array
from drumvae.music.inputs import TAP_VOICE, to_tap, without_feel, without_voices
from drumvae.music.kit import VOICES

from .conditional_tasks import drumified, infilled
from .generation import generated
from .humanizing import MEAN, humanized

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOWS = 4
_GIVEN, _MODEL, _PEOPLE = "given", "model", "played by people"


def roll_columns(engine: Engine, task: str, true: Array) -> dict[str, Array]:
    """Returns loops to draw beside each other for a task, by heading; nothing for a task without such a picture."""
    unknown = np.zeros(len(true), np.float32)  # tempi: a picture needs none
    if task == "generate":
        return {f"loop {number}": loop[None] for number, loop in enumerate(generated(engine, WINDOWS), start=1)}
    if task == "reconstruct":
        return {_GIVEN: true, _MODEL: engine.reconstruct(true)}
    if task == "humanize":
        return {_GIVEN: without_feel(true), _MODEL: humanized(engine, true, unknown, 0)[MEAN], _PEOPLE: true}
    if task == "drumify":
        return {_GIVEN: to_tap(true), _MODEL: drumified(engine, true, unknown), _PEOPLE: true}
    if task == "infill":
        voices = [_middle_voice(groove) for groove in true]
        heard = [without_voices(groove, np.arange(VOICE_COUNT) == voice) for groove, voice in zip(true, voices, strict=True)]
        filled = [infilled(engine, groove[None], voice, unknown[:1])[0] for groove, voice in zip(true, voices, strict=True)]
        return {_GIVEN: np.stack(heard), _MODEL: np.stack(filled), _PEOPLE: true}
    return {}


def _middle_voice(groove: Array) -> int:
    """Returns a voice that plays often, but not most: its absence shows, and there is something to hear without it."""
    counts = groove_to_arrays(groove)[0].sum(axis=0)
    playing = np.argsort(-counts)[: max(int((counts > 0).sum()), 1)]
    return int(playing[min(1, len(playing) - 1)])


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
    loud = np.clip(velocities[steps, voices], 0, 1)
    colours = np.where(loud > 0, 0.25 + 0.75 * loud, 0.15)  # without a velocity, as where only hits are given, faint
    axis.scatter(steps + offsets[steps, voices], voices, s=6 + 26 * loud, c=colours, cmap="viridis_r", vmin=0, vmax=1, linewidths=0)
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
