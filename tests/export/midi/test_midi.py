"""Laws of `drumvae-export midi` without files: new loops and melodies, their names and their errors."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drumvae.export.cli.onnx import app
from drumvae.export.midi.render import check_free, file_names, render_loops
from drumvae.export.midi.request import RenderRequest
from drumvae.inference.engine import Engine
from drumvae.inference.onnx_model import OnnxModel
from drumvae.midi.io import read_midi, read_notes
from drumvae.midi.melody import VELOCITY, write_melody
from drumvae.music.conditions import Conditions
from drumvae.music.encoding import notes_to_melody
from drumvae.util.errors import DataError


def write_loops(engine: Engine, folder: Path, count: int, seed: int, replace: bool = False) -> list[Path]:
    """Writes loops as the command does."""
    request = RenderRequest(count=count, seed=seed)
    paths = file_names(request, folder)
    check_free(paths, replace)
    for loop, path in zip(render_loops(engine, request), paths, strict=True):
        loop.write(path)
    return paths


def export(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    blocked = "import sys; sys.modules['torch'] = None; sys.argv[0] = 'drumvae-export'; from drumvae.export.cli.onnx import main; main()"
    command = [sys.executable, "-c", blocked, "midi", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | {"TERM": "dumb"})


def test_loops_become_numbered_files_without_torch(tmp_path: Path, engine: Engine) -> None:
    result = export("--count", "3", "--seed", "5", "--bpm", "96", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "seed 5" in result.stdout
    assert "Next: " in result.stdout
    assert sorted(path.name for path in (tmp_path / "loops").iterdir()) == ["loop-1.mid", "loop-2.mid", "loop-3.mid"]
    for path, grid in zip(sorted((tmp_path / "loops").iterdir()), engine.generate(5, count=3, conditions=Conditions(bpm=96)), strict=True):
        performance = read_midi(path)
        assert (performance.length_beats, round(performance.bpm, 3)) == (16, 96)
        assert len(performance.beats) == grid.hits.sum()


def test_no_file_is_overwritten_without_replace(tmp_path: Path, engine: Engine) -> None:
    write_loops(engine, tmp_path, 2, seed=1)
    (tmp_path / "loop-1.mid").unlink()
    before = (tmp_path / "loop-2.mid").read_bytes()
    with pytest.raises(DataError, match=r"loop-2\.mid is there already; .* --replace"):
        write_loops(engine, tmp_path, 2, seed=2)
    assert not (tmp_path / "loop-1.mid").exists()
    write_loops(engine, tmp_path, 2, seed=2, replace=True)
    assert (tmp_path / "loop-2.mid").read_bytes() != before


def test_file_numbers_have_leading_zeros_so_that_files_sort(tmp_path: Path, engine: Engine) -> None:
    paths = write_loops(engine, tmp_path, 11, seed=1)
    assert [path.name for path in paths] == sorted(path.name for path in paths)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["nowhere"], "nowhere does not exist"), (["--count", "0"], "--count"), (["--out", "file/loops"], "cannot be written")],
)
def test_bad_input_prints_one_sentence_and_exits_with_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "file").touch()
    result = export(*arguments, folder=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


TUNE = [(0, 4, 60), (4, 6, 64), (10, 16, 21), (16, 32, 108)]


def test_a_written_melody_has_its_notes(tmp_path: Path) -> None:
    write_melody(tmp_path / "a.mid", notes_to_melody(TUNE, 32), 90)
    song = read_notes(tmp_path / "a.mid")
    (part,) = song.parts
    found = zip(part.beats * 4, part.end_beats * 4, part.pitches, strict=True)
    assert [tuple(map(int, note)) for note in found] == TUNE
    assert (song.length_beats, round(song.bpm, 3)) == (8, 90)


def test_a_silent_melody_keeps_its_length(tmp_path: Path) -> None:
    write_melody(tmp_path / "a.mid", np.zeros(64, np.int64), 120)
    assert read_notes(tmp_path / "a.mid").length_beats == 16


def test_a_melody_is_on_channel_1_at_one_velocity(tmp_path: Path) -> None:
    import mido

    write_melody(tmp_path / "a.mid", notes_to_melody(TUNE, 32), 90)
    song = mido.MidiFile(tmp_path / "a.mid")
    notes = [message for track in song.tracks for message in track if message.type == "note_on"]
    assert song.type == 1
    assert {(note.channel, note.velocity) for note in notes} == {(0, VELOCITY)}


def test_a_melody_that_cannot_be_written_raises_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.mid").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_melody(tmp_path / "a.mid", np.zeros(16, np.int64), 120)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mid"]


def test_a_melody_bundle_writes_melodies(tmp_path: Path, engine: Engine) -> None:
    class Tunes(Engine):
        def generate_melodies(self, seed: int, temperature: float | None = None, count: int = 1) -> np.ndarray:
            return np.stack([notes_to_melody(TUNE, 32)] * count)

    tunes = Tunes(OnnxModel(replace(engine.info, encoding="melody"), engine.model.graphs))
    paths = write_loops(tunes, tmp_path, 2, seed=0)
    assert [len(read_notes(path).parts[0].pitches) for path in paths] == [4, 4]


def test_the_command_chooses_a_random_seed_and_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: Engine) -> None:
    app(["midi", "--count", "1", "--out", str(tmp_path)], standalone_mode=False)
    seed = int(capsys.readouterr().out.split("seed ")[1].split(",")[0])
    write_loops(engine, tmp_path / "again", 1, seed)
    assert (tmp_path / "again" / "loop-1.mid").read_bytes() == (tmp_path / "loop-1.mid").read_bytes()
