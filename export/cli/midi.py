"""The command `drumvae-export midi`: a bundle, and MIDI files where a verb takes them, in; loops as MIDI files out."""

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
    " goes from one to the other, with a picture. drumvae-export midi --style jazz --fill --density 0.8 writes sparse jazz that ends in"
    " a fill, with a model that knows styles. Drag the files from loops/ into your DAW."
)
_OTHERS = ", or ask for others with another --seed or --temperature and --replace"
_VERBS, _HOW, _FILES = "What to do (one of these; without any, new loops)", "How", "Files"


def _verb(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_VERBS, show_default=False, metavar="FILE")


def _how(text: str, *names: str, **limits: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_HOW, **{"show_default": False, **limits})


def _file(text: str, *names: str, **shown: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_FILES, **shown)


def midi(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle folder. By default the model that ships.", show_default=False)] = None,
    humanize: Annotated[Path | None, _verb("The file with its drums played by a human: same notes, new timing and velocity.")] = None,
    vary: Annotated[Path | None, _verb("The file with its drums a little different, --amount of the way to another groove.")] = None,
    continue_: Annotated[Path | None, _verb("New loops that go on from the file's last bars, each a little further.", "--continue")] = None,
    interpolate: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            help="Loops on the way from one file to another; the first and the last are theirs.",
            rich_help_panel=_VERBS,
            show_default=False,
            metavar="FILE FILE",
        ),
    ] = None,
    drumify: Annotated[Path | None, _verb("A drum kit for the rhythm of the file; needs a bundle that learned to.")] = None,
    infill: Annotated[Path | None, _verb("The file with some --voices played anew; needs a bundle that learned to.")] = None,
    voices: Annotated[str | None, _how("For --infill: the drums to play anew, such as kick,closed-hat.")] = None,
    count: Annotated[int | None, _how("How many files. By default 4 loops, 5 on a way, 1 of a file.", min=1)] = None,
    seed: Annotated[int | None, _how("The same seed writes the same files. By default drawn, and shown.", min=0)] = None,
    temperature: Annotated[
        float | None,
        _how(
            "How adventurous: 0 the likeliest, 1 as trained, 1.5 wild. By default the bundle's for new loops and for several answers to"
            " one question, else 0.",
            min=0,
            max=4,
        ),
    ] = None,
    amount: Annotated[
        float | None,
        _how("How far, 0 to 1: --humanize from as played to as the model plays (1), --vary (0.3), --continue a loop (0.2).", min=0, max=1),
    ] = None,
    style: Annotated[
        str | None,
        _how("What to play, such as rock: for new loops, --humanize, --drumify, --infill and --continue, if the model knows styles."),
    ] = None,
    density: Annotated[float | None, _how("How many hits new loops have: 0 none, 1 as the model plays, 2 most.", min=0, max=2)] = None,
    complexity: Annotated[
        float | None,
        _how(
            "How intricate new loops are: -1 on the beats, 0 as the model plays, 1 between them; if the model knows styles.", min=-1, max=1
        ),
    ] = None,
    fill: Annotated[bool, _how("The last bar of each new loop is a fill.", "--fill")] = False,
    fill_bars: Annotated[
        str | None, _how("These bars of each new loop are fills, and the others are none: 2,4 for example.", "--fill-bars", metavar="BARS")
    ] = None,
    bpm: Annotated[
        float | None, _how("Tempo of new loops, in beats a minute. By default 120, or the file's; a DAW may ignore it.", min=20, max=400)
    ] = None,
    kit: Annotated[str | None, _how("What new drums are played on: a name of drumvae-live --list-kits, or a TOML file.")] = None,
    input_kit: Annotated[
        str | None, _how("What the file was played on, likewise. By default recognised from its notes.", "--input-kit")
    ] = None,
    out: Annotated[Path, _file("Folder of the files; or, ending in .mid, the name of the file.")] = LOOPS,
    sheet: Annotated[Path | None, _file("Draw every loop as a piano roll into this PNG file.", show_default=False)] = None,
    replace: Annotated[bool, _file("Overwrite files of the same names.", "--replace")] = False,
) -> None:
    """Write loops to MIDI files: new ones, or what the model makes of yours.

    New loops are loop-1.mid, loop-2.mid and so on: Type 1 files with tempo and 4/4 that go round.

    A file that is humanized, varied, drumified or filled in stays as it was but for its drums, whatever its length.
    """
    from secrets import randbelow

    from drumvae.music.kits import kit_named
    from drumvae.util.command import require_extra

    from ..midi.request import VERBS, RenderRequest, bars_named, check_count, check_options, chosen_verb, temperature_for, voices_named

    given = {"voices": voices, "count": count, "seed": seed, "temperature": temperature, "amount": amount, "bpm": bpm}
    given |= {"kit": kit, "input-kit": input_kit, "style": style, "density": density, "complexity": complexity}
    given |= {"fill": fill or None, "fill-bars": fill_bars}
    one_file = {"humanize": humanize, "vary": vary, "continue": continue_, "drumify": drumify, "infill": infill}
    files: dict[str, tuple[Path, ...]] = {verb: (path,) if path else () for verb, path in one_file.items()}
    files["interpolate"] = interpolate or ()
    verb = chosen_verb(files)
    check_options(verb, {name for name, value in given.items() if value is not None})
    count = VERBS[verb].count if count is None else count
    check_count(verb, count, temperature)
    if sheet:
        require_extra("Drawing a sheet", "train", "matplotlib")
    wish = RenderRequest(
        verb,
        files.get(verb, ()),
        count,
        randbelow(1_000_000) if seed is None else seed,
        temperature_for(verb, count, temperature),
        VERBS[verb].amount if amount is None else amount,
        voices_named(voices) if voices is not None else (),
        bpm,
        kit_named(kit) if kit else None,
        kit_named(input_kit) if input_kit else None,
        style,
        bars_named(fill, fill_bars),
        1.0 if density is None else density,
        complexity or 0.0,
    )
    _write(bundle, wish, out, sheet, replace)


