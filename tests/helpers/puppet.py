"""A fake model for tests of its process: it succeeds, fails, hangs or dies, as the job's mode says. It pickles and imports quickly."""

import os
import time
from pathlib import Path

import numpy as np

from drumvae.live.generation.modes import Job
from drumvae.live.looper.loop import Loop
from drumvae.music.grid import Grid
from drumvae.util.errors import BundleError


class Puppet:
    """A model without a bundle."""

    tasks, provider, encoding, steps, provider_reason, styles = ("generate",), "cpu", "groove", 64, "", ()

    def pop_notice(self) -> None:
        return None


def make(_: object, job: Job) -> Loop:
    """Makes a loop, unless the mode of the job is a failure."""
    if job.mode == "raise":
        raise RuntimeError("out of memory")
    if job.mode == "die":
        os._exit(3)
    if job.mode == "hang":
        time.sleep(600)
    return Loop(job.index, grid(job.seed), job.seed, "made")


def grid(seed: int) -> Grid:
    """Returns a loop that depends on the seed."""
    draw = np.random.default_rng(seed)
    return Grid(draw.random((64, 9)) < 0.2, draw.random((64, 9)), draw.uniform(-0.4, 0.4, (64, 9)))


def load_missing() -> Puppet:
    raise BundleError("There is no bundle in that folder; name another.")


def load_with_a_bug() -> Puppet:
    raise KeyError("a bug")


def load_dying() -> Puppet:
    os._exit(7)


def load_slowly() -> Puppet:
    time.sleep(600)
    return Puppet()


def load_printing() -> Puppet:
    print("a banner")
    os.write(1, b"a library's banner")
    os.write(2, b"a library's warning")
    return Puppet()


def load_if_present(path: Path) -> Puppet:
    return Puppet() if path.exists() else load_missing()


def job(index: int, mode: str = "loop", inputs: tuple[Grid, ...] = ()) -> Job:
    """Returns a job that makes a loop, or that fails."""
    return Job(index, index + 10, mode, inputs)
