"""Prints how fast drumvae-train's loop trains, beside a bare loop over the same modules on the same batches, in one run.

The bare loop has its batches in memory beforehand and does nothing but forward, backward, clip and step. Both take turns, and the
medians of their rounds are compared.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from drumvae.midi.io import write_midi
from drumvae.music.grid import Grid
from drumvae.trainer.data.corpus import Corpus, load_corpus
from drumvae.trainer.training.config import TrainConfig
from drumvae.trainer.training.datamodule import BatchSampler, TrainDataset
from drumvae.trainer.training.presets import preset
from drumvae.trainer.training.train import train
from drumvae.trainer.training.vae_module import VAEModule


def made_corpus(folder: Path) -> Corpus:
    """Returns a corpus of random takes, for a machine without the data set: speed does not depend on what is played."""
    draw = np.random.default_rng(0)
    for number in range(40):
        hits = (draw.random((16 * 64, 9)) < 0.13).astype(np.float32)
        write_midi(
            folder / "takes" / f"{number}.mid", Grid(hits, hits * draw.random(hits.shape), hits * (draw.random(hits.shape) - 0.5)), 120
        )
    return load_corpus(folder / "takes", cache=folder / "cache")


def bare_seconds(config: TrainConfig, corpus: Corpus, steps: int, device: str) -> float:
    """Returns the seconds a step of forward, backward, clip and Adam."""
    task = VAEModule(config).to(device).train()
    optimiser = torch.optim.Adam(task.parameters(), config.learning_rate)
    parts = BatchSampler(config, corpus.windows("train"), 0, 1, lambda: 0)
    drills = TrainDataset(config, corpus)
    batches = [[field.to(device) for field in drills[part]] for part, _ in zip(parts, range(steps + 1), strict=False)]
    spent = []
    for batch in batches:
        began = time.perf_counter()
        optimiser.zero_grad()
        task._costs(*batch)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), config.gradient_clip)
        optimiser.step()
        if device != "cpu":
            torch.cuda.synchronize()
        spent.append(time.perf_counter() - began)
    return statistics.fmean(spent[1:])  # the first step also finds its algorithms


def loop_seconds(config: TrainConfig, corpus: Corpus, steps: int, run: Path) -> float:
    """Returns the seconds a step of drumvae-train's own loop, all that it reads, logs and draws counted in."""
    ends: list[float] = []
    before = VAEModule.on_train_batch_start

    def noted(self: VAEModule, *arguments: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        before(self, *arguments)  # type: ignore[arg-type]

    VAEModule.on_train_batch_start = noted  # type: ignore[method-assign, assignment]
    try:
        train(replace(config, max_steps=steps + 2, validate_every=10_000, validation_windows=8), corpus, run)
    finally:
        VAEModule.on_train_batch_start = before  # type: ignore[method-assign]
    return (ends[-1] - ends[1]) / (len(ends) - 2)


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder or zip of MIDI files; by default random takes")
    parser.add_argument("--preset", default="groovae_4bar")
    parser.add_argument("--batch-size", type=int, default=None, help="by default the preset's")
    parser.add_argument("--steps", type=int, default=4, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    config = preset(arguments.preset)
    config = replace(config, batch_size=arguments.batch_size or config.batch_size)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        corpus = load_corpus(arguments.data) if arguments.data else made_corpus(folder)
        rounds = [
            (bare_seconds(config, corpus, arguments.steps, device), loop_seconds(config, corpus, arguments.steps, folder / f"run{number}"))
            for number in range(arguments.rounds)
        ]
    bare, loop = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"{config.preset}, batches of {config.batch_size}, {device}, {torch.get_num_threads()} threads, {arguments.rounds} rounds")
    print(f"bare loop      {bare:7.3f} s a step, {config.batch_size / bare:8.0f} windows a second")
    print(f"drumvae-train  {loop:7.3f} s a step, {config.batch_size / loop:8.0f} windows a second")
    print(f"speed of the loop / of the bare one: {bare / loop:.2f}")


if __name__ == "__main__":
    main()
