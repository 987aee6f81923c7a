"""Finds the role of this process in a distributed run, from the environment of torchrun or of Lightning's launcher."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def is_first_process() -> bool:
    """Returns whether this process prints and writes files; always true in a run of one process."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def torchrun_layout() -> tuple[int, int] | None:
    """Returns the processes on each machine and the number of machines, or None if torchrun did not start this process."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    local_world_size = int(os.environ["LOCAL_WORLD_SIZE"])
    return local_world_size, int(os.environ["WORLD_SIZE"]) // local_world_size


def shared_run_name(name: str) -> str:
    """Returns the first process's name of the run; the processes that it starts inherit the name in their environment."""
    if is_first_process():
        os.environ["DRUMVAE_RUN"] = name
    return os.environ.get("DRUMVAE_RUN", name)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Lets the processes of torchrun on this machine read a corpus in turn, so that the first one builds the cache for all."""
    if not torchrun_layout():
        yield
        return
    from filelock import FileLock
    from platformdirs import user_cache_path

    with FileLock(user_cache_path("drumvae", ensure_exists=True) / "corpus.lock"):
        yield
