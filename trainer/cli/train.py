"""The command `drumvae-train`."""

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

from ..training.distributed import first_process, one_at_a_time, shared_name
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


def _show_presets(wanted: bool) -> None:
    if wanted:
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
        str | None, typer.Option(help="Which model to train; --list-presets shows them.", show_default="drummer_4bar, the one that ships")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings, such as a run's own config.toml.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: --set model.latent_size=128. May be repeated.", show_default=False)
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="Fine-tune: begin with the weights of a bundle or a run.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run. By default a new one in runs/.", show_default=False)] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop after this many steps.", show_default="the preset's")] = None,
    max_minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop after this many minutes.", show_default="no limit")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows in a step.", show_default="the preset's")] = None,
    min_duration: Annotated[
        float | None, typer.Option(min=0, help="Leave out takes shorter than this many seconds.", show_default="the preset's")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed on the same machine trains the same model.", show_default="the preset's")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on from a run folder or a checkpoint (last.ckpt).", show_default=False)] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="GPUs to use, or processes on a CPU.", show_default="every GPU, or one process")
    ] = None,
    nodes: Annotated[int, typer.Option(min=1, help="Machines to use; torchrun sets this and --devices by itself.")] = 1,
    list_presets: Annotated[
        bool, typer.Option("--list-presets", callback=_show_presets, is_eager=True, help="Show the presets and exit.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Train a drummer on grooves, or report on the grooves (drumvae-train data).

    Reads windows of drum performances, trains a VAE, and leaves a run folder with best.ckpt, last.ckpt, config.toml, the loss curve
    and a TensorBoard log. Ctrl-C stops after the current step and saves; --resume goes on.
    """
    if context.invoked_subcommand:
        return
    from ..training.run_config import resolve

    require_extra("Training", "train", "torch", "lightning")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    changes: dict[str, Any] = {"max_steps": max_steps, "batch_size": batch_size, "min_duration_s": min_duration, "seed": seed}
    begun = resolve(preset, config, settings or [], {name: value for name, value in changes.items() if value is not None}, start, resume)
    run = _run_folder(out, begun)
    corpus = _load(data, begun.config, run)

    from ..training.train import RunOptions, train

    scores = train(begun.config, corpus, run, RunOptions(max_minutes, begun.checkpoint, begun.weights, devices, nodes))
    if first_process():
        _finish(run, begun.config, scores)


def _run_folder(out: Path | None, begun: "ResolvedRun") -> Path:
    """Returns the folder to write into, one for all processes, checked to be writable and free."""
    from drumvae.models.checkpoint import LAST, RUNS

    named = shared_name(f"{begun.config.preset}-{datetime.now():%Y%m%d-%H%M%S}")
    run = out or (begun.checkpoint.parent if begun.checkpoint else RUNS / named)
    if first_process():
        if not begun.checkpoint and (run / LAST).exists():
            raise RunError(f"{run} holds a run already; type --resume {run} to go on with it, or name another folder with --out.")
        check_writable(run, "The run", "name another folder with --out")
    return run


def _load(data: Path | None, config: "TrainConfig", run: Path) -> "Corpus":
    """Reads the corpus and says what is in it; leaves no empty folder behind where it cannot be used."""
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
            run.rmdir()  # where it is empty, it is ours
            RUNS.rmdir()
        raise
    if first_process():
        for reason, count in sorted(corpus.rejected.items()):
            typer.echo(f"left out {count} takes: {reason}")
        for reason, count in sorted(corpus.dropped.items()):
            typer.echo(f"left out {count} notes: {reason}, which no voice hears")
        for reason, count in sorted(corpus.left_out.items()):
            typer.echo(f"left out {count} windows: {reason}")
        typer.echo(f"{len(training)} windows to train on, {len(validation)} to validate; run folder {run}")
    return corpus


def _finish(run: Path, config: "TrainConfig", scores: dict[str, float]) -> None:
    """Draws the curve, says the scores and what to type next."""
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
