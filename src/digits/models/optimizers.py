"""Optimizers and learning-rate schedules from plain values."""

import math
from collections.abc import Callable, Iterable

from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from digits.config import OneCycleConfig, OptimizerConfig, ScheduleConfig, SGDConfig


def build_optimizer(config: OptimizerConfig, parameters: Iterable[Parameter]) -> Optimizer:
    """Make the optimizer that the config names; fused, which is one call for all weights instead of one each."""
    if isinstance(config, SGDConfig):
        momentum, nesterov = config.momentum, config.momentum > 0
        return SGD(
            parameters, config.learning_rate, momentum, weight_decay=config.weight_decay, nesterov=nesterov, fused=True
        )
    adam = AdamW if config.name == "adamw" else Adam
    return adam(parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True)


def build_schedule(config: ScheduleConfig, optimizer: Optimizer, steps: int) -> LambdaLR:
    """Make the schedule that the config names, for a run of that many optimizer steps.

    The rate of a step follows from the step's place in the run alone, so that a run can go on with more epochs.
    """
    factor = _factor(config)
    return LambdaLR(optimizer, lambda step: factor(min(step / steps, 1)))


def _factor(config: ScheduleConfig) -> Callable[[float], float]:
    """Give the share of the highest rate as a function of the place in the run, 0 to 1."""
    if isinstance(config, OneCycleConfig):
        warmup = config.warmup
        start = 1 / 25  # of the highest rate, as in torch's OneCycleLR
        return lambda place: (
            start + (1 - start) * place / warmup if place < warmup else _cosine((place - warmup) / (1 - warmup))
        )
    return _cosine if config.name == "cosine" else lambda _: 1.0


def _cosine(place: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov and Hutter 2017, equation 5)."""
    return (1 + math.cos(math.pi * place)) / 2
