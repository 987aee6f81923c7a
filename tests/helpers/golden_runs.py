"""Runs commands and a session, records their output as lines of text, and compares it with the golden record.

A record is a JSON file of tests/golden_record. `arithmetic` identifies machines whose floating-point results are identical, `digests` has
the SHA-256 of files, and `lines` the lines of each section. A line of a MIDI file is tick, track, pitch and velocity. A line of a session
is seconds and the bytes of a message. Any other line is a name and its figures. tests/golden_record/write.py rewrites the record, only
after an intended change of behaviour.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mido
import numpy as np
import onnxruntime as ort
import pytest

import drumvae
from drumvae.export.cli.onnx import app as export_app
from drumvae.inference.engine import Engine
from drumvae.midi.io import write_midi
from drumvae.music.grid import Grid
from helpers.fakes import CONTINUE, START, STOP, Sender, position
from helpers.grooves import GROOVE
from helpers.performances import PLAYED, performance, press, session_of

RECORDS = Path(__file__).parents[1] / "golden_record"
REWRITE = "DRUMVAE_WRITE_GOLDEN_RECORD"
"""If this environment variable is set, the tests write the record instead of comparing with it."""
NOTE_SLACK, MESSAGE_SLACK = {0: 1.0, 3: 1.0}, {0: 0.002, 3: 1.0}
"""Tolerances between machines with different arithmetic: the largest difference by column of a line."""
RELATIVE, ABSOLUTE = 1e-3, 1e-4
"""Relative tolerance of a figure there, and absolute tolerance of a figure near 0."""
FEW, FAR = 0.01, 0.1
"""There, one figure in a hundred may differ by up to a tenth, because a rounding error can change a hit and thereby a count."""

Lines = dict[str, list[str]]


# the machine


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def arithmetic_of_stage() -> dict[str, Any]:
    """Returns digests of the results of NumPy and of the shipped graphs for fixed inputs, independent of tensor and file names."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.graph_optimization_level = 1, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    answers = []
    for path in (Path(drumvae.__file__).parent / "bundles" / "default").glob("*.onnx"):
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        shapes = {each.name: [size if isinstance(size, int) else 2 for size in each.shape] for each in session.get_inputs()}
        feeds = {name: np.random.default_rng(0).random(shape, np.float32) for name, shape in shapes.items()}
        answers += [digest(answer.tobytes()) for answer in session.run(None, feeds)]
    drawn = np.random.default_rng(0).normal(size=(64, 64))
    ops = (drawn @ drawn, np.exp(drawn), np.log(np.abs(drawn)), np.sin(drawn), drawn.mean(axis=0))
    numpy = b"".join(op.tobytes() + op.astype(np.float32).tobytes() for op in ops)
    return {"graphs": sorted(answers), "numpy": digest(numpy)}


def arithmetic_of_training() -> dict[str, Any]:
    """Returns a digest of the results and gradients of a few PyTorch operations for fixed inputs."""
    import torch

    drawn = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 64, 64)).astype(np.float32)).requires_grad_()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = torch.nn.LSTM(64, 64, batch_first=True)
        ops = [drawn @ drawn, drawn.softmax(-1), torch.nn.functional.gelu(drawn), drawn.sigmoid().log(), layer(drawn)[0]]
        ops += [torch.nn.functional.layer_norm(drawn, (64,)), torch.nn.functional.dropout(drawn), torch.randn(64, 64)]
    sum(op.square().sum() for op in ops).backward()
    gradients = [drawn.grad, *(parameter.grad for parameter in layer.parameters())]
    return {"torch": digest(b"".join(each.detach().numpy().tobytes() for each in (*ops, *gradients)))}


