import pytest
from fakes import FakeEngine, random_grid

from drumvae.errors import BundleError, DrumVAEError
from drumvae.grid import Grid
from drumvae.live.controls import Controls
from drumvae.live.generator import Generator
from drumvae.live.modes import MODES, Job, loop_seed, make_loop, mode_named


def job(index: int = 0, played: Grid | None = None, controls: Controls | None = None) -> Job:
    return Job(index, loop_seed(1, index), played or Grid.empty(), controls or Controls())


def test_a_seed_and_an_index_always_give_the_same_loop_seed() -> None:
    """These numbers are a promise: a session can be repeated with a later version."""
    assert [loop_seed(1, 0), loop_seed(1, 1), loop_seed(2, 0)] == [1835504127, 1189033389, 2834126987]


def test_loop_seeds_of_neighbouring_sessions_and_loops_differ() -> None:
    seeds = {loop_seed(seed, index) for seed in range(30) for index in range(30)}
    assert len(seeds) == 900


def test_generate_asks_the_engine_with_seed_and_temperature() -> None:
    engine = FakeEngine()
    loop = make_loop(engine, MODES["generate"], job(3, controls=Controls(temperature=0.5)))
    assert engine.asked == [("generate", loop_seed(1, 3), 0.5)]
    assert (loop.index, loop.seed, loop.grid) == (3, loop_seed(1, 3), random_grid(loop_seed(1, 3)))


def test_humanize_asks_the_engine_with_what_was_played_and_the_amount() -> None:
    engine, played = FakeEngine(), random_grid(9)
    loop = make_loop(engine, MODES["humanize"], job(0, played, Controls(humanize=0.4)))
    assert engine.asked == [("humanize", played, 0.4, loop_seed(1, 0))]
    assert loop.grid == engine.humanize(played, 0.4)


def test_a_mode_that_the_bundle_lacks_is_refused_with_what_it_can_do() -> None:
    with pytest.raises(BundleError, match="cannot humanize; it can do generate: type --mode generate"):
        mode_named("humanize", FakeEngine(("generate",)))


def test_an_unknown_mode_is_refused_with_the_nearest() -> None:
    with pytest.raises(DrumVAEError, match="no mode 'humanise'; did you mean humanize"):
        mode_named("humanise", FakeEngine())


def test_a_loop_is_handed_over_once() -> None:
    generator = Generator(lambda asked: make_loop(FakeEngine(), MODES["generate"], asked))
    assert generator.take() is None
    generator.ask(job())
    assert generator.busy
    generator.work_once()
    assert generator.busy  # until it is taken, or two would be asked for
    loop = generator.take()
    assert loop is not None
    assert (loop.index, generator.busy, generator.take()) == (0, False, None)


def test_a_model_that_fails_is_told_of_and_may_succeed_again() -> None:
    engine, answers = FakeEngine(), [RuntimeError("out of memory"), None]

    def make(asked: Job) -> object:
        error = answers.pop(0)
        if error:
            raise error
        return make_loop(engine, MODES["generate"], asked)

    generator = Generator(make)  # type: ignore[arg-type]
    for index in range(2):
        generator.ask(job(index))
    generator.work_once()
    assert generator.trouble == "The model failed on loop 0 (RuntimeError: out of memory); the last loop plays on."
    assert generator.take() is None
    generator.work_once()
    assert generator.take() is not None
    assert (generator.trouble, generator.busy) == (None, False)


def test_the_worker_thread_ends_when_it_is_closed() -> None:
    generator = Generator(lambda asked: make_loop(FakeEngine(), MODES["generate"], asked))
    generator.ask(job())
    generator.start()
    generator.await_first(10)
    assert generator.take() is not None
    generator.close()
    generator._thread.join(10)
    assert not generator._thread.is_alive()
