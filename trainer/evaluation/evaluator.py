"""Scores every task of a model on a split, beside baselines from the training windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.util.errors import BundleError

from .baselines import (
    Predictor,
    constant,
    expression_baselines,
    first_bar_repeated,
    independent_cells,
    silence,
    tap_on_commonest_voice,
    template,
    template_at_taps,
    true_bar_before,
)
from .bootstrap import IntArray, ratio
from .conditional_tasks import draw_left_out, score_drumify, score_infill
from .controls import control_tables
from .generation import INDEPENDENT, MODEL, REAL, TRAIN, generated, score_generation, set_of_loops, set_of_windows
from .humanization import score_humanization
from .interpolation import score_interpolation
from .marginals import Marginals, count_marginals, most_likely
from .melody import class_probabilities, independent_steps
from .nearest import Key, NearestQuery, NearestResult, find_nearest, hits_key, melody_key, others_key, tap_key
from .reconstruction import score_reconstruction
from .styles import style_tables
from .table import TaskScores
from .windows import Windows

INTERPOLATE = "interpolate"
INDEPENDENT_SEED = 0
MOST_LIKELY, NEAREST = "likeliest hits by step and voice", "nearest training window"


def tasks_to_score(engine: Engine, requested: Sequence[str] = ()) -> list[str]:
    """Returns the tasks to score, by default all tasks of the bundle; raises BundleError for a task that it lacks."""
    available = [*engine.tasks, *([INTERPOLATE] if "reconstruct" in engine.tasks else [])]
    for task in requested:
        if task not in available:
            raise BundleError(
                f"The task {task!r} was requested, and this bundle has {', '.join(available)}. Name one of these, or another bundle."
            )
    return [task for task in available if not requested or task in requested]


@dataclass
class Evaluator:
    """Scores tasks of one model; caches results that several tasks need."""

    engine: Engine
    split: Windows
    """The windows that are scored."""
    train: Windows
    """The windows from which baselines are made."""
    loops: int = 512
    """The number of generated loops."""

    def score(self, task: str) -> TaskScores:
        """Returns the scores of a task of the bundle."""
        scorers: dict[str, Callable[[], TaskScores]] = {
            "generate": self._generate,
            "reconstruct": self._reconstruct,
            "humanize": lambda: score_humanization(self.engine, self.split, expression_baselines(self._marginals)),
            "drumify": self._drumify,
            "infill": self._infill,
            INTERPOLATE: lambda: score_interpolation(self.engine, self.split),
        }
        return scorers[task]()

    @property
    def _is_melody(self) -> bool:
        return self.engine.encoding == "melody"

    @cached_property
    def _marginals(self) -> Marginals:
        return count_marginals(self.train, self.engine.steps)

    @cached_property
    def _nearest(self) -> NearestResult:
        """The training window nearest to each window of the split."""
        return find_nearest(self.train, [NearestQuery(self._key, self._vectors(self._key))])[0]

    @property
    def _key(self) -> Key:
        return melody_key if self._is_melody else hits_key

    def _vectors(self, key: Key, indices: IntArray | None = None) -> Array:
        """Returns the vectors of the split's windows, or of some of them, for a nearest-window search."""
        windows = self.split if indices is None else self.split.subset(indices)
        parts = [key(windows.loops(block)) for block in windows.blocks("Reading windows")]
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def _most_likely(self) -> Predictor:
        return constant(template(most_likely(self._marginals.probabilities), self._marginals))

    def _copy_of(self, nearest: IntArray) -> Predictor:
        """Returns a predictor that copies a training window for each window of the split, by its index (n,)."""
        return lambda _, indices: self.train.loops(nearest[indices])

    def _reconstruct(self) -> TaskScores:
        baselines: dict[str, Predictor] = {
            "silence": silence,
            "first bar repeated": first_bar_repeated,
            "true bar before repeated": true_bar_before,
        }
        if not self._is_melody:
            baselines[MOST_LIKELY] = self._most_likely()
        return score_reconstruction(self.engine, self.split, baselines | {NEAREST: self._copy_of(self._nearest.indices)})

    def _drumify(self) -> TaskScores:
        nearest = find_nearest(self.train, [NearestQuery(tap_key, self._vectors(tap_key))])[0]
        baselines = {
            "silence": silence,
            "tap on its commonest voice": tap_on_commonest_voice(self._marginals),
            "likeliest hits at taps": template_at_taps(self._marginals),
            MOST_LIKELY: self._most_likely(),
            "training window of the nearest tap": self._copy_of(nearest.indices),
        }
        return score_drumify(self.engine, self.split, baselines, expression_baselines(self._marginals))

    def _infill(self) -> TaskScores:
        left_out = draw_left_out(self.split)
        groups = [np.flatnonzero(left_out == voice) for voice in range(VOICE_COUNT)]
        searches = [NearestQuery(others_key(voice), self._vectors(others_key(voice), group)) for voice, group in enumerate(groups)]
        nearest = np.zeros(len(self.split), np.int64)
        for group, result in zip(groups, find_nearest(self.train, searches), strict=True):
            nearest[group] = result.indices
        given_active = ratio(self._marginals.hits, self._marginals.active, 0.0)  # probabilities where the voice has a hit at all
        columns = np.stack([most_likely(given_active[:, voice]) for voice in range(VOICE_COUNT)], axis=1)
        baselines = {
            "silence": silence,
            "likeliest hits of the voice by step": constant(template(columns, self._marginals)),
            "training window nearest in the other voices": self._copy_of(nearest),
        }
        return score_infill(self.engine, self.split, baselines, left_out)

    def _generate(self) -> TaskScores:
        encoding = self.engine.encoding
        loops = {MODEL: generated(self.engine, self.loops), INDEPENDENT: self._independent()}
        sets = {name: set_of_loops(each, self.split, encoding) for name, each in loops.items()}
        real, train = (set_of_windows(windows, encoding) for windows in (self.split, self.train))
        results = find_nearest(self.train, [NearestQuery(self._key, self._key(each)) for each in loops.values()])
        nearest = {name: (result.distances, np.arange(self.loops)) for name, result in zip(loops, results, strict=True)}
        nearest[REAL] = (self._nearest.distances, self.split.takes)
        scores = score_generation(sets | {TRAIN: train, REAL: real}, nearest, encoding)
        if not self.engine.info.styles:
            return scores
        conditioned = style_tables(self.engine, self.train, self.split) | control_tables(self.engine)
        return replace(scores, tables=scores.tables | conditioned)

    def _independent(self) -> Array:
        rng = np.random.default_rng(INDEPENDENT_SEED)
        if self._is_melody:
            return independent_steps(class_probabilities(self.train, self.engine.steps), self.loops, rng)
        return independent_cells(self._marginals, self.loops, rng)
