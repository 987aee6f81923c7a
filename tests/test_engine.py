import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drumvae.bundle import BundleInfo
from drumvae.engine import Engine
from drumvae.errors import BundleError
from drumvae.grid import Grid, Onset
from drumvae.latents import spherical_path
from drumvae.runtime import choose_provider, open_session
from drumvae.tensors import grid_to_groove


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(provider="cpu")


def test_the_same_seed_gives_the_same_loop(engine: Engine) -> None:
    assert engine.generate(seed=7) == Engine.load(provider="cpu").generate(seed=7)


def test_another_seed_gives_another_loop(engine: Engine) -> None:
    assert engine.generate(seed=7) != engine.generate(seed=8)


def test_a_seeds_loops_do_not_depend_on_how_many_are_asked_for(engine: Engine) -> None:
    many = engine.generate(seed=3, count=5)
    assert np.array_equal(many[0].hits, engine.generate(seed=3)[0].hits)
    assert np.array_equal(many[1].hits, engine.generate(seed=3, count=2)[1].hits)
    assert len({loop.hits.tobytes() for loop in many}) == 5


def test_loops_are_four_bars_with_hits_velocities_and_offsets(engine: Engine) -> None:
    loops = engine.generate(seed=0, count=16)
    assert {loop.steps for loop in loops} == {64}
    struck = np.stack([loop.hits for loop in loops]) > 0
    assert 0.02 < struck.mean() < 0.4
    assert np.stack([loop.velocities for loop in loops])[struck].min() > 0
    assert np.ptp(np.stack([loop.offsets for loop in loops])[struck]) > 0


def test_temperature_zero_leaves_nothing_to_chance_but_the_latent(engine: Engine) -> None:
    latent = np.random.default_rng(0).standard_normal((2, engine.info.latent_size), np.float32)
    noise = [np.random.default_rng(seed).random((2, 64, 9), np.float32) for seed in (1, 2)]
    cold = [engine.decode(latent, n, temperature=0.0) for n in noise]
    assert np.array_equal(*cold)
    assert not np.array_equal(*(engine.decode(latent, n, temperature=1.0) for n in noise))


def test_humanize_keeps_every_hit_and_changes_how_it_is_played(engine: Engine, groove: Grid) -> None:
    played = engine.humanize(groove)
    assert np.array_equal(played.hits, groove.hits)
    struck = groove.hits > 0
    assert np.abs(played.offsets - groove.offsets)[struck].max() > 0.01
    assert np.abs(played.velocities - groove.velocities)[struck].max() > 0.01


def test_amount_zero_is_as_played_and_the_middle_lies_between(engine: Engine, groove: Grid) -> None:
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
def test_draws_out_of_range_are_refused(engine: Engine, wrong: dict[str, float]) -> None:
    with pytest.raises(BundleError, match="asked for"):
        engine.generate(**({"seed": 0} | wrong))  # type: ignore[arg-type]


def able(engine: Engine, *tasks: str, **changes: object) -> Engine:
    """Returns the model that ships as if it had been trained for other tasks."""
    return Engine(replace(engine.info, tasks=tasks, **changes), engine._encoder, engine._decoder, "cpu")


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
        struck = played.hits[step] > 0
        same = (played.velocities[step] == RHYTHM.velocities[step, 1]) & (played.offsets[step] == RHYTHM.offsets[step, 1])
        assert (struck & same).any() == struck.any()
        answered += bool(struck.any())
    assert answered > 8


def test_what_was_tapped_is_read_whatever_drum_it_was_tapped_on(drumifier: Engine) -> None:
    moved = Grid(*(np.roll(array, 4, axis=1) for array in RHYTHM.arrays()))
    assert drumifier.drumify(moved, seed=1) == drumifier.drumify(RHYTHM, seed=1)


def test_another_rhythm_gets_another_groove(drumifier: Engine, groove: Grid) -> None:
    assert drumifier.drumify(RHYTHM) != drumifier.drumify(groove)


