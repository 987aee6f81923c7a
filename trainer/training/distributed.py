"""The environment of a launcher in, this process's place among those that train together out."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def first_process() -> bool:
    """Says whether this process is the one that speaks and writes; the only one, where nobody launched several."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))


def launched() -> tuple[int, int] | None:
    """Returns processes a machine and machines where torchrun started this process, else None."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def shared_name(name: str) -> str:
    """Returns the name that the first process chose, for those that it starts; they inherit its environment."""
    if first_process():
        os.environ["DRUMVAE_RUN"] = name
    return os.environ.get("DRUMVAE_RUN", name)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Lets the processes that torchrun started on a machine read a corpus one after the other: the first prepares it for all."""
    if not launched():
        yield
        return
    from filelock import FileLock
    from platformdirs import user_cache_path

    with FileLock(user_cache_path("drumvae", ensure_exists=True) / "corpus.lock"):
        yield
