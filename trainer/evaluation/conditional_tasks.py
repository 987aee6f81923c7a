"""A model and windows in, how well it adds what it is not given out: a kit to a tap, a voice to the others.

n windows, S steps. The engine's own verbs are scored, with what they keep of the input, on each window by itself.
"""

from collections.abc import Iterator

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import VOICE_COUNT, groove_to_arrays
from drumvae.music.grid import Array
from drumvae.music.inputs import TAP_VOICE, tapped_hits, to_tap, without_voices
from drumvae.util.progress import watched

from .baselines import Answer, copied_tap
from .bootstrap import Sums, ratio
from .hits import Cells, feel_error_sums, feel_figures, hit_and_feel_figures, hit_cells, hit_figures, hit_sums
from .reconstruction import MODEL_BATCH
from .styles import style_numbers
from .table import Table, Tallies, TaskScores
from .windows import Numbers, Windows

VOICE_SEED = 0
"""Draws the voice that is left out of each window."""
_EXACT = 1e-6  # of velocity and of a step: what rounding leaves
_SAME_HITS = "Only hits that the model wrote and people played; every row is scored on these same hits."


def score_drumifying(engine: Engine, split: Windows, baselines: dict[str, Answer], feel_baselines: dict[str, Answer]) -> TaskScores:
    """Scores the grooves that the model makes of taps: hits, and the feel of those that were tapped and those that were added."""
    hits, feel = Tallies(split.take_count), {"tapped": Tallies(split.take_count), "added": Tallies(split.take_count)}
    for places in split.blocks("Drumifying", MODEL_BATCH):
        true, step_ms, takes = split.loops(places), split.step_ms(places), split.takes[places]
        numbers = np.arange(places.start, places.stop)
        written = drumified(engine, true, split.bpm[places])
        tapped = tapped_hits(true) > 0
        systems = {"model": written} | _in_style(engine, true, split, places)
        for system, grooves in (systems | {name: answer(true, numbers) for name, answer in baselines.items()}).items():
            hits.add(system, hit_sums(grooves, true, step_ms) | _recalled(grooves, true, tapped) | _kept(grooves, true), takes)
        matched = hit_cells(written) & hit_cells(true)
        played = {"model": written, "copy of the tap": copied_tap(true, np.ones_like(tapped, np.float32))}
        for system, grooves in (played | {name: answer(true, numbers) for name, answer in feel_baselines.items()}).items():
            for name, cells in (("tapped", matched & tapped), ("added", matched & ~tapped)):
                feel[name].add(system, feel_error_sums(grooves, true, step_ms, cells), takes)
    figures = hit_and_feel_figures if engine.encoding == "groove" else hit_figures
    about = (
        "The tap holds the loudest hit of each step: when, how loud, how late, and not which drum; a drummer is told the tempo, and where"
        " it says so the style. Kept: the share of the tapped steps where one hit has exactly the tap's velocity and timing. Velocity and"
        " timing on matching hits."
    )
    tables = {
        "hits": Table(
            about,
            hits.rows(lambda sums: figures(sums) | _recalls(sums)),
            by_voice=("f1_by_voice",),
        )
    }
    if engine.encoding == "groove":
        tables |= {f"feel of {name} hits": Table(_SAME_HITS, tallies.rows(feel_figures)) for name, tallies in feel.items()}
    return TaskScores(tables)


def _in_style(engine: Engine, true: Array, split: Windows, places: slice) -> dict[str, Array]:
    """Returns what the model writes where it is told the style too, where it knows any."""
    if not engine.styles:
        return {}
    numbers = style_numbers(split, engine.styles)[places]
    told = np.asarray(numbers[:, None] == np.arange(len(engine.styles)), np.float32)
    return {"model, told the style": drumified(engine, true, split.bpm[places], told)}


