"""Scores the tasks that add hits to an input: a kit for a tap (drumify), and one voice for the others (infill).

n windows, S steps. The engine's own methods are scored, with the hits that they keep from the input, on each window alone.
"""

from collections.abc import Iterator

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import VOICE_COUNT, groove_to_arrays
from drumvae.music.grid import Array
from drumvae.music.inputs import TAP_VOICE, tapped_hits, to_tap, without_voices
from drumvae.util.progress import watched

from .baselines import Predictor, copied_tap
from .bootstrap import IntArray, Mask, Sums, ratio
from .hits import expression_error_metrics, expression_error_sums, groove_metrics, hit_mask, hit_metrics, hit_sums
from .reconstruction import MODEL_BATCH
from .styles import style_numbers
from .table import Table, Tallies, TaskScores
from .windows import Windows

VOICE_SEED = 0
"""Draws the voice that is left out of each window."""
_EXACT = 1e-6  # tolerance of velocity and of offsets in steps, for rounding
_DRUMIFY = (
    "The input is the loudest hit of each step: its velocity and timing, not its voice. A drummer also gets the tempo and, where the row"
    " says so, the style. Taps kept: the share of tapped steps with a hit of exactly the tap's velocity and timing. MAE over matching hits."
)
_SAME_HITS = "Only hits that the model predicts and people played; every row is scored on these hits."
_INFILL = "One voice is left out of each window, drawn among its active voices; only its cells count. MAE: over matching hits."


def score_drumify(
    engine: Engine, split: Windows, baselines: dict[str, Predictor], expression_baselines: dict[str, Predictor]
) -> TaskScores:
    """Scores the grooves that the model makes of taps: their hits, and velocity and timing of tapped and of added hits.

    Args:
        engine: The model.
        split: The scored windows.
        baselines: Predictors of whole grooves.
        expression_baselines: Predictors of velocity and timing for given hits.
    """
    hits, expression = Tallies(split.take_count), {"tapped": Tallies(split.take_count), "added": Tallies(split.take_count)}
    for block in split.blocks("Drumifying", MODEL_BATCH):
        true, step_ms, takes = split.loops(block), split.step_ms(block), split.takes[block]
        indices = np.arange(block.start, block.stop)
        model = drumified(engine, true, split.bpm[block])
        tapped = tapped_hits(true) > 0
        predicted = {"model": model} | _with_style(engine, true, split, block)
        for system, grooves in (predicted | {name: baseline(true, indices) for name, baseline in baselines.items()}).items():
            sums = hit_sums(grooves, true, step_ms) | _recall_sums(grooves, true, tapped) | _kept_taps(grooves, true)
            hits.add(system, sums, takes)
        matched = hit_mask(model) & hit_mask(true)
        predicted = {"model": model, "copy of the tap": copied_tap(true, np.ones_like(tapped, np.float32))}
        for system, grooves in (predicted | {name: baseline(true, indices) for name, baseline in expression_baselines.items()}).items():
            for name, cells in (("tapped", matched & tapped), ("added", matched & ~tapped)):
                expression[name].add(system, expression_error_sums(grooves, true, step_ms, cells), takes)
    metrics = groove_metrics if engine.encoding == "groove" else hit_metrics
    tables = {"hits": Table(_DRUMIFY, hits.rows(lambda sums: metrics(sums) | _recalls(sums)), by_voice=("f1_by_voice",))}
    if engine.encoding == "groove":
        tables |= {f"feel of {name} hits": Table(_SAME_HITS, each.rows(expression_error_metrics)) for name, each in expression.items()}
    return TaskScores(tables)


def _with_style(engine: Engine, true: Array, split: Windows, block: slice) -> dict[str, Array]:
    """Returns the model's output with the style as a further condition; nothing for a model without styles."""
    if not engine.styles:
        return {}
    numbers = style_numbers(split, engine.styles)[block]
    style = np.asarray(numbers[:, None] == np.arange(len(engine.styles)), np.float32)
    return {"model, told the style": drumified(engine, true, split.bpm[block], style)}


