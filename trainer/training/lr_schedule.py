"""A step in, the learning rate or the share of own steps at it out; pure functions."""

import math

from .config import TrainConfig


def learning_rate_factor(config: TrainConfig, step: int) -> float:
    """Returns the factor on the configuration's learning rate at a step.

    "decay" is (rate - floor) decay^step + floor (MusicVAE); "cosine" falls along half a cosine to the floor at the last step
    (Loshchilov and Hutter 2017); "restarts" does so again and again, each span twice as long as the one before. Before all of them the rate
    rises evenly over the warm-up.
    """
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    floor = min(config.learning_rate_floor / config.learning_rate, 1.0)
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "decay":
        return (1 - floor) * config.learning_rate_decay**step + floor
    begun, span = 0, config.max_steps
    if config.schedule == "restarts":
        span = config.restart_steps
        while step >= begun + span:
            begun, span = begun + span, 2 * span
    share = min((step - begun) / span, 1.0)
    return floor + (1 - floor) * (1 + math.cos(math.pi * share)) / 2


def own_step_share(step: int, k: float) -> float:
    """Returns 1 - k / (k + exp(step / k)), the share of steps that see the model's own last one (Bengio et al. 2015); 0 for k 0."""
    return 1 - k / (k + math.exp(min(step / k, 700))) if k else 0.0