def test_voices_that_are_not_filled_in_come_back_exactly(infiller: Engine, groove: Grid) -> None:
    played = Grid(groove.hits, groove.velocities * 0.77, groove.hits * 0.123)
    filled = infiller.infill(played, [0, 2], seed=5, temperature=1.0)
    others = [1, 3, 4, 5, 6, 7, 8]
    for before, after in zip(played.arrays(), filled.arrays(), strict=True):
        assert np.array_equal(before[:, others], after[:, others])
    assert filled.hits[:, [0, 2]].any()


def test_what_a_grid_holds_of_the_voices_to_fill_in_is_not_heard(infiller: Engine, groove: Grid) -> None:
    without = Grid(*(np.where(np.arange(9) == 2, 0, array) for array in groove.arrays()))
    assert infiller.infill(groove, [2], seed=5) == infiller.infill(without, [2], seed=5)


@pytest.mark.parametrize("voices", [[], [9], [0, -1]])
def test_voices_that_are_none_are_refused(infiller: Engine, groove: Grid, voices: list[int]) -> None:
    with pytest.raises(BundleError, match=r"from 0 \(kick\) to 8 \(ride\)"):
        infiller.infill(groove, voices)


@pytest.mark.parametrize("steps", [0, 16, 100])
def test_grids_of_any_length_are_drumified_and_filled_in(drumifier: Engine, infiller: Engine, groove: Grid, steps: int) -> None:
    grid = Grid(*(np.tile(array, (2, 1))[:steps] for array in groove.arrays()))
    assert drumifier.drumify(grid).steps == steps
    assert infiller.infill(grid, [0]).steps == steps


def test_a_path_between_loops_begins_and_ends_with_what_they_are_reconstructed_as(engine: Engine) -> None:
    first, last = (grid_to_groove(grid) for grid in engine.generate(seed=4, count=2))
    path = engine.interpolate(first, last, 5)
    assert path.shape == (5, 64, 27)
    assert np.array_equal(path[[0, -1]], engine.reconstruct(np.stack([first, last])))
    assert not np.array_equal(path[0], path[2])
    with pytest.raises(BundleError, match="two at least"):
        engine.interpolate(first, last, 1)


def test_loops_are_reconstructed_the_same_alone_and_among_many(engine: Engine, groove: Grid) -> None:
    loops = np.tile(grid_to_groove(groove), (300, 1, 1))
    loops[299] = 0
    written = engine.reconstruct(loops)
    assert written.shape == (300, 64, 27)
    assert np.allclose(written[299], engine.reconstruct(loops[299:])[0], atol=1e-5)
    assert engine.reconstruct(loops[:0]).shape == (0, 64, 27)


def test_loops_of_another_shape_are_refused(engine: Engine) -> None:
    with pytest.raises(BundleError, match=r"reads loops of shape \(64, 27\), not \(32, 27\)"):
        engine.reconstruct(np.zeros((1, 32, 27), np.float32))


def test_a_draw_above_the_coldest_needs_noise(engine: Engine) -> None:
    with pytest.raises(ValueError, match="needs noise"):
        engine.decode(np.zeros((1, 256), np.float32), temperature=0.5)


class FormerDecoder:
    """A decoder that was exported before loops could be shown to one; it answers silence."""

    inputs = frozenset(("latent", "noise", "temperature", "thresholds", "locked_hits", "locked"))

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert feeds.keys() == self.inputs
        return [np.zeros((len(feeds["latent"]), 64, 27), np.float32)]


def test_a_bundle_that_cannot_be_forced_plays_and_says_so_when_it_is_asked_to(engine: Engine) -> None:
    former = Engine(engine.info, engine._encoder, FormerDecoder(), "cpu")  # type: ignore[arg-type]
    assert engine.can_force
    assert not former.can_force
    assert former.decode(np.zeros((2, 256), np.float32)).shape == (2, 64, 27)
    with pytest.raises(BundleError, match="cannot be shown a true loop"):
        former.decode(np.zeros((2, 256), np.float32), known=np.zeros((2, 64, 27), np.float32), forced=np.ones((2, 64), np.float32))


