import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402

from drumvae.errors import RunError  # noqa: E402
from drumvae.models.config import ModelConfig  # noqa: E402
from drumvae.models.vae import GrooveVAE  # noqa: E402

pytestmark = pytest.mark.train

PUBLISHED = ModelConfig(steps=32, latent_size=8, encoder_units=(12,), decoder_units=(16, 16), input_keep=0.3)
STAGE = ModelConfig(
    steps=32, latent_size=8, encoder_units=(12,), decoder_units=(16, 16), bar_readout=True, position_size=4, show_hits=True, feel_units=8
)
CONFIGS = pytest.mark.parametrize(
    "config", [PUBLISHED, STAGE, replace(PUBLISHED, encoder_units=(12, 12))], ids=["published", "stage", "deep"]
)


def lively(config: ModelConfig) -> GrooveVAE:
    """Returns a model with weights large enough for its loops to differ."""
    torch.manual_seed(0)
    model = GrooveVAE(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def write(model: GrooveVAE, latent: "torch.Tensor", **changes: "torch.Tensor") -> "torch.Tensor":
    batch, steps = len(latent), model.config.steps
    arguments = {
        "noise": torch.rand(batch, steps, 9, generator=torch.Generator().manual_seed(1)),
        "temperature": torch.ones(batch),
        "thresholds": torch.full((9,), 0.5),
        "locked_hits": torch.zeros(batch, steps, 9),
        "locked": torch.zeros(batch, steps, 9),
    }
    with torch.no_grad():
        result: torch.Tensor = model.decoder(latent, **(arguments | changes))
    return result


@CONFIGS
@pytest.mark.parametrize("given", [0.0, 1.0])
def test_writing_freely_equals_teacher_forcing_on_what_was_written(config: ModelConfig, given: float) -> None:
    model, latent = lively(config), torch.randn(3, 8)
    hits = (torch.rand(3, 32, 9) < 0.3).float()
    locks = {"locked_hits": hits, "locked": torch.ones_like(hits)} if given else {}
    groove = write(model, latent, **locks)
    with torch.no_grad():
        logits, velocities, offsets = model.decoder.teacher_forced(latent, groove, torch.full((3,), given))
    written = groove[..., :9]
    assert torch.allclose(velocities * written, groove[..., 9:18], atol=1e-5)
    assert torch.allclose(offsets * written, groove[..., 18:], atol=1e-5)
    if not given:
        noise = torch.rand(3, 32, 9, generator=torch.Generator().manual_seed(1))
        assert torch.equal((torch.sigmoid(logits) > noise).float(), written)


@CONFIGS
def test_locked_hits_are_kept_and_the_rest_is_free(config: ModelConfig) -> None:
    model, latent = lively(config), torch.randn(2, 8)
    locked = torch.zeros(2, 32, 9)
    locked[..., :3] = 1
    hits = (torch.rand(2, 32, 9) < 0.5).float()
    groove = write(model, latent, locked_hits=hits, locked=locked)
    assert torch.equal(groove[..., :3], hits[..., :3])
    assert groove[..., 3:9].any()


@CONFIGS
def test_the_same_latent_and_noise_write_the_same_loop_in_any_batch(config: ModelConfig) -> None:
    model, latent = lively(config), torch.randn(4, 8)
    noise = torch.rand(4, 32, 9)
    together = write(model, latent, noise=noise)
    alone = torch.cat([write(model, latent[i : i + 1], noise=noise[i : i + 1]) for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_higher_threshold_means_fewer_hits() -> None:
    model, latent = lively(STAGE), torch.randn(16, 8)
    counts = [float(write(model, latent, thresholds=torch.full((9,), t))[..., :9].sum()) for t in (0.05, 0.5, 0.95)]
    assert counts[0] > counts[1] > counts[2]


def test_a_high_temperature_brings_hits_towards_one_half() -> None:
    model, latent = lively(STAGE), torch.randn(16, 8)
    density = float(write(model, latent, temperature=torch.full((16,), 1e4))[..., :9].mean())
    assert density == pytest.approx(0.5, abs=0.03)


@CONFIGS
def test_outputs_stay_in_their_ranges_and_are_empty_without_a_hit(config: ModelConfig) -> None:
    hits, velocities, offsets = write(lively(config), torch.randn(4, 8)).split(9, dim=-1)
    assert set(hits.unique().tolist()) <= {0.0, 1.0}
    assert ((velocities >= 0) & (velocities <= 1)).all()
    assert (offsets.abs() <= 1).all()
    assert not (velocities * (1 - hits)).any()
    assert not (offsets * (1 - hits)).any()


@CONFIGS
def test_a_fresh_posterior_is_near_the_prior(config: ModelConfig) -> None:
    mean, scale = GrooveVAE(config).encoder(torch.rand(4, 32, 27))
    assert mean.abs().max() < 0.1
    assert torch.allclose(scale, torch.full_like(scale, 0.693), atol=0.05)  # softplus(0)


def test_the_published_size_is_the_published_size() -> None:
    count = sum(p.numel() for p in GrooveVAE(ModelConfig()).parameters())
    assert count == pytest.approx(4.09e6, rel=0.01)  # as counted on Magenta's groovae_4bar


@pytest.mark.parametrize("wrong", [{"latent_size": 0}, {"encoder_units": ()}, {"input_keep": 0.0}, {"bar_readout": True, "steps": 30}])
def test_an_impossible_model_is_refused_with_a_sentence(wrong: dict[str, object]) -> None:
    with pytest.raises(RunError):
        ModelConfig(**wrong)  # type: ignore[arg-type]


def test_an_unknown_field_names_the_nearest() -> None:
    with pytest.raises(RunError, match="latent_size"):
        ModelConfig.from_dict({"latent_siz": 3})