def _kept_taps(predicted: Array, true: Array) -> Sums:
    """Returns the number of tapped steps of each window, and of those with a hit exactly as the tap."""
    hits, velocities, offsets = groove_to_arrays(predicted)
    tap, velocity, offset = (array[..., TAP_VOICE, None] for array in groove_to_arrays(to_tap(true)))
    same = (hits > 0.5) & (np.abs(velocities - velocity) < _EXACT) & (np.abs(offsets - offset) < _EXACT)
    return {"taps": tap.sum(axis=(1, 2)) * 1.0, "kept": (same & (tap > 0.5)).any(axis=2).sum(axis=1) * 1.0}


def _recall_sums(predicted: Array, true: Array, tapped: Mask) -> Sums:
    found, wanted = hit_mask(predicted), hit_mask(true)
    parts = {"tapped": wanted & tapped, "added": wanted & ~tapped}
    return {
        f"{name}_{what}": (cells & other).sum(axis=(1, 2)) * 1.0
        for name, cells in parts.items()
        for what, other in (("true", wanted), ("found", found))
    }


def _recalls(sums: Sums) -> Sums:
    """Returns the recall of tapped and of other hits, and the share of taps that were kept."""
    recalls = {f"recall_{name}": ratio(sums[f"{name}_found"], sums[f"{name}_true"]) for name in ("tapped", "added")}
    return recalls | {"taps_kept": ratio(sums["kept"], sums["taps"])}


def drumified(engine: Engine, true: Array, bpm: Array, style: Array | None = None) -> Array:
    """Returns the model's output for the taps of some grooves.

    Args:
        engine: The model.
        true: Groove tensors (n, S, 27).
        bpm: Tempi in beats a minute (n,), a condition of a drummer.
        style: One-hot styles (n, T), a further condition; none by default.
    """
    return engine.drumify_loops(to_tap(true), bpm, style)


def score_infill(engine: Engine, split: Windows, baselines: dict[str, Predictor], left_out: IntArray) -> TaskScores:
    """Scores a voice that the model adds to the others.

    Args:
        engine: The model.
        split: The scored windows.
        baselines: Predictors of whole grooves.
        left_out: The voice left out of each window, -1 for a silent window; (n,).
    """
    tallies = Tallies(split.take_count)
    for voice, indices in _by_voice(left_out):
        true, step_ms, takes = split.loops(indices), split.step_ms(indices), split.takes[indices]
        mask = np.broadcast_to(np.arange(VOICE_COUNT) == voice, (len(true), engine.steps, VOICE_COUNT))
        predicted = {"model": infilled(engine, true, voice, split.bpm[indices])}
        predicted |= {name: baseline(true, indices) for name, baseline in baselines.items()}
        for system, grooves in predicted.items():
            tallies.add(system, hit_sums(grooves, true, step_ms, mask), takes)
    metrics = groove_metrics if engine.encoding == "groove" else hit_metrics
    facts = {"voice_seed": VOICE_SEED, "windows_by_voice": [int((left_out == voice).sum()) for voice in range(VOICE_COUNT)]}
    return TaskScores({"the voice left out": Table(_INFILL, tallies.rows(metrics), by_voice=("f1_by_voice",))}, facts)


def _by_voice(left_out: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yields batches of windows with the voice that is left out of them."""
    groups = [(voice, np.flatnonzero(left_out == voice)) for voice in range(VOICE_COUNT)]
    batches = [(voice, group[i : i + MODEL_BATCH]) for voice, group in groups for i in range(0, len(group), MODEL_BATCH)]
    return watched(batches, "Infilling", len(batches))


def draw_left_out(split: Windows) -> IntArray:
    """Returns a uniformly drawn active voice of each window, -1 for a silent window; (n,)."""
    uniform = np.random.default_rng(VOICE_SEED).random((len(split), VOICE_COUNT))
    for block in split.blocks("Choosing voices"):
        uniform[block][~hit_mask(split.loops(block)).any(axis=1)] = -1
    return np.where(uniform.max(axis=1) < 0, -1, uniform.argmax(axis=1))


def infilled(engine: Engine, true: Array, voice: int, bpm: Array) -> Array:
    """Returns groove tensors (n, S, 27) with one voice replaced by the model's, which gets the others only.

    Args:
        engine: The model.
        true: Groove tensors (n, S, 27).
        voice: The number of the voice.
        bpm: Tempi in beats a minute (n,), a condition of a drummer.
    """
    return engine.infill_loops(without_voices(true, np.arange(VOICE_COUNT) == voice), [voice], bpm)
