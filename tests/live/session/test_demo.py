import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.fakes import NOW_S, FakeEngine, use_engine

from drumvae.live.cli import commands
from drumvae.live.clock.internal_clock import InternalClock
from drumvae.live.clock.transport import State
from drumvae.live.controls.state import ControlState
from drumvae.live.session.demo import PERFORMANCE, ScriptedInput, demo_mode, performance
from drumvae.live.session.performer import Performer
from drumvae.live.session.run import LiveConfig, Watch
from drumvae.live.ui.display import Display
from drumvae.midi.io import read_midi
from drumvae.music.grid import Grid
from drumvae.music.kit import DEFAULT_KIT
from drumvae.music.kits import known_kits

FAST = LiveConfig(internal_bpm=400, seed=3)


def run_in_simulated_time(performer: Performer, display: Display, watch: Watch) -> None:
    """Runs a session as run_session does, in simulated time, which hardly passes while the model works."""
    now_s = NOW_S
    performer.prepare()
    while not performer.finished:
        due_s = performer.step(now_s).at_s
        time.sleep(0)  # lets the model's thread run
        now_s = now_s + 1e-6 if performer.generator.busy else max(due_s, now_s + 1e-6)
        display.show(performer.status)
    performer.close(now_s)


@pytest.fixture
def folder_without_midi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A temporary working folder on a machine without python-rtmidi."""
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "run_session", run_in_simulated_time)
    return tmp_path


def test_the_performance_is_quantized_and_uses_more_than_one_voice() -> None:
    grid = Grid.from_text(PERFORMANCE)
    assert grid.steps == 64
    assert not grid.offsets.any()
    assert grid.hits.any(axis=0).sum() >= 5
    assert len(np.unique(grid.velocities[grid.hits > 0])) >= 2


def test_a_scripted_input_plays_a_grid_once_at_its_times() -> None:
    clock = InternalClock(120, lead_s=0.0)
    script = ScriptedInput(performance().grid, clock)
    assert script.poll(NOW_S) == []
    clock.check(NOW_S)
    assert clock.state is State.RUNNING
    arrivals = [arrival for now_s in np.arange(NOW_S, NOW_S + 20, 0.001) for arrival in script.poll(float(now_s))]
    beats = [(round((arrival.at_s - NOW_S) * 2, 4), DEFAULT_KIT.voice_of(arrival.message[1])) for arrival in arrivals]
    assert sorted(beats) == sorted((o.beat, o.voice) for o in performance().grid.onsets())


def test_the_demo_writes_four_bars_of_performance_and_their_answer(
    folder_without_midi: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine()
    use_engine(monkeypatch, engine)
    commands.demo(FAST)
    output = capsys.readouterr().out
    assert "there is no sound" in output
    assert "demo.mid holds four bars of performance, then four bars humanized, at 400 bpm." in output
    (task, recorded, _, _) = engine.calls[-1]
    assert task == "humanize"
    assert np.array_equal(recorded.hits, performance().grid.hits)
    read = read_midi(folder_without_midi / "demo.mid")
    assert read.bpm == pytest.approx(400, rel=1e-4)
    assert read.length_beats == pytest.approx(32, abs=0.2)
    both = read.grid(128)
    assert np.array_equal(both.hits[:64], performance().grid.hits)
    assert np.array_equal(both.hits[64:], performance().grid.hits)
    assert np.allclose(both.offsets[64:][both.hits[64:] > 0], 0.25, atol=0.02)


def test_a_bundle_that_cannot_humanize_answers_with_a_generated_loop(
    folder_without_midi: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine(("generate",))
    use_engine(monkeypatch, engine)
    commands.demo(FAST)
    output = capsys.readouterr().out
    assert "cannot humanize; the answer is a generated loop" in output
    assert "then four bars generated" in output
    assert engine.calls[0][0] == "generate"
    assert demo_mode(engine) == "generate"


def test_the_demo_names_ignored_options_and_writes_for_the_kit(
    folder_without_midi: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_engine(monkeypatch, FakeEngine())
    kit = known_kits()["ad2"].kit
    commands.demo(replace(FAST, record=folder_without_midi / "takes", bars=3, controls=ControlState(kit=kit)))
    assert "--record, --bars are ignored" in capsys.readouterr().out
    assert not (folder_without_midi / "takes").exists()
    assert set(read_midi(folder_without_midi / "demo.mid", kit).pitches.tolist()) <= set(kit.output_notes)
