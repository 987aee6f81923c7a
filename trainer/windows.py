"""A corpus in, batches of groove tensors out, for PyTorch's loaders."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from drumvae.tensors import arrays_to_groove

from .corpus import Corpus


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """The windows of one split: groove tensors (S, 27) and their tempo in bpm."""

    def __init__(self, corpus: Corpus, split: str) -> None:
        self.corpus = corpus
        self.numbers = corpus.windows(split)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        grooves, bpm = self.batch([index])
        return grooves[0], bpm[0]

    def batch(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Returns groove tensors (n, S, 27) and tempi (n,), cut from the corpus in one go."""
        numbers = self.numbers[np.asarray(indices)]
        groove = arrays_to_groove(*self.corpus.arrays(numbers))
        return torch.from_numpy(groove), torch.from_numpy(np.asarray(self.corpus.window_bpm[numbers], np.float32))


def new_loader(windows: Windows, batch_size: int, shuffle: bool) -> DataLoader[tuple[Tensor, Tensor]]:
    """Returns a loader of whole batches; the last one may be smaller, so that a small data set still trains."""
    order = torch.utils.data.RandomSampler(windows) if shuffle else torch.utils.data.SequentialSampler(windows)
    batches = torch.utils.data.BatchSampler(order, batch_size, drop_last=False)
    return DataLoader(_Batched(windows), sampler=batches, batch_size=None)


class _Batched(Dataset[tuple[Tensor, Tensor]]):
    """Windows asked for a whole batch at a time."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        return self.windows.batch(indices)
