"""A corpus in, batches of examples out, for PyTorch's loaders: a step of the optimiser is the same however it is divided."""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from drumvae.music.grid import Array
from drumvae.util.errors import RunError

from ..data.corpus import Corpus
from ..data.labels import WindowLabels
from .config import TrainConfig, too_small
from .drummer_batches import BatchBuilder
from .vae_batches import draw_example

VALIDATION_BATCH = 512
"""Most windows that are validated at once; fewer where training reads few, since they need a quarter of the memory without gradients."""

Batch = tuple[Tensor, ...]
"""Training: the fields of `examples.Example`. Validation: loops and their tempi in bpm, (n,)."""


class MicroBatch(NamedTuple):
    """The share of a step that one process reads at once."""

    step: int
    """The step of the optimiser, from 0."""
    first: int
    """The place of its first window in the step."""
    windows: NDArray[np.int64]
    """The numbers of the windows."""


class BatchSampler(Sampler[MicroBatch]):
    """Yields a process's parts of one step after the other, without end, in an order drawn from the seed and the epoch alone.

    It begins at the step that `at_step` names, so that a resumed run reads what an uninterrupted one would have read. What is left
    over at the end of an epoch, less than a step, is read in another one.
    """

    def __init__(self, config: TrainConfig, windows: NDArray[np.int64], rank: int, world: int, at_step: Callable[[], int]) -> None:
        self.config, self.windows, self.rank, self.world, self.at_step = config, windows, rank, world, at_step
        self.epoch_steps = len(windows) // config.batch_size
        self.size = micro_batch_size(config, world)

    def __iter__(self) -> Iterator[MicroBatch]:
        for step in count(self.at_step()):
            epoch, done = divmod(step, self.epoch_steps)
            order = self._order(epoch)
            for part in range(self.config.accumulate):
                first = (part * self.world + self.rank) * self.size
                start = done * self.config.batch_size + first
                yield MicroBatch(step, first, order[start : start + self.size])

    @lru_cache(maxsize=1)  # noqa: B019  # the sampler lives as long as the run
    def _order(self, epoch: int) -> NDArray[np.int64]:
        return self.windows[np.random.default_rng([self.config.seed, epoch]).permutation(len(self.windows))]


def micro_batch_size(config: TrainConfig, world: int) -> int:
    """Returns how many windows each of `world` processes reads at once; raises RunError where a step does not fall into such parts."""
    parts = config.accumulate * world
    if config.batch_size % parts:
        raise RunError(
            f"A batch of {config.batch_size} does not fall into {config.accumulate} parts on each of {world} devices;"
            f" type --batch-size {math.ceil(config.batch_size / parts) * parts}."
        )
    return config.batch_size // parts


class TrainDataset(Dataset[Batch]):
    """The examples of a part of a step."""

    def __init__(self, config: TrainConfig, corpus: Corpus, windows: NDArray[np.int64]) -> None:
        self.config, self.corpus, self.teacher = config, corpus, None
        if config.model.family == "drummer":
            self.teacher = BatchBuilder(config, WindowLabels(corpus, config.model.styles), corpus.loops, windows)

    def __getitem__(self, part: MicroBatch) -> Batch:
        example: tuple[Array, ...]
        if self.teacher:
            example = self.teacher.lesson(part.windows, self.config.seed, part.step, part.first)
        else:
            example = draw_example(self.config, self.corpus.loops(part.windows), self.config.seed, part.step, part.first)
        return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in example)


class ValDataset(Dataset[Batch]):
    """Windows as they are, with their tempi."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def __getitem__(self, windows: NDArray[np.int64]) -> Batch:
        bpm = np.asarray(self.corpus.window_bpm[windows], np.float32)
        return torch.from_numpy(self.corpus.loops(windows)), torch.from_numpy(bpm)


class WindowData(L.LightningDataModule):
    """Gives the loop its loaders, once it is known how many processes there are."""

    def __init__(self, config: TrainConfig, corpus: Corpus) -> None:
        super().__init__()
        self.config, self.corpus = config, corpus
        self.training = corpus.windows("train")
        self.validation = spread(corpus.windows("validation"), config.validation_windows)
        if len(self.training) < config.batch_size:
            raise RunError(too_small(config, len(self.training), corpus.rejected))

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        parts = BatchSampler(self.config, self.training, self.trainer.global_rank, self.trainer.world_size, self._step)
        workers = 2 if torch.cuda.is_available() else 0  # on a CPU the model needs every core itself
        drills = TrainDataset(self.config, self.corpus, self.training)
        # without a length: Lightning counts steps, and a run resumes at any of them
        return DataLoader(drills, sampler=parts, batch_size=None, num_workers=workers, pin_memory=workers > 0)

    def val_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        world = self.trainer.world_size
        if len(self.validation) < world:
            raise RunError(f"There are {len(self.validation)} windows to validate on {world} devices; add takes, or type --devices 1.")
        mine = self.validation[self.trainer.global_rank :: world]
        size = min(VALIDATION_BATCH, max(4 * micro_batch_size(self.config, world), 64))
        batches = [mine[first : first + size] for first in range(0, len(mine), size)]
        return DataLoader(ValDataset(self.corpus), sampler=batches, batch_size=None)

    def _step(self) -> int:
        assert self.trainer is not None
        return self.trainer.global_step


def spread(windows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Returns at most so many windows, evenly spread over all of them."""
    return windows[:: max(math.ceil(len(windows) / most), 1)]
