"""Laws of a drummer's bundle, on a model that was never trained: what is asked of it changes what it plays, and no tap is no dead end."""

from dataclasses import replace

import numpy as np
import pytest
from drummers import STYLES

from drumvae.conditions import Conditions
from drumvae.engine import Engine
from drumvae.errors import BundleError
from drumvae.grid import Grid

pytestmark = pytest.mark.train


def test_a_tap_of_nothing_is_answered_by_the_loop_of_the_seed(drummer: Engine) -> None:
    assert drummer.drumify(Grid.empty(), seed=4) == drummer.generate(4)[0]
    assert drummer.drumify(Grid.empty(), seed=4) != drummer.drumify(Grid.empty(), seed=5)


@pytest.mark.parametrize("steps", [16, 64, 100, 128])
def test_a_long_tap_of_nothing_is_answered_by_the_loops_of_the_seed_one_after_the_other(drummer: Engine, steps: int) -> None:
    played = drummer.drumify(Grid.empty(steps), seed=2)
    expected = np.concatenate([loop.hits for loop in drummer.generate(2, count=2)])[:steps]
    assert np.array_equal(played.hits, expected)


def test_a_tap_of_nothing_is_answered_in_the_style_and_at_the_temperature_asked_for(drummer: Engine) -> None:
    jazz = Conditions("jazz", 90)
    assert drummer.drumify(Grid.empty(), 1, 0.4, jazz) == drummer.generate(1, 0.4, conditions=jazz)[0]
    with pytest.raises(BundleError, match="did you mean jazz"):
        drummer.drumify(Grid.empty(), 1, 0.4, Conditions("jaz"))


def test_no_steps_are_answered_by_none(drummer: Engine) -> None:
    assert drummer.drumify(Grid.empty(0)).steps == 0


def test_a_tap_of_nothing_needs_a_bundle_that_learned_to_drumify(drummer: Engine) -> None:
    other = type(drummer)(replace(drummer.info, tasks=("generate",)), drummer._encoder, drummer._decoder, "cpu")
    with pytest.raises(BundleError, match="cannot drumify"):
        other.drumify(Grid.empty())


def test_each_style_is_played_in_its_own_way(drummer: Engine) -> None:
    loops = [drummer.generate(3, conditions=Conditions(style))[0] for style in (None, *STYLES)]
    assert all(one != other for number, one in enumerate(loops) for other in loops[:number])


def test_an_engine_of_another_family_refuses_a_style_when_it_continues(drummer: Engine, groove: Grid) -> None:
    plain = Engine(drummer.info, drummer._encoder, drummer._decoder, "cpu")
    with pytest.raises(BundleError, match="cannot be asked for a style"):
        plain.continue_from(groove, 2, 1, 0.3, conditions=Conditions("rock"))
