import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from drumvae.checkpoint import FORMAT, KEY, load_trained, newest_run, read_checkpoint  # noqa: E402
from drumvae.errors import RunError  # noqa: E402
from drumvae.models.config import ModelConfig  # noqa: E402
from drumvae.trainer.checkpoints import WholeFileIO  # noqa: E402
from drumvae.trainer.corpus import Corpus, load_corpus  # noqa: E402
from drumvae.trainer.loop import Limits, train  # noqa: E402
from drumvae.trainer.presets import PRESETS, TrainConfig, preset  # noqa: E402

# Lightning's own code trips over deprecations of the torch beside it.
pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

TINY = TrainConfig(
    preset="tiny",
    model=ModelConfig(latent_size=8, encoder_units=(8,), decoder_units=(8,), show_hits=True, feel_units=8),
    batch_size=16,
    max_steps=6,
)


@pytest.fixture(scope="module")
def corpus(midi_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(midi_folder, cache=tmp_path_factory.mktemp("cache"))


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "drumvae.trainer", *arguments], capture_output=True, text=True, cwd=cwd)


def test_a_run_leaves_best_and_last_checkpoints_and_its_configuration(corpus: Corpus, tmp_path: Path) -> None:
    scores = train(TINY, corpus, tmp_path, progress=False)
    assert {"validation/hit_f1", "validation/humanize_timing_error_ms"} <= set(scores)
    assert (tmp_path / "last.ckpt").is_file()
    assert TrainConfig.from_dict(json.loads((tmp_path / "config.json").read_text())) == TINY
    trained = load_trained(tmp_path)
    assert trained.tasks == ("generate", "humanize")
    assert trained.facts["step"] == 6
    assert trained.windows.shape[1:] == (64, 27)
    assert list(tmp_path.glob("tensorboard/events*"))


def test_checkpoints_hold_plain_weights_and_dicts(corpus: Corpus, tmp_path: Path) -> None:
    train(replace(TINY, max_steps=2, averaging=0.9), corpus, tmp_path, progress=False)
    for name in ("best.ckpt", "last.ckpt"):
        kept = torch.load(tmp_path / name, weights_only=True)
        assert kept[KEY]["format"] == FORMAT


def test_training_lowers_the_loss(corpus: Corpus, tmp_path: Path) -> None:
    config = replace(TINY, learning_rate=1e-2)
    first = train(replace(config, max_steps=1), corpus, tmp_path / "a", progress=False)["validation/loss"]
    later = train(replace(config, max_steps=60), corpus, tmp_path / "b", progress=False)["validation/loss"]
    assert later < 0.7 * first


def test_the_same_seed_trains_the_same_model(corpus: Corpus, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(replace(TINY, seed=seed), corpus, tmp_path / name, progress=False)
    a, b, c = (load_trained(tmp_path / name).model.encoder.mean.weight for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_resuming_goes_on_from_the_step_that_was_reached(corpus: Corpus, tmp_path: Path) -> None:
    train(TINY, corpus, tmp_path, progress=False)
    train(replace(TINY, max_steps=9), corpus, tmp_path, Limits(resume=tmp_path / "last.ckpt"), progress=False)
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 9


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, path = WholeFileIO(), tmp_path / "last.ckpt"
    good = {"state_dict": {}, KEY: {"format": FORMAT, "preset": "", "tasks": [], "config": {}, "facts": {}, "windows": []}}
    writer.save_checkpoint(good, path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"No space left on device.*last good one is kept"):
        writer.save_checkpoint(good, path)
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    assert read_checkpoint(path) == good


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no checkpoint"),
        (b"rubbish", "not a whole checkpoint"),
        ({KEY: {"format": 99}}, "format 99"),
        ({"other": 1}, "format None"),
    ],
)
def test_a_wrong_checkpoint_is_refused_with_a_sentence(tmp_path: Path, content: object, sentence: str) -> None:
    path = tmp_path / "x.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(RunError, match=sentence):
        read_checkpoint(path)


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    torch.save({KEY: Path("anything")}, tmp_path / "x.ckpt")
    with pytest.raises(RunError, match="not a whole checkpoint"):
        read_checkpoint(tmp_path / "x.ckpt")


def test_the_newest_run_is_the_one_whose_best_checkpoint_is(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="train one with drumvae-train"):
        newest_run(tmp_path)
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "best.ckpt").touch()
        time.sleep(0.01)  # file systems count time in steps
    assert newest_run(tmp_path).name == "a"


def test_the_published_preset_is_as_published() -> None:
    config = preset("groovae_4bar")
    model = config.model
    assert (model.steps, model.latent_size, model.encoder_units, model.decoder_units, model.input_keep) == (
        64,
        256,
        (512,),
        (256, 256),
        0.3,
    )
    assert (config.batch_size, config.learning_rate, config.learning_rate_decay, config.learning_rate_floor) == (512, 1e-3, 0.9999, 1e-5)
    assert (config.free_bits, config.beta, config.gradient_clip) == (48, 0.2, 1.0)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back_from_their_dicts(name: str) -> None:
    assert TrainConfig.from_dict(json.loads(json.dumps(preset(name).to_dict()))) == preset(name)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "groovae_4ba"], "did you mean groovae_4bar"),
        (["--max-stepz", "3"], "--max-steps"),
        (["--data", "nowhere"], "nowhere"),
        (["--resume", "nowhere.ckpt"], "There is no checkpoint nowhere.ckpt"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = command(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_there_is_not_overwritten_unasked(midi_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.ckpt").write_bytes(b"hours of work")
    result = command("--data", str(midi_folder), "--out", "run", cwd=tmp_path)
    assert result.returncode == 2
    assert "--resume run" in result.stderr
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == b"hours of work"


def test_ctrl_c_saves_and_leaves_cleanly(midi_folder: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "drumvae.trainer", "--data", str(midi_folder), "--batch-size", "4", "--out", "run"]
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        deadline_s = time.monotonic() + 120
        while not list(tmp_path.glob("run/tensorboard/events*")) and time.monotonic() < deadline_s:
            time.sleep(0.2)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert "Best checkpoint: run/best.ckpt" in output
    assert read_checkpoint(tmp_path / "run" / "last.ckpt")["global_step"] > 0


def test_thresholds_give_the_density_of_the_real_grooves(corpus: Corpus, tmp_path: Path) -> None:
    train(replace(TINY, max_steps=60, learning_rate=1e-2), corpus, tmp_path, progress=False)
    trained = load_trained(tmp_path)
    windows = torch.from_numpy(trained.windows)
    free = torch.zeros_like(windows[..., :9])
    true = windows[..., :9].sum(dim=(0, 1))

    def density_error(thresholds: list[float]) -> float:
        written = trained.model.reconstruct(windows, torch.tensor(thresholds), free)[..., :9].sum(dim=(0, 1))
        return float((written - true).abs().sum() / true.sum())

    assert len(trained.facts["thresholds"]) == 9
    assert density_error(trained.facts["thresholds"]) < density_error([0.5] * 9)
