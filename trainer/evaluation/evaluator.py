"""A model, a split and training windows in, the scores of every task that the model can do out: the whole scoreboard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.music.encoding import VOICE_COUNT
from drumvae.music.grid import Array
from drumvae.util.errors import BundleError

from .baselines import (
    Answer,
    always,
    drawn_cells,
    feel_baselines,
    first_bar_repeated,
    silence,
    tap_on_commonest_voice,
    template,
    template_at_taps,
    true_bar_before,
)
from .bootstrap import ratio
from .conditional_tasks import draw_left_out, score_drumifying, score_infilling
from .controls import control_tables
from .generation import MODEL, REAL, SAMPLER, TRAIN, generated, score_generation, set_of_loops, set_of_windows
from .humanizing import score_humanizing
from .interpolation import score_interpolation
from .marginals import Marginals, count_marginals, likeliest
from .melody import class_chances, draw_classes
from .nearest import Key, NearestQuery, NearestResult, find_nearest, hits_key, melody_key, others_key, tap_key
from .reconstruction import score_reconstruction
from .styles import style_tables
from .table import TaskScores
from .windows import Numbers, Windows

INTERPOLATE = "interpolate"
SAMPLER_SEED = 0
LIKELIEST, NEAREST = "likeliest hits by step and voice", "nearest training window"


def tasks_to_score(engine: Engine, asked: Sequence[str] = ()) -> list[str]:
    """Returns the tasks to score, all that the bundle can do by default; raises BundleError for one that it cannot."""
    can = [*engine.tasks, *([INTERPOLATE] if "reconstruct" in engine.tasks else [])]
    for task in asked:
        if task not in can:
            raise BundleError(
                f"The task {task!r} was asked for, and this bundle can {', '.join(can)}. Name one of these, or another bundle."
            )
    return [task for task in can if not asked or task in asked]


@dataclass
class Evaluator:
    """Scores tasks of one model; what several of them need is worked out once."""

    engine: Engine
    split: Windows
    """The windows that are scored."""
    train: Windows
    """The windows that baselines are made of."""
    loops: int = 512
    """How many loops are generated."""

    def score(self, task: str) -> TaskScores:
        """Returns the scores of a task that the bundle can do."""
        verbs: dict[str, Callable[[], TaskScores]] = {
            "generate": self._generate,
            "reconstruct": self._reconstruct,
            "humanize": lambda: score_humanizing(self.engine, self.split, feel_baselines(self._marginals)),
            "drumify": self._drumify,
            "infill": self._infill,
            INTERPOLATE: lambda: score_interpolation(self.engine, self.split),
        }
        return verbs[task]()

    @property
    def _is_melody(self) -> bool:
        return self.engine.encoding == "melody"

    @cached_property
    def _marginals(self) -> Marginals:
        return count_marginals(self.train, self.engine.steps)

    @cached_property
    def _nearest(self) -> NearestResult:
        """The training window nearest to each window of the split."""
        return find_nearest(self.train, [NearestQuery(self._key, self._keys(self._key))])[0]

    @property
    def _key(self) -> Key:
        return melody_key if self._is_melody else hits_key

    def _keys(self, key: Key, chosen: Numbers | None = None) -> Array:
        """Returns what a search compares of the split's windows, or of some of them."""
        windows = self.split if chosen is None else self.split.at(chosen)
        parts = [key(windows.loops(places)) for places in windows.blocks("Reading windows")]
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def _reconstruct(self) -> TaskScores:
        baselines: dict[str, Answer] = {
            "silence": silence,
            "first bar repeated": first_bar_repeated,
            "true bar before repeated": true_bar_before,
        }
        if not self._is_melody:
            baselines[LIKELIEST] = self._likeliest()
        return score_reconstruction(self.engine, self.split, baselines | {NEAREST: self._training_window(self._nearest)})

    def _likeliest(self) -> Answer:
        return always(template(likeliest(self._marginals.chances), self._marginals))

    def _training_window(self, found: NearestResult) -> Answer:
        """Returns an answer that copies the training window found for each place of the split."""
        return lambda _, places: self.train.loops(found.places[places])

    def _drumify(self) -> TaskScores:
        found = find_nearest(self.train, [NearestQuery(tap_key, self._keys(tap_key))])[0]
        baselines = {
            "silence": silence,
            "tap on its commonest voice": tap_on_commonest_voice(self._marginals),
            "likeliest hits at taps": template_at_taps(self._marginals),
            LIKELIEST: self._likeliest(),
            "training window of the nearest tap": self._training_window(found),
        }
        feel = feel_baselines(self._marginals)
        return score_drumifying(self.engine, self.split, baselines, feel)

    def _infill(self) -> TaskScores:
        left_out = draw_left_out(self.split)
        chosen = [np.flatnonzero(left_out == voice) for voice in range(VOICE_COUNT)]
        searches = [NearestQuery(others_key(voice), self._keys(others_key(voice), places)) for voice, places in enumerate(chosen)]
        nearest = np.zeros(len(self.split), np.int64)
        for places, found in zip(chosen, find_nearest(self.train, searches), strict=True):
            nearest[places] = found.places
        given_voice = ratio(self._marginals.hits, self._marginals.sounding, 0.0)
        columns = np.stack([likeliest(given_voice[:, voice]) for voice in range(VOICE_COUNT)], axis=1)
        baselines = {
            "silence": silence,
            "likeliest hits of the voice by step": always(template(columns, self._marginals)),
            "training window nearest in the other voices": lambda _, places: self.train.loops(nearest[places]),
        }
        return score_infilling(self.engine, self.split, baselines, left_out)

    def _generate(self) -> TaskScores:
        encoding = self.engine.encoding
        made = {MODEL: generated(self.engine, self.loops), SAMPLER: self._drawn()}
        sets = {name: set_of_loops(loops, self.split, encoding) for name, loops in made.items()}
        real, train = (set_of_windows(windows, encoding) for windows in (self.split, self.train))
        found = dict(
            zip(made, find_nearest(self.train, [NearestQuery(self._key, self._key(loops)) for loops in made.values()]), strict=True)
        )
        novelty = {name: (nearest.distances, np.arange(self.loops)) for name, nearest in found.items()}
        novelty[REAL] = (self._nearest.distances, self.split.takes)
        scores = score_generation(sets | {TRAIN: train, REAL: real}, novelty, encoding)
        if not self.engine.info.styles:
            return scores
        asked = style_tables(self.engine, self.train, self.split) | control_tables(self.engine)
        return replace(scores, tables=scores.tables | asked)

    def _drawn(self) -> Array:
        draw = np.random.default_rng(SAMPLER_SEED)
        if self._is_melody:
            return draw_classes(class_chances(self.train, self.engine.steps), self.loops, draw)
        return drawn_cells(self._marginals, self.loops, draw)
