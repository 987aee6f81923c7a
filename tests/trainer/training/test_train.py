import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from drumvae.models.checkpoint import FORMAT, KEY, load_trained, newest_run, read_checkpoint  # noqa: E402
from drumvae.models.config import VAEConfig  # noqa: E402
from drumvae.trainer.data.corpus import Corpus, CorpusOptions, load_corpus  # noqa: E402
from drumvae.trainer.training.calibrate import choose_log_odds, find_thresholds  # noqa: E402
from drumvae.trainer.training.checkpoint_io import AtomicCheckpointIO  # noqa: E402
from drumvae.trainer.training.config import TrainConfig  # noqa: E402
from drumvae.trainer.training.curve import plot_curve, read_curve  # noqa: E402
from drumvae.trainer.training.losses import divergence  # noqa: E402
from drumvae.trainer.training.settings import read_toml  # noqa: E402
from drumvae.trainer.training.train import RunOptions, train  # noqa: E402
from drumvae.trainer.training.vae_batches import VAEBatch  # noqa: E402
from drumvae.trainer.training.vae_module import VAEModule  # noqa: E402
from drumvae.util.errors import RunError  # noqa: E402

# Lightning's own code trips over deprecations of the torch beside it.
pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

TORCHRUN = (sys.executable, "-m", "torch.distributed.run")
TINY = TrainConfig(
    preset="tiny",
    model=VAEConfig(steps=16, latent_size=8, encoder_units=(8,), decoder_units=(8,), show_hits=True, feel_units=8),
    batch_size=16,
    max_steps=6,
    humanize_share=0.5,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Trains on one thread: for tiny models, more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def corpus(midi_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(midi_folder, CorpusOptions(bars=1), cache=tmp_path_factory.mktemp("cache"))


def command(*arguments: str, cwd: Path, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    run = [*(launcher or (sys.executable,)), "-m", "drumvae.trainer", *arguments]
    return subprocess.run(run, capture_output=True, text=True, cwd=cwd, env=environment)


def weights(run: Path, name: str = "last.ckpt") -> "dict[str, torch.Tensor]":
    state: dict[str, torch.Tensor] = read_checkpoint(run / name)["state_dict"]
    return state


def largest_difference(a: Path, b: Path) -> float:
    mine, other = weights(a), weights(b)
    return max(float((mine[name] - other[name]).abs().max()) for name in mine if mine[name].numel())


def test_a_run_writes_its_checkpoints_and_its_configuration(corpus: Corpus, tmp_path: Path) -> None:
    scores = train(TINY, corpus, tmp_path, progress=False)
    assert {"validation/reconstruct_f1", "validation/humanize_timing_error_ms"} <= set(scores)
    assert (tmp_path / "last.ckpt").is_file()
    assert TrainConfig.from_dict(read_toml(tmp_path / "config.toml")) == TINY
    trained = load_trained(tmp_path)
    assert trained.tasks == ("generate", "reconstruct", "humanize")
    assert trained.facts["step"] == 6
    assert trained.windows.shape[1:] == (16, 27)
    assert list(tmp_path.glob("tensorboard/events*"))


def test_checkpoints_load_with_weights_only(corpus: Corpus, tmp_path: Path) -> None:
    train(replace(TINY, max_steps=2, averaging=0.9), corpus, tmp_path, progress=False)
    for name in ("best.ckpt", "last.ckpt"):
        checkpoint = torch.load(tmp_path / name, weights_only=True)
        assert checkpoint[KEY]["format"] == FORMAT


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


def test_a_resumed_run_continues_at_its_last_step(corpus: Corpus, tmp_path: Path) -> None:
    train(TINY, corpus, tmp_path, progress=False)
    train(replace(TINY, max_steps=9), corpus, tmp_path, RunOptions(resume=tmp_path / "last.ckpt"), progress=False)
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 9


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(corpus: Corpus, tmp_path: Path) -> None:
    """The run stops within an epoch. Dropout, random numbers and the moving average continue as without the stop."""
    config = replace(TINY, model=replace(TINY.model, input_keep=0.7), averaging=0.9, batch_size=8, tap_dropout=0.5, drumify_share=0.3)
    train(replace(config, max_steps=9), corpus, tmp_path / "whole", progress=False)
    train(replace(config, max_steps=3), corpus, tmp_path / "parts", progress=False)
    train(replace(config, max_steps=9), corpus, tmp_path / "parts", RunOptions(resume=tmp_path / "parts" / "last.ckpt"), progress=False)
    assert largest_difference(tmp_path / "whole", tmp_path / "parts") == 0
    whole, parts = (read_curve(tmp_path / name / "curve.csv") for name in ("whole", "parts"))
    assert parts[-1]["validation_loss"] == whole[-1]["validation_loss"]


@pytest.mark.parametrize("name", ["stage_4bar", "drummer_4bar"])
def test_a_killed_run_continues_with_the_losses_of_an_uninterrupted_one(name: str, midi_folder: Path, tmp_path: Path) -> None:
    sizes = {"steps": "32"}
    if name == "drummer_4bar":
        sizes |= {"width": "16", "heads": "2", "core_units": "8", "context_layers": "1", "readers": "2"}
        sizes |= {"reader_width": "16", "reader_layers": "1"}
    else:
        sizes |= {"encoder_units": "[8]", "decoder_units": "[8]"}
    small = [part for size, value in sizes.items() for part in ("--set", f"model.{size}={value}")]
    small += ["--preset", name, "--set", "validate_every=7", "--set", "precision=32-true"]
    tiny = ["--data", str(midi_folder), "--batch-size", "8", "--max-steps", "100", *small]
    whole = command(*tiny, "--out", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    arguments = [sys.executable, "-m", "drumvae.trainer", *tiny, "--out", "killed"]
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline_s = time.monotonic() + 120
        while len(read_curve(tmp_path / "killed" / "curve.csv")) < 8 and time.monotonic() < deadline_s:
            time.sleep(0.05)
        process.kill()
    reached = read_checkpoint(tmp_path / "killed" / "last.ckpt")["global_step"]
    assert 0 < reached < 100
    resumed = command("--resume", "killed", "--data", str(midi_folder), cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    losses = [
        {r["step"]: r["validation_loss"] for r in read_curve(tmp_path / n / "curve.csv") if r["score"] == r["score"]}
        for n in ("whole", "killed")
    ]
    exact = name == "stage_4bar"  # the last digit of a drummer's matrix products depends on the memory alignment of a process
    assert losses[0] == (losses[1] if exact else pytest.approx(losses[1], rel=1e-5))
    assert largest_difference(tmp_path / "whole", tmp_path / "killed") <= (0 if exact else 1e-3)


def test_micro_batches_give_the_gradient_of_the_whole_batch(corpus: Corpus, tmp_path: Path) -> None:
    train(TINY, corpus, tmp_path / "whole", progress=False)
    train(replace(TINY, accumulate=4), corpus, tmp_path / "parts", progress=False)
    assert largest_difference(tmp_path / "whole", tmp_path / "parts") < 1e-5


def tiny_run(data: Path) -> list[str]:
    """Returns options of a run without dropout, since each process would draw its own."""
    sizes = {"input_keep": "1.0", "steps": "16", "encoder_units": "[8]", "decoder_units": "[8]"}
    settings = [part for name, value in sizes.items() for part in ("--set", f"model.{name}={value}")]
    return ["--preset", "groovae_4bar_tap", *settings, "--data", str(data), "--batch-size", "16", "--max-steps", "6"]


@pytest.mark.parametrize("launcher", ["own", "torchrun"])
def test_two_processes_train_the_weights_of_one(midi_folder: Path, tmp_path: Path, launcher: str) -> None:
    """The windows of a step are divided, so that two processes train on the same step as one."""
    tiny = tiny_run(midi_folder)
    alone = command(*tiny, "--out", "alone", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    torchrun = (*TORCHRUN, "--nproc-per-node", "2", "--master-port", str(free_port()))
    if launcher == "own":
        together = command(*tiny, "--out", "together", "--devices", "2", cwd=tmp_path)
    else:
        together = command(*tiny, "--out", "together", cwd=tmp_path, launcher=torchrun)
    assert together.returncode == 0, together.stderr
    assert together.stdout.count("Best checkpoint") == 1
    assert read_checkpoint(tmp_path / "together" / "last.ckpt")["global_step"] == 6
    assert largest_difference(tmp_path / "alone", tmp_path / "together") < 1e-5


def test_two_machines_train_the_weights_of_one(midi_folder: Path, tmp_path: Path) -> None:
    """Two torchruns, each with its own process and folder, connect over the network; only the first process writes."""
    tiny = tiny_run(midi_folder)
    alone = command(*tiny, "--out", "alone", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    rendezvous = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{free_port()}"]
    torchrun = (*TORCHRUN, *rendezvous)
    machines = [tmp_path / "first", tmp_path / "second"]
    for machine in machines:
        machine.mkdir()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda machine: command(*tiny, "--out", "together", cwd=machine, launcher=torchrun), machines))
    assert [result.returncode for result in results] == [0, 0], [result.stderr for result in results]
    assert sum(result.stdout.count("Best checkpoint") for result in results) == 1
    (writer,) = (machine for machine in machines if (machine / "together" / "last.ckpt").exists())
    assert read_checkpoint(writer / "together" / "last.ckpt")["global_step"] == 6
    assert largest_difference(tmp_path / "alone", writer / "together") < 1e-5


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(("validate_every", "step"), [(7, 10), (100, 11)], ids=["found at a validation", "found by a periodic check"])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validate_every: int, step: int
) -> None:
    train(TINY, corpus, tmp_path, progress=False)
    calls = iter(range(1000))
    monkeypatch.setattr(
        "drumvae.trainer.training.vae_module.divergence", lambda mean, std: divergence(mean, std) * (1 if next(calls) < 5 else math.nan)
    )
    config = replace(TINY, max_steps=60, validate_every=validate_every)
    with pytest.raises(RunError, match=rf"not finite at step {step}; the checkpoints written before are kept.*--resume"):
        train(config, corpus, tmp_path, RunOptions(resume=tmp_path / "last.ckpt"), progress=False)
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == (7 if validate_every == 7 else 6)
    assert all(bool(value.isfinite().all()) for value in weights(tmp_path).values())


def test_a_validation_loss_that_is_not_finite_keeps_the_earlier_checkpoints(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(TINY, corpus, tmp_path, progress=False)
    before = weights(tmp_path)
    monkeypatch.setattr(
        VAEModule, "_reconstruction_losses", lambda self, outputs, *_: {"hits": outputs.sum() * (0 if self.training else math.nan)}
    )
    with pytest.raises(RunError, match="not finite in the validation after step 9"):
        train(replace(TINY, max_steps=9), corpus, tmp_path, RunOptions(resume=tmp_path / "last.ckpt"), progress=False)
    assert all(torch.equal(before[name], weights(tmp_path)[name]) for name in before)


def test_the_last_checkpoint_is_the_last_state_of_a_run_that_gets_worse(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter(range(100))
    monkeypatch.setattr("drumvae.trainer.training.base_module.checkpoint_score", lambda _: -next(scores))
    train(replace(TINY, max_steps=12, validate_every=3), corpus, tmp_path, progress=False)
    assert read_checkpoint(tmp_path / "best.ckpt")["global_step"] == 3
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 12


@pytest.mark.parametrize(("before", "after"), [(4, 4), (1, 4), (4, 2)])
def test_a_run_can_be_resumed_with_another_number_of_micro_batches(corpus: Corpus, tmp_path: Path, before: int, after: int) -> None:
    train(replace(TINY, max_steps=9), corpus, tmp_path / "whole", progress=False)
    train(replace(TINY, max_steps=4, accumulate=before), corpus, tmp_path / "parts", progress=False)
    options = RunOptions(resume=tmp_path / "parts" / "last.ckpt")
    train(replace(TINY, max_steps=9, accumulate=after), corpus, tmp_path / "parts", options, progress=False)
    assert largest_difference(tmp_path / "whole", tmp_path / "parts") < 1e-5


def test_a_run_saved_within_a_step_resumes_at_the_start_of_that_step(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-based checkpoint may be written between two micro-batches; here it is written after each of them."""
    config = replace(TINY, max_steps=5, accumulate=4)
    train(config, corpus, tmp_path / "whole", progress=False)
    monkeypatch.setattr("drumvae.trainer.training.train.SAVE_EVERY", timedelta(0))
    batches, batch_losses = iter(range(100)), VAEModule.batch_losses

    def failing(self: VAEModule, batch: "VAEBatch[torch.Tensor]") -> "dict[str, torch.Tensor]":
        if next(batches) == 3 * 4 + 2:
            raise RunError("killed")
        return batch_losses(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(VAEModule, "batch_losses", failing)
        with pytest.raises(RunError, match="killed"):
            train(config, corpus, tmp_path / "parts", progress=False)
    assert read_checkpoint(tmp_path / "parts" / "last.ckpt")["global_step"] == 3
    train(config, corpus, tmp_path / "parts", RunOptions(resume=tmp_path / "parts" / "last.ckpt"), progress=False)
    assert largest_difference(tmp_path / "whole", tmp_path / "parts") == 0


def test_the_error_for_too_little_memory_names_a_size_that_fits(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("drumvae.models.encoder.Encoder.forward", full)
    with pytest.raises(RunError, match=r"too little memory for 16 windows at once; type --set accumulate=2, which reads 8 and"):
        train(TINY, corpus, tmp_path, progress=False)


def test_fine_tuning_starts_with_the_weights_of_a_run(corpus: Corpus, midi_folder: Path, tmp_path: Path) -> None:
    train(replace(TINY, preset="stage_4bar"), corpus, tmp_path / "first", progress=False)
    result = command(
        "--from", "first", "--data", str(midi_folder), "--max-steps", "1", "--set", "learning_rate=1e-9", "--out", "second", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    first, second = weights(tmp_path / "first", "best.ckpt"), weights(tmp_path / "second")
    assert max(float((first[name] - second[name]).abs().max()) for name in first if first[name].numel()) < 1e-7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "flat_drums_4bar", "--resume", "run"], "was trained as tiny, not as flat_drums_4bar"),
        (["--resume", "run", "--from", "run"], "choose one of them"),
        (["--resume", "run", "--set", "model.latent_size=9"], "model.latent_size cannot be changed"),
    ],
)
def test_a_run_is_not_resumed_with_contradicting_options(corpus: Corpus, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    train(replace(TINY, max_steps=1), corpus, tmp_path / "run", progress=False)
    result = command(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr


def test_the_curve_is_logged_every_ten_steps_and_plotted(corpus: Corpus, tmp_path: Path) -> None:
    train(replace(TINY, max_steps=24), corpus, tmp_path, progress=False)
    rows = read_curve(tmp_path / "curve.csv")
    assert [row["step"] for row in rows if row["train_loss"] == row["train_loss"]] == [10, 20]
    plot_curve(tmp_path / "curve.csv", tmp_path / "curve.png", "tiny")
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


PATTERNS = replace(
    TINY, model=VAEConfig("pattern", "categorical", steps=16, latent_size=8, encoder_units=(8,), decoder_units=(8,)), humanize_share=0.0
)


@pytest.mark.parametrize(
    "config",
    [
        replace(PATTERNS, scheduled_sampling=2.0, optimiser="adamw", schedule="cosine", beta_rate=0.99),
        replace(
            PATTERNS,
            model=replace(PATTERNS.model, plan="conductor", segments=4, conductor_units=(8,)),
            schedule="restarts",
            restart_steps=2,
        ),
        replace(PATTERNS, model=replace(PATTERNS.model, plan="segments", segments=4), precision="bf16-mixed"),
        replace(TINY, humanize_share=0.25, drumify_share=0.25, infill_share=0.25, tap_dropout=0.8, velocity_scaling=0.2, timing_shift=0.1),
    ],
    ids=["scheduled sampling", "conductor", "segments in bf16", "all tasks"],
)
def test_each_kind_of_training_lowers_its_loss(corpus: Corpus, tmp_path: Path, config: TrainConfig) -> None:
    config = replace(config, learning_rate=1e-2)
    first = train(replace(config, max_steps=1), corpus, tmp_path / "a", progress=False)["validation/loss"]
    later = train(replace(config, max_steps=60), corpus, tmp_path / "b", progress=False)["validation/loss"]
    assert later < 0.8 * first


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, path = AtomicCheckpointIO(), tmp_path / "last.ckpt"
    complete = {"state_dict": {}, KEY: {"format": FORMAT, "preset": "", "tasks": [], "config": {}, "facts": {}, "windows": []}}
    writer.save_checkpoint(complete, path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RunError, match=r"No space left on device.*last complete one is kept"):
        writer.save_checkpoint(complete, path)
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    assert read_checkpoint(path) == complete


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no checkpoint"),
        (b"rubbish", "not a whole checkpoint"),
        ({KEY: {"format": 99}}, "format 99"),
        ({"other": 1}, "format None"),
    ],
)
def test_an_invalid_checkpoint_is_refused_with_a_sentence(tmp_path: Path, content: object, sentence: str) -> None:
    path = tmp_path / "x.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(RunError, match=sentence):
        read_checkpoint(path)


def test_a_checkpoint_with_a_pickled_object_is_refused(tmp_path: Path) -> None:
    torch.save({KEY: Path("anything")}, tmp_path / "x.ckpt")
    with pytest.raises(RunError, match="not a whole checkpoint"):
        read_checkpoint(tmp_path / "x.ckpt")


def test_the_newest_run_is_the_one_with_the_newest_best_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="train one with drumvae-train"):
        newest_run(tmp_path)
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "best.ckpt").touch()
        time.sleep(0.01)  # file systems round times
    assert newest_run(tmp_path).name == "a"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "groovae_4ba"], "did you mean groovae_4bar"),
        (["--max-stepz", "3"], "--max-steps"),
        (["--data", "nowhere"], "nowhere"),
        (["--resume", "nowhere.ckpt"], "There is no checkpoint nowhere.ckpt"),
        (["--set", "model.latent_siz=3"], "no setting model.latent_siz; did you mean latent_size"),
        (["--set", "latent_size"], "not NAME=VALUE"),
        (["--set", "batch_size=many"], "batch_size is 'many'; it is a whole number"),
        (["--config", "nowhere.toml"], "nowhere.toml cannot be read"),
        (["--set", "model.output=categorical"], "cannot learn the encoding 'groove'"),
        (["--preset", "hierdec_melody_4bar"], "name a folder of MIDI files with --data"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    result = command(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_not_overwritten(midi_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.ckpt").write_bytes(b"hours of work")
    result = command("--data", str(midi_folder), "--out", "run", cwd=tmp_path)
    assert result.returncode == 2
    assert "--resume run" in result.stderr
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == b"hours of work"


def test_ctrl_c_saves_and_exits_with_status_0(midi_folder: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "drumvae.trainer", *tiny_run(midi_folder), "--max-steps", "1000000", "--out", "run"]
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


def test_thresholds_correct_the_number_of_hits(midi_folder: Path, tmp_path: Path) -> None:
    """The model predicts too few hits for all voices. It needs four bars: one bar has too few hits for a fine choice."""
    corpus = load_corpus(midi_folder, cache=tmp_path / "cache")
    config = replace(TINY, model=replace(TINY.model, steps=64), max_steps=240, learning_rate=1e-2, validate_every=240)
    train(config, corpus, tmp_path, progress=False)
    trained = load_trained(tmp_path)
    assert len(trained.facts["thresholds"]) == 9
    trained.model.decoder.head.hits.bias.data -= 1.5
    windows = torch.from_numpy(trained.windows)

    def error(thresholds: list[float]) -> float:
        written = trained.model.reconstruct(windows, thresholds=torch.tensor(thresholds))[..., :9]
        return abs(float(written.sum() / windows[..., :9].sum()) - 1)

    assert error([0.5] * 9) > 0.2
    assert error(find_thresholds(lambda thresholds: trained.model.reconstruct(windows, thresholds=thresholds), windows)) < 0.5 * error(
        [0.5] * 9
    )


def test_the_best_f1_wins_among_thresholds_with_about_the_right_number_of_hits() -> None:
    a, b, c = torch.tensor([0.0]), torch.tensor([1.0]), torch.tensor([2.0])
    assert choose_log_odds([(a, 0.9, 0.5), (b, 0.6, 0.05), (c, 0.7, 0.1)]) is c
    assert choose_log_odds([(a, 0.9, 0.5), (b, 0.6, 0.3), (c, 0.7, 0.4)]) is b
