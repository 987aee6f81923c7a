"""The command `drumvae-train`."""

import os
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from drumvae.command import need_training, show_version
from drumvae.command import run as run_app
from drumvae.errors import DrumVAEError, RunError
from drumvae.files import check_writable

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich", context_settings={"help_option_names": ["-h", "--help"]}
)


def _show_presets(wanted: bool) -> None:
    if wanted:
        from .presets import PRESETS

        for config in PRESETS.values():
            model = config.model
            size = f"encoder {model.encoder_units}, decoder {model.decoder_units}, latent {model.latent_size}"
            typer.echo(f"{config.preset:<16} {', '.join(config.tasks)}; {size}")
        raise typer.Exit


@app.command(epilog="Example: drumvae-train --data my-grooves/ --max-steps 2000, then: drumvae-export onnx")
def train(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder or zip of MIDI files. By default the Groove MIDI Dataset, fetched once (3 MB).", show_default=False),
    ] = None,
    preset: Annotated[str, typer.Option(help="Which model to train; --list-presets shows them.")] = "groovae_4bar",
    out: Annotated[Path | None, typer.Option(help="Folder of the run. By default a new one in runs/.", show_default=False)] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop after this many steps.", show_default="the preset's")] = None,
    max_minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop after this many minutes.", show_default="no limit")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Windows in a step.", show_default="the preset's")] = None,
    seed: Annotated[int, typer.Option(help="The same seed on the same machine trains the same model.")] = 0,
    resume: Annotated[Path | None, typer.Option(help="Go on from a run folder or a checkpoint (last.ckpt).", show_default=False)] = None,
    list_presets: Annotated[
        bool, typer.Option("--list-presets", callback=_show_presets, is_eager=True, help="Show the presets and exit.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Train a drummer on grooves.

    Reads four-bar windows of drum performances, trains a groove VAE, and leaves a run folder with best.ckpt, last.ckpt and a
    TensorBoard log. Ctrl-C stops after the current step and saves; --resume goes on.
    """
    from .presets import TrainConfig
    from .presets import preset as named

    config = named(preset)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    need_training("Training", "torch", "lightning")
    from drumvae.checkpoint import LAST, RUNS, load_trained

    checkpoint = (resume / LAST if resume.is_dir() else resume) if resume else None
    if checkpoint:
        config = TrainConfig.from_dict(load_trained(checkpoint).config)
        out = out or checkpoint.parent
    else:
        config = replace(config, seed=seed)
    config = replace(config, max_steps=max_steps or config.max_steps, batch_size=batch_size or config.batch_size)
    run = out or RUNS / f"{preset}-{datetime.now():%Y%m%d-%H%M%S}"

    if not checkpoint and (run / LAST).exists():
        raise RunError(f"{run} holds a run already; type --resume {run} to go on with it, or name another folder with --out.")
    check_writable(run, "The run", "name another folder with --out")

    from .corpus import CorpusOptions, load_corpus
    from .download import groove_zip
    from .loop import Limits, train

    try:
        corpus = load_corpus(data or groove_zip(), CorpusOptions(bars=config.model.steps // 16))
        corpus.windows("train"), corpus.windows("validation")
    except DrumVAEError:
        with suppress(OSError):
            run.rmdir()  # where it is empty, it is ours
            RUNS.rmdir()
        raise
    for reason, count in sorted(corpus.rejected.items()):
        typer.echo(f"left out {count} takes: {reason}")
    for reason, count in sorted(corpus.dropped.items()):
        typer.echo(f"left out {count} notes: {reason}, which no voice hears")
    typer.echo(f"{len(corpus.windows('train'))} windows to train on, {len(corpus.windows('validation'))} to validate; run folder {run}")
    scores = train(config, corpus, run, Limits(max_minutes, checkpoint))
    for name, value in sorted(scores.items()):
        typer.echo(f"{name:<42} {value:.4f}")
    typer.echo(f"Best checkpoint: {run / 'best.ckpt'}\nNext: drumvae-export onnx {run}")


def main() -> None:
    """Runs the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
