import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402

from drumvae.models.build import new_model  # noqa: E402
from drumvae.models.config import ModelConfig, VAEConfig  # noqa: E402
from drumvae.models.features import class_features, features_loop, loop_features  # noqa: E402
from drumvae.models.vae import LoopVAE  # noqa: E402
from drumvae.music.sampling import MIN_TEMPERATURE  # noqa: E402
from drumvae.trainer.training.presets import parameter_count, presets  # noqa: E402
from drumvae.util.errors import RunError  # noqa: E402

pytestmark = pytest.mark.train

PUBLISHED = VAEConfig(steps=32, latent_size=8, encoder_units=(12,), decoder_units=(16, 16), input_keep=0.3)
STAGE = VAEConfig(
    steps=32, latent_size=8, encoder_units=(12,), decoder_units=(16, 16), bar_readout=True, position_size=4, show_hits=True, feel_units=8
)
CONDUCTED = replace(PUBLISHED, plan="conductor", segments=8, conductor_units=(10, 12))
PATTERNS = VAEConfig("pattern", "categorical", steps=32, latent_size=8, encoder_units=(12,), decoder_units=(16,))
SEGMENTS = replace(PATTERNS, plan="segments", segments=4, segment_size=6)
MELODY = replace(PATTERNS, encoding="melody", plan="conductor", segments=2, conductor_units=(10,))
EVERY = {
    "published": PUBLISHED,
    "stage": STAGE,
    "deep": replace(PUBLISHED, encoder_units=(12, 12)),
    "conducted grooves": CONDUCTED,
    "patterns": PATTERNS,
    "conducted patterns": replace(CONDUCTED, encoding="pattern", output="categorical"),
    "segments": SEGMENTS,
}
DRUMS = pytest.mark.parametrize("config", EVERY.values(), ids=EVERY)
ALL = pytest.mark.parametrize("config", [*EVERY.values(), MELODY], ids=[*EVERY, "melody"])


