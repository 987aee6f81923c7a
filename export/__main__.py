"""The command `drumvae-export`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from drumvae.command import need_training, show_version
from drumvae.command import run as run_app

from .midi_command import EPILOG, midi

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn a trained run into a bundle that drumvae-live plays (onnx), and a bundle into files of loops (midi).",
)

BUNDLES = Path("bundles")
TERMINATED = 143
"""The exit status of a command that is asked to end, by custom: 128 and the number of the signal."""


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

    from drumvae.bundle import read_bundle
    from drumvae.checkpoint import newest_run
    from drumvae.grid import LOOP_STEPS

    from .onnx_bundle import export_bundle

    run = run or newest_run()
    name = run.parent.name if run.is_file() else run.name
    folder = out or BUNDLES / name
    with Console(stderr=True).status(f"Exporting {run}: writing both graphs and comparing them takes a quarter of a minute"):
        export_bundle(run, folder, typer.echo, replace)
    info = read_bundle(folder)
    on_stage = info.encoding != "melody" and info.steps == LOOP_STEPS  # the only loops that drumvae-live plays
    typer.echo(f"Bundle: {folder}\nNext: " + (f"drumvae-live --bundle {folder} --demo" if on_stage else f"drumvae-export midi {folder}"))


app.command("midi", epilog=EPILOG)(midi)


def main() -> None:
    """Runs the command line; a request to end is an error like any other, so that nothing is left half done."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    run_app(app)


if __name__ == "__main__":
    main()
