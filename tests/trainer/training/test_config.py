import dataclasses
import json
import typing
from dataclasses import replace
from pathlib import Path

import pytest

from drumvae.bundle.format import default_bundle, read_bundle
from drumvae.models.config import DrummerConfig, ModelConfig, VAEConfig
from drumvae.trainer.training.config import TrainConfig
from drumvae.trainer.training.lr_schedule import learning_rate_factor, scheduled_sampling_share
from drumvae.trainer.training.presets import preset, presets
from drumvae.trainer.training.run_config import resolve_run
from drumvae.trainer.training.settings import parse_settings, read_toml
from drumvae.util.errors import RunError
from drumvae.util.settings import from_table, to_toml

ROOT = Path(__file__).parents[3]
PUBLISHED = {
    "groovae_4bar",
    "groovae_4bar_deep",
    "hierdec_groove_4bar",
    "hierdec_drums_16bar",
    "hierdec_drums_4bar",
    "hierdec_melody_4bar",
    "segment_drums_4bar",
    "conductor_drums_4bar",
    "groovae_4bar_humanize",
    "groovae_4bar_tap",
    "groovae_4bar_infill",
    "flat_drums_4bar",
}


OWN = {"stage_4bar", "drummer_4bar"}


def test_each_published_system_and_task_has_a_preset() -> None:
    assert set(presets()) == PUBLISHED | OWN


@pytest.mark.parametrize("name", sorted(PUBLISHED | OWN))
def test_a_saved_configuration_loads_unchanged(name: str, tmp_path: Path) -> None:
    config = replace(preset(name), min_duration_s=4.0)
    config.save(tmp_path / "config.toml")
    assert TrainConfig.from_dict(read_toml(tmp_path / "config.toml")) == config


def test_each_preset_has_a_description() -> None:
    assert all(config.about for config in presets().values())


def test_the_published_presets_have_the_published_sizes() -> None:
    shallow, deep = preset("groovae_4bar"), preset("groovae_4bar_deep")
    sizes = shallow.model
    assert (sizes.steps, sizes.latent_size, sizes.encoder_units, sizes.decoder_units) == (64, 256, (512,), (256, 256))
    assert (shallow.batch_size, shallow.learning_rate, shallow.learning_rate_decay, shallow.learning_rate_floor) == (
        512,
        1e-3,
        0.9999,
        1e-5,
    )
    assert (shallow.free_bits, shallow.beta, shallow.gradient_clip, sizes.input_keep) == (48, 0.2, 1.0, 0.3)
    assert shallow.tasks == ("generate", "reconstruct")
    assert deep.model == replace(sizes, encoder_units=(512, 512))
    paper = preset("hierdec_drums_16bar")
    assert (paper.model.steps, paper.model.segments, paper.model.latent_size, paper.free_bits, paper.batch_size) == (256, 16, 512, 256, 512)
    assert (paper.model.encoder_units, paper.model.conductor_units, paper.model.decoder_units) == ((2048,) * 2, (1024,) * 2, (1024,) * 2)
    for name, segments in (("hierdec_groove_4bar", 16), ("hierdec_drums_4bar", 8), ("hierdec_melody_4bar", 8), ("conductor_drums_4bar", 4)):
        assert (preset(name).model.plan, preset(name).model.segments, preset(name).model.steps) == ("conductor", segments, 64)


@pytest.mark.parametrize(
    ("name", "task"), [("groovae_4bar_humanize", "humanize"), ("groovae_4bar_tap", "drumify"), ("groovae_4bar_infill", "infill")]
)
def test_a_task_preset_trains_only_its_task(name: str, task: str) -> None:
    assert preset(name).learned_tasks == (task,)


def test_a_setting_can_change_each_field_and_keeps_its_type() -> None:
    vae, drummer = TrainConfig(), TrainConfig(model=DrummerConfig())
    for config, table, prefix in ((vae, vae, ""), (vae, vae.model, "model."), (drummer, drummer.model, "model.")):
        types = typing.get_type_hints(type(table))
        for field in dataclasses.fields(table):
            if field.name == "model":
                continue
            text = to_toml({field.name: getattr(table, field.name)}).strip()
            changed = config.changed(parse_settings([prefix + text]))
            value = getattr(changed.model if prefix else changed, field.name)
            assert value == getattr(table, field.name)
            assert isinstance(value, typing.get_origin(types[field.name]) or types[field.name])


def test_a_configuration_saved_with_the_fields_of_both_families_loads() -> None:
    both = json.loads(json.dumps(DrummerConfig().to_dict() | VAEConfig().to_dict()))
    assert ModelConfig.from_dict(both) == VAEConfig()
    assert ModelConfig.from_dict(both | {"family": "drummer"}) == DrummerConfig()


@pytest.mark.parametrize("path", [default_bundle(), ROOT / "tests" / "bundles" / "stage_4bar"], ids=["default", "stage_4bar"])
def test_the_configuration_of_a_bundle_loads(path: Path) -> None:
    saved = read_bundle(path).training["config"]
    config = TrainConfig.from_dict(saved)
    assert (config.preset, config.model) == (saved["preset"], preset(saved["preset"]).model)


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "results").glob("*/config.toml")), ids=lambda path: path.parent.name)
def test_the_configuration_of_a_published_run_loads(path: Path) -> None:
    assert TrainConfig.from_dict(read_toml(path)).preset == path.parent.name


