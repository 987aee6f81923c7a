"""Every preset, from MIDI files to scored loops, by the commands that a user types."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")
pytest.importorskip("onnxscript")

import pretty_midi  # noqa: E402

from drumvae.bundle.format import read_bundle  # noqa: E402
from drumvae.export.cli.onnx import app as export_app  # noqa: E402
from drumvae.inference.engine import Engine  # noqa: E402
from drumvae.midi.io import read_midi, read_notes  # noqa: E402
from drumvae.trainer.cli.evaluate import app as evaluate_app  # noqa: E402
from drumvae.trainer.cli.train import app as train_app  # noqa: E402
from drumvae.trainer.training.presets import preset, presets  # noqa: E402

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

NARROW = {"model.latent_size": "16", "validation_windows": "64"}
NARROW_OF = {
    "lstm": {"model.encoder_units": "[16]", "model.decoder_units": "[16]", "model.conductor_units": "[16]", "model.segment_size": "8"},
    "drummer": {"model.width": "16", "model.heads": "2", "model.core_units": "8"},
}
"""The settings of each family that make a model small."""
FAMILIES = ("drummer_4bar", "segment_drums_4bar")
"""Presets that every run trains beside the melody preset; DRUMVAE_ALL_PRESETS=1, as in the nightly workflow, trains all."""
DRUMS = [name for name in presets() if name != "hierdec_melody_4bar"] if os.environ.get("DRUMVAE_ALL_PRESETS") else FAMILIES


def run_line(name: str, data: Path, folder: Path) -> tuple[Engine, dict[str, object], list[Path]]:
    """Trains 20 steps, exports, generates and evaluates; returns the engine, the scores and the loops' files."""
    settings = [part for setting in (NARROW | NARROW_OF[preset(name).model.family]).items() for part in ("--set", "=".join(setting))]
    run, bundle = str(folder / "run"), str(folder / "bundle")
    train_app(
        ["--preset", name, "--data", str(data), "--max-steps", "20", "--batch-size", "32", *settings, "--out", run], standalone_mode=False
    )
    export_app(["onnx", run, "--out", bundle], standalone_mode=False)
    export_app(["midi", bundle, "--count", "2", "--out", str(folder / "loops")], standalone_mode=False)
    few = ["--max-windows", "40", "--loops", "32", "--out", str(folder / "scores")]
    evaluate_app([bundle, "--data", str(data), *few], standalone_mode=False)
    scores = json.loads((folder / "scores" / "scores.json").read_text())["tasks"]
    return Engine.load(folder / "bundle", "cpu"), scores, sorted((folder / "loops").glob("*.mid"))


@pytest.mark.gmd
@pytest.mark.parametrize("name", DRUMS)
def test_every_drum_preset_trains_exports_generates_and_is_scored(name: str, gmd: Path, tmp_path: Path) -> None:
    engine, scores, loops = run_line(name, gmd, tmp_path)
    config = preset(name)
    assert engine.tasks == config.tasks
    assert set(config.tasks) <= set(scores)
    assert engine.info.steps == config.model.steps
    assert [grid.steps for grid in engine.generate(0, count=2)] == [config.model.steps] * 2
    assert len(loops) == 2
    assert all(read_midi(loop).length_beats == config.model.steps / 4 for loop in loops if has_notes(loop))
    assert (tmp_path / "run" / "curve.png").exists()
    assert list((tmp_path / "scores").rglob("*.png"))


def has_notes(path: Path) -> bool:
    return any(instrument.notes for instrument in pretty_midi.PrettyMIDI(str(path)).instruments)


def test_the_melody_preset_trains_exports_generates_and_is_scored(tmp_path: Path) -> None:
    write_tunes(tmp_path / "tunes")
    engine, scores, loops = run_line("hierdec_melody_4bar", tmp_path / "tunes", tmp_path)
    assert engine.tasks == ("generate", "reconstruct")
    assert {"generate", "reconstruct"} <= set(scores)
    assert engine.generate_melodies(0, count=2).shape == (2, 64)
    assert read_bundle(tmp_path / "bundle").encoding == "melody"
    assert len(loops) == 2
    written = engine.generate_melodies(0, count=2)
    assert all(len(read_notes(loop).parts) == 1 for loop in loops)
    assert (written >= 2).any()


def write_tunes(folder: Path) -> None:
    """Writes twelve piano files of sixteen bars: a walk on a scale, two notes a beat, over held chords."""
    folder.mkdir()
    for number in range(12):
        draw = np.random.default_rng(number)
        midi = pretty_midi.PrettyMIDI(initial_tempo=90 + number)
        piano = pretty_midi.Instrument(0, name="piano")
        degree, beat_s = 14, 60 / (90 + number)
        for half in range(128):
            degree = int(np.clip(degree + draw.integers(-2, 3), 7, 21))
            pitch = 36 + 12 * (degree // 7) + (0, 2, 4, 5, 7, 9, 11)[degree % 7]
            piano.notes.append(pretty_midi.Note(80, pitch, half / 2 * beat_s, (half + 0.9) / 2 * beat_s))
        midi.instruments.append(piano)
        midi.write(str(folder / f"{number}.mid"))
