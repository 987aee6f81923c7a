import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from helpers.former import STAGE

from drumvae.bundle.format import default_bundle
from drumvae.bundle.schema import DRUMMER
from drumvae.inference.engine import Engine
from drumvae.inference.onnx_model import OnnxModel
from drumvae.music.encoding import grid_to_groove
from drumvae.music.grid import Grid, Onset
from drumvae.music.morphing import latent_morph
from drumvae.util.errors import BundleError


@pytest.fixture(scope="module", params=[default_bundle(), STAGE], ids=["drummer", "lstm"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """The model that ships, and one of the family before it."""
    return Engine.load(request.param, "cpu")


@pytest.fixture(scope="module")
def former() -> Engine:
    return Engine.load(STAGE, "cpu")


def test_the_same_seed_gives_the_same_loop(engine: Engine) -> None:
    assert engine.generate(seed=7) == engine.generate(seed=7)


def test_another_seed_gives_another_loop(engine: Engine) -> None:
    assert engine.generate(seed=7) != engine.generate(seed=8)


def test_loop_n_of_a_seed_does_not_depend_on_the_count(engine: Engine) -> None:
    many = engine.generate(seed=3, count=5)
    assert np.array_equal(many[0].hits, engine.generate(seed=3)[0].hits)
    assert np.array_equal(many[1].hits, engine.generate(seed=3, count=2)[1].hits)
    assert len({loop.hits.tobytes() for loop in many}) == 5


def test_loops_are_four_bars_with_hits_velocities_and_offsets(engine: Engine) -> None:
    loops = engine.generate(seed=0, count=16)
    assert {loop.steps for loop in loops} == {64}
    is_hit = np.stack([loop.hits for loop in loops]) > 0
    assert 0.02 < is_hit.mean() < 0.4
    assert np.stack([loop.velocities for loop in loops])[is_hit].min() > 0
    assert np.ptp(np.stack([loop.offsets for loop in loops])[is_hit]) > 0


def test_at_temperature_0_noise_changes_nothing(engine: Engine) -> None:
    latent = np.random.default_rng(0).standard_normal((2, engine.info.latent_size), np.float32)
    noise = [np.random.default_rng(seed).random((2, 64, 9), np.float32) for seed in (1, 2)]
    cold = [engine.decode(latent, n, temperature=0.0) for n in noise]
    assert np.array_equal(*cold)
    assert not np.array_equal(*(engine.decode(latent, n, temperature=1.0) for n in noise))


def test_humanize_keeps_every_hit_and_changes_its_expression(engine: Engine, groove: Grid) -> None:
    played = engine.humanize(groove)
    assert np.array_equal(played.hits, groove.hits)
    is_hit = groove.hits > 0
    assert np.abs(played.offsets - groove.offsets)[is_hit].max() > 0.01
    assert np.abs(played.velocities - groove.velocities)[is_hit].max() > 0.01


def test_humanize_by_0_changes_nothing_and_by_half_is_the_mean(engine: Engine, groove: Grid) -> None:
    assert engine.humanize(groove, amount=0.0) == groove
    whole, half = engine.humanize(groove), engine.humanize(groove, amount=0.5)
    assert np.allclose(half.velocities, (groove.velocities + whole.velocities) / 2, atol=1e-6)
    assert np.allclose(half.offsets, (groove.offsets + whole.offsets) / 2, atol=1e-6)


def test_a_seed_only_matters_to_humanize_above_temperature_zero(engine: Engine, groove: Grid) -> None:
    assert engine.humanize(groove, seed=1) == engine.humanize(groove, seed=2)
    assert engine.humanize(groove, seed=1, temperature=1.0) != engine.humanize(groove, seed=2, temperature=1.0)
    assert engine.humanize(groove, seed=1, temperature=1.0) == engine.humanize(groove, seed=1, temperature=1.0)


@pytest.mark.parametrize("steps", [16, 40, 64, 200])
def test_grids_of_any_length_are_humanized(engine: Engine, groove: Grid, steps: int) -> None:
    long = Grid(*(np.tile(array, (4, 1))[:steps] for array in groove.arrays()))
    assert np.array_equal(engine.humanize(long).hits, long.hits)


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_an_amount_out_of_range_is_refused(engine: Engine, groove: Grid, amount: float) -> None:
    with pytest.raises(BundleError, match="from 0"):
        engine.humanize(groove, amount=amount)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"temperature": float("nan")}, {"temperature": -1.0}, {"count": 0}])
