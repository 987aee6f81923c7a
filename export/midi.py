"""A bundle in, loops as numbered MIDI files out."""

from pathlib import Path

from drumvae.engine import Engine
from drumvae.errors import DataError
from drumvae.melodyfile import write_melody
from drumvae.midifile import write_midi


def write_loops(
    engine: Engine, folder: Path, count: int, seed: int, temperature: float | None = None, bpm: float = 120.0, replace: bool = False
) -> list[Path]:
    """Writes the first loops of a seed to loop-1.mid, loop-2.mid, ... in a folder, and returns their paths.

    `temperature` as in `Engine.generate`. Raises DataError where one is there already and `replace` is off; then none is written.
    """
    paths = [folder / f"loop-{number:0{len(str(count))}}.mid" for number in range(1, count + 1)]
    taken = [path for path in paths if path.exists()]
    if taken and not replace:
        raise DataError(f"{taken[0]} is there already; name another folder with --out, or type --replace.")
    if engine.encoding == "melody":
        for path, melody in zip(paths, engine.generate_melodies(seed, temperature, count), strict=True):
            write_melody(path, melody, bpm)
    else:
        for path, grid in zip(paths, engine.generate(seed, temperature, count), strict=True):
            write_midi(path, grid, bpm)
    return paths
