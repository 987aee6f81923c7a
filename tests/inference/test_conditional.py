"""Laws of the conditional strategy on an untrained drummer: every condition has an effect, and a missing tap is handled."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.drummers import STYLES

from drumvae.inference.engine import Engine
from drumvae.inference.latent import LatentStrategy
from drumvae.inference.onnx_model import OnnxModel
from drumvae.music.conditions import Conditions
from drumvae.music.grid import Grid
from drumvae.music.kit import VOICES
from drumvae.util.errors import BundleError

pytestmark = pytest.mark.train


def test_drumify_without_a_tap_returns_the_loop_of_the_seed(drummer: Engine) -> None:
    assert drummer.drumify(Grid.empty(), seed=4) == drummer.generate(4)[0]
    assert drummer.drumify(Grid.empty(), seed=4) != drummer.drumify(Grid.empty(), seed=5)


@pytest.mark.parametrize("steps", [16, 64, 100, 128])
def test_drumify_of_a_long_grid_without_a_tap_returns_the_loops_of_the_seed_in_order(drummer: Engine, steps: int) -> None:
    played = drummer.drumify(Grid.empty(steps), seed=2)
    expected = np.concatenate([loop.hits for loop in drummer.generate(2, count=2)])[:steps]
    assert np.array_equal(played.hits, expected)


def test_drumify_without_a_tap_follows_style_and_temperature(drummer: Engine) -> None:
    jazz = Conditions("jazz", 90)
    assert drummer.drumify(Grid.empty(), 1, 0.4, jazz) == drummer.generate(1, 0.4, conditions=jazz)[0]
    with pytest.raises(BundleError, match="did you mean jazz"):
        drummer.drumify(Grid.empty(), 1, 0.4, Conditions("jaz"))


def test_drumify_of_no_steps_returns_no_steps(drummer: Engine) -> None:
    assert drummer.drumify(Grid.empty(0)).steps == 0


def test_drumify_without_a_tap_needs_the_task_drumify(drummer: Engine) -> None:
    other = Engine(OnnxModel(replace(drummer.info, tasks=("generate",)), drummer.model.graphs))
    with pytest.raises(BundleError, match="cannot drumify"):
        other.drumify(Grid.empty())


def test_hit_probability_depends_on_tap_tempo_and_style(drummer: Engine) -> None:
    tap = np.random.default_rng(1).random((2, 64, 3)).astype(np.float32)
    bpm, style = np.full(2, 100, np.float32), np.eye(3, dtype=np.float32)[[0, 1]]
    probability = drummer.hit_probability(tap, bpm, style)
    assert probability.shape == (2, 64, 9)
    assert ((probability > 0) & (probability < 1)).all()
    for arguments in ((tap[::-1], bpm, style), (tap, bpm * 2, style), (tap, bpm, style[::-1])):
        assert not np.allclose(drummer.hit_probability(*arguments), probability, atol=1e-4)
    assert drummer.hit_probability(tap[:0], bpm[:0], style[:0]).shape == (0, 64, 9)


@pytest.mark.parametrize("likely", [0.0, 1.0])
def test_drumify_follows_the_tap_model(drummer: Engine, groove: Grid, monkeypatch: pytest.MonkeyPatch, likely: float) -> None:
    """A kick with probability 1 everywhere is written everywhere, whatever the samples are."""
    expected = np.zeros((1, 64, 9), np.float32)
    expected[..., 0] = likely
    monkeypatch.setattr(drummer.model, "hit_probability", lambda tap, bpm, style: expected)
    kicks = drummer.drumify(groove).hits[:, 0].sum()
    assert kicks == 64 if likely else kicks < 64


def test_the_most_likely_hits_stay_where_two_hands_cannot_play_all(drummer: Engine, groove: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    odds = {"snare": 1.0, "closed hat": 0.95, "ride": 0.7, "open hat": 0.65, "low tom": 0.44}  # so far apart that no answer matters
    expected = np.zeros((1, 64, 9), np.float32)
    for name, likely in odds.items():
        expected[..., VOICES.index(name)] = likely
    monkeypatch.setattr(drummer.model, "hit_probability", lambda tap, bpm, style: expected)
    hits = drummer.drumify(groove).hits
    shares = {name: hits[:, VOICES.index(name)].mean() for name in odds}
    assert shares == {"snare": 1, "closed hat": 1, "ride": 1, "open hat": 0, "low tom": 0}


def test_each_style_gives_another_loop(drummer: Engine) -> None:
    loops = [drummer.generate(3, conditions=Conditions(style))[0] for style in (None, *STYLES)]
    assert all(one != other for number, one in enumerate(loops) for other in loops[:number])


def test_a_variation_moves_towards_the_requested_style(drummer: Engine, groove: Grid) -> None:
    funk = Conditions("funk", 96)
    assert drummer.vary(groove, 1.0, 4, conditions=funk).hits.tolist() == drummer.generate(4, conditions=funk)[0].hits.tolist()
    assert drummer.vary(groove, 1.0, 4, conditions=funk) != drummer.vary(groove, 1.0, 4)
    assert drummer.vary(groove, 0.0, 4, conditions=funk) == groove
    with pytest.raises(BundleError, match="does not know the style 'fank'; did you mean funk"):
        drummer.vary(groove, 0.5, 4, conditions=Conditions("fank"))


def test_the_latent_strategy_refuses_a_style_for_a_continuation(drummer: Engine, groove: Grid) -> None:
    plain = Engine(drummer.model, LatentStrategy(drummer.model))
    with pytest.raises(BundleError, match="cannot be asked for a style"):
        plain.continue_from(groove, 2, 1, 0.3, conditions=Conditions("rock"))