def test_seed_temperature_and_count_out_of_range_are_refused(engine: Engine, wrong: dict[str, float]) -> None:
    with pytest.raises(BundleError, match="asked for"):
        engine.generate(**({"seed": 0} | wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_a_higher_density_makes_more_hits(engine: Engine, temperature: float) -> None:
    hits = [np.mean([loop.hits.sum() for loop in engine.generate(0, temperature, 16, density)]) for density in (0, 0.25, 0.5, 1, 1.5, 2)]
    assert hits[0] == 0
    if engine.info.family == DRUMMER and not temperature:  # one and the same loop, which changes by whole rows of hits
        assert all(fewer <= more for fewer, more in pairwise(hits))
        return
    assert all(fewer < more for fewer, more in pairwise(hits))
    assert 0.35 < hits[2] / hits[3] < 0.65
    assert 1.5 < hits[5] / hits[3] < 2.3


def test_a_density_of_1_changes_nothing(engine: Engine) -> None:
    assert engine.generate(5, density=1.0) == engine.generate(5)


@pytest.mark.parametrize("density", [-0.1, 2.1, float("nan")])
def test_a_density_out_of_range_is_refused(engine: Engine, density: float) -> None:
    with pytest.raises(BundleError, match=r"from 0 \(silence\)"):
        engine.generate(0, density=density)


def changed(one: Grid, other: Grid) -> int:
    """Counts the cells in which there is a hit in one and none in the other."""
    return int((one.hits != other.hits).sum())


def test_a_variation_by_0_changes_nothing(engine: Engine, groove: Grid) -> None:
    assert engine.vary(groove, 0.0, seed=3) == groove


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_larger_amount_changes_more_hits(engine: Engine, groove: Grid, temperature: float) -> None:
    amounts = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)
    drift = [np.mean([changed(groove, engine.vary(groove, amount, seed, temperature)) for seed in range(8)]) for amount in amounts]
    assert all(nearer < farther for nearer, farther in pairwise(drift))


def test_a_small_variation_is_near_the_given_loop_and_not_near_its_reconstruction(engine: Engine, groove: Grid) -> None:
    odd = Grid(*(np.roll(array, (3, 4), axis=(0, 1)) for array in groove.arrays()))  # which nobody plays
    written = engine.reconstruct(grid_to_groove(odd)[None])[0, :, :9]
    assert (written != odd.hits).sum() > 10
    assert np.mean([changed(odd, engine.vary(odd, 0.05, seed)) for seed in range(8)]) < 8


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_variation_by_1_has_the_hits_of_the_seeds_own_loop(engine: Engine, groove: Grid, temperature: float) -> None:
    for seed in range(4):
        (own,) = engine.generate(seed, temperature or (None if engine.info.family == DRUMMER else 0.0))
        assert np.array_equal(engine.vary(groove, 1.0, seed, temperature).hits, own.hits)


@pytest.mark.parametrize("amount", [0.6, 0.8, 1.0])
def test_a_variation_keeps_the_expression_of_hits_that_stay(engine: Engine, groove: Grid, amount: float) -> None:
    played = Grid(groove.hits, groove.velocities * 0.77, groove.hits * 0.123)
    varied = engine.vary(played, amount, seed=1)
    stay, new = varied.hits * played.hits > 0, varied.hits > played.hits
    assert stay.any()
    assert np.array_equal(varied.velocities[stay], played.velocities[stay])
    assert np.array_equal(varied.offsets[stay], played.offsets[stay])
    assert new.any()
    assert varied.velocities[new].min() > 0
    assert np.abs(varied.offsets[new]).max() > 0


def test_another_seed_gives_another_variation(engine: Engine, groove: Grid) -> None:
    assert engine.vary(groove, 0.5, seed=1, temperature=0.7) == engine.vary(groove, 0.5, seed=1, temperature=0.7)
    assert engine.vary(groove, 0.5, seed=1) != engine.vary(groove, 0.5, seed=2)


def test_a_morph_at_0_and_1_equals_the_given_loops(engine: Engine, groove: Grid) -> None:
    (other,) = engine.generate(seed=4)
    assert engine.morph(groove, other, 0.0) == groove
    assert engine.morph(groove, other, 1.0) == other


def test_a_morph_moves_steadily_from_one_loop_to_the_other(engine: Engine, groove: Grid) -> None:
    others = engine.generate(seed=4, count=6)
    ways = [[engine.morph(groove, other, position) for position in (0.02, 0.25, 0.5, 0.75, 0.98)] for other in others]
    from_first = np.mean([[changed(groove, grid) for grid in way] for way in ways], axis=0)
    from_last = np.mean([[changed(other, grid) for grid in way] for way, other in zip(ways, others, strict=True)], axis=0)
    assert (np.diff(from_first) > 0).all()
    assert (np.diff(from_last) < 0).all()
    apart = np.mean([changed(groove, other) for other in others])
    assert from_first[0] < 0.1 * apart  # no jump at the ends
    assert from_last[-1] < 0.1 * apart


def test_a_morph_of_loops_of_two_lengths_is_refused(engine: Engine, groove: Grid) -> None:
    with pytest.raises(BundleError, match="from 64 steps to 32"):
        engine.morph(groove, groove.window(0, 32), 0.5)


@pytest.mark.parametrize("steps", [0, 16, 100])
def test_grids_of_any_length_are_varied_and_morphed(engine: Engine, groove: Grid, steps: int) -> None:
    grid = Grid(*(np.tile(array, (2, 1))[:steps] for array in groove.arrays()))
    assert engine.vary(grid, 0.9, seed=1).steps == steps
    assert engine.morph(grid, Grid.empty(steps), 0.5).steps == steps


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_an_amount_or_position_out_of_range_is_refused(engine: Engine, groove: Grid, share: float) -> None:
    with pytest.raises(BundleError, match=r"goes from 0 \(as it is\) to 1"):
        engine.vary(groove, share, seed=0)
    with pytest.raises(BundleError, match=r"goes from 0 \(the first loop\) to 1"):
        engine.morph(groove, groove, share)
    with pytest.raises(BundleError, match="Seed -1"):
        engine.vary(groove, 0.5, seed=-1)


def test_variations_of_many_seeds_equal_those_of_each_seed(engine: Engine, groove: Grid) -> None:
    many = engine.variations(groove, 0.5, [1, 2, 3], temperature=0.7)
    for seed, varied in zip((1, 2, 3), many, strict=True):
        assert np.array_equal(varied.hits, engine.vary(groove, 0.5, seed, temperature=0.7).hits)
    assert engine.variations(groove, 0.0, [1, 2]) == [groove, groove]


def test_morphs_at_many_positions_equal_those_at_each_position(engine: Engine, groove: Grid) -> None:
    (other,) = engine.generate(seed=4)
    way = engine.morphs(groove, other, [0.0, 0.3, 0.7, 1.0])
    assert [way[0], way[-1]] == [groove, other]
    assert np.array_equal(way[1].hits, engine.morph(groove, other, 0.3).hits)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_continuation_by_0_repeats_the_loop(engine: Engine, groove: Grid, temperature: float) -> None:
    assert engine.continue_from(groove, 3, seed=1, amount=0.0, temperature=temperature) == [groove] * 3


def test_continued_loops_move_away_from_the_given_one_step_by_step(engine: Engine, groove: Grid) -> None:
    ways = [engine.continue_from(groove, 6, seed, amount=0.15) for seed in range(8)]
    away = np.mean([[changed(groove, loop) for loop in way] for way in ways], axis=0)
    each = np.mean([[changed(*pair) for pair in pairwise([groove, *way])] for way in ways], axis=0)
    assert away[0] < 10  # of about 90 hits
    assert away[-1] > 2 * away[0]
    assert each[-1] < away[-1]  # the sixth goes on from the fifth and not from the first
    kept = ways[0][0].hits * groove.hits > 0
    assert np.array_equal(ways[0][0].velocities[kept], groove.velocities[kept])


def test_a_continuation_does_not_depend_on_the_count(engine: Engine, groove: Grid) -> None:
    long = engine.continue_from(groove, 4, seed=2, amount=0.3)
    for short, same in zip(engine.continue_from(groove, 2, seed=2, amount=0.3), long, strict=False):
        assert np.array_equal(short.hits, same.hits)


@pytest.mark.parametrize(("count", "steps"), [(0, 64), (1, 32), (1, 128)])
def test_a_continuation_needs_a_whole_loop_and_a_count_of_1_or_more(engine: Engine, count: int, steps: int) -> None:
    with pytest.raises(BundleError, match=f"{count} loops after {steps} steps"):
        engine.continue_from(Grid.empty(steps), count, seed=0, amount=0.2)


def kicks(letters: str) -> Grid:
    return Grid.from_text(f"kick {letters}|")


NOTHING = Grid.empty(16)


def test_where_the_decoding_does_not_change_the_softest_hits_leave_first_and_the_loudest_enter_first() -> None:
    first, last = kicks("X...x...-......."), kicks("..-...X.........")
    way = [latent_morph(first, last, (NOTHING, NOTHING, NOTHING), share) for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    expected = ("X...x...-.......", "X...x.X.-.......", "X...x.X.........", "X.....X.........", "X.-...X.........", "..-...X.........")
    assert [grid.to_text([0]) for grid in way] == [kicks(letters).to_text([0]) for letters in expected]


def test_a_hit_changes_where_the_decoding_changes() -> None:
    written = (kicks("x...x..........."), kicks("x.X............."), NOTHING)
    placed = latent_morph(kicks("x...x...x......."), kicks("............x..."), written, 0.1)
    assert placed == kicks("x.X.....x.......")


def test_velocity_and_offset_of_a_hit_in_both_grids_are_interpolated() -> None:
    hits = kicks("x...").hits
    first, last = Grid(hits, hits * 0.2, hits * -0.1), Grid(hits, hits * 0.8, hits * 0.3)
    placed = latent_morph(first, last, (NOTHING.window(0, 4),) * 3, 0.25)
    assert placed.velocities[0, 0] == pytest.approx(0.35)
    assert placed.offsets[0, 0] == pytest.approx(0.0, abs=1e-6)


def able(engine: Engine, *tasks: str, **changes: object) -> Engine:
    """Returns the model that ships as if it had been trained for other tasks."""
    return Engine(OnnxModel(replace(engine.info, tasks=tasks, **changes), engine.model.graphs))


@pytest.fixture(scope="module")
def drumifier(engine: Engine) -> Engine:
    return able(engine, "drumify")


@pytest.fixture(scope="module")
def infiller(engine: Engine) -> Engine:
    return able(engine, "infill")


RHYTHM = Grid.from_onsets([Onset(beat + late, 1, loud) for beat in range(16) for late, loud in ((0.03, 0.9), (0.45, 0.31))])
"""Eighths on the snare, the loud ones late and the soft ones early."""


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_tapped_hit_keeps_its_velocity_and_offset(drumifier: Engine, temperature: float) -> None:
    played = drumifier.drumify(RHYTHM, seed=3, temperature=temperature)
    answered = 0
    for step in np.flatnonzero(RHYTHM.hits[:, 1]):
        is_hit = played.hits[step] > 0
        same = (played.velocities[step] == RHYTHM.velocities[step, 1]) & (played.offsets[step] == RHYTHM.offsets[step, 1])
        assert (is_hit & same).any() == is_hit.any()
        answered += bool(is_hit.any())
    assert answered > 8


def test_drumify_ignores_the_voice_of_a_tap(drumifier: Engine) -> None:
    moved = Grid(*(np.roll(array, 4, axis=1) for array in RHYTHM.arrays()))
    assert drumifier.drumify(moved, seed=1) == drumifier.drumify(RHYTHM, seed=1)


def test_another_rhythm_gets_another_groove(drumifier: Engine, groove: Grid) -> None:
    assert drumifier.drumify(RHYTHM) != drumifier.drumify(groove)


def test_infill_returns_the_other_voices_exactly(infiller: Engine, groove: Grid) -> None:
    played = Grid(groove.hits, groove.velocities * 0.77, groove.hits * 0.123)
    filled = infiller.infill(played, [0, 2], seed=5, temperature=1.0)
    others = [1, 3, 4, 5, 6, 7, 8]
    for before, after in zip(played.arrays(), filled.arrays(), strict=True):
        assert np.array_equal(before[:, others], after[:, others])
    assert filled.hits[:, [0, 2]].any()


def test_infill_ignores_the_given_hits_of_the_new_voices(infiller: Engine, groove: Grid) -> None:
    without = Grid(*(np.where(np.arange(9) == 2, 0, array) for array in groove.arrays()))
    assert infiller.infill(groove, [2], seed=5) == infiller.infill(without, [2], seed=5)


@pytest.mark.parametrize("voices", [[], [9], [0, -1]])
def test_unknown_voices_are_refused(infiller: Engine, groove: Grid, voices: list[int]) -> None:
    with pytest.raises(BundleError, match=r"from 0 \(kick\) to 8 \(ride\)"):
        infiller.infill(groove, voices)


@pytest.mark.parametrize("steps", [0, 16, 100])
def test_grids_of_any_length_are_drumified_and_infilled(drumifier: Engine, infiller: Engine, groove: Grid, steps: int) -> None:
    grid = Grid(*(np.tile(array, (2, 1))[:steps] for array in groove.arrays()))
    assert drumifier.drumify(grid).steps == steps
    assert infiller.infill(grid, [0]).steps == steps


def test_an_interpolation_begins_and_ends_with_reconstructions(engine: Engine) -> None:
    first, last = (grid_to_groove(grid) for grid in engine.generate(seed=4, count=2))
    path = engine.interpolate(first, last, 5)
    assert path.shape == (5, 64, 27)
    assert np.array_equal(path[[0, -1]], engine.reconstruct(np.stack([first, last])))
    assert not np.array_equal(path[0], path[2])
    with pytest.raises(BundleError, match="two at least"):
        engine.interpolate(first, last, 1)


def test_a_reconstruction_does_not_depend_on_the_batch(engine: Engine, groove: Grid) -> None:
    loops = np.tile(grid_to_groove(groove), (300, 1, 1))
    loops[299] = 0
    written = engine.reconstruct(loops)
    assert written.shape == (300, 64, 27)
    assert np.allclose(written[299], engine.reconstruct(loops[299:])[0], atol=1e-5)
    assert engine.reconstruct(loops[:0]).shape == (0, 64, 27)


def test_loops_of_another_shape_are_refused(engine: Engine) -> None:
    with pytest.raises(BundleError, match=r"reads loops of shape \(64, 27\), not \(32, 27\)"):
        engine.reconstruct(np.zeros((1, 32, 27), np.float32))


def test_a_bundle_of_melodies_refuses_drums_and_one_of_drums_refuses_melodies(engine: Engine, groove: Grid) -> None:
    tunes = able(engine, "generate", "humanize", "drumify", "infill", "reconstruct", encoding="melody")
    calls = {
        "generate": lambda: tunes.generate(0),
        "humanize": lambda: tunes.humanize(groove),
        "drumify": lambda: tunes.drumify(groove),
        "infill": lambda: tunes.infill(groove, [0]),
    }
    for task, ask in calls.items():
        with pytest.raises(BundleError, match=rf"writes melodies and was asked to {task} drums"):
            ask()
    for ask in (lambda: tunes.vary(groove, 0.5, 0), lambda: tunes.morph(groove, groove, 0.5)):
        with pytest.raises(BundleError, match="writes melodies and was asked to reconstruct drums"):
            ask()
    with pytest.raises(BundleError, match="writes drums and was asked to generate melodies"):
        engine.generate_melodies(0)


def test_an_unsupported_task_is_refused_with_the_supported_ones(engine: Engine, groove: Grid) -> None:
    only = able(engine, "generate")
    loop = grid_to_groove(groove)
    calls = {
        "humanize": lambda: only.humanize(groove),
        "drumify": lambda: only.drumify(groove),
        "infill": lambda: only.infill(groove, [0]),
        "reconstruct": lambda: only.reconstruct(loop[None]),
    }
    through_the_latent = (
        lambda: only.interpolate(loop, loop, 3),
        lambda: only.vary(groove, 0.5, 0),
        lambda: only.morph(groove, groove, 0.5),
        lambda: only.continue_from(groove, 1, 0, 0.2),
    )
    for task, ask in calls.items():
        with pytest.raises(BundleError, match=rf"cannot {task}; it can generate\."):
            ask()
    for way in through_the_latent:
        with pytest.raises(BundleError, match="cannot reconstruct; it can generate"):
            way()


def test_the_engine_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from drumvae.inference.engine import Engine; print(Engine.load().generate(0)[0].steps)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "64\n"
    assert result.stderr == ""
