"""What conf/model/, conf/optimizer/ and conf/schedule/ must fit."""

import itertools
import math
from dataclasses import dataclass
from typing import Annotated

from digits.config.checks import Settings, between, one_of
from digits.errors import require

PIXELS, CLASSES = 28 * 28, 10
"""What every network has at its two ends."""


@dataclass
class ModelConfig(Settings, prefix="model."):
    """The network; its name is that of its file in conf/model/."""

    name: str


@dataclass
class MLPConfig(ModelConfig):
    """A multilayer perceptron: 784 inputs, fully connected layers, 10 outputs; and its loss."""

    hidden: list[int]
    activation: Annotated[str, one_of("sigmoid", "relu", "tanh")]
    biases: bool
    initialisation: Annotated[str, one_of("torch", "fan_out", "normal", "uniform")]
    spread: float | None
    input_range: list[float] | None
    loss: Annotated[str, one_of("cross_entropy", "binary_cross_entropy", "squared_error")]
    l2: Annotated[float, between(0)]

    def __post_init__(self) -> None:
        """Check the settings against each other."""
        super().__post_init__()
        expected = "a list of at most 100 layers of 1 to 100000 units, such as [200]"
        fit = len(self.hidden) <= 100 and all(1 <= units <= 100_000 for units in self.hidden)
        require(fit, "model.hidden", self.hidden, expected)
        weights = sum(inputs * units for inputs, units in itertools.pairwise((PIXELS, *self.hidden, CLASSES)))
        require(weights <= 100_000_000, "model.hidden", self.hidden, f"at most 100000000 weights, these are {weights}")
        if self.initialisation in ("normal", "uniform"):
            fit, expected = self.spread is not None and 0 < self.spread < math.inf, "above 0 and finite"
        else:
            fit, expected = self.spread is None, f"null with model.initialisation={self.initialisation}"
        require(fit, "model.spread", self.spread, expected)
        ends = [0.0, 1.0] if self.input_range is None else self.input_range
        expected = "two finite numbers, black and white, such as [0, 1], or null"
        require(len(ends) == 2 and -math.inf < ends[0] < ends[1] < math.inf, "model.input_range", ends, expected)


@dataclass
class OptimizerConfig(Settings, prefix="optimizer."):
    """The optimizer; its name is that of its file in conf/optimizer/."""

    name: str
    learning_rate: Annotated[float, between(0, above=True)]


@dataclass
class AdamConfig(OptimizerConfig):
    """Adam; with the name adamw, weight decay decoupled from the gradient."""

    weight_decay: Annotated[float, between(0)]


@dataclass
class SGDConfig(AdamConfig):
    """Stochastic gradient descent, with Nesterov's momentum where momentum is above 0."""

    momentum: Annotated[float, between(0, 1, below=True)]


@dataclass
class LBFGSConfig(OptimizerConfig):
    """Limited-memory BFGS; a step is an iteration with its line search."""

    history_size: Annotated[int, between(1, 1000)]


@dataclass
class ScheduleConfig(Settings, prefix="schedule."):
    """How the learning rate changes from step to step; its name is that of its file in conf/schedule/."""

    name: str
