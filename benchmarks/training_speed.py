"""Compares the speed of drumvae-train's loop with a bare PyTorch loop over the same module and batches.

The bare loop has its batches in memory and only runs forward, backward, clip and step. Both loops alternate; the medians of their
rounds are compared.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from drumvae.midi.io import write_midi
from drumvae.music.grid import Grid
from drumvae.trainer.data.corpus import Corpus, load_corpus
from drumvae.trainer.training.config import TrainConfig
from drumvae.trainer.training.datamodule import BatchSampler, TrainDataset
from drumvae.trainer.training.drummer_batches import map_batches
from drumvae.trainer.training.presets import preset
from drumvae.trainer.training.train import train
from drumvae.trainer.training.vae_module import VAEModule


def random_corpus(folder: Path) -> Corpus:
    """Returns a corpus of random takes; the speed does not depend on their content."""
    draw = np.random.default_rng(0)
    for number in range(40):
        hits = (draw.random((16 * 64, 9)) < 0.13).astype(np.float32)
        write_midi(
            folder / "takes" / f"{number}.mid", Grid(hits, hits * draw.random(hits.shape), hits * (draw.random(hits.shape) - 0.5)), 120
        )
    return load_corpus(folder / "takes", cache=folder / "cache")


def bare_seconds(config: TrainConfig, corpus: Corpus, steps: int, device: str) -> float:
    """Returns the seconds per step of forward, backward, clip and Adam."""
    module = VAEModule(config).to(device).train()
    optimizer = torch.optim.Adam(module.parameters(), config.learning_rate)
    windows = corpus.windows("train")
    dataset = TrainDataset(config, corpus, windows)
    micro_batches = islice(BatchSampler(config, windows, 0, 1, lambda: 0), steps + 1)
    batches = [map_batches(lambda array: torch.from_numpy(array).to(device), dataset[each]) for each in micro_batches]
    durations_s = []
    for batch in batches:
        start_s = time.perf_counter()
        optimizer.zero_grad()
        module.batch_losses(batch)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.gradient_clip)
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
        durations_s.append(time.perf_counter() - start_s)
    return statistics.fmean(durations_s[1:])  # the first step also selects algorithms


def loop_seconds(config: TrainConfig, corpus: Corpus, steps: int, run: Path) -> float:
    """Returns the seconds per step of drumvae-train's loop, with reading, logging and progress bar."""
    times_s: list[float] = []
    original = VAEModule.on_train_batch_start

    def timed(self: VAEModule, *arguments: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times_s.append(time.perf_counter())
        original(self, *arguments)  # type: ignore[arg-type]

    VAEModule.on_train_batch_start = timed  # type: ignore[method-assign, assignment]
    try:
        train(replace(config, max_steps=steps + 2, validate_every=10_000, validation_windows=8), corpus, run)
    finally:
        VAEModule.on_train_batch_start = original  # type: ignore[method-assign]
    return (times_s[-1] - times_s[1]) / (len(times_s) - 2)


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder or zip of MIDI files (default: random takes)")
    parser.add_argument("--preset", default="groovae_4bar")
    parser.add_argument("--batch-size", type=int, default=None, help="windows in a step (default: from the preset)")
    parser.add_argument("--steps", type=int, default=4, help="steps in a round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    config = preset(arguments.preset)
    config = replace(config, batch_size=arguments.batch_size or config.batch_size)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        corpus = load_corpus(arguments.data) if arguments.data else random_corpus(folder)
        rounds = [
            (bare_seconds(config, corpus, arguments.steps, device), loop_seconds(config, corpus, arguments.steps, folder / f"run{number}"))
            for number in range(arguments.rounds)
        ]
    bare, loop = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{config.preset}, batches of {config.batch_size}, {device}, {torch.get_num_threads()} threads, {arguments.rounds} rounds")
    print(f"bare loop      {bare:7.3f} s per step, {config.batch_size / bare:8.0f} windows per second")
    print(f"drumvae-train  {loop:7.3f} s per step, {config.batch_size / loop:8.0f} windows per second")
    print(f"speed relative to the bare loop: {bare / loop:.2f}")


if __name__ == "__main__":
    main()
