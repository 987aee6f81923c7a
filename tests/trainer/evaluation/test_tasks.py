"""Laws of the scores of tasks, with an engine that reproduces its input, and of their JSON and Markdown."""

import json

import numpy as np
import pytest
from helpers.oracle import oracle, random_grooves, random_melodies, windows

from drumvae.bundle.tasks import TASKS
from drumvae.inference.engine import Engine
from drumvae.music.conditions import Conditions
from drumvae.music.encoding import VOICE_COUNT, groove_to_grid, patterns_to_grooves
from drumvae.music.inputs import tapped_hits, to_tap
from drumvae.trainer.evaluation.conditional_tasks import draw_left_out, drumified, infilled
from drumvae.trainer.evaluation.evaluator import Evaluator, tasks_to_score
from drumvae.trainer.evaluation.humanization import MEAN, SAMPLED, humanized
from drumvae.trainer.evaluation.interpolation import cut, draw_pairs, path_metrics, path_sums, switched
from drumvae.trainer.evaluation.markdown import scores_to_json, scores_to_markdown
from drumvae.trainer.evaluation.reconstruction import FORCED, FREE
from drumvae.trainer.evaluation.table import TaskScores
from drumvae.util.errors import BundleError

TRUE = random_grooves(12)
TAKES = [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 3]
BPM = np.full(len(TRUE), 120, np.float32)


def evaluator_of(engine: Engine, true: np.ndarray = TRUE) -> Evaluator:
    pytest.importorskip("scipy")
    train = random_melodies(30, 9) if true.ndim == 2 else random_grooves(30, 9)
    return Evaluator(engine, windows(true, TAKES), windows(train), loops=8)


def rows(scores: TaskScores, table: str) -> dict[str, dict[str, float]]:
    return {system: {name: e.value for name, e in row.items()} for system, row in scores.tables[table].rows.items()}


def test_an_engine_that_reproduces_its_input_reconstructs_perfectly() -> None:
    for table in ("all bars", "later bars"):
        found = rows(evaluator_of(oracle()).score("reconstruct"), table)
        for system in (FREE, FORCED):
            assert found[system]["f1"] == found[system]["exact_steps"] == 1
            assert found[system]["timing_error_ms"] == pytest.approx(0, abs=1e-4)
        assert found["silence"]["f1"] == 0
        assert 0 < found["nearest training window"]["f1"] < 1


def test_a_repeated_first_bar_scores_lower_on_later_bars() -> None:
    scores = evaluator_of(oracle()).score("reconstruct")
    whole, later = (rows(scores, table)["first bar repeated"]["f1"] for table in ("all bars", "later bars"))
    assert whole > later + 0.1


def test_patterns_are_scored_by_hits_only() -> None:
    true = patterns_to_grooves(np.random.default_rng(0).integers(0, 512, (12, 64)))
    found = evaluator_of(oracle("pattern", tasks=("generate", "reconstruct")), true)
    row = rows(found.score("reconstruct"), "all bars")[FREE]
    assert row["f1"] == 1
    assert not any("velocity" in name or "timing" in name for name in row)
    assert not any("velocity" in name or "offset" in name for name in found.score("generate").tables["features"].rows)


def test_melodies_are_scored_by_notes() -> None:
    true = random_melodies(12)
    whole = evaluator_of(oracle("melody", tasks=("generate", "reconstruct")), true)
    found = rows(whole.score("reconstruct"), "all bars")
    assert found[FREE]["note_f1"] == found[FORCED]["exact_steps"] == 1
    assert found["silence"]["onset_f1"] == 0
    generated = whole.score("generate")
    assert "pitch mean" in generated.tables["features"].rows
    assert rows(whole.score("interpolate"), "paths")["model"]["ends_f1"] == 1


def test_humanization_scores_the_output_of_humanize() -> None:
    engine = Engine.load(provider="cpu")
    predicted = humanized(engine, TRUE, BPM, 0)
    expected = [engine.humanize(groove_to_grid(groove), conditions=Conditions(bpm=120)) for groove in TRUE]
    assert np.array_equal(predicted[MEAN][..., :9], TRUE[..., :9])
    assert np.allclose(predicted[MEAN][..., 9:18], np.stack([grid.velocities for grid in expected]), atol=1e-5)
    assert np.allclose(predicted[MEAN][..., 18:] / 2, np.stack([grid.offsets for grid in expected]), atol=1e-5)
    assert not np.allclose(predicted[SAMPLED], predicted[MEAN])