@pytest.mark.parametrize(
    ("family", "settings"),
    [("lstm", {"width": 64}), ("lstm", {"styles": ["funk"]}), ("drummer", {"encoder_units": [256]}), ("drummer", {"plan": "conductor"})],
    ids=str,
)
def test_a_setting_of_the_other_family_is_refused(family: str, settings: dict[str, object]) -> None:
    config = TrainConfig().changed({"model": {"family": family}})
    other, name = "drummer" if family == "lstm" else "lstm", next(iter(settings))
    with pytest.raises(RunError, match=f"model.{name} is a setting of the family '{other}'.* set model.family to '{other}'"):
        config.changed({"model": settings})


def test_a_change_of_the_family_keeps_the_fields_that_both_have() -> None:
    deep = TrainConfig(model=VAEConfig(latent_size=8, previous_keep=0.5, encoder_units=(512, 512)))
    assert deep.changed({"model": {"family": "drummer", "width": 64}}).model == DrummerConfig(latent_size=8, previous_keep=0.5, width=64)


def test_a_field_that_no_family_has_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RunError, match=r"no setting model.zzz; there is family, encoding, .*conductor_units"):
        ModelConfig.from_dict({"zzz": 3})


def test_later_sources_of_settings_override_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('preset = "flat_drums_4bar"\nbatch_size = 64\nbeta = 1\n[model]\nlatent_size = 32\n')
    run = resolve_run(None, file, ["beta=0.5", "model.decoder_units=[16]"], {"batch_size": 8}, None, None)
    assert (run.config.preset, run.config.batch_size, run.config.beta) == ("flat_drums_4bar", 8, 0.5)
    assert (run.config.model.latent_size, run.config.model.decoder_units, run.config.model.encoding) == (32, (16,), "pattern")


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"batchsize": 3}, "no setting batchsize; did you mean batch_size"),
        ({"batch_size": "3"}, "batch_size is '3'; it is a whole number"),
        ({"batch_size": True}, "it is a whole number"),
        ({"beta": "high"}, "it is a number"),
        ({"model": {"bar_readout": 1}}, "model.bar_readout is 1; it is true or false"),
        ({"model": {"decoder_units": [1.5]}}, "it is a list of whole numbers"),
        ({"model": 3}, "it is a table"),
        ({"model": {"family": "lstn"}}, "no family 'lstn'; did you mean lstm"),
        ({"model": {"family": 3}}, "no family 3; there is lstm, drummer"),
        ({"schedule": "cosin"}, "did you mean cosine"),
        ({"seed": -1}, "seed is -1; it is from 0 to"),
        ({"seed": 5_000_000_000}, "seed is 5000000000"),
        ({"averaging": 1.5}, "averaging is 1.5"),
        ({"scheduled_sampling": -1.0}, "scheduled_sampling is -1.0"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"model": {"steps": 60}}, "a loop is whole bars of 16 steps"),
        ({"batch_size": 10, "accumulate": 3}, "does not divide into 3 equal parts"),
        ({"humanize_share": 0.6, "infill_share": 0.6}, "more than 1 together"),
        ({"model": {"encoding": "melody", "output": "categorical"}, "drumify_share": 0.5}, "a melody cannot be trained for that task"),
        ({"model": {"encoding": "pattern", "output": "categorical"}, "humanize_share": 0.5}, "a pattern cannot be trained for that task"),
        ({"model": {"encoding": "pattern"}}, "cannot learn the encoding 'pattern'"),
    ],
)
def test_an_invalid_setting_is_refused_with_a_sentence(table: dict[str, object], sentence: str) -> None:
    with pytest.raises(RunError) as error:
        TrainConfig().changed(table)
    assert sentence in str(error.value)


@pytest.mark.parametrize("settings", [["model=3", "model.latent_size=4"], ["beta=4", "beta.x=2"], ["model.latent_size=4", "model=3"]])
def test_settings_that_contradict_each_other_are_refused(settings: list[str]) -> None:
    with pytest.raises(RunError, match="contradicts an earlier one"):
        parse_settings(settings)


def test_a_preset_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("preset = 3")
    with pytest.raises(RunError, match="preset is 3; it is a text"):
        resolve_run(None, tmp_path / "a.toml", [], {}, None, None)


def test_an_integer_is_valid_for_a_float_setting() -> None:
    assert from_table(TrainConfig, {"beta": 1}).beta == 1.0


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("batch_size: 3")
    with pytest.raises(RunError, match="is not TOML"):
        read_toml(tmp_path / "a.toml")


def test_the_learning_rate_decays_as_in_musicvae() -> None:
    config = TrainConfig()
    assert learning_rate_factor(config, 0) == 1
    assert config.learning_rate * learning_rate_factor(config, 6931) == pytest.approx((1e-3 - 1e-5) * 0.5 + 1e-5, rel=1e-3)
    assert config.learning_rate * learning_rate_factor(config, 10**6) == pytest.approx(1e-5)


def test_a_cosine_ends_at_its_floor_and_restarts_return_to_the_initial_rate() -> None:
    cosine = TrainConfig(schedule="cosine", max_steps=100)
    assert [learning_rate_factor(cosine, step) for step in (0, 50, 100)] == pytest.approx([1, 0.505, 0.01])
    restarts = TrainConfig(schedule="restarts", restart_steps=100)
    assert learning_rate_factor(restarts, 99) < 0.02
    assert [learning_rate_factor(restarts, step) for step in (0, 100, 300)] == pytest.approx([1, 1, 1])
    assert learning_rate_factor(restarts, 200) == pytest.approx(0.505)  # halfway through a span of 200


def test_the_share_of_scheduled_sampling_rises_from_0_to_1() -> None:
    assert scheduled_sampling_share(5, 0) == 0
    assert scheduled_sampling_share(0, 1000) == pytest.approx(1 / 1001)
    assert scheduled_sampling_share(6908, 1000) == pytest.approx(0.5, abs=0.01)
    assert scheduled_sampling_share(10**9, 1000) == 1
