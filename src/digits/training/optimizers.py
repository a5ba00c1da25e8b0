"""Optimizers and learning-rate schedules from plain values."""

import math
from collections.abc import Callable, Iterable

from torch.nn import Parameter
from torch.optim import LBFGS, SGD, Adam, Optimizer

from digits.config.model import AdamConfig, LBFGSConfig, OptimizerConfig, ScheduleConfig, SGDConfig

MAX_EVALUATIONS = 26
"""Evaluations in an L-BFGS step at most: one, and 25 on the line search, as torch has it for a search of its own."""


WARMUP = 0.25
"""The share of the run in which the rate of one cycle rises (Smith and Topin 2018)."""


class QuickAdam(Adam):
    """Adam that does not ask at each step whether a CUDA graph is being captured.

    Where there is no GPU, torch looks for one each time: a seventh of a step of the 784-200-10 network.
    """

    def _accelerator_graph_capture_health_check(self) -> None:
        """Trust training/capture.py, which alone captures."""


def build_optimizer(config: OptimizerConfig, parameters: Iterable[Parameter]) -> Optimizer:
    """Return the optimizer that the config names; fused, which is one call for all weights instead of one each.

    Args:
        config: the settings of conf/optimizer/.
        parameters: the weights, on the device that they are trained on.
    """
    parameters = list(parameters)
    rate = config.learning_rate
    if isinstance(config, LBFGSConfig):
        # one iteration a step, so that it is an ordinary step with its own figures, and can be gone on from
        return LBFGS(
            parameters, rate, 1, MAX_EVALUATIONS, history_size=config.history_size, line_search_fn="strong_wolfe"
        )
    if isinstance(config, SGDConfig):
        momentum, decay = config.momentum, config.weight_decay
        # without momentum an update is one addition, which fusing makes slower on a CPU; on a GPU only the fused one
        # takes a learning rate from the GPU's memory, as a captured step must (torch/optim/sgd.py: `alpha=-lr`)
        fused = True if momentum or parameters[0].is_cuda else None
        return SGD(parameters, rate, momentum, weight_decay=decay, nesterov=momentum > 0, fused=fused)
    if isinstance(config, AdamConfig):
        decoupled = config.name == "adamw"
        return QuickAdam(
            parameters, rate, weight_decay=config.weight_decay, fused=True, decoupled_weight_decay=decoupled
        )
    raise TypeError(f"no optimizer for {config}")


def rate_factor(config: ScheduleConfig) -> Callable[[float], float]:
    """Return the schedule that the config names: the share of the highest rate by the progress of the run, 0 to 1."""
    return {"none": lambda _: 1.0, "cosine": _cosine, "onecycle": _one_cycle}[config.name]


def _cosine(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov and Hutter 2017, equation 5)."""
    return (1 + math.cos(math.pi * progress)) / 2


def _one_cycle(progress: float) -> float:
    """Rise in a straight line from 1/25, as in torch's OneCycleLR, and fall along half a cosine to 0."""
    if progress < WARMUP:
        return 1 / 25 + (1 - 1 / 25) * progress / WARMUP
    return _cosine((progress - WARMUP) / (1 - WARMUP))
