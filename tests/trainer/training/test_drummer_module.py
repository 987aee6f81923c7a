"""Tests the losses and predictions of the drummer's training module, and the calibration of its scale."""

from copy import deepcopy
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from helpers.drummers import SMALL as SMALLEST  # noqa: E402
from helpers.drummers import random_grooves  # noqa: E402

from drumvae.models.drummer import Conditioning, Drummer, ExpressionDistribution  # noqa: E402
from drumvae.music.sampling import LIKELY_HIT  # noqa: E402
from drumvae.trainer.training.calibrate import find_scale_factors  # noqa: E402
from drumvae.trainer.training.config import TrainConfig  # noqa: E402
from drumvae.trainer.training.drummer_batches import TAP_GROUPS, map_batches  # noqa: E402
from drumvae.trainer.training.drummer_losses import scale_loss  # noqa: E402
from drumvae.trainer.training.drummer_module import DrummerModule, predict_loops, sample_expression  # noqa: E402
from drumvae.trainer.training.validation_batches import validation_batch  # noqa: E402

pytestmark = pytest.mark.train

SMALL = replace(SMALLEST, readers=4)
CONFIG = TrainConfig.from_dict({"humanize_share": 0.2, "drumify_share": 0.2, "model": SMALL.to_dict()})


@pytest.fixture(scope="module")
def drummer() -> Drummer:
    torch.manual_seed(0)
    return Drummer(SMALL).eval()


def test_a_member_of_the_tap_ensemble_trains_on_its_group_only() -> None:
    module = DrummerModule(CONFIG)
    taps = validation_batch(module.vae, "drumify", random_grooves(4), torch.full((4,), 120.0)).taps
    module._tap_loss(taps._replace(group=torch.ones(4))).backward()
    gradients = [[parameter.grad for parameter in member.parameters()] for member in module.vae.tap_model.members]
    trained = [any(gradient is not None and bool(gradient.any()) for gradient in member) for member in gradients]
    assert trained == [number % TAP_GROUPS == 1 for number in range(4)]


def test_the_tap_loss_does_not_depend_on_how_a_step_is_divided() -> None:
    module = DrummerModule(CONFIG)
    taps = validation_batch(module.vae, "drumify", random_grooves(10), torch.full((10,), 120.0)).taps
    parts = [map_batches(lambda value, part=part: value[part], taps) for part in (slice(0, 5), slice(5, 10))]
    whole = module._tap_loss(taps)
    assert whole > 0
    assert torch.allclose(sum(module._tap_loss(part) for part in parts) / 2, whole)


def test_drumify_plays_the_hits_that_the_tap_model_finds_likely(drummer: Drummer) -> None:
    torch.manual_seed(1)
    drummer = deepcopy(drummer)
    for parameter in drummer.tap_model.parameters():
        parameter.data += torch.randn_like(parameter)
    target, bpm = random_grooves(3), torch.full((3,), 120.0)
    predicted, given = predict_loops(drummer, "drumify", target, bpm)
    inputs = validation_batch(drummer, "drumify", target, bpm).inputs
    assert torch.equal(predicted[..., :9] > 0, drummer.tap_model(inputs["tap"], inputs["bpm"], inputs["style"]) >= LIKELY_HIT)
    assert 0 < predicted[..., :9].mean() < 1
    assert not given.any()


# the scale of velocities and offsets


def test_scale_factors_give_the_standard_deviation_of_the_target() -> None:
    target = random_grooves(40)
    hits, width = target[..., :9], torch.linspace(0.6, 1.8, 18)
    mean = (target[..., 9:] * hits.repeat(1, 1, 2)).sum(dim=(0, 1)) / hits.repeat(1, 1, 2).sum(dim=(0, 1))

    def predict(factors: torch.Tensor) -> torch.Tensor:
        return torch.cat([hits, mean + (target[..., 9:] - mean) * factors / width], dim=-1)

    assert torch.allclose(find_scale_factors(predict, target), width, rtol=0.02)


def test_a_voice_without_hits_keeps_a_factor_of_1() -> None:
    target = random_grooves(5)
    target[..., [3, 12, 21]] = 0
    factors = find_scale_factors(lambda factors: target, target)
    assert (factors[3], factors[12]) == (1, 1)


def test_scale_factors_widen_the_expression_and_move_no_hit(drummer: Drummer) -> None:
    target, bpm = random_grooves(6), torch.full((6,), 100.0)
    narrow, wide = (sample_expression(drummer, target, bpm)(torch.full((18,), factor)) for factor in (0.5, 2.0))
    assert torch.equal(narrow[..., :9], target[..., :9])
    assert torch.equal(wide[..., :9], target[..., :9])
    for voice in range(9):
        hits = target[..., voice] > 0
        assert all(narrow[..., value][hits].std() < wide[..., value][hits].std() for value in (9 + voice, 18 + voice))


def test_sampled_expression_equals_that_of_a_drummer_with_the_same_factors(drummer: Drummer) -> None:
    target, factors = random_grooves(2), torch.linspace(0.5, 2.0, 18)
    drummer = deepcopy(drummer)
    drummer.decoder.scale_correction.copy_(factors)
    known = Conditioning(**validation_batch(drummer, "humanize", target, torch.full((2,), 90.0)).inputs)
    generator = torch.Generator().manual_seed(0)
    noise = {"note_noise": torch.randn(2, 64, 18, generator=generator), "loop_noise": torch.randn(2, SMALL.moods, generator=generator)}
    inputs = drummer.latent_inputs(torch.zeros(2, SMALL.latent_size)) | known._asdict() | noise | {"expression_temperature": torch.ones(2)}
    assert torch.allclose(drummer.decode(inputs), sample_expression(drummer, target, torch.full((2,), 90.0))(factors), atol=1e-6)


def test_the_scale_loss_is_that_of_a_low_rank_gaussian() -> None:
    draw = torch.Generator().manual_seed(1)
    expression, mask = torch.rand(2, 4, 18, generator=draw), (torch.rand(2, 4, 18, generator=draw) < 0.5).float()
    distribution = ExpressionDistribution(*(torch.rand(shape, generator=draw) for shape in ((2, 4, 18), (2, 4, 18), (2, 4, 18, 3))))
    expected = []
    for loop in range(2):
        where = mask[loop].flatten() > 0
        loc, scale, factors, value = (v[loop].flatten(0, 1)[where] for v in (*distribution, expression))
        expected.append(-torch.distributions.LowRankMultivariateNormal(loc, factors, scale**2).log_prob(value))
    assert float(scale_loss(distribution, expression, mask)) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-4)


def test_the_scale_loss_is_computed_in_single_precision_under_autocast() -> None:
    draw = torch.Generator().manual_seed(1)
    distribution = ExpressionDistribution(*(torch.rand(shape, generator=draw) for shape in ((2, 64, 18), (2, 64, 18), (2, 64, 18, 4))))
    expression, mask = torch.rand(2, 64, 18, generator=draw), torch.ones(2, 64, 18)
    loss = scale_loss(distribution, expression, mask)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(scale_loss(distribution, expression, mask), loss)
    invalid = ExpressionDistribution(distribution[0], distribution[1], distribution[2] * torch.nan)
    assert not torch.isfinite(scale_loss(invalid, expression, mask))
