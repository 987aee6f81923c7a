import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drumvae.bundle import BundleInfo
from drumvae.engine import Engine
from drumvae.errors import BundleError
from drumvae.grid import Grid
from drumvae.runtime import choose_provider, open_session


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


def test_a_task_that_the_bundle_cannot_do_lists_those_it_can(engine: Engine, groove: Grid) -> None:
    only = Engine(replace(engine.info, tasks=("generate",)), engine._encoder, engine._decoder, "cpu")
    with pytest.raises(BundleError, match=r"cannot humanize; it can generate\."):
        only.humanize(groove)


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
        def run(self, feeds: object) -> list[np.ndarray]:
            raise BundleError("no cuDNN")

    def opened(folder: Path, name: str, info: BundleInfo, provider: str, threads: int) -> object:
        if provider == "cpu":
            return open_session(folder, name, info, provider, threads)
        if fails == "opening":
            raise BundleError("no cuBLAS")
        return Broken()

    monkeypatch.setattr("drumvae.engine.choose_provider", lambda wanted: "cuda")
    monkeypatch.setattr("drumvae.engine.open_session", opened)
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
