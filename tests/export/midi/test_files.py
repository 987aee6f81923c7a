"""Laws of `drumvae-export midi` with files: the output of each task, refused input, and what is left after an interruption."""

import inspect
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mido
import pretty_midi
import pytest
from helpers.former import STAGE
from helpers.songs import drums_by_mido, everything_else, note, saved, score, song, track

from drumvae.export.cli.midi import midi
from drumvae.export.cli.onnx import app, main
from drumvae.export.midi.render import file_names, read_files, render_loops
from drumvae.export.midi.request import TASKS, RenderRequest
from drumvae.inference.engine import Engine
from drumvae.inference.onnx_model import OnnxModel
from drumvae.midi.drum_file import DrumFile
from drumvae.midi.io import read_midi, write_midi
from drumvae.music.grid import Grid
from drumvae.music.kits import kit_named


def export(*arguments: str | Path) -> None:
    app(["midi", *map(str, arguments)], standalone_mode=False)


def command(folder: Path, *arguments: str | Path, before: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, without torch, after some code."""
    start = "import sys; sys.modules['torch'] = None; sys.argv[0] = 'drumvae-export'"
    code = f"{start}\n{before}\nfrom drumvae.export.cli.onnx import main; main()"
    call = [sys.executable, "-c", code, "midi", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, cwd=folder, env=os.environ | {"TERM": "dumb"}, **options)  # type: ignore[call-overload]


def loop_file(path: Path, grid: Grid, bpm: float = 120) -> Path:
    write_midi(path, grid, bpm)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_humanize_writes_a_new_file_with_the_same_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "song.mid", song())
    export("--humanize", path, "--out", tmp_path / "out")
    assert names(tmp_path / "out") == ["song-humanize.mid"]
    after = tmp_path / "out" / "song-humanize.mid"
    assert everything_else(after) == everything_else(path)
    assert score(drums_by_mido(after)) == score(drums_by_mido(path))
    assert [found.tick for found in drums_by_mido(after)] != [found.tick for found in drums_by_mido(path)]
    said = capsys.readouterr()
    assert "seed" not in said.out  # nothing is random
    assert "pitch 56 (12)" in said.err


def test_humanize_by_amount_0_changes_no_message(tmp_path: Path) -> None:
    path = saved(tmp_path / "song.mid", song())
    export("--humanize", path, "--amount", "0", "--out", tmp_path / "same.mid")
    one, other = mido.MidiFile(path), mido.MidiFile(tmp_path / "same.mid")
    assert [list(messages) for messages in one.tracks] == [list(messages) for messages in other.tracks]


def test_several_humanized_files_differ_and_a_seed_repeats_them(tmp_path: Path) -> None:
    path = saved(tmp_path / "song.mid", song(bars=4))
    for folder in ("a", "b"):
        export("--humanize", path, "--count", "3", "--seed", "9", "--out", tmp_path / folder)
    assert names(tmp_path / "a") == [f"song-humanize-{number}.mid" for number in (1, 2, 3)]
    written = [[(tmp_path / folder / name).read_bytes() for name in names(tmp_path / folder)] for folder in ("a", "b")]
    assert written[0] == written[1]
    assert len(set(written[0])) == 3


def test_vary_changes_some_drums_and_nothing_else(tmp_path: Path) -> None:
    path = saved(tmp_path / "song.mid", song())
    export("--vary", path, "--seed", "1", "--out", tmp_path / "out")
    assert names(tmp_path / "out") == [f"song-vary-{number}.mid" for number in (1, 2, 3, 4)]
    before = set(drums_by_mido(path))
    for name in names(tmp_path / "out"):
        after = set(drums_by_mido(tmp_path / "out" / name))
        assert 0.5 < len(before & after) / len(before) < 1
        assert everything_else(tmp_path / "out" / name) == everything_else(path)


def test_continue_starts_near_the_last_bars_at_the_last_tempo(tmp_path: Path, groove: Grid) -> None:
    whole = song()
    path = saved(tmp_path / "song.mid", whole)
    export("--continue", path, "--seed", "1", "--count", "3", "--amount", "0.05", "--out", tmp_path / "out")
    assert names(tmp_path / "out") == [f"song-continue-{number}.mid" for number in (1, 2, 3)]
    first = read_midi(tmp_path / "out" / "song-continue-1.mid")
    assert (first.length_beats, round(first.bpm)) == (16, 125)
    last_bars = DrumFile.read(path).loop(64, last=True)
    assert (first.grid(64).hits != last_bars.hits).sum() < 0.2 * last_bars.hits.sum()


def test_interpolate_starts_and_ends_with_the_notes_of_its_files(tmp_path: Path, engine: Engine) -> None:
    first = saved(tmp_path / "one.mid", song(bars=4))  # with flams, bells and rims
    last = tmp_path / "two.mid"
    whole = mido.MidiFile(type=1, ticks_per_beat=960)
    whole.tracks.append(track([event for beat in range(8) for event in note(beat * 960 + 7, (36, 40)[beat % 2], 60 + beat, 50)], 8 * 960))
    saved(last, whole)
    export("--interpolate", first, last, "--count", "4", "--out", tmp_path / "out")
    assert names(tmp_path / "out") == [f"one-to-two-{number}.mid" for number in (1, 2, 3, 4)]

    def hits(path: Path, rounds: int = 1, beats: float = 0.0) -> list[tuple[float, int, int]]:
        ticks = mido.MidiFile(path).ticks_per_beat
        return sorted((f.tick / ticks + cycle * beats, f.pitch, f.velocity) for cycle in range(rounds) for f in drums_by_mido(path))

    assert hits(tmp_path / "out" / "one-to-two-1.mid") == hits(first)
    assert hits(tmp_path / "out" / "one-to-two-4.mid") == hits(last, 2, 8)
    between = [DrumFile.read(tmp_path / "out" / f"one-to-two-{number}.mid").grid for number in (1, 2, 3, 4)]
    assert len({grid.hits.tobytes() for grid in between}) == 4
    assert {grid.steps for grid in between} == {64}


def declaring(engine: Engine, *tasks: str) -> Engine:
    """Returns the model that ships, with other tasks declared."""
    return Engine(OnnxModel(replace(engine.info, tasks=tasks), engine.model.graphs))


def written(engine: Engine, request: RenderRequest, folder: Path) -> list[Path]:
    paths = file_names(request, folder)
    for loop, path in zip(render_loops(engine, request, read_files(request)), paths, strict=True):
        loop.write(path)
    return paths


def test_infill_keeps_the_notes_of_other_voices(tmp_path: Path, engine: Engine) -> None:
    path = saved(tmp_path / "song.mid", song())
    request = RenderRequest("infill", (path,), 1, 0, 0.0, voices=(0, 8))
    (after,) = written(declaring(engine, "infill"), request, tmp_path / "out")
    kept = [found for found in drums_by_mido(path) if found.pitch not in (36, 51, 53)]
    assert [found for found in drums_by_mido(after) if found.pitch not in (36, 51)] == kept
    assert len(drums_by_mido(after)) > len(kept)
    assert everything_else(after) == everything_else(path)


def test_drumify_adds_drums_on_channel_10_and_keeps_the_keys(tmp_path: Path, engine: Engine) -> None:
    whole = song()
    whole.tracks.pop()
    path = saved(tmp_path / "riff.mid", whole)
    (after,) = written(declaring(engine, "drumify"), RenderRequest("drumify", (path,), 1, 0, 0.0, kit=kit_named("ad2")), tmp_path / "out")
    one, other = pretty_midi.PrettyMIDI(str(path)), pretty_midi.PrettyMIDI(str(after))
    assert [part.is_drum for part in other.instruments] == [False, True]
    assert len(other.instruments[0].notes) == len(one.instruments[0].notes)
    assert {n.pitch for n in other.instruments[1].notes} <= set(kit_named("ad2").output_notes)
    assert other.instruments[1].notes


def test_a_rhythm_denser_than_the_grid_keeps_the_loudest_note_of_each_step(tmp_path: Path, engine: Engine) -> None:
    """A roll of 64ths, four notes a step, the second of each step the loudest."""
    roll = mido.MidiFile(ticks_per_beat=480)
    roll.tracks.append(mido.MidiTrack())
    for number in range(256):
        velocity = 100 if number % 4 == 1 else 40
        roll.tracks[0].append(mido.Message("note_on", note=38, velocity=velocity, channel=9, time=20 if number else 0))
        roll.tracks[0].append(mido.Message("note_off", note=38, channel=9, time=10))
    (after,) = written(engine, RenderRequest("drumify", (saved(tmp_path / "roll.mid", roll),), 1, 0, 0.0), tmp_path / "out")
    played = {(found.tick, found.velocity) for found in drums_by_mido(after)}
    assert {(120 * step + 30, 100) for step in range(64)} <= played


def test_new_loops_have_the_output_notes_of_the_kit(tmp_path: Path) -> None:
    export("--count", "2", "--seed", "1", "--kit", "ad2", "--out", tmp_path)
    for path in tmp_path.iterdir():
        notes = pretty_midi.PrettyMIDI(str(path)).instruments[0].notes
        assert {n.pitch for n in notes} <= set(kit_named("ad2").output_notes)


@pytest.mark.parametrize("count", [1, 3])
def test_out_may_name_the_file(tmp_path: Path, count: int) -> None:
    export("--seed", "1", "--count", count, "--out", tmp_path / "mine.mid")
    assert names(tmp_path) == (["mine.mid"] if count == 1 else ["mine-1.mid", "mine-2.mid", "mine-3.mid"])


def test_a_loop_file_has_the_layout_that_daws_expect(tmp_path: Path) -> None:
    export("--seed", "3", "--count", "8", "--bpm", "96", "--out", tmp_path)
    for path in tmp_path.iterdir():
        whole = mido.MidiFile(path)
        assert (whole.type, whole.ticks_per_beat, len(whole.tracks)) == (1, 480, 2)
        assert {sum(message.time for message in messages) for messages in whole.tracks} == {16 * 480}
        assert [m.type for m in whole.tracks[0]] == ["set_tempo", "time_signature", "end_of_track"]
        assert whole.tracks[1].name == "drumvae"
        assert {m.channel for m in whole.tracks[1] if m.type == "note_on"} == {9}


REFUSED = [
    (["--humanize", "nowhere.mid"], "There is no MIDI file nowhere.mid"),
    (["--humanize", "empty.mid"], "it is empty"),
    (["--humanize", "text.mid"], "is not a whole MIDI file"),
    (["--humanize", "keys.mid"], "keys.mid has no drums"),
    (["--humanize", "silent.mid"], "silent.mid has no drums: .*it holds no notes"),
    (["--drumify", "silent.mid"], "silent.mid has no drums: .*it holds no notes"),
    (["--humanize", "frames.mid"], "frames.mid counts time in frames a second .SMPTE."),
    (["--humanize", "million.mid"], "million.mid has 6.0 MB"),
    (["--humanize", "."], "There is no MIDI file"),
    (["--interpolate", "song.mid", "keys.mid"], "keys.mid has no drums"),
    (["--interpolate", "song.mid", "song.mid", "--count", "1"], "--count 1 is too few to interpolate"),
    (["--humanize", "song.mid", "--vary", "song.mid"], "--humanize and --vary cannot be combined"),
    (["--humanize", "song.mid", "--bpm", "90"], "--bpm was given, and --humanize has no use for it"),
    (["--amount", "0.5"], "--amount was given, and generating has no use for it"),
    (["--humanize", "song.mid", "--count", "3", "--temperature", "0"], "would all be the same"),
    (["--infill", "song.mid"], "which voices"),
    (["--infill", "song.mid", "--voices", "kik"], "did you mean kick"),
    (["--infill", "song.mid", "--voices", ","], "No voice was named"),
    ([str(STAGE), "--infill", "song.mid", "--voices", "kick"], "cannot infill; it can generate"),
    ([str(STAGE), "--drumify", "song.mid"], "cannot drumify; it can generate"),
    (["--fill-bars", "2,x"], "bars are numbers from 1 with commas between them"),
    (["--fill-bars", "0"], "bars are numbers from 1"),
    (["--complexity", "2"], "--complexity"),
    (["--density", "-1"], "--density"),
    (["--interpolate", "song.mid", "song.mid", "--style", "funk"], "--style was given, and --interpolate has no use for it"),
    (["--humanize", "song.mid", "--fill"], "--fill was given, and --humanize has no use for it"),
    (["--kit", "ezdrumer"], "did you mean ezdrummer"),
    (["song.mid"], "say what to do with it, for example --humanize song.mid"),
    (["--humanize", "song.mid", "--out", "song.mid"], "song.mid is there already"),
    (["--sheet", "song.mid"], "song.mid is there already"),
]


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    whole, keys, frames = song(), song(), song()
    keys.tracks.pop()
    saved(folder / "song.mid", whole)
    saved(folder / "keys.mid", keys)
    saved(folder / "silent.mid", mido.MidiFile(type=1, tracks=[mido.MidiTrack()]))
    saved(folder / "frames.mid", frames)
    data = bytearray((folder / "frames.mid").read_bytes())
    data[12:14] = b"\xe7\x28"  # 25 frames of 40 ticks
    (folder / "frames.mid").write_bytes(data)
    (folder / "empty.mid").touch()
    (folder / "text.mid").write_text("no MIDI at all")
    notes = b"\x00\x99" + (bytes([36, 100, 16]) + bytes([36, 0, 16])) * 1_000_000
    body = notes[:-1] + b"\x00\xff\x2f\x00"
    (folder / "million.mid").write_bytes(b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk" + len(body).to_bytes(4, "big") + body)
    return folder


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=[" ".join(arguments[-4:]) for arguments, _ in REFUSED])
def test_a_refused_command_prints_one_sentence_and_writes_nothing(
    bad_files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    if "--sheet" in arguments:
        pytest.importorskip("matplotlib")
    before = names(bad_files)
    monkeypatch.chdir(bad_files)
    monkeypatch.setattr(sys, "argv", ["drumvae-export", "midi", *arguments])
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as left:
            main()
    finally:
        signal.signal(signal.SIGTERM, handler)
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert len(said.strip().splitlines()) == 1
    assert re.search(sentence, said), said
    assert names(bad_files) == before


AT_THE_THIRD_FILE = """
import pathlib
moved, replace = [], pathlib.Path.replace
def third(self, target):
    moved.append(target)
    if len(moved) == 3:
        {what}
    return replace(self, target)
pathlib.Path.replace = third
"""


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("raise KeyboardInterrupt", 130, "Stopped: 2 of 8 files are written"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143, "Stopped: 2 of 8 files are written"),
        (
            "import errno; raise OSError(errno.ENOSPC, 'No space left on device')",
            2,
            "loop-3.mid cannot be written (No space left on device)",
        ),
    ],
    ids=["Ctrl-C", "SIGTERM", "a full disk"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_an_interrupted_command_leaves_complete_files_only(tmp_path: Path, what: str, status: int, said: str) -> None:
    result = command(tmp_path, "--count", "8", "--seed", "1", before=AT_THE_THIRD_FILE.format(what=what))
    assert result.returncode == status, result.stderr
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert names(tmp_path / "loops") == ["loop-1.mid", "loop-2.mid"]
    for path in (tmp_path / "loops").iterdir():
        assert read_midi(path).length_beats == 16


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_truncated_file_is_removed(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))"
    result = command(tmp_path, "--count", "8", "--seed", "1", before=limit)
    assert result.returncode == 2, result.stderr
    assert "cannot be written (File too large)" in result.stderr
    assert names(tmp_path / "loops") == []


def test_every_task_and_every_option_of_a_task_is_an_option_of_the_command() -> None:
    options = {name.replace("_", "-") for name in inspect.signature(midi).parameters}
    assert set(TASKS) - options == {"generate", "continue"}  # the default, and a keyword of Python
    assert {option for task in TASKS.values() for option in task.options} <= options
