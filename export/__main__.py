"""The command `drumvae-export`."""

from pathlib import Path
from typing import Annotated

import typer

from drumvae.command import need_training, show_version
from drumvae.command import run as run_app

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn a trained run into a bundle that drumvae-live plays.",
)

BUNDLES = Path("bundles")


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Holds the options that every subcommand shares."""


@app.command("onnx", epilog="Example: drumvae-export onnx, then: drumvae-live --bundle bundles/groovae_4bar-20260101-120000")
def onnx_command(
    run: Annotated[
        Path | None, typer.Argument(help="A run folder or a checkpoint. By default the newest run in runs/.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the bundle. By default bundles/ and the run's name.", show_default=False)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a bundle that is there already.")] = False,
) -> None:
    """Export a run to ONNX and prove that it plays the same.

    Writes decoder.onnx, encoder.onnx and bundle.json, runs them in ONNX Runtime beside PyTorch on fixed seeds and real
    windows, and leaves no bundle behind whose hits differ or whose values are off by more than 0.0001.
    """
    need_training("Exporting", "torch", "onnxscript")
    from rich.console import Console

    from drumvae.checkpoint import newest_run

    from .onnx_bundle import export_bundle

    run = run or newest_run()
    name = run.parent.name if run.is_file() else run.name
    folder = out or BUNDLES / name
    with Console(stderr=True).status(f"Exporting {run}: writing both graphs takes about a minute"):
        export_bundle(run, folder, typer.echo, replace)
    typer.echo(f"Bundle: {folder}\nNext: drumvae-live --bundle {folder} --demo")


def main() -> None:
    """Runs the command line."""
    run_app(app)


if __name__ == "__main__":
    main()
