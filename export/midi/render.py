"""A bundle and a wish in, loops as MIDI files out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import lcm
from pathlib import Path

import numpy as np

from drumvae.inference.engine import Engine
from drumvae.midi.constants import FILE_PPQN
from drumvae.midi.drum_file import DrumFile
from drumvae.midi.io import write_hits, write_midi
from drumvae.midi.melody import write_melody
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
_FINEST = 32767  # ticks a beat, of which the standard writes 15 bits


@dataclass(frozen=True)
class RenderedLoop:
    """Holds what becomes one file."""

    roll: Array
    """For the eye: a groove (S, 27), or the classes (S,) of a melody."""
    write: Callable[[Path], None]


def render_loops(engine: Engine, wish: RenderRequest, files: Sequence[DrumFile] = ()) -> list[RenderedLoop]:
    """Makes everything that is wished for, in as few runs of the model as there can be; nothing is written yet."""
    if wish.verb == GENERATE:
        return list(_generated(engine, wish))
    if wish.verb == "interpolate":
        first, last = files
        return list(_interpolated(engine, wish, first, last))
    (file,) = files
    if wish.verb == "continue":
        return list(_continued(engine, wish, file))
    anew = {"infill": wish.voices, "drumify": range(len(VOICES))}.get(wish.verb, ())
    return [_replayed(file, grid, wish, anew) for grid in _answers(engine, wish, file)]


def read_files(wish: RenderRequest) -> tuple[DrumFile, ...]:
    """Reads the files that a wish names; raises DataError where one cannot be used."""
    return tuple(DrumFile.read(path, wish.input_kit, every_note=wish.verb == "drumify") for path in wish.files)


def file_names(wish: RenderRequest, out: Path) -> list[Path]:
    """Returns a path for every file to be written: in a folder, named after what they are made of, or after a file that is to be one."""
    stems = [path.stem for path in wish.files]
    stem = {GENERATE: "loop", "interpolate": "-to-".join(stems)}.get(wish.verb, f"{'-'.join(stems)}-{wish.verb}")
    folder = out
    if out.suffix.lower() in MIDI_SUFFIXES:
        folder, stem = out.parent, out.stem
    if wish.count == 1 and (wish.verb != GENERATE or folder != out):
        return [folder / f"{stem}.mid"]
    return [folder / f"{stem}-{number:0{len(str(wish.count))}}.mid" for number in range(1, wish.count + 1)]


def check_free(paths: Sequence[Path], replace: bool) -> None:
    """Raises DataError where one of some files is there already and may not be replaced; then none is written."""
    taken = [path for path in paths if path.exists()]
    if taken and not replace:
        raise DataError(f"{taken[0]} is there already; name another folder with --out, or type --replace.")


def _generated(engine: Engine, wish: RenderRequest) -> Iterator[RenderedLoop]:
    bpm = wish.bpm or _BPM
    conditions = Conditions(wish.style, bpm, fill=_fills(wish, engine.steps // STEPS_PER_BAR))
    if engine.encoding == "melody":
        _check_melodies(wish, conditions)
        for melody in engine.generate_melodies(wish.seed, wish.temperature, wish.count):
            yield RenderedLoop(melody.astype(np.float32), partial(write_melody, melody=melody, bpm=bpm))
    else:
        for grid in engine.generate(wish.seed, wish.temperature, wish.count, wish.density, conditions, wish.complexity):
            yield RenderedLoop(grid_to_groove(grid), partial(write_midi, loops=grid, bpm=bpm, kit=wish.kit or DEFAULT_KIT))


def _fills(wish: RenderRequest, bars: int) -> tuple[bool, ...] | None:
    """Returns for each bar of a loop whether it is to be a fill, or None where none was asked for; raises WishError for a bar too many."""
    beyond = [bar for bar in wish.fills if bar > bars]
    if beyond:
        raise OptionError(f"A fill in bar {beyond[0]} was asked for; a loop of this bundle has {bars} bars.")
    named = {bars if bar == LAST_BAR else bar for bar in wish.fills}
    return tuple(bar in named for bar in range(1, bars + 1)) if named else None


def _check_melodies(wish: RenderRequest, conditions: Conditions) -> None:
    """Raises BundleError where a bundle of melodies was asked for what only drummers are."""
    others = {"a density": wish.density != 1, "a complexity": wish.complexity}
    wanted = [*conditions.names, *(name for name, given in others.items() if given)]
    if wanted:
        raise BundleError(f"This bundle writes melodies and cannot be asked for {' and '.join(wanted)}; leave it out.")


def _answers(engine: Engine, wish: RenderRequest, file: DrumFile) -> list[Grid]:
    """Returns what a verb makes of the drums of a file, once for each seed."""
    grid, conditions = file.grid, Conditions(wish.style, file.timing.bpm)
    seeds = range(wish.seed, wish.seed + wish.count)
    temperature = engine.info.temperature if wish.temperature is None else wish.temperature
    if wish.verb == "vary":
        at_once = _parts(wish.count, grid.steps)
        return [varied for part in at_once for varied in engine.variations(grid, wish.amount, seeds[part], temperature, conditions)]
    verbs: dict[str, Callable[[int], Grid]] = {
        "humanize": lambda seed: engine.humanize(grid, wish.amount, seed, temperature, conditions),
        "drumify": lambda seed: engine.drumify(grid, seed, temperature, conditions),
        "infill": lambda seed: engine.infill(grid, wish.voices, seed, temperature, conditions),
    }
    return list(map(verbs[wish.verb], seeds))


def _parts(count: int, steps: int) -> list[slice]:
    """Returns parts of so many long answers as fit into the memory at once; all of them where they are loops."""
    size = max(_STEPS_AT_ONCE // max(steps, LOOP_STEPS), 1)
    return [slice(first, first + size) for first in range(0, count, size)]


def _replayed(file: DrumFile, grid: Grid, wish: RenderRequest, anew: Sequence[int]) -> RenderedLoop:
    """Returns a file with other drums and everything else as it was."""
    return RenderedLoop(grid_to_groove(grid), lambda path: write_atomic(path, file.with_drums(grid, wish.kit, anew)))


def _continued(engine: Engine, wish: RenderRequest, file: DrumFile) -> Iterator[RenderedLoop]:
    bpm = wish.bpm or float(file.timing.tempo_bpm[-1])
    temperature = engine.info.temperature if wish.temperature is None else wish.temperature
    loop, conditions = file.loop(engine.steps, last=True), Conditions(wish.style, bpm)
    for grid in engine.continue_from(loop, wish.count, wish.seed, wish.amount, temperature, conditions):
        yield RenderedLoop(grid_to_groove(grid), partial(write_midi, loops=grid, bpm=bpm, kit=wish.kit or file.kit))


def _interpolated(engine: Engine, wish: RenderRequest, first: DrumFile, last: DrumFile) -> Iterator[RenderedLoop]:
    """Yields the way from one file to another; its ends are their own notes, struck on the same ticks and as loud."""
    bpm = wish.bpm or first.timing.bpm
    steps = max(first.bar_steps, last.bar_steps)
    ticks = lcm(first.midi.ticks_per_beat, last.midi.ticks_per_beat)
    ticks = ticks if ticks <= _FINEST else max(FILE_PPQN, first.midi.ticks_per_beat, last.midi.ticks_per_beat)
    ends = {0: first, wish.count - 1: last}
    loops, positions = (first.loop(steps), last.loop(steps)), np.linspace(0, 1, wish.count).tolist()
    grids = (grid for part in _parts(wish.count, steps) for grid in engine.morphs(*loops, positions[part]))
    for number, grid in enumerate(grids):
        if number in ends:
            hits = ends[number].hits(steps, wish.kit)
            write = partial(write_hits, hits=hits, bpm=bpm, length_beats=steps / STEPS_PER_BEAT, ticks_per_beat=ticks)
        else:
            write = partial(write_midi, loops=grid, bpm=bpm, kit=wish.kit or first.kit)
        yield RenderedLoop(grid_to_groove(grid), write)
