"""The commands and a live session have the same output as in the golden record: see helpers/golden_runs.py."""

from pathlib import Path

import pytest
from helpers.golden_runs import (
    arithmetic_of_stage,
    arithmetic_of_training,
    check,
    long_song,
    run_line,
    run_midi_calls,
    run_performance,
    run_scores,
    short_song,
)


def test_every_verb_writes_the_recorded_files(tmp_path: Path) -> None:
    check("midi_files", run_midi_calls(tmp_path), arithmetic_of_stage())


def test_a_performance_through_every_mode_sends_the_recorded_messages() -> None:
    check("performance", run_performance(long_song(), None), arithmetic_of_stage())


def test_a_performance_of_a_model_without_styles_sends_the_recorded_messages() -> None:
    bundle = Path(__file__).parent / "bundles" / "stage_4bar"
    check("performance_stage_4bar", run_performance(short_song(), bundle), arithmetic_of_stage())


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("preset", ["groovae_4bar", "drummer_4bar"])
def test_training_and_export_give_the_recorded_losses_and_loops(preset: str, midi_folder: Path, tmp_path: Path) -> None:
    for module in ("torch", "lightning", "onnxscript"):
        pytest.importorskip(module)
    arithmetic = arithmetic_of_stage() | arithmetic_of_training()
    check(f"training_{preset}", run_line(preset, midi_folder, tmp_path), arithmetic)


@pytest.mark.gmd
def test_the_model_that_ships_has_the_recorded_scores(gmd: Path, tmp_path: Path) -> None:
    check("scores", run_scores(gmd, tmp_path), arithmetic_of_stage())
