"""`drumvae-live`: options in, a drummer on a MIDI port out. Everything heavy is imported inside the command."""

from pathlib import Path
from typing import Annotated, Any

import typer

from drumvae.command import run, show_version

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _option(text: str, *names: str, **limits: Any) -> Any:
    return typer.Option(*names, help=text, **limits)


@app.command()
def live(
    port: Annotated[
        str | None,
        _option("Part of the input and output port's name; where none matches, virtual ports of that name are made. [default: drumvae]"),
    ] = None,
    input_name: Annotated[str | None, _option("Part of the input port's name, where it differs from the output's.", "--in")] = None,
    output_name: Annotated[str | None, _option("Part of the output port's name.", "--out")] = None,
    list_ports: Annotated[bool, _option("Print the ports of this machine and leave.", "--list-ports")] = False,
    backend: Annotated[str, _option("MIDI system: auto, alsa, jack, core or windows.")] = "auto",
    clock: Annotated[str, _option("midi follows the DAW's clock and transport; internal keeps its own and starts at once.")] = "midi",
    bpm: Annotated[float, _option("Tempo of the internal clock, in beats a minute.", min=20, max=400)] = 120.0,
    bundle: Annotated[Path | None, _option("Folder of another model, from drumvae-export onnx. [default: the one that ships]")] = None,
    provider: Annotated[str, _option("Where the model runs: auto (CUDA where it works), cuda or cpu.")] = "auto",
    seed: Annotated[int | None, _option("Repeats a session, loop by loop. [default: drawn, and shown]", min=0)] = None,
    mode: Annotated[
        str, _option("generate: a new loop every four bars. humanize: what you play in four bars comes back with feel in the next four.")
    ] = "generate",
    hold: Annotated[bool, _option("Keep the first loop going.", "--hold")] = False,
    temperature: Annotated[
        float | None, _option("How adventurous generated loops are: 0.5 tame, 1 as trained, 1.5 wild. [default: the model's]", min=0, max=4)
    ] = None,
    amount: Annotated[float, _option("How much humanize changes: 0 nothing, 1 all the way.", min=0, max=1)] = 1.0,
    offset_ms: Annotated[
        float, _option("Milliseconds added to every note; negative plays earlier, for a slow sampler or interface.", min=-100, max=100)
    ] = 0.0,
    record: Annotated[Path | None, _option("Folder in which every loop played is left as a .mid, at the tempo it was played at.")] = None,
    bars: Annotated[int | None, _option("Stop by itself after so many bars.", min=1)] = None,
    demo: Annotated[
        bool, _option("Play eight bars by itself, with no DAW: a built-in performance, then its answer; leaves demo.mid.", "--demo")
    ] = False,
    version: Annotated[bool, _option("Print the version and leave.", "--version", callback=show_version, is_eager=True)] = False,
) -> None:
    """A drummer that plays along with your DAW.

    Send it MIDI clock (and, to be humanized, notes), press play, and take its notes on channel 10: drumvae-live --port IAC.
    """
    from . import commands
    from .controls import Controls
    from .session import DEFAULT_NAME, LiveConfig

    if list_ports:
        commands.print_ports(backend)
        return
    config = LiveConfig(
        input_name=input_name or port or DEFAULT_NAME,
        output_name=output_name or port or DEFAULT_NAME,
        backend=backend,
        internal_bpm=bpm if commands.checked("clock", clock, commands.CLOCKS) == "internal" or demo else None,
        bundle=bundle,
        provider=provider,
        mode=mode,
        seed=commands.drawn_seed() if seed is None else seed,
        hold=hold,
        controls=Controls(mode=mode, temperature=temperature, humanize=amount),
        record=record,
        bars=bars,
        offset_s=offset_ms / 1000,
    )
    commands.demo(config) if demo else commands.play(config)


def main() -> None:
    """Runs the command line; exits with 2 and one sentence where something asked for cannot be had."""
    run(app)


if __name__ == "__main__":
    main()
