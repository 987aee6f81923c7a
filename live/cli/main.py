"""Defines the command line of drumvae-live. Heavy imports happen inside the command."""

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
        _option("A part of the name of both MIDI ports. If no port matches, virtual ports of that name are created. [default: drumvae]"),
    ] = None,
    input_name: Annotated[str | None, _option("A part of the input port's name, if it differs from the output port's.", "--in")] = None,
    output_name: Annotated[str | None, _option("A part of the output port's name.", "--out")] = None,
    list_ports: Annotated[bool, _option("List the MIDI ports of this machine and exit.", "--list-ports")] = False,
    backend: Annotated[str, _option("MIDI system: auto, alsa, jack, core or windows.")] = "auto",
    clock: Annotated[str, _option("midi: follow the DAW's clock and transport. internal: use --bpm and start at once.")] = "midi",
    bpm: Annotated[float, _option("Tempo of --clock internal, in beats per minute.", min=20, max=400)] = 120.0,
    bundle: Annotated[Path | None, _option("Folder of a model made by drumvae-export onnx. [default: the model that ships]")] = None,
    provider: Annotated[
        str, _option("Where the model runs: auto (the fastest, measured at startup), cuda, coreml, directml or cpu.")
    ] = "auto",
    seed: Annotated[
        int | None, _option("Seed; repeats a session with the same input. [default: random, printed at startup]", min=0)
    ] = None,
    mode: Annotated[
        str,
        _option(
            "generate: a new loop every four bars. humanize: repeats your last four bars with human timing and velocity."
            " drumify: turns a rhythm that you tap on any notes into a full drum part. respond: listens for four bars, then answers"
            " for four. vary: plays variations of your last four bars. morph: interpolates between two loops that you keep."
        ),
    ] = "generate",
    hold: Annotated[bool, _option("Repeat the first loop until hold is switched off by a control.", "--hold")] = False,
    temperature: Annotated[
        float | None,
        _option("Randomness of loops: 0.5 is safe, 1 is as trained, 1.5 is wild. [default: the model's own]", min=0, max=4),
    ] = None,
    amount: Annotated[float, _option("How much humanize changes timing and velocity: 0 nothing, 1 fully.", min=0, max=1)] = 1.0,
    drift: Annotated[float, _option("How different the loops of vary and respond are: 0 identical, 1 unrelated.", min=0, max=1)] = 0.3,
    density: Annotated[float, _option("Number of hits: below 1 fewer, 1 as generated, up to 2 more.", min=0, max=2)] = 1.0,
    style: Annotated[str | None, _option("A style that the model knows, such as jazz. [default: the model chooses]")] = None,
    complexity: Annotated[
        float,
        _option("Complexity of loops: -1 on the beats, 0 as the model plays, 1 between the beats.", min=-1, max=1),
    ] = 0.0,
    fill_every: Annotated[int, _option("End every Nth generated loop in a fill; 0 leaves fills to the model.", min=0, max=64)] = 0,
    swing: Annotated[float, _option("Swing of sixteenths: 0 straight, 1 triplets.", min=0, max=1)] = 0.0,
    overdub: Annotated[bool, _option("Add your notes to those of the four bars before, instead of replacing them.", "--overdub")] = False,
    kit: Annotated[str, _option("Drum map of the output: a name from --list-kits, or a TOML file of your own.")] = "default",
    input_kit: Annotated[
        str | None, _option("Drum map of the input, given like --kit. [default: detected from your notes]", "--input-kit")
    ] = None,
    list_kits: Annotated[bool, _option("List the kits with their notes and exit.", "--list-kits")] = False,
    controls: Annotated[
        Path | None,
        _option("TOML file that binds knobs and pads to actions, from --learn. [default: CC 3 to 119, notes on channel 16]"),
    ] = None,
    show_controls: Annotated[
        bool,
        _option("Send all values as controllers on channel 16, for motor faders and LEDs.", "--show-controls/--hide-controls"),
    ] = True,
    list_controls: Annotated[bool, _option("List every action with its control and exit.", "--list-controls")] = False,
    learn: Annotated[
        Path | None, _option("Bind knobs and pads to actions by moving them; the bindings are written into this file.", "--learn")
    ] = None,
    doctor: Annotated[
        bool, _option("Check the DAW's MIDI messages for a few bars, and explain each problem and its fix.", "--doctor")
    ] = False,
    report: Annotated[Path | None, _option("Write measurements of the session, or of --doctor, into this JSON file.")] = None,
    latency_ms: Annotated[
        float,
        _option(
            "Delay of every note in milliseconds; a negative value plays early, for a slow sampler or interface.",
            "--latency-ms",
            "--offset-ms",
            min=-100,
            max=100,
        ),
    ] = 0.0,
    record: Annotated[Path | None, _option("Folder for MIDI files of every played loop, at its tempo.")] = None,
    bars: Annotated[int | None, _option("Stop after this number of bars. [default: play until Ctrl-C]", min=1)] = None,
    demo: Annotated[
        bool, _option("Play eight bars without a DAW: a built-in performance and its answer. Writes demo.mid.", "--demo")
    ] = False,
    version: Annotated[bool, _option("Print the version and exit.", "--version", callback=show_version, is_eager=True)] = False,
) -> None:
    """A drummer that plays along with your DAW, over MIDI.

    In the DAW, send MIDI clock to the input port and put a drum instrument on the output port, channel 10. Start drumvae-live, then
    press play. To have your own playing answered, also send your notes to the input port.

    First steps: drumvae-live --demo plays without a DAW. drumvae-live --list-ports lists the ports. drumvae-live --port IAC connects.
    drumvae-live --doctor checks the DAW's settings.
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
        seed=commands.random_seed() if seed is None else seed,
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
        sends_feedback=show_controls,
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
    """Runs the command line; exits with status 2 and one sentence for an option that cannot be met."""
    run(app)


if __name__ == "__main__":
    main()
