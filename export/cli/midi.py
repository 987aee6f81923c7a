"""Implements `drumvae-export midi`, which writes new loops, or new versions of MIDI files, to MIDI files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from drumvae.inference.engine import Engine
    from drumvae.midi.drum_file import DrumFile

    from ..midi.render import RenderedLoop
    from ..midi.request import RenderRequest

LOOPS = Path("loops")
EPILOG = (
    "Examples: drumvae-export midi --count 8 --seed 7 --bpm 96 writes eight new loops. drumvae-export midi --humanize song.mid gives"
    " the drums of a song human timing and velocity. drumvae-export midi --interpolate verse.mid chorus.mid --count 9 --sheet way.png"
    " morphs one loop into the other, with a picture. drumvae-export midi --style jazz --fill --density 0.8 writes sparse jazz that ends"
    " in a fill, with a model that knows styles. Drag the files from loops/ into your DAW."
)
_RETRY = ", or try another --seed or --temperature with --replace"
_TASKS, _OPTIONS, _FILES = "What to do (one of these; without any, new loops)", "How", "Files"


def _task(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_TASKS, show_default=False, metavar="FILE")


def _option(text: str, *names: str, **limits: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_OPTIONS, **{"show_default": False, **limits})


def _file(text: str, *names: str, **shown: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_FILES, **shown)


def midi(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle folder. By default the model that ships.", show_default=False)] = None,
    humanize: Annotated[Path | None, _task("Give the drums of the file human timing and velocity. The notes stay the same.")] = None,
    vary: Annotated[Path | None, _task("Change the drums of the file a little. --amount says how much.")] = None,
    continue_: Annotated[
        Path | None, _task("Write loops that follow the last bars of the file, each a little further.", "--continue")
    ] = None,
    interpolate: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Morph one file into another. The first loop and the last have the notes of the files.",
            rich_help_panel=_TASKS,
            show_default=False,
            metavar="FILE FILE",
        ),
    ] = None,
    drumify: Annotated[Path | None, _task("Play the rhythm of the file on a drum kit, if the model can.")] = None,
    infill: Annotated[Path | None, _task("Replace some --voices of the file with new drums, if the model can.")] = None,
    voices: Annotated[str | None, _option("For --infill: the drums to replace, such as kick,closed-hat.")] = None,
    count: Annotated[int | None, _option("How many files. By default 4 loops or variations, 5 to interpolate, otherwise 1.", min=1)] = None,
    seed: Annotated[int | None, _option("The same seed writes the same files. By default random, and printed.", min=0)] = None,
    temperature: Annotated[
        float | None,
        _option(
            "How adventurous the model is: 0 safest, 1 as trained, 1.5 wild. By default the bundle's own for new loops and for several"
            " files from one, else 0.",
            min=0,
            max=4,
        ),
    ] = None,
    amount: Annotated[
        float | None,
        _option(
            "How far to go, 0 to 1: --humanize from the original (0) to the model's timing and velocity (1, the default), --vary (0.3),"
            " --continue (0.2 a loop).",
            min=0,
            max=1,
        ),
    ] = None,
    style: Annotated[
        str | None,
        _option("The style, such as rock: for new loops, and for every task but --interpolate. The model must know styles."),
    ] = None,
    density: Annotated[
        float | None, _option("How many hits new loops have: 0 none, 1 as many as the model likes, 2 most.", min=0, max=2)
    ] = None,
    complexity: Annotated[
        float | None,
        _option(
            "How syncopated new loops are: -1 on the beats, 0 as the model likes, 1 between the beats. The model must know styles.",
            min=-1,
            max=1,
        ),
    ] = None,
    fill: Annotated[bool, _option("End each new loop with a fill.", "--fill")] = False,
    fill_bars: Annotated[
        str | None, _option("Play fills in these bars of each new loop, and in no others: 2,4 for example.", "--fill-bars", metavar="BARS")
    ] = None,
    bpm: Annotated[
        float | None, _option("Tempo of new loops, in beats a minute. By default 120, or the file's. A DAW may ignore it.", min=20, max=400)
    ] = None,
    kit: Annotated[str | None, _option("The kit that plays new drums: a name from drumvae-live --list-kits, or a TOML file.")] = None,
    input_kit: Annotated[
        str | None, _option("The kit that the file was played on. By default detected from its notes.", "--input-kit")
    ] = None,
    out: Annotated[Path, _file("Folder for the files; or, ending in .mid, the name of the file.")] = LOOPS,
    sheet: Annotated[Path | None, _file("Draw every loop as a piano roll into this PNG file.", show_default=False)] = None,
    replace: Annotated[bool, _file("Overwrite files of the same names.", "--replace")] = False,
) -> None:
    """Write drum loops to MIDI files: new ones, or new versions of your own.

    New loops are loop-1.mid, loop-2.mid and so on: Type 1 files with a tempo and 4/4, ready to loop.

    A file that is humanized, varied, drumified or filled in may have any length. Only its drums change.
    """
    from secrets import randbelow

    from drumvae.music.kits import kit_named
    from drumvae.util.command import require_extra

    from ..midi.request import TASKS, RenderRequest, check_count, check_options, chosen_task, parse_bars, parse_voices, resolved_temperature

    given = {"voices": voices, "count": count, "seed": seed, "temperature": temperature, "amount": amount, "bpm": bpm}
    given |= {"kit": kit, "input-kit": input_kit, "style": style, "density": density, "complexity": complexity}
    given |= {"fill": fill or None, "fill-bars": fill_bars}
    one_file = {"humanize": humanize, "vary": vary, "continue": continue_, "drumify": drumify, "infill": infill}
    files: dict[str, tuple[Path, ...]] = {task: (path,) if path else () for task, path in one_file.items()}
    files["interpolate"] = interpolate or ()
    task = chosen_task(files)
    check_options(task, {name for name, value in given.items() if value is not None})
    count = TASKS[task].count if count is None else count
    check_count(task, count, temperature)
    if sheet:
        require_extra("Drawing a sheet", "evaluate", "matplotlib")
    request = RenderRequest(
        task,
        files.get(task, ()),
        count,
        randbelow(1_000_000) if seed is None else seed,
        resolved_temperature(task, count, temperature),
        TASKS[task].amount if amount is None else amount,
        parse_voices(voices) if voices is not None else (),
        bpm,
        kit_named(kit) if kit else None,
        kit_named(input_kit) if input_kit else None,
        style,
        parse_bars(fill, fill_bars),
        1.0 if density is None else density,
        complexity or 0.0,
    )
    _render(bundle, request, out, sheet, replace)


def _render(bundle: Path | None, request: "RenderRequest", out: Path, sheet: Path | None, replace: bool) -> None:
    """Renders a request, writes its files and the sheet, and reports to the user."""
    from rich.console import Console

    from drumvae.inference.engine import Engine

    from ..midi.render import MIDI_SUFFIXES, check_free, file_names, read_files, render_loops
    from ..midi.request import OptionError

    if bundle and bundle.suffix.lower() in MIDI_SUFFIXES:
        raise OptionError(
            f"{bundle} was named as a bundle and looks like a MIDI file; say what to do with it, for example --humanize {bundle}."
        )
    paths = file_names(request, out)
    check_free([*paths, *([sheet] if sheet else [])], replace)
    engine = Engine.load(bundle, "cpu", threads=0)
    files = read_files(request)
    with Console(stderr=True).status(f"Making {_files(request.count)}"):
        loops = render_loops(engine, request, files)
    for file in files:
        _report_input(file)
    _write_all(loops, paths)
    if sheet:
        from ..midi.sheet import draw_sheet

        with Console(stderr=True).status("Drawing the sheet"):
            draw_sheet(sheet, [(path.stem, loop.roll) for path, loop in zip(paths, loops, strict=True)])
    _report_output(engine, request, paths, sheet)


def _write_all(loops: Sequence["RenderedLoop"], paths: Sequence[Path]) -> None:
    """Writes every loop to its path; where it is interrupted, prints how many files are complete."""
    from drumvae.util.progress import watched

    done = 0
    try:
        for loop, path in watched(zip(loops, paths, strict=True), "Writing", len(paths)):
            loop.write(path)
            done += 1
    except (KeyboardInterrupt, SystemExit):
        typer.echo(f"Stopped: {done} of {_files(len(paths))} are written, and those are complete.", err=True)
        raise


def _report_input(file: "DrumFile") -> None:
    """Prints notices about an input file: its meter, its kit, unmapped notes."""
    from drumvae.music.kit import DEFAULT_KIT

    if not file.timing.four_four:
        typer.echo(f"{file.path} is not all in 4/4, and the model only knows 4/4; its bars are read as four beats each.", err=True)
    if file.kit.name != DEFAULT_KIT.name:
        typer.echo(f"The drums of {file.path} are read with the kit {file.kit.name}.", err=True)
    if file.unmapped:
        pitches = ", ".join(f"{pitch} ({notes})" for pitch, notes in sorted(file.unmapped.items()))
        typer.echo(f"Some notes of {file.path} are not drums of its kit, and stay as they are: pitch {pitches}.", err=True)


def _report_output(engine: "Engine", request: "RenderRequest", paths: Sequence[Path], sheet: Path | None) -> None:
    """Prints the names of the files, the seed, and the next step."""
    seed = f", seed {request.seed}" if request.uses_seed else ""
    names = paths[0].name if len(paths) == 1 else f"{paths[0].name} to {paths[-1].name}"
    what = f"{request.count} loops of" if request.task == "generate" and request.count > 1 else f"{_files(request.count)} of"
    typer.echo(f"{what} {engine.info.preset}{seed}, in {paths[0].parent}: {names}")
    if sheet:
        typer.echo(f"Sheet: {sheet}")
    typer.echo(f"Next: drag {'it' if len(paths) == 1 else 'them'} into your DAW{_RETRY if request.uses_seed else ''}.")


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"