@contextmanager
def one_thread_of_the_cpu() -> Iterator[None]:
    """Makes PyTorch train on one CPU thread, so that sums are computed in a fixed order."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield
    torch.set_num_threads(threads)


# the runs


def write_inputs(folder: Path) -> dict[str, str]:
    """Writes two input files, a groove of four bars with timing offsets, and six bars; returns their paths."""
    groove = Grid.from_text(GROOVE)
    draw = np.random.default_rng(0)
    loose = Grid(groove.hits, groove.velocities, groove.hits * draw.uniform(-0.2, 0.2, groove.hits.shape))
    rolled = Grid(*(np.roll(array, 16, axis=0)[:32] for array in groove.arrays()))
    write_midi(folder / "first.mid", loose, 104)
    write_midi(folder / "second.mid", [rolled, loose], 120)
    return {"FIRST": str(folder / "first.mid"), "SECOND": str(folder / "second.mid")}


MIDI_CALLS = {
    "generate": "--seed 3 --count 2",
    "generate_asked": "--seed 11 --count 2 --style jazz --fill --density 0.8 --complexity 0.5 --bpm 96",
    "generate_fills": "--seed 5 --count 1 --style funk --fill-bars 2,4 --temperature 1.2 --kit ezdrummer",
    "humanize": "--humanize FIRST --seed 3",
    "humanize_drawn": "--humanize SECOND --seed 11 --temperature 0.8 --amount 0.7 --style rock",
    "vary": "--vary FIRST --seed 3 --count 1",
    "vary_far": "--vary SECOND --seed 11 --count 1 --amount 0.8 --temperature 0.5",
    "continue": "--continue FIRST --seed 3 --count 2",
    "continue_styled": "--continue SECOND --seed 11 --count 1 --amount 0.6 --style latin",
    "interpolate": "--interpolate FIRST SECOND --count 3",
    "interpolate_back": "--interpolate SECOND FIRST --count 3 --bpm 90 --kit gm",
    "drumify": "--drumify FIRST --seed 3",
    "drumify_drawn": "--drumify SECOND --seed 11 --temperature 1 --style soul",
    "infill": "--infill FIRST --seed 3 --voices closed-hat,open-hat",
    "infill_drawn": "--infill SECOND --seed 11 --voices kick --temperature 1 --style funk",
}
"""The options of every call of `drumvae-export midi`, by the name of its output folder."""


def notes_of(path: Path) -> list[str]:
    """Returns a line for every note: tick, track, pitch, velocity."""
    notes = []
    for number, track in enumerate(mido.MidiFile(path).tracks):
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                notes.append((tick, number, message.note, message.velocity))
    return [" ".join(map(str, note)) for note in sorted(notes)]


def files_as_lines(folder: Path) -> dict[str, Any]:
    """Returns the digests and the notes of all MIDI files of a folder, by relative path."""
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.mid"))}
    return {
        "digests": {name: digest(path.read_bytes()) for name, path in names.items()},
        "lines": {name: notes_of(path) for name, path in names.items()},
    }


def run_midi_calls(folder: Path) -> dict[str, Any]:
    """Returns the output of `drumvae-export midi` with the shipped bundle."""
    out, inputs = folder / "written", write_inputs(folder)
    for name, call in MIDI_CALLS.items():
        options = [inputs.get(word, word) for word in call.split()]
        export_app(["midi", *options, "--out", str(out / name)], standalone_mode=False)
    return files_as_lines(out)


MOVES = (
    *(("keep 1", 4, 127), ("density", 9, 90), ("keep 2", 20, 127), ("style jazz", 22, 127), ("fill", 26, 127)),
    *(("temperature", 36, 80), ("complexity", 38, 100), ("hold", 41, 127), ("hold", 60, 0), ("no style", 62, 127)),
    *(("mode humanize", 66, 127), ("humanize", 102, 70), ("humanize", 110, 127), ("mode drumify", 114, 127)),
    *(("mode respond", 146, 127), ("mode vary", 210, 127), ("drift", 214, 100), ("next", 226, 127)),
    *(("mode morph", 234, 127), ("morph", 238, 40), ("morph", 247, 100), ("mute snare", 250, 127), ("swing", 253, 64)),
)
"""The control moves in the long song: action, beat, controller value."""


def long_song() -> Sender:
    """Returns a song that goes through every mode, is stopped within a loop and continues."""
    sender = Sender(120, jitter_s=0.0005).say(START).beats(262.3).say(STOP).rest(1).say(position(32), CONTINUE).beats(9.1).say(STOP)
    for name, beat, value in MOVES:
        press(sender, name, beat, value)
    for beat in (80, 112, 128, 160, 176):
        performance(sender, Grid.from_text(GROOVE) if beat in (80, 160) else PLAYED, beat)
    return sender


def short_song() -> Sender:
    """Returns a song of three loops with input notes; the clock is lost at its end."""
    sender = Sender(96, jitter_s=0.0005).say(START).beats(49.5)
    performance(sender, Grid.from_text(GROOVE), 16, 96)
    for name, beat, value in (("mode humanize", 14, 127), ("humanize", 36, 90)):
        press(sender, name, beat, value, 96)
    return sender


def run_performance(sender: Sender, bundle: Path | None) -> dict[str, Any]:
    """Returns every message that the session sends, and every loop that was played."""
    session = session_of(sender, "generate", Engine.load(bundle, "cpu")).play(sender.at_s + 1).close()  # type: ignore[arg-type]
    messages = [f"{at_s:.6f} {' '.join(map(str, message))}" for at_s, message in session.output.sent]
    loops = [f"{played.loop.index}-{played.loop.source}-{played.loop.seed}".replace(" ", "-") for played in session.played]
    return {"lines": {"messages": messages, "loops": [f"{name} {played.bar}" for name, played in zip(loops, session.played, strict=True)]}}


STEPS = "10"
"""Enough training steps for one row in the loss curve."""
NARROW = {
    "model.latent_size": "16",
    "validation_windows": "16",
    "precision": "32-true",  # the results of half precision differ between processors
}
NARROW_OF = {
    "groovae_4bar": {"model.encoder_units": "[16]", "model.decoder_units": "[16]"},
    "drummer_4bar": {
        "model.width": "16",
        "model.heads": "2",
        "model.core_units": "8",
        "model.encoder_layers": "1",
        "model.context_layers": "1",
        "model.readers": "1",
        "model.reader_width": "16",
        "model.reader_layers": "1",
    },
}
"""The settings of each preset's family that make its model small."""