def test_humanization_does_not_depend_on_input_velocity_and_timing() -> None:
    quiet = TRUE.copy()
    quiet[..., 9:] *= 0.5
    both = [humanized(oracle(), grooves, BPM, 0)[MEAN] for grooves in (TRUE, quiet)]
    assert np.array_equal(*both)
    found = rows(evaluator_of(oracle()).score("humanize"), "feel")
    assert found[MEAN]["timing_error_ms"] == pytest.approx(found["quantised, mean velocity"]["timing_error_ms"])
    assert found[MEAN]["timing_spread_ratio"] == 0


def test_drumify_depends_on_the_tap_only() -> None:
    other = TRUE[..., [*range(8, -1, -1), *range(17, 8, -1), *range(26, 17, -1)]]  # the same tap on other drums
    assert np.array_equal(to_tap(other), to_tap(TRUE))
    assert np.array_equal(drumified(oracle(), TRUE, BPM), drumified(oracle(), other, BPM))


def test_tapped_and_added_hits_are_scored_separately() -> None:
    scores = evaluator_of(oracle()).score("drumify")
    found = rows(scores, "hits")
    on_the_tap = (tapped_hits(TRUE) > 0)[..., 3].sum() / tapped_hits(TRUE).sum()  # the oracle's output is the tap, on the open hat
    assert found["model"]["recall_tapped"] == pytest.approx(on_the_tap)
    assert found["model"]["taps_kept"] == 1
    assert found["silence"]["taps_kept"] == 0
    assert rows(scores, "feel of tapped hits")["copy of the tap"]["timing_error_ms"] == pytest.approx(0, abs=1e-5)
    assert rows(scores, "feel of added hits")["copy of the tap"]["timing_error_ms"] > 1
    assert found["silence"]["f1"] == 0


def test_infill_does_not_depend_on_the_left_out_voice_and_is_scored_on_it_only() -> None:
    louder = TRUE.copy()
    louder[..., 11] *= 0.5
    assert np.array_equal(infilled(oracle(), TRUE, 2, BPM), infilled(oracle(), louder, 2, BPM))
    found = rows(evaluator_of(oracle()).score("infill"), "the voice left out")
    assert found["model"]["f1"] == found["silence"]["f1"] == 0  # the oracle's output is its input, in which the voice is silent
    assert found["training window nearest in the other voices"]["f1"] > 0


def test_the_left_out_voice_is_active_and_a_silent_window_has_none() -> None:
    true = TRUE.copy()
    true[3] = 0
    left_out = draw_left_out(windows(true))
    assert left_out[3] == -1
    active = (true[..., :9] > 0).any(axis=1)
    assert all(active[index, voice] for index, voice in enumerate(left_out) if voice >= 0)
    assert len(set(left_out.tolist())) > 3
    assert np.array_equal(left_out, draw_left_out(windows(true)))


def test_copied_training_windows_are_detected() -> None:
    train = windows(random_grooves(30, 9))
    engine = oracle()
    engine.generate = lambda seed, temperature=None, count=1: [groove_to_grid(train.loops(slice(None))[i]) for i in range(count)]  # type: ignore[method-assign]
    scores = Evaluator(engine, windows(TRUE, TAKES), train, loops=20).score("generate")
    novelty = rows(scores, "novelty")
    assert (novelty["model"]["copies"], novelty["model"]["nearest_p95"]) == (1, 0)
    assert novelty["real windows"]["copies"] == 0
    assert novelty["real windows"]["nearest_median"] > 0


def test_generation_is_compared_with_training_windows_and_independent_cells() -> None:
    scores = evaluator_of(oracle()).score("generate")
    assert list(scores.tables["distance"].rows) == ["model", "every cell drawn by itself", "training windows"]
    for system in rows(scores, "overlap").values():
        assert all(0 <= value <= 1 + 1e-9 for value in system.values())


