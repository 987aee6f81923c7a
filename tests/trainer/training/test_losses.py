import math

import pytest

torch = pytest.importorskip("torch")

from drumvae.trainer.training.losses import divergence, groove_loss, kl_loss  # noqa: E402

pytestmark = pytest.mark.train


def target_with_one_hit() -> "torch.Tensor":
    target = torch.zeros(1, 4, 27)
    target[0, 1, 2], target[0, 1, 11], target[0, 1, 20] = 1, 0.8, -0.4
    return target


def test_velocity_and_offset_have_no_loss_without_a_hit() -> None:
    target = target_with_one_hit()
    logits = torch.zeros(1, 4, 9)
    velocities, offsets = torch.full((1, 4, 9), 0.3), torch.full((1, 4, 9), 0.9)
    losses = groove_loss(logits, velocities, offsets, target)
    assert losses["velocity"].item() == pytest.approx((0.3 - 0.8) ** 2)
    assert losses["timing"].item() == pytest.approx((0.9 + 0.4) ** 2)


def test_hits_have_a_cross_entropy_in_each_cell() -> None:
    losses = groove_loss(torch.zeros(1, 4, 9), torch.zeros(1, 4, 9), torch.zeros(1, 4, 9), target_with_one_hit())
    assert losses["hits"].item() == pytest.approx(36 * math.log(2))


def test_the_divergence_is_0_for_the_prior_and_exact_for_a_gaussian() -> None:
    assert divergence(torch.zeros(2, 5), torch.ones(2, 5)).tolist() == pytest.approx([0, 0], abs=1e-6)
    expected = sum(0.5 * (1 + 0.25 - 1 - math.log(0.25)) for _ in range(3))
    assert divergence(torch.ones(1, 3), torch.full((1, 3), 0.5)).item() == pytest.approx(expected, rel=1e-5)


def test_the_divergence_above_the_free_bits_is_weighted_by_beta() -> None:
    free = 48 * math.log(2)
    assert kl_loss(torch.tensor([free - 1]), 48, 0.2).item() == 0
    assert kl_loss(torch.tensor([free + 10]), 48, 0.2).item() == pytest.approx(2.0, rel=1e-4)
