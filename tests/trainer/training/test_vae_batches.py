from dataclasses import replace

import numpy as np
import pytest

from drumvae.models.config import VAEConfig
from drumvae.music.inputs import to_tap, without_feel
from drumvae.trainer.training.config import TrainConfig
from drumvae.trainer.training.vae_batches import build_vae_batch, view_for

SMALL = TrainConfig(model=VAEConfig(latent_size=4), tap_dropout=0.8, input_hit_drop=0.2, scheduled_sampling=10.0)
ALL_TASKS = replace(SMALL, humanize_share=0.25, drumify_share=0.25, infill_share=0.25, velocity_scaling=0.2, timing_shift=0.1)


def grooves(count: int, seed: int = 0) -> "np.ndarray":
    draw = np.random.default_rng(seed)
    hits = (draw.random((count, 64, 9)) < 0.2).astype(np.float32)
    return np.concatenate([hits, hits * draw.random(hits.shape), hits * (draw.random(hits.shape) - 0.5)], axis=-1).astype(np.float32)


def test_a_batch_does_not_depend_on_how_its_step_is_divided() -> None:
    loops = grooves(100)
    whole = build_vae_batch(ALL_TASKS, loops, seed=1, step=7, first=0)
    for cut in (1, 31, 32, 50, 99):
        parts = [build_vae_batch(ALL_TASKS, loops[:cut], 1, 7, 0), build_vae_batch(ALL_TASKS, loops[cut:], 1, 7, cut)]
        for one, two, both in zip(*parts, whole, strict=True):
            assert np.array_equal(np.concatenate([one, two]), both)


@pytest.mark.parametrize("other", [{"seed": 2}, {"step": 8}, {"first": 32}])
def test_another_seed_step_or_position_draws_other_numbers(other: dict[str, int]) -> None:
    arguments = {"seed": 1, "step": 7, "first": 0}
    loops = grooves(32)
    one, two = build_vae_batch(ALL_TASKS, loops, **arguments), build_vae_batch(ALL_TASKS, loops, **(arguments | other))
    assert not np.array_equal(one.view, two.view)
    assert not np.array_equal(one.noise, two.noise)
    assert not np.array_equal(one.target, two.target)  # because of augmentation


def test_each_task_has_its_share_of_the_windows() -> None:
    config = replace(ALL_TASKS, input_hit_drop=0.0, tap_dropout=0.0)
    batch = build_vae_batch(config, grooves(2000), 0, 0, 0)
    humanize = (batch.view == without_feel(batch.target)).all(axis=(1, 2))
    drumify = (batch.view == to_tap(batch.target)).all(axis=(1, 2))
    reconstruct = (batch.view == batch.target).all(axis=(1, 2))
    for share in (humanize.mean(), drumify.mean(), reconstruct.mean(), (~humanize & ~drumify & ~reconstruct).mean()):
        assert share == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 2000) ** 0.5)
    assert np.array_equal(humanize, batch.given > 0)


def test_the_infill_view_lacks_exactly_one_voice_with_a_hit() -> None:
    loops = grooves(200)
    batch = build_vae_batch(replace(SMALL, infill_share=1.0), loops, 0, 0, 0)
    changed = (batch.view != loops).reshape(200, 64, 3, 9).any(axis=(1, 2))
    assert (changed.sum(axis=1) == 1).all()
    assert len(np.unique(changed.argmax(axis=1))) == 9


def test_the_configured_share_of_input_hits_is_dropped_and_the_target_keeps_them() -> None:
    loops = grooves(200)
    batch = build_vae_batch(SMALL, loops, 0, 0, 0)
    assert np.array_equal(batch.target, loops)
    hits = int(loops[..., :9].sum())
    assert float(batch.view[..., :9].sum()) / hits == pytest.approx(0.8, abs=5 * (0.16 / hits) ** 0.5)


def test_the_noise_of_the_latent_is_standard_normal() -> None:
    noise = build_vae_batch(SMALL, grooves(2000), 0, 0, 0).noise
    assert noise.mean() == pytest.approx(0, abs=5 / noise.size**0.5)
    assert noise.std() == pytest.approx(1, abs=5 / noise.size**0.5)


@pytest.mark.parametrize(("task", "given"), [("reconstruct", 0), ("humanize", 9), ("drumify", 0), ("infill", 8)])
def test_each_task_gives_its_number_of_voices(task: str, given: int) -> None:
    view, fixed = view_for(task, grooves(10))
    assert view.shape == (10, 64, 27)
    assert (fixed.sum(axis=2) == given).all()


def test_melodies_are_input_and_target_without_changes() -> None:
    config = replace(SMALL, model=VAEConfig("melody", "categorical", latent_size=4))
    loops = np.arange(40 * 64, dtype=np.float32).reshape(40, 64) % 90
    batch = build_vae_batch(config, loops, 0, 0, 0)
    assert np.array_equal(batch.view, loops)
    assert np.array_equal(batch.target, loops)
