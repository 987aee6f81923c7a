from dataclasses import replace

import numpy as np
import pytest

from drumvae.models.config import ModelConfig
from drumvae.music.inputs import to_tap, without_feel
from drumvae.trainer.training.config import TrainConfig
from drumvae.trainer.training.vae_batches import draw_example, view_for

SMALL = TrainConfig(model=ModelConfig(latent_size=4), tap_dropout=0.8, input_hit_drop=0.2, scheduled_sampling=10.0)
EVERY_TASK = replace(SMALL, humanize_share=0.25, drumify_share=0.25, infill_share=0.25, velocity_scaling=0.2, timing_shift=0.1)


def grooves(count: int, seed: int = 0) -> "np.ndarray":
    draw = np.random.default_rng(seed)
    hits = (draw.random((count, 64, 9)) < 0.2).astype(np.float32)
    return np.concatenate([hits, hits * draw.random(hits.shape), hits * (draw.random(hits.shape) - 0.5)], axis=-1).astype(np.float32)


def test_an_example_does_not_depend_on_how_its_step_is_divided() -> None:
    loops = grooves(100)
    whole = draw_example(EVERY_TASK, loops, seed=1, step=7, first=0)
    for cut in (1, 31, 32, 50, 99):
        parts = [draw_example(EVERY_TASK, loops[:cut], 1, 7, 0), draw_example(EVERY_TASK, loops[cut:], 1, 7, cut)]
        for one, two, both in zip(*parts, whole, strict=True):
            assert np.array_equal(np.concatenate([one, two]), both)


@pytest.mark.parametrize("other", [{"seed": 2}, {"step": 8}, {"first": 32}])
def test_seed_step_and_place_each_draw_anew(other: dict[str, int]) -> None:
    arguments = {"seed": 1, "step": 7, "first": 0}
    loops = grooves(32)
    one, two = draw_example(EVERY_TASK, loops, **arguments), draw_example(EVERY_TASK, loops, **(arguments | other))
    assert not np.array_equal(one.heard, two.heard)
    assert not np.array_equal(one.noise, two.noise)
    assert not np.array_equal(one.target, two.target)  # augmentation is drawn anew, too


def test_every_task_is_shown_as_often_as_its_share() -> None:
    config = replace(EVERY_TASK, input_hit_drop=0.0, tap_dropout=0.0)
    example = draw_example(config, grooves(2000), 0, 0, 0)
    plain = (example.heard == without_feel(example.target)).all(axis=(1, 2))
    tapped = (example.heard == to_tap(example.target)).all(axis=(1, 2))
    whole = (example.heard == example.target).all(axis=(1, 2))
    for share in (plain.mean(), tapped.mean(), whole.mean(), (~plain & ~tapped & ~whole).mean()):
        assert share == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 2000) ** 0.5)
    assert np.array_equal(plain, example.given > 0)


def test_a_window_to_fill_in_lacks_one_voice_that_sounds_and_nothing_else() -> None:
    loops = grooves(200)
    example = draw_example(replace(SMALL, infill_share=1.0), loops, 0, 0, 0)
    changed = (example.heard != loops).reshape(200, 64, 3, 9).any(axis=(1, 2))
    assert (changed.sum(axis=1) == 1).all()
    assert len(np.unique(changed.argmax(axis=1))) == 9


def test_missed_hits_are_as_many_as_asked_and_the_answer_keeps_them() -> None:
    loops = grooves(200)
    example = draw_example(SMALL, loops, 0, 0, 0)
    assert np.array_equal(example.target, loops)
    hits = int(loops[..., :9].sum())
    assert float(example.heard[..., :9].sum()) / hits == pytest.approx(0.8, abs=5 * (0.16 / hits) ** 0.5)


def test_the_noise_of_the_latent_is_standard_normal() -> None:
    noise = draw_example(SMALL, grooves(2000), 0, 0, 0).noise
    assert noise.mean() == pytest.approx(0, abs=5 / noise.size**0.5)
    assert noise.std() == pytest.approx(1, abs=5 / noise.size**0.5)


@pytest.mark.parametrize(("task", "given"), [("reconstruct", 0), ("humanize", 9), ("drumify", 0), ("infill", 8)])
def test_what_is_given_beforehand_is_what_the_task_keeps(task: str, given: int) -> None:
    heard, locked = view_for(task, grooves(10))
    assert heard.shape == (10, 64, 27)
    assert (locked.sum(axis=2) == given).all()


def test_a_melody_is_read_and_written_as_it_is() -> None:
    config = replace(SMALL, model=ModelConfig("melody", "categorical", latent_size=4))
    loops = np.arange(40 * 64, dtype=np.float32).reshape(40, 64) % 90
    example = draw_example(config, loops, 0, 0, 0)
    assert np.array_equal(example.heard, loops)
    assert np.array_equal(example.target, loops)