def _write(bundle: Path | None, wish: "RenderRequest", out: Path, sheet: Path | None, replace: bool) -> None:
    from rich.console import Console

    from drumvae.inference.engine import Engine

    from ..midi.render import MIDI_SUFFIXES, check_free, file_names, read_files, render_loops
    from ..midi.request import OptionError

    if bundle and bundle.suffix.lower() in MIDI_SUFFIXES:
        raise OptionError(
            f"{bundle} was named as a bundle and looks like a MIDI file; say what to do with it, for example --humanize {bundle}."
        )
    paths = file_names(wish, out)
    check_free([*paths, *([sheet] if sheet else [])], replace)
    engine = Engine.load(bundle, "cpu", threads=0)
    files = read_files(wish)
    with Console(stderr=True).status(f"Making {_files(wish.count)}"):
        pieces = render_loops(engine, wish, files)
    for file in files:
        _say_what_is_heard(file)
    _write_all(pieces, paths)
    if sheet:
        from ..midi.sheet import draw_sheet

        with Console(stderr=True).status("Drawing the sheet"):
            draw_sheet(sheet, [(path.stem, piece.roll) for path, piece in zip(paths, pieces, strict=True)])
    _say_what_was_made(engine, wish, paths, sheet)


def _write_all(pieces: Sequence["RenderedLoop"], paths: Sequence[Path]) -> None:
    """Writes every piece to its path, and says how many are whole where the work is interrupted."""
    from drumvae.util.progress import watched

    done = 0
    try:
        for piece, path in watched(zip(pieces, paths, strict=True), "Writing", len(paths)):
            piece.write(path)
            done += 1
    except (KeyboardInterrupt, SystemExit):
        typer.echo(f"Stopped: {done} of {_files(len(paths))} are written, and those are whole.", err=True)
        raise


def _say_what_is_heard(file: "DrumFile") -> None:
    """Tells of what a listener might not expect."""
    from drumvae.music.kit import DEFAULT_KIT

    if not file.timing.four_four:
        typer.echo(
            f"{file.path} is not in 4/4 all through, which is all that the model has learned; it is taken four beats at a time.", err=True
        )
    if file.kit.name != DEFAULT_KIT.name:
        typer.echo(f"The drums of {file.path} are heard as those of {file.kit.name}.", err=True)
    if file.unmapped:
        pitches = ", ".join(f"{pitch} ({notes})" for pitch, notes in sorted(file.unmapped.items()))
        typer.echo(f"No drum is heard on some notes of {file.path}: pitch {pitches}.", err=True)


def _say_what_was_made(engine: "Engine", wish: "RenderRequest", paths: Sequence[Path], sheet: Path | None) -> None:
    drawn = f", seed {wish.seed}" if wish.draws else ""
    names = paths[0].name if len(paths) == 1 else f"{paths[0].name} to {paths[-1].name}"
    what = f"{wish.count} loops of" if wish.verb == "generate" and wish.count > 1 else f"{_files(wish.count)} of"
    typer.echo(f"{what} {engine.info.preset}{drawn}, in {paths[0].parent}: {names}")
    if sheet:
        typer.echo(f"Sheet: {sheet}")
    typer.echo(f"Next: drag {'it' if len(paths) == 1 else 'them'} into your DAW{_OTHERS if wish.draws else ''}.")


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"
