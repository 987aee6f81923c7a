"""`drumvae-live`: options in, a drummer on a MIDI port out. Everything heavy is imported inside the command."""

from pathlib import Path
from typing import Annotated, Any

import typer

from drumvae.util.command import run, show_version

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
    provider: Annotated[
        str, _option("Where the model runs: auto (the fastest, measured at the start), cuda, coreml, directml or cpu.")
    ] = "auto",
    seed: Annotated[int | None, _option("Repeats a session, loop by loop. [default: drawn, and shown]", min=0)] = None,
    mode: Annotated[
        str,
        _option(
            "generate: a new loop every four bars. humanize: what you play in four bars comes back with feel in the next four."
            " drumify: any rhythm becomes a kit. respond: four bars listen, four bars answer. vary: your loop, drifting."
            " morph: between the two loops that you keep first."
        ),
    ] = "generate",
    hold: Annotated[bool, _option("Keep the first loop going.", "--hold")] = False,
    temperature: Annotated[
        float | None, _option("How adventurous generated loops are: 0.5 tame, 1 as trained, 1.5 wild. [default: the model's]", min=0, max=4)
    ] = None,
    amount: Annotated[float, _option("How much humanize changes: 0 nothing, 1 all the way.", min=0, max=1)] = 1.0,
    drift: Annotated[float, _option("How far vary and respond go: 0 nowhere, 1 as far as a loop of its own.", min=0, max=1)] = 0.3,
    density: Annotated[float, _option("How many hits: below 1 fewer, up to 2 more.", min=0, max=2)] = 1.0,
    style: Annotated[
        str | None, _option("What is played, such as jazz: one of the styles that the model knows. [default: the model's own choice]")
    ] = None,
    complexity: Annotated[
        float, _option("How intricate generated loops are: -1 on the beats, 0 as the model plays, 1 between them.", min=-1, max=1)
    ] = 0.0,
    fill_every: Annotated[int, _option("One of so many generated loops ends in a fill; 0 leaves fills to the model.", min=0, max=64)] = 0,
    swing: Annotated[float, _option("How late every second sixteenth is: 1 is a triplet's.", min=0, max=1)] = 0.0,
    overdub: Annotated[bool, _option("Add what you play to what you played before.", "--overdub")] = False,
    kit: Annotated[str, _option("What the drums are: a name of --list-kits, or a TOML file of your own.")] = "default",
    input_kit: Annotated[
        str | None, _option("What you play on, likewise. [default: recognised from what is played]", "--input-kit")
    ] = None,
    list_kits: Annotated[bool, _option("Print the kits that are known and leave.", "--list-kits")] = False,
    controls: Annotated[
        Path | None,
        _option("Map of knobs and pads to actions, a TOML file as --learn writes it. [default: CC 3 to 119, notes on channel 16]"),
    ] = None,
    show_controls: Annotated[
        bool,
        _option("Send where everything stands, as controllers on channel 16, for faders and lamps.", "--show-controls/--hide-controls"),
    ] = True,
    list_controls: Annotated[bool, _option("Print every action, what moves it, and leave.", "--list-controls")] = False,
    learn: Annotated[
        Path | None, _option("Bind knobs and pads by moving them; what is moved is written into this file.", "--learn")
    ] = None,
    doctor: Annotated[
        bool, _option("Listen to the DAW for a few bars and say what is right, what is wrong and what to click.", "--doctor")
    ] = False,
    report: Annotated[Path | None, _option("Write the figures of the run, or of --doctor, into this file, as JSON.")] = None,
    latency_ms: Annotated[
        float,
        _option(
            "Milliseconds added to every note; negative plays earlier, for a slow sampler or interface.",
            "--latency-ms",
            "--offset-ms",
            min=-100,
            max=100,
        ),
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
    from drumvae.music.kits import kit_named

    from ..controls.mapping_file import default_map, read_map
    from ..controls.state import ControlState
    from ..session.run import DEFAULT_NAME, LiveConfig
    from . import commands

    if list_ports:
        commands.print_ports(backend)
        return
    if list_kits:
        commands.print_kits()
        return
    if list_controls:
        commands.print_controls(controls)
        return
    config = LiveConfig(
        input_name=input_name or port or DEFAULT_NAME,
        output_name=output_name or port or DEFAULT_NAME,
        backend=backend,
        internal_bpm=bpm if commands.checked("clock", clock, commands.CLOCKS) == "internal" or demo else None,
        bundle=bundle,
        provider=provider,
        seed=commands.drawn_seed() if seed is None else seed,
        controls=ControlState(
            mode,
            temperature,
            amount,
            drift,
            density=density,
            swing=swing,
            hold=hold,
            overdub=overdub,
            kit=kit_named(kit),
            style=style,
            complexity=complexity,
            fill_every=fill_every,
        ),
        input_kit=kit_named(input_kit) if input_kit else None,
        control_map=read_map(controls) if controls else default_map(),
        shows_controls=show_controls,
        report=report,
        record=record,
        bars=bars,
        offset_s=latency_ms / 1000,
    )
    if learn:
        commands.learn_controls(config, learn)
    elif doctor:
        commands.diagnose(config)
    elif demo:
        commands.demo(config)
    else:
        commands.play(config)


def main() -> None:
    """Runs the command line; exits with 2 and one sentence where something asked for cannot be had."""
    run(app)


if __name__ == "__main__":
    main()
