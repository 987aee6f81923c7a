"""Tests the training batches of a drummer: the inputs of each task, the conditions, and the taps of the tap model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers.drummers import SMALL  # noqa: E402

from drumvae.midi.io import write_midi  # noqa: E402
from drumvae.models.drummer import Conditioning, Drummer  # noqa: E402
from drumvae.music.grid import Array, Grid  # noqa: E402
from drumvae.trainer.data.corpus import Corpus, CorpusOptions, load_corpus  # noqa: E402
from drumvae.trainer.data.labels import FILL_HITS, WindowLabels, main_style  # noqa: E402
from drumvae.trainer.training.config import TrainConfig  # noqa: E402
from drumvae.trainer.training.drummer_batches import TASKS, BatchBuilder, DrummerBatch, map_batches  # noqa: E402
from drumvae.trainer.training.validation_batches import validation_batch  # noqa: E402

pytestmark = pytest.mark.train

CONFIG = TrainConfig.from_dict(
    {"humanize_share": 0.2, "drumify_share": 0.2, "infill_share": 0.2, "continue_share": 0.1, "generate_share": 0.1, "mixed_halves": 0.5}
    | {"model": SMALL.to_dict()}
)


@pytest.fixture(scope="module")
def corpus(midi_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(midi_folder, CorpusOptions(bars=4), tmp_path_factory.mktemp("cache"))


def builder(corpus: Corpus, config: TrainConfig = CONFIG, split: str | None = "train") -> BatchBuilder:
    windows = corpus.windows(split) if split else np.arange(len(corpus.first_steps))
    return BatchBuilder(config, WindowLabels(corpus, SMALL.styles), corpus.loops, windows)


def build(corpus: Corpus, count: int = 200, first: int = 0) -> DrummerBatch[Array]:
    return builder(corpus).build(np.zeros(count, np.int64), seed=3, step=7, first=first)


def test_a_batch_does_not_depend_on_how_its_step_is_divided(corpus: Corpus) -> None:
    whole, parts = build(corpus), [build(corpus, 100, first) for first in (0, 100)]
    joined = map_batches(lambda *arrays: np.concatenate(arrays), *parts)
    map_batches(np.testing.assert_array_equal, whole, joined)


def test_a_batch_gives_the_inputs_of_its_tasks_and_no_others(corpus: Corpus) -> None:
    batch = build(corpus)
    inputs = batch.inputs
    humanize = inputs["hit_mask"].all(axis=(1, 2)) & ~inputs["expression_mask"].any(axis=(1, 2))
    has_tap, has_latent = inputs["has_tap"] > 0, inputs["has_latent"] > 0
    assert humanize.any()
    assert has_tap.any()
    assert has_latent.any()
    assert not inputs["hit_mask"][has_tap | has_latent].any()
    assert inputs["tap"].any(axis=(1, 2)).all()
    assert not batch.view[~has_latent].any()
    partial = inputs["expression_mask"].any(axis=(1, 2))  # infill and continue
    assert np.array_equal(inputs["expression_mask"][partial], inputs["hit_mask"][partial])
    assert not inputs["hit_mask"].all(axis=(1, 2))[partial].any()
    generate = ~(humanize | has_tap | has_latent | partial)
    assert generate.any()


def test_given_inputs_are_those_of_the_target(corpus: Corpus) -> None:
    batch = build(corpus)
    inputs = batch.inputs
    assert np.array_equal(inputs["hit_values"], batch.target[..., :9] * inputs["hit_mask"])
    assert np.array_equal(inputs["expression"], batch.target[..., 9:] * np.tile(inputs["expression_mask"], 2))


def test_a_batch_has_all_conditioning_inputs_of_the_model(corpus: Corpus) -> None:
    training = build(corpus, 8)
    validation = validation_batch(Drummer(SMALL), "infill", torch.from_numpy(training.target), torch.full((8,), 120.0))
    assert set(training.inputs) == set(validation.inputs) == set(Conditioning._fields)
    shapes = {name: tuple(value.shape) for name, value in validation.inputs.items()}
    assert {name: value.shape for name, value in training.inputs.items()} == shapes


def test_conditions_are_present_in_some_windows_and_absent_in_others(corpus: Corpus) -> None:
    inputs = build(corpus).inputs
    for name, value in (("bpm", inputs["bpm"]), ("density", inputs["density"]), ("fill", inputs["fill"][:, 0])):
        assert 0.2 < np.count_nonzero(value) / len(value) < 0.95, name


def test_taps_are_of_their_hits_and_the_last_group_draws_all_takes_equally(groove: Grid, tmp_path: Path) -> None:
    """One take has one window and the other nine; their tempi tell them apart. 3,000 draws are within five standard errors."""
    folder = tmp_path / "takes"
    folder.mkdir()
    write_midi(folder / "short.mid", [groove], 90)
    write_midi(folder / "long.mid", [groove] * 3, 120)
    corpus = load_corpus(folder, CorpusOptions(bars=4), tmp_path / "cache")
    assert len(corpus.first_steps) == 10
    taps = builder(corpus, replace(CONFIG, taps_styled=1.0), None).build(np.zeros(9000, np.int64), 1, 1, 0).taps
    assert np.array_equal(taps.tap[..., 0], taps.hits.max(axis=-1))
    has_tempo = taps.bpm > 0
    assert has_tempo.mean() == pytest.approx(0.9, abs=5 * (0.09 / 9000) ** 0.5)
    for group, long in enumerate((0.9, 3 / 4, 1 / 2)):
        drawn = taps.bpm[has_tempo & (taps.group == group)]
        assert (np.abs(drawn - 120) < 1).mean() == pytest.approx(long, abs=5 * (0.25 / len(drawn)) ** 0.5)
        assert len(drawn) > 2500


def test_some_taps_lack_soft_hits_that_the_target_keeps(corpus: Corpus) -> None:
    config = replace(CONFIG, taps_thinned=0.5, tap_dropout=0.9)
    taps = builder(corpus, config).build(np.zeros(400, np.int64), 1, 1, 0).taps
    fewer = (taps.tap[..., 0] < taps.hits.max(axis=-1)).any(axis=1)
    assert not (taps.tap[..., 0] > taps.hits.max(axis=-1)).any()
    assert 0.3 < fewer.mean() < 0.55


def test_each_training_task_but_the_last_has_a_share() -> None:
    assert {f"{task}_share" for task in TASKS[:-1]} <= set(CONFIG.to_dict())


def test_the_main_style_is_the_part_before_the_slash() -> None:
    assert main_style("funk/groove1") == "funk"
    assert main_style("rock") == "rock"


def test_a_bar_with_many_tom_hits_is_a_fill(corpus: Corpus) -> None:
    windows = np.arange(len(corpus.first_steps))
    labels = WindowLabels(corpus, SMALL.styles).for_windows(windows)
    toms = corpus.arrays(windows)[0][..., 4:7].reshape(len(labels.fill), 4, -1).sum(axis=2)
    assert set(np.unique(labels.fill)) <= {-1.0, 1.0}
    assert not (labels.fill > 0)[toms < FILL_HITS].any()
