"""Computes the learning rate and the share of scheduled sampling at a step.

A pure function of step and configuration, for torch's `LambdaLR`. The rate of a resumed run therefore follows its present
configuration; torch's own schedulers would restore the one that was saved. None of them decays exponentially to a floor.
"""

import math

from .config import TrainConfig


def learning_rate_factor(config: TrainConfig, step: int) -> float:
    """Returns the factor on the configuration's learning rate at a step.

    "decay" is (rate - floor) decay^step + floor (MusicVAE). "cosine" follows half a cosine to the floor at the last step (Loshchilov
    and Hutter 2017). "restarts" repeats the cosine, each span twice as long as the previous one. A linear warm-up precedes all of them.

    >>> learning_rate_factor(TrainConfig(warm_up_steps=4), 1)
    0.5
    """
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    floor = min(config.learning_rate_floor / config.learning_rate, 1.0)
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "decay":
        return (1 - floor) * config.learning_rate_decay**step + floor
    start, span = 0, config.max_steps
    if config.schedule == "restarts":
        span = config.restart_steps
        while step >= start + span:
            start, span = start + span, 2 * span
    progress = min((step - start) / span, 1.0)
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2


def scheduled_sampling_share(step: int, k: float) -> float:
    """Returns 1 - k / (k + exp(step / k)), the share of the model's own samples as decoder input (Bengio et al. 2015); 0 for k = 0."""
    return 1 - k / (k + math.exp(min(step / k, 700))) if k else 0.0