def test_a_straight_path_is_even_and_ends_at_the_windows() -> None:
    found = rows(evaluator_of(oracle()).score("interpolate"), "paths")
    assert found["model"]["ends_exact"] == found["model"]["ends_f1"] == 1
    assert found["a cut in the middle"]["largest_step"] == found["a cut in the middle"]["path_length"] == 1
    assert found["cells switched one by one"]["largest_step"] < 0.3
    assert found["cells switched one by one"]["monotone"] == 1


def test_a_path_that_turns_back_is_longer_and_not_monotone() -> None:
    ends = TRUE[:2]
    there_and_back = np.concatenate([cut(ends, 4), cut(ends, 4)])
    metrics = path_metrics({name: np.array(value) for name, value in (path_sums(there_and_back, ends) | {"exact": 1.0}).items()})
    assert metrics["path_length"] == pytest.approx(3)
    assert metrics["monotone"] == 0


def test_switched_cells_start_and_end_at_the_windows() -> None:
    path = switched(TRUE[:2], 9, seed=1)
    assert np.array_equal(path[0], TRUE[0])
    assert np.array_equal(path[-1], TRUE[1])


def test_pairs_are_from_two_takes() -> None:
    takes = np.array(TAKES)
    pairs = draw_pairs(takes, 50, np.random.default_rng(0))
    assert (takes[pairs[:, 0]] != takes[pairs[:, 1]]).all()
    assert len(draw_pairs(np.zeros(3, np.int64), 5, np.random.default_rng(0))) == 5


def test_a_missing_task_is_an_error_that_lists_the_available_ones() -> None:
    engine = oracle(tasks=("generate", "reconstruct"))
    assert tasks_to_score(engine) == ["generate", "reconstruct", "interpolate"]
    assert tasks_to_score(engine, ["interpolate"]) == ["interpolate"]
    with pytest.raises(BundleError, match=r"'drumify'.*generate, reconstruct, interpolate"):
        tasks_to_score(engine, ["drumify"])
    with pytest.raises(BundleError, match="'interpolate'"):
        tasks_to_score(oracle(tasks=("generate", "infill")), ["interpolate"])


@pytest.mark.parametrize("task", [*TASKS, "interpolate"])
def test_every_metric_has_json_and_a_table_cell(task: str) -> None:
    scores = evaluator_of(oracle()).score(task)
    parsed = json.loads(json.dumps(scores_to_json(scores), allow_nan=False))
    table = next(iter(parsed.values()))
    row = next(iter(table["rows"].values()))
    assert all({"value", "low", "high"} <= metric.keys() for name, metric in row.items() if not name.endswith("_by_voice"))
    assert all(len(metric) == VOICE_COUNT for name, metric in row.items() if name.endswith("_by_voice"))
    text = scores_to_markdown(task, scores)
    assert text.startswith(f"### {task}\n")
    lines = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert lines
    assert "nan" not in text


def test_windows_of_one_bar_are_scored_too() -> None:
    pytest.importorskip("scipy")
    true = random_grooves(12, steps=16)
    engine = oracle(steps=16)
    whole = Evaluator(engine, windows(true, TAKES), windows(random_grooves(30, 9, steps=16)), loops=8)
    for task in (*TASKS, "interpolate"):
        assert whole.score(task).tables
    assert list(whole.score("reconstruct").tables) == ["all bars"]


def test_scores_do_not_depend_on_the_order_of_windows() -> None:
    backwards = windows(TRUE[::-1], TAKES[::-1])
    train = windows(random_grooves(30, 9))
    ours, theirs = (rows(Evaluator(oracle(), split, train).score("reconstruct"), "all bars") for split in (windows(TRUE, TAKES), backwards))
    assert ours["nearest training window"]["f1"] == theirs["nearest training window"]["f1"]


def test_evenly_spaced_windows_cover_the_split() -> None:
    some = windows(TRUE, TAKES).evenly_spaced(4)
    assert some.numbers.tolist() == [0, 3, 6, 9]
    assert some.takes.tolist() == [0, 1, 2, 3]
    assert len(windows(TRUE).evenly_spaced(100)) == 12
