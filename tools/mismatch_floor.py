"""Prints the lowest loss that a categorical decoder can reach on groove tensors, which explains why that pair did not converge.

    python tools/mismatch_floor.py DATA

A softmax over the 27 columns of a step is scored by cross-entropy against the step itself. A step holds several hits, their velocities
and offsets, so that its cross-entropy is above zero even for a decoder that knows every step; a negative offset rewards being wrong.
"""

import sys
from pathlib import Path

import numpy as np

from drumvae.trainer.data.corpus import load_corpus


def main() -> None:
    """Prints the loss of the best constant prediction and of a perfect prediction, in nats per window."""
    corpus = load_corpus(Path(sys.argv[1]))
    grooves = corpus.grooves(corpus.windows("train")[::10])  # overlapping windows: every tenth says the same
    grooves[..., 18:] *= -1  # the published tensors count early as positive
    target = np.clip(grooves, 0, None)  # negative values would have a negative loss
    constant = target.mean(axis=(0, 1)) / target.mean(axis=(0, 1)).sum()
    total = target.sum(axis=-1, keepdims=True)
    perfect = np.where(total > 0, target / np.maximum(total, 1e-9), 1.0)
    for name, likely in (("best constant guess", constant), ("every step known", perfect)):
        cost = -(target * np.log(np.maximum(likely, 1e-12))).sum(axis=(1, 2)).mean()
        print(f"{name:<20} {cost:6.1f} nats a window")


if __name__ == "__main__":
    main()