def test_drums_are_not_asked_of_melodies_nor_melodies_of_drums(engine: Engine, groove: Grid) -> None:
    tunes = able(engine, "generate", "humanize", "drumify", "infill", encoding="melody")
    asked = (lambda: tunes.generate(0), lambda: tunes.humanize(groove), lambda: tunes.drumify(groove), lambda: tunes.infill(groove, [0]))
    for ask in asked:
        with pytest.raises(BundleError, match=r"writes melodies and was asked to \w+ drums"):
            ask()
    with pytest.raises(BundleError, match="writes drums and was asked to generate melodies"):
        engine.generate_melodies(0)


def test_an_arc_keeps_the_size_of_its_ends_and_its_angles_are_even() -> None:
    draw = np.random.default_rng(0)
    ends = draw.standard_normal((2, 64)).astype(np.float32)
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    path = spherical_path(ends[0], ends[1], 7)
    assert np.allclose(path[[0, -1]], ends, atol=1e-6)
    assert np.allclose(np.linalg.norm(path, axis=1), 1, atol=1e-6)
    cosines = (path[1:] * path[:-1]).sum(axis=1)
    assert np.ptp(cosines) < 1e-6


@pytest.mark.parametrize(("first", "last"), [([0, 0], [0, 0]), ([0, 0], [2, 0]), ([1, 0], [3, 0]), ([1, 0], [-3, 0])])
def test_a_path_without_one_arc_is_straight(first: list[float], last: list[float]) -> None:
    path = spherical_path(np.array(first, np.float32), np.array(last, np.float32), 3)
    assert np.allclose(path, [first, np.mean([first, last], axis=0), last])


def test_a_task_that_the_bundle_cannot_do_lists_those_it_can(engine: Engine, groove: Grid) -> None:
    only = able(engine, "generate")
    loop = grid_to_groove(groove)
    asked = {
        "humanize": lambda: only.humanize(groove),
        "drumify": lambda: only.drumify(groove),
        "infill": lambda: only.infill(groove, [0]),
        "reconstruct": lambda: only.reconstruct(loop[None]),
    }
    for task, ask in asked.items():
        with pytest.raises(BundleError, match=rf"cannot {task}; it can generate\."):
            ask()
    with pytest.raises(BundleError, match="cannot reconstruct; it can generate"):
        only.interpolate(loop, loop, 3)


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(BundleError, match="cuda"):
        choose_provider("cude")


def test_cuda_asked_for_and_absent_says_what_to_type() -> None:
    if choose_provider("auto") == "cuda":
        pytest.skip("this machine has CUDA")
    with pytest.raises(BundleError, match="--provider cpu or auto"):
        Engine.load(provider="cuda")


@pytest.mark.parametrize("fails", ["opening", "running"])
def test_auto_falls_back_to_the_cpu_where_cuda_is_there_but_does_not_work(monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    class Broken:
        inputs = frozenset({"latent"})

        def run(self, feeds: object) -> list[np.ndarray]:
            raise BundleError("no cuDNN")

    def opened(folder: Path, name: str, info: BundleInfo, provider: str, threads: int) -> object:
        if provider == "cpu":
            return open_session(folder, name, info, provider, threads)
        if fails == "opening":
            raise BundleError("no cuBLAS")
        return Broken()

    monkeypatch.setattr("drumvae.codec.choose_provider", lambda wanted: "cuda")
    monkeypatch.setattr("drumvae.codec.open_session", opened)
    engine = Engine.load(provider="auto")
    assert engine.provider == "cpu"
    assert engine.generate(seed=0)[0].steps == 64
    with pytest.raises(BundleError, match="no cu"):
        Engine.load(provider="cuda")


def test_the_engine_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from drumvae.engine import Engine; print(Engine.load().generate(0)[0].steps)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "64\n"
    assert result.stderr == ""
