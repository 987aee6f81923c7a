"""Tests the drummer, one model for all tasks."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from helpers.drummers import random_grooves  # noqa: E402

from drumvae.models.config import LAGS, TAP_FEATURES, TAP_OFFSETS, TAP_SIZE, TAP_VELOCITIES, DrummerConfig  # noqa: E402
from drumvae.models.drummer import Drummer, lagged  # noqa: E402
from drumvae.models.features import tap_features  # noqa: E402
from drumvae.music.encoding import VOICE_COUNT  # noqa: E402
from drumvae.trainer.training.presets import parameter_count, preset  # noqa: E402
from drumvae.util.errors import RunError  # noqa: E402

READERS = {"readers": 4, "reader_width": 16, "reader_layers": 1}
SMALL = DrummerConfig(width=16, heads=2, latent_size=8, core_units=8, styles=("rock", "jazz"), moods=2, **READERS)


@pytest.fixture(scope="module")
def drummer() -> Drummer:
    torch.manual_seed(0)
    return Drummer(SMALL).eval()


def test_what_is_written_freely_is_what_its_own_odds_say(drummer: Drummer) -> None:
    latent = torch.randn(3, SMALL.latent_size)
    known = drummer.unknown(3)._replace(has_latent=torch.ones(3))
    written = drummer.most_likely(latent, known)[..., :VOICE_COUNT]
    odds = drummer.decoder.logits(drummer.decoder.context(latent, known), written)
    assert 0 < written.mean() < 1
    assert torch.equal((odds > 0).float(), written)


def test_what_is_shown_is_played_as_it_is_shown(drummer: Drummer) -> None:
    true = random_grooves(2)
    hits, feel = true.split([9, 18], dim=-1)
    half = torch.zeros_like(hits)
    half[:, :32] = 1
    known = drummer.unknown(2)._replace(hit_values=hits * half, hit_mask=half, expression=feel * half.repeat(1, 1, 2), expression_mask=half)
    written = drummer.most_likely(torch.zeros(2, SMALL.latent_size), known)
    assert torch.equal(written[:, :32], true[:, :32])


def test_without_has_latent_the_latent_changes_nothing(drummer: Drummer) -> None:
    known = drummer.unknown(2)
    here, there = (drummer.most_likely(torch.full((2, SMALL.latent_size), value), known) for value in (0.0, 3.0))
    assert torch.equal(here, there)


@pytest.mark.parametrize("name", ["style", "bpm", "density", "fill"])
def test_every_condition_changes_the_context(drummer: Drummer, name: str) -> None:
    unknown = drummer.unknown(1)
    given = unknown._replace(**{name: getattr(unknown, name) + 1})
    latent = torch.zeros(1, SMALL.latent_size)
    assert not torch.allclose(drummer.decoder.context(latent, unknown), drummer.decoder.context(latent, given))


def test_the_core_sees_what_it_wrote_up_to_two_bars_before() -> None:
    hits = torch.zeros(1, 64, 9)
    hits[0, 5, 3] = 1
    seen = lagged(hits).view(1, 64, len(LAGS), 9)
    assert [int(step) for step, lag in zip(*np.nonzero(seen[0, :, :, 3].numpy()), strict=True) if LAGS[lag] == 32] == [37]
    assert int(seen.sum()) == len(LAGS)


def test_a_looser_touch_moves_what_is_played_and_no_hit(drummer: Drummer) -> None:
    inputs = drummer.latent_inputs(torch.zeros(1, SMALL.latent_size))
    inputs["note_noise"] = torch.randn(1, 64, 18)
    still = drummer.decode(inputs)
    loose = drummer.decode(inputs | {"expression_temperature": torch.ones(1)})
    assert torch.equal(still[..., :9], loose[..., :9])
    assert not torch.allclose(still, loose)


def test_a_tap_that_is_not_shown_changes_nothing(drummer: Drummer) -> None:
    known, latent = drummer.unknown(1), torch.zeros(1, SMALL.latent_size)
    tap = torch.rand(1, 64, 3)
    assert torch.equal(drummer.decoder.context(latent, known), drummer.decoder.context(latent, known._replace(tap=tap)))
    shown = known._replace(tap=tap, has_tap=torch.ones(1))
    assert not torch.allclose(drummer.decoder.context(latent, known), drummer.decoder.context(latent, shown))


# readers of taps


def test_what_is_expected_is_the_mean_of_what_the_readers_do(drummer: Drummer) -> None:
    tap, bpm, style = torch.rand(3, 64, 3), torch.tensor([0.0, 90.0, 180.0]), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    expected = drummer.tap_model(tap, bpm, style)
    assert ((expected > 0) & (expected < 1)).all()
    each = [torch.sigmoid(reader(tap_features(tap), bpm, style)) for reader in drummer.tap_model.members]
    assert len(each) == 4
    assert [reader.lstm is not None for reader in drummer.tap_model.members] == [False, True, False, True]
    assert torch.allclose(expected, sum(each) / 4)
    assert torch.allclose(drummer.tap_model(tap[1:2], bpm[1:2], style[1:2]), expected[1:2], atol=1e-6)
    for inputs in ((tap, bpm + 40, style), (tap, bpm, style.flip(0)), (tap.flip(0), bpm, style)):
        assert not torch.allclose(drummer.tap_model(*inputs), expected, atol=1e-4)


def test_tap_features_compare_a_tap_with_its_neighbours_and_with_the_loop() -> None:
    """Here the neighbours are searched one step at a time."""
    draw = torch.Generator().manual_seed(1)
    hit = (torch.rand(5, 64, 1, generator=draw) < torch.tensor([0.0, 0.02, 0.2, 0.6, 1.0])[:, None, None]).float()
    velocity, offset = torch.rand(5, 64, 1, generator=draw) * hit, (torch.rand(5, 64, 1, generator=draw) * 2 - 1) * hit
    features = tap_features(torch.cat([hit, velocity, offset], dim=-1))
    assert features.shape == (5, 64, TAP_FEATURES)
    assert torch.isfinite(features).all()
    for loop in range(5):
        taps = hit[loop, :, 0].nonzero()[:, 0].tolist()
        mean = sum(velocity[loop, step].item() for step in taps) / max(len(taps), 1)
        hardest = max((velocity[loop, step].item() for step in taps), default=1.0)
        for step in range(64):
            here, on = velocity[loop, step].item(), step in taps
            before = max((other for other in taps if other < step), default=None)
            after = min((other for other in taps if other > step), default=None)
            beside = [here - (0.0 if other is None else velocity[loop, other].item()) for other in (before, after)]
            away = [min(abs(step - other), 32) if other is not None else 32 for other in (before, after)]
            expected = [here / hardest, (here - mean) * on, beside[0] * on, beside[1] * on]
            expected += [math.log(away[0]), math.log(away[1]), mean, len(taps) / 64]
            assert features[loop, step, -8:].tolist() == pytest.approx(expected, abs=1e-5), (loop, step)


def test_how_hard_and_how_early_a_stroke_is_shows_in_the_nearest_level_and_only_there() -> None:
    velocities, offsets = torch.linspace(0, 1, TAP_VELOCITIES), torch.linspace(-1, 1, TAP_OFFSETS)
    for number, velocity in enumerate(velocities):
        for place, offset in enumerate(offsets):
            tap = torch.tensor([1.0, float(velocity), float(offset)]).expand(1, 16, 3)
            soft, early = tap_features(tap)[0, 0, TAP_SIZE:-8].split([TAP_VELOCITIES, TAP_OFFSETS])
            assert (soft.argmax(), early.argmax()) == (number, place)
            assert soft.max() == early.max() == 1
    assert not tap_features(torch.zeros(1, 16, 3))[..., : TAP_SIZE + TAP_VELOCITIES + TAP_OFFSETS].any()


@pytest.mark.parametrize(
    "change", [{"readers": 0}, {"reader_width": 15}, {"reader_width": 15, "heads": 1}, {"moods": -1}, {"heads": 0}], ids=str
)
def test_a_drummer_of_impossible_sizes_is_refused(change: dict[str, int]) -> None:
    name = next(iter(change))
    with pytest.raises(RunError, match=f"model.{name} is"):
        replace(SMALL, **change)


def test_the_size_of_a_preset_is_that_of_its_model() -> None:
    config = preset("drummer_4bar")
    assert isinstance(config.model, DrummerConfig)
    assert parameter_count(config) == sum(value.numel() for value in Drummer(config.model).parameters())