def lively(config: VAEConfig) -> LoopVAE:
    """Returns a model with weights large enough for its loops to differ."""
    torch.manual_seed(0)
    model = LoopVAE(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def write(model: LoopVAE, latent: "torch.Tensor", **changes: "torch.Tensor") -> "torch.Tensor":
    batch, steps = len(latent), model.config.steps
    noise = torch.rand(batch, steps, 9, generator=torch.Generator().manual_seed(1))
    arguments = {"noise": noise, "temperature": torch.ones(batch)}
    with torch.no_grad():
        result: torch.Tensor = model.decoder(latent, **(arguments | changes))
    return result


def some_loops(config: VAEConfig, count: int = 3) -> "torch.Tensor":
    draw = torch.Generator().manual_seed(2)
    if config.encoding == "melody":
        return torch.randint(0, 90, (count, config.steps), generator=draw).float()
    hits = (torch.rand(count, config.steps, 9, generator=draw) < 0.3).float()
    return torch.cat([hits, hits * torch.rand(hits.shape, generator=draw), hits * (torch.rand(hits.shape, generator=draw) - 0.5)], dim=-1)


def hits_of(config: VAEConfig, logits: "torch.Tensor") -> "torch.Tensor":
    """Returns the likeliest features of logits, by the definition and not by the head's own drawing."""
    return (logits > 0).float() if config.output == "groove" else class_features(config.encoding)[logits.argmax(dim=-1)]


@ALL
def test_training_and_writing_are_the_same_function_of_the_steps_before(config: VAEConfig) -> None:
    """Forced to see the true steps, the stepwise decoder says what the one for training says in one pass."""
    model, loops = lively(config), some_loops(config)
    latent, features = torch.randn(3, 8), loop_features(loops, config.encoding)
    cold, middle = torch.full((3,), MIN_TEMPERATURE), torch.full((3, 32, 9), 0.5)
    forced = write(model, latent, temperature=cold, noise=middle, teacher_target=loops, teacher_forcing=torch.ones(3, 32))
    with torch.no_grad():
        outputs = model.decoder.teacher_forced(latent, features, torch.zeros(3))
        predicted = model.decoder.head.predict(outputs, features)
    expected = hits_of(config, predicted[0])
    assert torch.equal(loop_features(forced, config.encoding)[..., : expected.shape[-1]], expected)
    assert expected.any()


@pytest.mark.parametrize("config", [PUBLISHED, STAGE, CONDUCTED], ids=["published", "stage", "conducted"])
@pytest.mark.parametrize("given", [0.0, 1.0])
def test_training_and_writing_play_the_same_feel(config: VAEConfig, given: float) -> None:
    """With the hits given beforehand, which the decoder may be shown, and without."""
    model, loops = lively(config), some_loops(config)
    latent, hits = torch.randn(3, 8), some_loops(config)[..., :9]
    locks = {"hit_values": hits, "hit_mask": torch.ones_like(hits) if given else torch.zeros_like(hits)}
    written = write(model, latent, teacher_target=loops, teacher_forcing=torch.ones(3, 32), **locks)
    with torch.no_grad():
        outputs = model.decoder.teacher_forced(latent, loops, torch.full((3,), given))
        _, velocities, offsets = model.decoder.head.predict(outputs, written)
    hits_written = written[..., :9]
    assert hits_written.any()
    assert torch.allclose(written[..., 9:18], velocities * hits_written, atol=1e-5)
    assert torch.allclose(written[..., 18:], offsets * hits_written, atol=1e-5)


@ALL
def test_only_the_steps_that_are_forced_change_what_follows(config: VAEConfig) -> None:
    model, latent, loops = lively(config), torch.randn(3, 8), some_loops(config)
    free = write(model, latent)
    forced = torch.zeros(3, 32)
    forced[:, :10] = 1
    assert torch.equal(write(model, latent, teacher_target=loops, teacher_forcing=torch.zeros(3, 32)), free)
    led = write(model, latent, teacher_target=loops, teacher_forcing=forced)
    assert torch.equal(led[:, 0], free[:, 0])
    assert not torch.equal(led[:, 1:], free[:, 1:])
    echoed = write(model, latent, teacher_target=free, teacher_forcing=forced)
    assert torch.allclose(echoed, free, atol=1e-5)


@DRUMS
def test_locked_hits_are_kept_and_the_rest_is_free(config: VAEConfig) -> None:
    model, latent = lively(config), torch.randn(2, 8)
    hit_mask = torch.zeros(2, 32, 9)
    hit_mask[..., :3] = 1
    hits = (torch.rand(2, 32, 9) < 0.5).float()
    groove = write(model, latent, hit_values=hits, hit_mask=hit_mask)
    assert torch.equal(groove[..., :3], hits[..., :3])
    assert groove[..., 3:9].any()


@ALL
def test_the_same_latent_and_noise_write_the_same_loop_in_any_batch(config: VAEConfig) -> None:
    model, latent = lively(config), torch.randn(4, 8)
    noise = torch.rand(4, 32, 9)
    together = write(model, latent, noise=noise)
    alone = torch.cat([write(model, latent[i : i + 1], noise=noise[i : i + 1]) for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_class_is_drawn_as_often_as_it_is_likely() -> None:
    model = lively(PATTERNS)
    hidden = torch.randn(1, 16).expand(20_000, -1)
    with torch.no_grad():
        likely = torch.softmax(model.decoder.head.logits(hidden[:1]), dim=-1)[0]
        drawn = model.decoder.head.sample(hidden[:, None], torch.rand(20_000, 1, 1, generator=torch.Generator().manual_seed(3)))[:, 0]
    counts = torch.bincount((drawn @ 2.0 ** torch.arange(9)).long(), minlength=512) / 20_000
    assert float((counts - likely).abs().max()) < 5 * (float(likely.max()) / 20_000) ** 0.5


@pytest.mark.parametrize("encoding", ["pattern", "melody"])
def test_features_are_the_loop_and_come_back_from_it(encoding: str) -> None:
    loops = some_loops(replace(PATTERNS, encoding=encoding))
    again = features_loop(loop_features(loops, encoding), encoding)
    assert torch.equal(again if encoding == "melody" else again[..., :9], loops if encoding == "melody" else loops[..., :9])


def test_each_segment_is_decoded_from_its_own_part_of_the_plan() -> None:
    """What is planned for one segment changes nothing before it."""
    model, latent = lively(SEGMENTS), torch.randn(1, 8)
    before = write(model, latent)
    model.decoder.plan.embed.bias.data[2 * 6 : 3 * 6] += 3.0  # the third of four
    after = write(model, latent)
    assert torch.equal(before[:, :16], after[:, :16])
    assert not torch.equal(before[:, 16:24], after[:, 16:24])


@pytest.mark.parametrize("name", [name for name in presets() if name != "hierdec_drums_16bar"])  # whose weights take 0.7 GB
def test_a_preset_has_as_many_parameters_as_its_table_says(name: str) -> None:
    config = presets()[name]
    assert parameter_count(config) == sum(p.numel() for p in new_model(config.model).parameters())


def test_the_size_of_the_paper_is_counted_too() -> None:
    """Two bidirectional layers of 2048, two latent heads of 512, two conductor and two decoder layers of 1024, 512 classes."""
    lstm = lambda size, units: 4 * units * (size + units + 2)  # noqa: E731
    encoder = 2 * lstm(9, 2048) + 2 * lstm(4096, 2048) + 2 * 512 * (4096 + 1)
    conductor = lstm(512, 1024) + lstm(1024, 1024) + 4096 * (512 + 1)
    decoder = lstm(9 + 1024, 1024) + lstm(1024, 1024) + 4096 * (1024 + 1) + 512 * (1024 + 1)
    assert parameter_count(presets()["hierdec_drums_16bar"]) == encoder + conductor + decoder


def test_a_higher_threshold_means_fewer_hits() -> None:
    model, latent = lively(STAGE), torch.randn(16, 8)
    counts = [float(write(model, latent, thresholds=torch.full((9,), t))[..., :9].sum()) for t in (0.05, 0.5, 0.95)]
    assert counts[0] > counts[1] > counts[2]


def test_a_high_temperature_brings_hits_towards_one_half() -> None:
    model, latent = lively(STAGE), torch.randn(16, 8)
    density = float(write(model, latent, temperature=torch.full((16,), 1e4))[..., :9].mean())
    assert density == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("config", [PUBLISHED, STAGE, CONDUCTED], ids=["published", "stage", "conducted"])
def test_outputs_stay_in_their_ranges_and_are_empty_without_a_hit(config: VAEConfig) -> None:
    hits, velocities, offsets = write(lively(config), torch.randn(4, 8)).split(9, dim=-1)
    assert set(hits.unique().tolist()) <= {0.0, 1.0}
    assert ((velocities >= 0) & (velocities <= 1)).all()
    assert (offsets.abs() <= 1).all()
    assert not (velocities * (1 - hits)).any()
    assert not (offsets * (1 - hits)).any()


@ALL
def test_the_posterior_depends_on_every_step_that_is_read(config: VAEConfig) -> None:
    model, loops = lively(config), some_loops(config, 1)
    for step in (0, 15, 16, 31):
        other = loops.clone()
        other[:, step] = 5 if config.encoding == "melody" else 1 - loops[:, step]
        with torch.no_grad():
            assert not torch.allclose(model.encoder(other)[0], model.encoder(loops)[0], atol=1e-6)


@DRUMS
def test_a_fresh_posterior_is_near_the_prior(config: VAEConfig) -> None:
    mean, scale = LoopVAE(config).encoder(torch.rand(4, 32, 27))
    assert mean.abs().max() < 0.1
    assert torch.allclose(scale, torch.full_like(scale, 0.693), atol=0.05)  # softplus(0)


def test_the_published_size_is_the_published_size() -> None:
    count = sum(p.numel() for p in LoopVAE(VAEConfig()).parameters())
    assert count == pytest.approx(4.09e6, rel=0.01)  # as counted on Magenta's groovae_4bar


@pytest.mark.parametrize(
    "wrong",
    [
        {"latent_size": 0},
        {"encoder_units": ()},
        {"input_keep": 0.0},
        {"bar_readout": True, "steps": 30},
        {"segments": 2},
        {"plan": "conductor"},
        {"plan": "segments", "segments": 5},
        {"plan": "conducter", "segments": 4},
        {"encoding": "grove"},
        {"encoding": "pattern", "output": "categorical", "show_hits": True},
    ],
)
def test_an_impossible_model_is_refused_with_a_sentence(wrong: dict[str, object]) -> None:
    with pytest.raises(RunError, match=r"\.$|\?$"):
        VAEConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("encoding", "output"), [("groove", "categorical"), ("pattern", "groove"), ("melody", "groove")])
def test_an_output_that_cannot_learn_the_encoding_is_refused(encoding: str, output: str) -> None:
    with pytest.raises(RunError, match=f"cannot learn the encoding {encoding!r}.*Set model.output to"):
        VAEConfig(encoding=encoding, output=output)


def test_an_unknown_field_names_the_nearest() -> None:
    with pytest.raises(RunError, match="latent_size"):
        ModelConfig.from_dict({"latent_siz": 3})
