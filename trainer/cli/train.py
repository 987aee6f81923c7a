"""Defines the command `drumvae-train`."""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drumvae.util.command import require_extra, show_version
from drumvae.util.command import run as run_app
from drumvae.util.errors import DrumVAEError, RunError
from drumvae.util.files import check_writable

from ..training.distributed import is_first_process, one_at_a_time, shared_run_name
from .data import DataOption
from .data import data as data_command

if TYPE_CHECKING:
    from ..data.corpus import Corpus
    from ..training.config import TrainConfig
    from ..training.run_config import ResolvedRun

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}
)


app.command("data", epilog="Example: drumvae-train data --data my-grooves/ --out report/")(data_command)


def _show_presets(requested: bool) -> None:
    if requested:
        require_extra("Listing the presets", "train", "torch")
        from ..training.preset_table import print_presets

        print_presets()
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog="Example: drumvae-train --data my-grooves/ --max-steps 2000, then: drumvae-export onnx",
)
def train(
    context: typer.Context,
    data: DataOption = None,
    preset: Annotated[
        str | None,
        typer.Option(help="The model to train; --list-presets describes all of them.", show_default="drummer_4bar, the bundle that ships"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Read settings from a TOML file, such as the config.toml of an earlier run.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one setting: --set model.latent_size=128. Can be repeated.", show_default=False),
    ] = None,
    fine_tune: Annotated[
        Path | None, typer.Option("--from", help="Fine-tune the weights of a bundle or an earlier run on your data.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for checkpoints and logs. By default a new folder in runs/.", show_default=False)
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many steps of the optimizer.", show_default="from the preset")
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Stop after this many minutes, with a validation and a checkpoint.", show_default="no limit"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Windows (four-bar excerpts) in a step of the optimizer.", show_default="from the preset")
    ] = None,
    min_duration: Annotated[
        float | None, typer.Option(min=0, help="Leave out takes shorter than this many seconds.", show_default="from the preset")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Seed of all random numbers. The same seed on the same machine trains the same model.",
            show_default="from the preset",
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Continue an interrupted run, from its folder or a checkpoint (last.ckpt).", show_default=False)
    ] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="Number of GPUs, or of processes on a CPU.", show_default="all GPUs, or one process")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Number of machines. torchrun sets this and --devices.")] = 1,
    list_presets: Annotated[
        bool, typer.Option("--list-presets", callback=_show_presets, is_eager=True, help="Describe all presets and exit.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Train a drum model on MIDI files. The subcommand data reports on the files instead.

    Cuts drum performances into windows of a few bars and trains a variational autoencoder (VAE) on them. The run folder receives
    best.ckpt, last.ckpt, config.toml, the loss curve and a TensorBoard log. Ctrl-C saves after the current step; --resume continues.
    """
    if context.invoked_subcommand:
        return
    from ..training.run_config import resolve_run

    require_extra("Training", "train", "torch", "lightning")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options: dict[str, Any] = {"max_steps": max_steps, "batch_size": batch_size, "min_duration_s": min_duration, "seed": seed}
    given = {name: value for name, value in options.items() if value is not None}
    resolved = resolve_run(preset, config, settings or [], given, fine_tune, resume)
    run = _run_folder(out, resolved)
    corpus = _load(data, resolved.config, run)

    from ..training.train import RunOptions, train

    scores = train(resolved.config, corpus, run, RunOptions(max_minutes, resolved.checkpoint, resolved.weights, devices, nodes))
    if is_first_process():
        _finish(run, resolved.config, scores)


def _run_folder(out: Path | None, resolved: "ResolvedRun") -> Path:
    """Returns the folder of the run, the same in all processes. Raises RunError if it is not writable or holds another run."""
    from drumvae.models.checkpoint import LAST, RUNS

    name = shared_run_name(f"{resolved.config.preset}-{datetime.now():%Y%m%d-%H%M%S}")
    run = out or (resolved.checkpoint.parent if resolved.checkpoint else RUNS / name)
    if is_first_process():
        if not resolved.checkpoint and (run / LAST).exists():
            raise RunError(f"{run} holds a run already; type --resume {run} to continue it, or name another folder with --out.")
        check_writable(run, "The run", "name another folder with --out")
    return run


def _load(data: Path | None, config: "TrainConfig", run: Path) -> "Corpus":
    """Loads the corpus and prints how many takes are left out. Removes an empty run folder if the corpus is not usable."""
    from drumvae.models.checkpoint import RUNS

    from ..data.corpus import CorpusOptions, load_corpus
    from ..data.download import groove_zip
    from ..training.config import too_small

    try:
        if data is None and config.kind == "melody":
            raise RunError("Melodies are not in the Groove MIDI Dataset; name a folder of MIDI files with --data.")
        options = CorpusOptions(bars=config.model.steps // 16, min_duration_s=config.min_duration_s, kind=config.kind)
        with one_at_a_time():
            corpus = load_corpus(data or groove_zip(), options)
        training, validation = corpus.windows("train"), corpus.windows("validation")
        if len(training) < config.batch_size:
            raise RunError(too_small(config, len(training), corpus.rejected))
    except DrumVAEError:
        with suppress(OSError):
            run.rmdir()  # only succeeds for an empty folder, which this run created
            RUNS.rmdir()
        raise
    if is_first_process():
        for things, counts in (("takes", corpus.rejected), ("notes without a voice", corpus.dropped), ("windows", corpus.left_out)):
            for reason, count in sorted(counts.items()):
                typer.echo(f"left out {count} {things}: {reason}")
        typer.echo(f"{len(training)} windows to train on, {len(validation)} to validate; run folder {run}")
    return corpus


def _finish(run: Path, config: "TrainConfig", scores: dict[str, float]) -> None:
    """Plots the curve, and prints the validation metrics and the next command."""
    from ..training.curve import CURVE, plot_curve

    with suppress(ImportError):
        plot_curve(run / CURVE, run / "curve.png", config.preset)
    for name, value in sorted(scores.items()):
        typer.echo(f"{name:<42} {value:.4f}")
    typer.echo(f"Best checkpoint: {run / 'best.ckpt'}\nNext: drumvae-export onnx {run}")


def main() -> None:
    """Runs the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
