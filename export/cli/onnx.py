"""Defines the command `drumvae-export`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from drumvae.util.command import require_extra, show_version
from drumvae.util.command import run as run_app

from .midi import EPILOG, midi

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Export a trained run to a bundle that drumvae-live plays (onnx), convert a bundle to another precision (convert), render files"
    " of loops with a bundle (midi), print its model card (show), and verify it on this machine (check).",
)

BUNDLES = Path("bundles")
TERMINATED = 143
"""The exit status of a command that SIGTERM ended, by convention: 128 and the number of the signal."""


Precision = Annotated[
    str,
    typer.Option(help="fp32; fp16, half the size; or int8, a third of the size, and half the time of LSTMs on a CPU.", metavar="NAME"),
]
Allowed = Annotated[float, typer.Option(help="Share of the hits that may differ in fp16 or int8, 0 to 1; more is refused.", min=0, max=1)]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder of MIDI files, such as the Groove MIDI Dataset; fp16 or int8 is compared with fp32 on its validation takes.",
        show_default="the windows in the checkpoint, or loops of the bundle",
    ),
]


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
    precision: Precision = "fp32",
    allow_difference: Allowed = 0.0,
    data: Data = None,
) -> None:
    """Export a run to ONNX and verify that it plays the same.

    Writes the graphs and bundle.json, and compares ONNX Runtime with PyTorch on fixed seeds and real
    windows. No bundle is written if any hit differs, or any value by more than 0.0001.
    """
    require_extra("Exporting", "train", "torch", "onnxscript")
    from rich.console import Console

    from drumvae.bundle.format import read_bundle
    from drumvae.models.checkpoint import newest_run
    from drumvae.music.grid import LOOP_STEPS

    from ..onnx.onnx_bundle import Rounding, export_bundle

    run = run or newest_run()
    name = run.parent.name if run.is_file() else run.name
    folder = out or BUNDLES / name
    with Console(stderr=True).status(f"Exporting {run}: writing its graphs and comparing them takes a quarter of a minute"):
        export_bundle(run, folder, typer.echo, replace, Rounding(precision, allow_difference, data))
    info = read_bundle(folder)
    on_stage = info.encoding != "melody" and info.steps == LOOP_STEPS  # drumvae-live plays no others
    typer.echo(f"Bundle: {folder}\nNext: " + (f"drumvae-live --bundle {folder} --demo" if on_stage else f"drumvae-export midi {folder}"))


@app.command(
    "convert",
    epilog="Example: drumvae-export convert --precision int8 --allow-difference 0.02, then: drumvae-export check bundles/default-int8",
)
def convert_command(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle folder. By default the model that ships.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the new bundle. By default bundles/, the name and the precision.", show_default=False)
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a bundle that is there already.")] = False,
    precision: Precision = "int8",
    allow_difference: Allowed = 0.0,
    data: Data = None,
) -> None:
    """Convert a bundle to another precision, and report the difference.

    Rounds the weights to half precision (fp16) or to bytes (int8), and compares the loops with those of the fp32 model.
    The bundle must be one that drumvae exported, in fp32.
    """
    require_extra("Converting", "train", "torch", "onnxscript")
    from rich.console import Console

    from drumvae.bundle.format import default_bundle

    from ..onnx.onnx_bundle import Rounding, convert_bundle

    rounding = Rounding(precision, allow_difference, data)
    bundle = bundle or default_bundle()
    folder = out or BUNDLES / f"{bundle.resolve().name}-{precision}"
    with Console(stderr=True).status(f"Converting {bundle}: writing its graphs and comparing them takes half a minute"):
        convert_bundle(bundle, folder, typer.echo, replace, rounding)
    size = sum(path.stat().st_size for path in folder.iterdir())
    typer.echo(f"Bundle: {folder}, {size / 1e6:.1f} MB\nNext: drumvae-export check {folder}")


@app.command("check", epilog="Example: drumvae-export check bundles/mine --json")
def check_command(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle folder. By default the model that ships.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check that a bundle is valid, and plays on this machine as it did where it was exported.

    Checks checksums, shapes and operators; compares every provider of this machine with the golden outputs of the export, and measures
    how long a loop takes. The exit status is 2 if anything is broken.
    """
    import json

    from rich.console import Console

    from drumvae.bundle.format import default_bundle
    from drumvae.inference.check import check_bundle
    from drumvae.util.errors import BundleError

    with Console(stderr=True).status("Checking"):
        found = check_bundle(bundle or default_bundle())
    typer.echo(json.dumps(found.to_json(), indent=1) if as_json else "\n".join(found.lines()))
    if found.broken:
        raise BundleError(found.broken)
    if not as_json:
        typer.echo("This bundle is valid and plays here.")


@app.command("show", epilog="Example: drumvae-export show bundles/mine")
def show_command(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle folder. By default the model that ships.", show_default=False)] = None,
) -> None:
    """Print a bundle's model card: its tasks, training data, scores and licence."""
    from drumvae.bundle.format import default_bundle
    from drumvae.bundle.show import card_text

    typer.echo(card_text(bundle or default_bundle()))


app.command("midi", epilog=EPILOG)(midi)


def main() -> None:
    """Runs the command line; SIGTERM ends it like an error, so that unfinished files are removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    run_app(app)


if __name__ == "__main__":
    main()