def run_line(preset: str, data: Path, folder: Path) -> dict[str, Any]:
    """Returns the losses of a short training, and the loops that its export plays."""
    from drumvae.trainer.cli.train import app as train_app

    run, bundle = folder / "run", folder / "bundle"
    settings = [part for setting in (NARROW | NARROW_OF[preset]).items() for part in ("--set", "=".join(setting))]
    options = ["--preset", preset, "--data", str(data), "--max-steps", STEPS, "--batch-size", "8", "--seed", "5", *settings]
    with one_thread_of_the_cpu():
        train_app([*options, "--out", str(run)], standalone_mode=False)
        export_app(["onnx", str(run), "--out", str(bundle)], standalone_mode=False)
        export_app(["midi", str(bundle), "--count", "2", "--seed", "9", "--out", str(folder / "loops")], standalone_mode=False)
    header, *rows = [row.split(",") for row in (run / "curve.csv").read_text().splitlines()]
    columns = [number for number, name in enumerate(header) if name not in ("step", "minutes")]
    losses = [f"step-{row[0]}-{header[column]} {float(row[column]):.5g}" for row in rows for column in columns if row[column]]
    grids = Engine.load(bundle, "cpu").generate(9, count=2)
    hits = ["".join(".x"[int(hit)] for hit in voice) for grid in grids for voice in grid.hits.T]
    record = files_as_lines(folder / "loops")
    return record | {"lines": record["lines"] | {"losses": losses, "hits": hits}}


