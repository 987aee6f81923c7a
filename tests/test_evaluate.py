import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from drumvae.engine import Engine
from drumvae.tensors import arrays_to_groove
from drumvae.trainer.corpus import Corpus, load_corpus
from drumvae.trainer.evaluate import add_to_card, evaluate, humanize, reconstruct, to_markdown


@pytest.fixture(scope="module")
def corpus(midi_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return load_corpus(midi_folder, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(provider="cpu")


def grooves(corpus: Corpus) -> np.ndarray:
    return arrays_to_groove(*corpus.arrays(corpus.windows("train")[:8]))


def test_humanizing_keeps_the_hits_and_reads_neither_velocity_nor_offset(engine: Engine, corpus: Corpus) -> None:
    true = grooves(corpus)
    played = humanize(engine, true)
    assert np.array_equal(played[..., :9], true[..., :9])
    louder = true.copy()
    louder[..., 9:18] *= 0.5
    assert np.array_equal(humanize(engine, louder), played)


def test_reconstruction_leaves_nothing_to_chance(engine: Engine, corpus: Corpus) -> None:
    assert np.array_equal(reconstruct(engine, grooves(corpus)), reconstruct(engine, grooves(corpus)))


def test_a_score_stands_beside_its_baselines(engine: Engine, corpus: Corpus) -> None:
    result = evaluate(engine, corpus, "validation")
    assert (result["windows"], result["takes"]) == (5, 1)
    assert result["reconstruction"]["silence"]["f1"] == 0
    assert 0 < result["reconstruction"]["model"]["f1"] <= 1
    table = to_markdown(result)
    assert "| nearest training window |" in table
    assert "| mean offset, mean velocity |" in table


def test_a_card_keeps_its_text_and_only_the_newest_scores(tmp_path: Path) -> None:
    card = tmp_path / "CARD.md"
    card.write_text("# A model\n\nWhat it is.\n")
    add_to_card(card, "old table\n")
    add_to_card(card, "new table\n")
    text = card.read_text()
    assert text.startswith("# A model\n\nWhat it is.\n")
    assert "new table" in text
    assert "old table" not in text


def test_the_command_needs_no_torch(midi_folder: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from drumvae.trainer.evaluate import main; main()"
    arguments = ["--data", str(midi_folder), "--out", "scores/s.json"]
    subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads((tmp_path / "scores" / "s.json").read_text())["split"] == "validation"


@pytest.mark.gmd
def test_the_model_that_ships_reaches_its_floors(gmd: Path, engine: Engine) -> None:
    result = evaluate(engine, load_corpus(gmd), "validation")
    humanized, table = result["humanize"]["model"], result["humanize"]["means by step and voice"]
    assert result["reconstruction"]["model"]["f1"] >= 0.70
    assert humanized["timing_error_ms"] < 20.3
    assert humanized["velocity_error"] < 0.19
    assert humanized["velocity_error"] < table["velocity_error"]
    assert abs(result["density"]["written"] / result["density"]["true"] - 1) < 0.15
