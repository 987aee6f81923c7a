"""A model that does what it is told, for tests of what runs models: it and its loaders pickle, and are quickly imported elsewhere."""

import os
import time
from pathlib import Path

import numpy as np

from drumvae.live.generation.modes import Job
from drumvae.live.looper.player import Loop
from drumvae.music.grid import Grid
from drumvae.util.errors import BundleError


class Puppet:
    """Stands for a model; it does what the mode of a job says."""

    tasks, provider, encoding, steps, provider_reason, styles = ("generate",), "cpu", "groove", 64, "", ()

    def pop_notice(self) -> None:
        return None


def do(_: object, job: Job) -> Loop:
    """Makes a loop, unless the job's mode is a mishap."""
    if job.mode == "raise":
        raise RuntimeError("out of memory")
    if job.mode == "die":
        os._exit(3)
    if job.mode == "hang":
        time.sleep(600)
    return Loop(job.index, grid(job.seed), job.seed, "made")


def grid(seed: int) -> Grid:
    """Returns a loop that a seed tells apart."""
    draw = np.random.default_rng(seed)
    return Grid(draw.random((64, 9)) < 0.2, draw.random((64, 9)), draw.uniform(-0.4, 0.4, (64, 9)))


def load_missing() -> Puppet:
    raise BundleError("There is no bundle in that folder; name another.")


def load_badly() -> Puppet:
    raise KeyError("a bug")


def load_dying() -> Puppet:
    os._exit(7)


def load_slowly() -> Puppet:
    time.sleep(600)
    return Puppet()


def load_loudly() -> Puppet:
    print("a banner")
    os.write(1, b"a library's banner")
    os.write(2, b"a library's warning")
    return Puppet()


def load_if_there(path: Path) -> Puppet:
    return Puppet() if path.exists() else load_missing()


def job(index: int, mode: str = "loop", given: tuple[Grid, ...] = ()) -> Job:
    """Asks for a loop, or for a mishap."""
    return Job(index, index + 10, mode, given)
