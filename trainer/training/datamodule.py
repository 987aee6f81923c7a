"""Loads the batches of a corpus for training and validation.

A step of the optimizer consists of the same windows and random numbers, however it is divided among processes and micro-batches.
"""

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

from drumvae.models.config import DrummerConfig
from drumvae.music.grid import Array
from drumvae.util.errors import RunError

from ..data.corpus import Corpus
from ..data.labels import WindowLabels
from .config import TrainConfig, too_small
from .drummer_batches import BatchBuilder, DrummerBatch
from .vae_batches import VAEBatch, build_vae_batch

VALIDATION_BATCH = 512
"""Most windows in a validation batch; fewer for small training batches, which indicate little memory."""


class MicroBatch(NamedTuple):
    """The share of a step that one process reads at once."""

    step: int
    """The step of the optimizer, from 0."""
    first: int
    """The position of its first window in the step."""
    windows: NDArray[np.int64]
    """The indices of the windows; (n,)."""


class BatchSampler(Sampler[MicroBatch]):
    """Yields the micro-batches of one process, without end, in an order that depends on the seed and the epoch only.

    It starts at the step that `current_step` returns, so that a resumed run reads the same windows as an uninterrupted one. The last
    windows of an epoch, fewer than a step, are left out.
    """

    def __init__(
        self, config: TrainConfig, windows: NDArray[np.int64], rank: int, world_size: int, current_step: Callable[[], int]
    ) -> None:
        """Samples from `windows`, the indices of all training windows, for process `rank` of `world_size`."""
        self.config, self.windows, self.rank, self.world_size, self.current_step = config, windows, rank, world_size, current_step
        self.steps_per_epoch = len(windows) // config.batch_size
        self.size = micro_batch_size(config, world_size)

    def __iter__(self) -> Iterator[MicroBatch]:
        for step in count(self.current_step()):
            epoch, step_of_epoch = divmod(step, self.steps_per_epoch)
            order = self._order(epoch)
            for part in range(self.config.accumulate):
                first = (part * self.world_size + self.rank) * self.size
                start = step_of_epoch * self.config.batch_size + first
                yield MicroBatch(step, first, order[start : start + self.size])

    @lru_cache(maxsize=1)  # noqa: B019  # the sampler exists as long as the run
    def _order(self, epoch: int) -> NDArray[np.int64]:
        return self.windows[np.random.default_rng([self.config.seed, epoch]).permutation(len(self.windows))]


def micro_batch_size(config: TrainConfig, world_size: int) -> int:
    """Returns the number of windows that each process reads at once. Raises RunError if a batch cannot be divided equally.

    >>> micro_batch_size(TrainConfig(batch_size=512, accumulate=4), world_size=2)
    64
    """
    parts = config.accumulate * world_size
    if config.batch_size % parts:
        raise RunError(
            f"A batch of {config.batch_size} does not divide into {config.accumulate} parts on each of {world_size} devices;"
            f" type --batch-size {math.ceil(config.batch_size / parts) * parts}."
        )
    return config.batch_size // parts


class TrainDataset(Dataset[VAEBatch[Array] | DrummerBatch[Array]]):
    """Builds the training batch of a micro-batch, as arrays; the DataLoader converts them to tensors."""

    def __init__(self, config: TrainConfig, corpus: Corpus, windows: NDArray[np.int64]) -> None:
        self.config, self.corpus = config, corpus
        self.builder: BatchBuilder | None = None
        if isinstance(config.model, DrummerConfig):
            self.builder = BatchBuilder(config, WindowLabels(corpus, config.model.styles), corpus.loops, windows)

    def __getitem__(self, micro_batch: MicroBatch) -> VAEBatch[Array] | DrummerBatch[Array]:
        step, first, windows = micro_batch
        if self.builder:
            return self.builder.build(windows, self.config.seed, step, first)
        return build_vae_batch(self.config, self.corpus.loops(windows), self.config.seed, step, first)


class ValDataset(Dataset[tuple[Tensor, Tensor]]):
    """Reads windows without augmentation, with their tempi in beats a minute, (n,)."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus

    def __getitem__(self, windows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        bpm = np.asarray(self.corpus.window_bpm[windows], np.float32)
        return torch.from_numpy(self.corpus.loops(windows)), torch.from_numpy(bpm)


class WindowData(L.LightningDataModule):
    """Provides Lightning with the loaders of a corpus; the trainer knows the number of processes."""

    def __init__(self, config: TrainConfig, corpus: Corpus) -> None:
        super().__init__()
        self.config, self.corpus = config, corpus
        self.training = corpus.windows("train")
        self.validation = evenly_spaced(corpus.windows("validation"), config.validation_windows)
        if len(self.training) < config.batch_size:
            raise RunError(too_small(config, len(self.training), corpus.rejected))

    def train_dataloader(self) -> DataLoader[VAEBatch[Array] | DrummerBatch[Array]]:
        assert self.trainer is not None
        sampler = BatchSampler(self.config, self.training, self.trainer.global_rank, self.trainer.world_size, self._global_step)
        dataset = TrainDataset(self.config, self.corpus, self.training)
        workers = 2 if torch.cuda.is_available() else 0  # on a CPU, the model uses all cores
        return DataLoader(dataset, sampler=sampler, batch_size=None, num_workers=workers, pin_memory=workers > 0)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        assert self.trainer is not None
        world_size = self.trainer.world_size
        if len(self.validation) < world_size:
            raise RunError(f"There are {len(self.validation)} windows to validate on {world_size} devices; add takes, or type --devices 1.")
        windows = self.validation[self.trainer.global_rank :: world_size]
        size = min(VALIDATION_BATCH, max(4 * micro_batch_size(self.config, world_size), 64))
        batches = [windows[first : first + size] for first in range(0, len(windows), size)]
        return DataLoader(ValDataset(self.corpus), sampler=batches, batch_size=None)

    def _global_step(self) -> int:
        assert self.trainer is not None
        return self.trainer.global_step


def evenly_spaced(windows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Returns at most `most` of the windows, evenly spaced.

    >>> evenly_spaced(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    return windows[:: max(math.ceil(len(windows) / most), 1)]
