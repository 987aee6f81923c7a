import threading

from helpers.puppet import grid, job
from helpers.puppet import make as make_with
from helpers.thread_generator import ThreadGenerator

from drumvae.live.generation.generator import run_job
from drumvae.live.generation.modes import Job, loop_seed
from drumvae.live.looper.loop import Loop


def make(order: Job) -> Loop:
    return make_with(None, order)


def test_a_loop_is_returned_once() -> None:
    generator = ThreadGenerator(make)
    assert generator.poll() is None
    generator.submit(job(0))
    assert generator.busy
    generator.run_next()
    assert generator.busy  # until it is polled, or two jobs would be submitted
    assert generator.poll() == Loop(0, grid(10), 10, "made")
    assert (generator.busy, generator.poll()) == (False, None)


def test_a_failing_model_is_reported_and_may_succeed_again() -> None:
    generator = ThreadGenerator(make)
    generator.submit(job(0, "raise"))
    generator.submit(job(1))
    generator.run_next()
    assert generator.error == "The model failed on loop 0 (RuntimeError: out of memory); the last loop plays on."
    assert generator.poll() is None
    generator.run_next()
    assert generator.poll() is not None
    assert (generator.error, generator.busy) == (None, False)


def test_a_result_is_a_loop_or_an_error_and_never_both() -> None:
    assert run_job(make, job(0)) == (Loop(0, grid(10), 10, "made"), None)
    assert run_job(make, job(3, "raise")) == (None, "The model failed on loop 3 (RuntimeError: out of memory); the last loop plays on.")


def test_the_thread_ends_when_it_is_closed() -> None:
    before = set(threading.enumerate())
    generator = ThreadGenerator(make)
    generator.submit(job(0))
    generator.start()
    generator.wait_for_first(10)
    assert generator.poll() is not None
    (thread,) = set(threading.enumerate()) - before
    generator.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_seed_and_an_index_always_give_the_same_loop_seed() -> None:
    """These numbers are a promise: a session can be repeated with a later version."""
    assert [loop_seed(1, 0), loop_seed(1, 1), loop_seed(2, 0)] == [1835504127, 1189033389, 2834126987]


def test_loop_seeds_of_neighbouring_sessions_and_loops_differ() -> None:
    seeds = {loop_seed(seed, index) for seed in range(30) for index in range(30)}
    assert len(seeds) == 900
