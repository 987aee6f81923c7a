"""Renders a request with a bundle into loops, and writes them to MIDI files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import lcm
from pathlib import Path

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.midi.constants import FILE_PPQN
from drumvae.midi.drum_file import DrumFile
from drumvae.midi.io import write_midi
from drumvae.midi.melody import write_melody
from drumvae.midi.writer import write_hits
from drumvae.music.conditions import Conditions
from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import LOOP_STEPS, STEPS_PER_BAR, STEPS_PER_BEAT, Array, Grid
from drumvae.music.kit import DEFAULT_KIT, VOICES
from drumvae.util.errors import BundleError, DataError
from drumvae.util.files import write_atomic

from .request import GENERATE, LAST_BAR, OptionError, RenderRequest

MIDI_SUFFIXES = (".mid", ".midi")
_BPM = 120.0
_STEPS_AT_ONCE = 1024 * LOOP_STEPS
_MOST_TICKS = 32767  # per beat; the standard has 15 bits for them


@dataclass(frozen=True)
class RenderedLoop:
    """Holds the content of one file."""

    roll: Array
    """For the sheet: a groove (S, 27), or melody classes (S,)."""
    write: Callable[[Path], None]
    """Writes the file; raises DataError if that fails."""


def render_loops(engine: Engine, request: RenderRequest, files: Sequence[DrumFile] = ()) -> list[RenderedLoop]:
    """Renders every loop of a request, in as few runs of the model as possible; writes no file.

    Args:
        engine: The bundle.
        request: The task and its options.
        files: The files of the request, from `read_files`.

    Raises:
        BundleError: The bundle cannot do the task, or does not accept an option.
        OptionError: A bar is not in the loop.
    """
    if request.task == GENERATE:
        return list(_generated(engine, request))
    if request.task == "interpolate":
        first, last = files
        return list(_interpolated(engine, request, first, last))
    (file,) = files
    if request.task == "continue":
        return list(_continued(engine, request, file))
    replaced_voices = {"infill": request.voices, "drumify": range(len(VOICES))}.get(request.task, ())
    return [_edited(file, grid, request, replaced_voices) for grid in _new_drums(engine, request, file)]


def read_files(request: RenderRequest) -> tuple[DrumFile, ...]:
    """Reads the files of a request; raises DataError if one cannot be used."""
    return tuple(DrumFile.read(path, request.input_kit, every_note=request.task == "drumify") for path in request.files)


def file_names(request: RenderRequest, out: Path) -> list[Path]:
    """Returns a path for every file to write: in a folder and named after the input and the task; or `out` itself, if it ends in .mid."""
    stems = [path.stem for path in request.files]
    stem = {GENERATE: "loop", "interpolate": "-to-".join(stems)}.get(request.task, f"{'-'.join(stems)}-{request.task}")
    folder = out
    if out.suffix.lower() in MIDI_SUFFIXES:
        folder, stem = out.parent, out.stem
    if request.count == 1 and (request.task != GENERATE or folder != out):
        return [folder / f"{stem}.mid"]
    return [folder / f"{stem}-{number:0{len(str(request.count))}}.mid" for number in range(1, request.count + 1)]


def check_free(paths: Sequence[Path], replace: bool) -> None:
    """Raises DataError if a file exists already and `replace` is not set."""
    taken = [path for path in paths if path.exists()]
    if taken and not replace:
        raise DataError(f"{taken[0]} is there already; name another folder with --out, or type --replace.")


def _generated(engine: Engine, request: RenderRequest) -> Iterator[RenderedLoop]:
    bpm = request.bpm or _BPM
    conditions = Conditions(request.style, bpm, fill=_fills(request, engine.steps // STEPS_PER_BAR))
    if engine.encoding == "melody":
        _check_melodies(request, conditions)
        for melody in engine.generate_melodies(request.seed, request.temperature, request.count):
            yield RenderedLoop(melody.astype(np.float32), partial(write_melody, melody=melody, bpm=bpm))
    else:
        for grid in engine.generate(request.seed, request.temperature, request.count, request.density, conditions, request.complexity):
            yield RenderedLoop(grid_to_groove(grid), partial(write_midi, loops=grid, bpm=bpm, kit=request.kit or DEFAULT_KIT))


def _fills(request: RenderRequest, bars: int) -> tuple[bool, ...] | None:
    """Returns for each bar of a loop whether it is a fill, None without fills; raises OptionError for a bar after the end."""
    beyond = [bar for bar in request.fills if bar > bars]
    if beyond:
        raise OptionError(f"There is no bar {beyond[0]} for a fill; a loop of this bundle has {bars} bars.")
    named = {bars if bar == LAST_BAR else bar for bar in request.fills}
    return tuple(bar in named for bar in range(1, bars + 1)) if named else None


def _check_melodies(request: RenderRequest, conditions: Conditions) -> None:
    """Raises BundleError if a request has conditions that only drummers accept."""
    others = {"a density": request.density != 1, "a complexity": request.complexity}
    given = [*conditions.names, *(name for name, is_given in others.items() if is_given)]
    if given:
        raise BundleError(f"This bundle writes melodies and does not accept {' and '.join(given)}; leave it out.")


def _new_drums(engine: Engine, request: RenderRequest, file: DrumFile) -> list[Grid]:
    """Returns the new drums of a file, one grid for each seed."""
    grid, conditions = file.grid, Conditions(request.style, file.timing.bpm)
    seeds = range(request.seed, request.seed + request.count)
    temperature = engine.info.temperature if request.temperature is None else request.temperature
    if request.task == "vary":
        parts = _parts(request.count, grid.steps)
        return [varied for part in parts for varied in engine.variations(grid, request.amount, seeds[part], temperature, conditions)]
    tasks: dict[str, Callable[[int], Grid]] = {
        "humanize": lambda seed: engine.humanize(grid, request.amount, seed, temperature, conditions),
        "drumify": lambda seed: engine.drumify(grid, seed, temperature, conditions),
        "infill": lambda seed: engine.infill(grid, request.voices, seed, temperature, conditions),
    }
    return list(map(tasks[request.task], seeds))


def _parts(count: int, steps: int) -> list[slice]:
    """Returns slices of a count of grids; the grids of one slice, each of `steps` steps, fit into memory."""
    size = max(_STEPS_AT_ONCE // max(steps, LOOP_STEPS), 1)
    return [slice(first, first + size) for first in range(0, count, size)]


def _edited(file: DrumFile, grid: Grid, request: RenderRequest, replaced_voices: Sequence[int]) -> RenderedLoop:
    """Returns a file with new drums and everything else unchanged."""
    return RenderedLoop(grid_to_groove(grid), lambda path: write_atomic(path, file.with_drums(grid, request.kit, replaced_voices)))


def _continued(engine: Engine, request: RenderRequest, file: DrumFile) -> Iterator[RenderedLoop]:
    bpm = request.bpm or float(file.timing.tempo_bpm[-1])
    temperature = engine.info.temperature if request.temperature is None else request.temperature
    loop, conditions = file.loop(engine.steps, last=True), Conditions(request.style, bpm)
    for grid in engine.continue_from(loop, request.count, request.seed, request.amount, temperature, conditions):
        yield RenderedLoop(grid_to_groove(grid), partial(write_midi, loops=grid, bpm=bpm, kit=request.kit or file.kit))


def _interpolated(engine: Engine, request: RenderRequest, first: DrumFile, last: DrumFile) -> Iterator[RenderedLoop]:
    """Yields loops from one file to the other; the first and the last have the notes of the files, with the same ticks and velocities."""
    bpm = request.bpm or first.timing.bpm
    steps = max(first.bar_steps, last.bar_steps)
    ticks = lcm(first.midi.ticks_per_beat, last.midi.ticks_per_beat)
    ticks = ticks if ticks <= _MOST_TICKS else max(FILE_PPQN, first.midi.ticks_per_beat, last.midi.ticks_per_beat)
    ends = {0: first, request.count - 1: last}
    loops, positions = (first.loop(steps), last.loop(steps)), np.linspace(0, 1, request.count).tolist()
    grids = (grid for part in _parts(request.count, steps) for grid in engine.morphs(*loops, positions[part]))
    for number, grid in enumerate(grids):
        if number in ends:
            hits = ends[number].hits(steps, request.kit)
            write = partial(write_hits, hits=hits, bpm=bpm, length_beats=steps / STEPS_PER_BEAT, ticks_per_beat=ticks)
        else:
            write = partial(write_midi, loops=grid, bpm=bpm, kit=request.kit or first.kit)
        yield RenderedLoop(grid_to_groove(grid), write)