def _kept(written: Array, true: Array) -> Sums:
    """Returns how many steps of each window are tapped, and at how many of them a hit is played exactly as the tap."""
    hits, velocities, offsets = groove_to_arrays(written)
    struck, velocity, offset = (array[..., TAP_VOICE, None] for array in groove_to_arrays(to_tap(true)))
    alike = (hits > 0.5) & (np.abs(velocities - velocity) < _EXACT) & (np.abs(offsets - offset) < _EXACT)
    return {"taps": struck.sum(axis=(1, 2)) * 1.0, "kept": (alike & (struck > 0.5)).any(axis=2).sum(axis=1) * 1.0}


def _recalled(written: Array, true: Array, tapped: Cells) -> Sums:
    found, there = hit_cells(written), hit_cells(true)
    kinds = {"tapped": there & tapped, "added": there & ~tapped}
    return {
        f"{name}_{what}": (cells & other).sum(axis=(1, 2)) * 1.0
        for name, cells in kinds.items()
        for what, other in (("true", there), ("found", found))
    }


def _recalls(sums: Sums) -> Sums:
    """Returns the shares of the tapped hits, and of the others, that were written on their own voice, and of the taps that were kept."""
    recalls = {f"recall_{name}": ratio(sums[f"{name}_found"], sums[f"{name}_true"]) for name in ("tapped", "added")}
    return recalls | {"taps_kept": ratio(sums["kept"], sums["taps"])}


def drumified(engine: Engine, true: Array, bpm: Array, style: Array | None = None) -> Array:
    """Returns what the model writes for the taps of groove tensors (n, S, 27); a drummer is told tempi (n,), and may be styles (n, T)."""
    return engine.drumify_loops(to_tap(true), bpm, style)


def score_infilling(engine: Engine, split: Windows, baselines: dict[str, Answer], left_out: Numbers) -> TaskScores:
    """Scores the voice that the model plays to the others; `left_out` (n,) names it for each window, -1 where the window is silent."""
    tallies = Tallies(split.take_count)
    for voice, places in _by_voice(left_out):
        true, step_ms, takes = split.loops(places), split.step_ms(places), split.takes[places]
        asked = np.broadcast_to(np.arange(VOICE_COUNT) == voice, (len(true), engine.steps, VOICE_COUNT))
        written = {"model": infilled(engine, true, voice, split.bpm[places])} | {
            name: answer(true, places) for name, answer in baselines.items()
        }
        for system, grooves in written.items():
            tallies.add(system, hit_sums(grooves, true, step_ms, asked), takes)
    figures = hit_and_feel_figures if engine.encoding == "groove" else hit_figures
    about = (
        "One voice is left out of each window, drawn among those that sound; only its cells count. Velocity and timing on matching hits."
    )
    facts = {"voice_seed": VOICE_SEED, "windows_by_voice": [int((left_out == voice).sum()) for voice in range(VOICE_COUNT)]}
    return TaskScores({"the voice left out": Table(about, tallies.rows(figures), by_voice=("f1_by_voice",))}, facts)


def _by_voice(left_out: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Yields voices and places of windows without them, some at a time."""
    places = [(voice, np.flatnonzero(left_out == voice)) for voice in range(VOICE_COUNT)]
    parts = [(voice, all_of[i : i + MODEL_BATCH]) for voice, all_of in places for i in range(0, len(all_of), MODEL_BATCH)]
    return watched(parts, "Infilling", len(parts))


def draw_left_out(split: Windows) -> Numbers:
    """Returns for each window one of the voices that sound in it, all as likely, drawn from `VOICE_SEED`; -1 where none does; (n,)."""
    chances = np.random.default_rng(VOICE_SEED).random((len(split), VOICE_COUNT))
    for places in split.blocks("Choosing voices"):
        chances[places][~hit_cells(split.loops(places)).any(axis=1)] = -1
    return np.where(chances.max(axis=1) < 0, -1, chances.argmax(axis=1))


def infilled(engine: Engine, true: Array, voice: int, bpm: Array) -> Array:
    """Returns groove tensors (n, S, 27) with one voice played by the model, which hears the others alone; tempi as in `drumified`."""
    return engine.infill_loops(without_voices(true, np.arange(VOICE_COUNT) == voice), [voice], bpm)