def run_scores(data: Path, folder: Path) -> dict[str, Any]:
    """Returns every figure of the evaluator for the shipped bundle, on a few windows of the validation takes."""
    from drumvae.trainer.cli.evaluate import app as evaluate_app

    few = ["--max-windows", "8", "--loops", "16", "--out", str(folder)]
    evaluate_app(["--data", str(data), *few], standalone_mode=False)
    tasks = json.loads((folder / "scores.json").read_text("utf-8"))["tasks"]
    return {"lines": {f"{task} {table}": list(_figures(tree)) for task, tables in tasks.items() for table, tree in tables.items()}}


def _figures(tree: Any, *place: str) -> Iterator[str]:
    """Yields a line with the path and the value of every number in a tree; the model's figures also have their intervals."""
    if isinstance(tree, dict) and "value" in tree:
        numbers = [tree.get(name) for name in (("value", "low", "high") if place[-1] == "model" else ("value",))]
        yield " ".join(["/".join(place), *("none" if number is None else f"{number:.5g}" for number in numbers)])
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _figures(value, *place, *([] if key == "rows" else [key.replace(" ", "-")]))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _figures(value, *place, str(number))
    elif isinstance(tree, int | float):
        yield f"{'/'.join(place)} {tree:.5g}"


# the comparison


def check(part: str, run: dict[str, Any], arithmetic: dict[str, Any]) -> None:
    """Compares a run with its record: exactly on a machine with the same arithmetic, else within the tolerances.

    If REWRITE is set in the environment, the record is written instead.
    """
    path = RECORDS / f"{part}.json"
    if os.environ.get(REWRITE):
        path.write_text(json.dumps({"arithmetic": arithmetic, **run}, indent=0) + "\n", "utf-8")
        return
    record = json.loads(path.read_text("utf-8"))
    exact = record["arithmetic"] == arithmetic
    how = "compared exactly" if exact else "compared within tolerance, as this machine's arithmetic is not that of the record"
    print(f"{part}: {how}")
    differences = list(_differences(record["lines"], run["lines"], exact))
    if exact:
        old, new = record.get("digests", {}), run.get("digests", {})
        differences += [f"{name}: other bytes" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    if differences:
        pytest.fail(f"{part}, {how}, differs in {len(differences)} places:\n" + "\n".join(differences[:20]), pytrace=False)


def _differences(old: Lines, new: Lines, exact: bool) -> Iterator[str]:
    if list(old) != list(new):
        yield f"sections {list(old)} are now {list(new)}"
    figures, far = 0, []
    for section in [name for name in old if name in new]:
        before, after = old[section], new[section]
        slack = NOTE_SLACK if section.endswith(".mid") else MESSAGE_SLACK if section == "messages" else None
        if not exact:
            before, after = _in_order(before, slack), _in_order(after, slack)
        figures += len(before) if slack is None else 0
        if len(before) != len(after):
            yield f"{section}: {len(before)} lines are now {len(after)}"
        for line, other in zip(before, after, strict=False):
            if line != other and (exact or not _near(line, other, slack)):
                difference = f"{section}: {line!r} is now {other!r}"
                if not exact and slack is None and _near(line, other, None, FAR):
                    far.append(difference)
                else:
                    yield difference
    if len(far) > FEW * figures:
        yield from far


def _in_order(lines: Iterable[str], slack: dict[int, float] | None) -> list[str]:
    """Sorts lines by the columns without tolerance, so that lines whose order changed within the tolerance are still compared."""
    return sorted(lines, key=lambda line: [word for column, word in enumerate(line.split()) if column not in slack]) if slack else [*lines]


def _near(line: str, other: str, slack: dict[int, float] | None, relative: float = RELATIVE) -> bool:
    """Returns whether two lines are equal, apart from numbers that differ within the tolerances."""
    words, others = line.split(), other.split()
    if len(words) != len(others):
        return False
    for column, (old, new) in enumerate(zip(words, others, strict=True)):
        if old != new:
            try:
                difference, size = abs(float(old) - float(new)), abs(float(old))
            except ValueError:
                return False
            if difference > (max(relative * size, ABSOLUTE) if slack is None else slack.get(column, 0.0) + 1e-9):
                return False
    return True
