"""What conf/model/, conf/optimizer/ and conf/schedule/ must fit."""

import itertools
import math
from dataclasses import dataclass

from digits.errors import require, require_one_of

PIXELS, CLASSES = 28 * 28, 10
"""What every network has at its two ends."""


@dataclass
class ModelConfig:
    """The network; its name is that of its file in conf/model/."""

    name: str
    dropout: float
    """The share of what the hidden fully connected layers give, or in convnet what its output layer takes, that each
    training step leaves out (Srivastava et al. 2014)."""

    def __post_init__(self) -> None:
        """Check the range."""
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 to below 1")


@dataclass
class MLPConfig(ModelConfig):
    """A multilayer perceptron: 784 inputs, fully connected layers, 10 outputs."""

    hidden: list[int]
    """Units of each hidden layer, from the image to the output; [] for none."""
    activation: str
    """Of the hidden layers: sigmoid, relu or tanh."""
    biases: bool
    """Whether each unit has one."""
    initialisation: str
    """What the first weights and biases are drawn from: torch (the library's own), fan_out (normal, variance 1/n with n
    the units of the layer they lead to), normal or uniform."""
    spread: float | None
    """The deviation of normal, the largest value of uniform; null for the other two."""
    input_range: list[float] | None
    """What a black and a white pixel are to the first layer; null: mean 0 and deviation 1 over MNIST."""
    output: str
    """softmax, or sigmoid: each output for itself."""
    loss: str
    """cross_entropy (with sigmoid outputs, summed over them) or squared_error (half the sum over the outputs)."""
    targets: list[float]
    """What an output should give for a wrong digit and for the right one."""
    l2: float
    """Half of it times the sum of the squared weights, without the biases, is added to the loss."""

    def __post_init__(self) -> None:
        """Check the ranges, and the settings against each other."""
        super().__post_init__()
        right = "a list of at most 100 layers of 1 to 100000 units, such as [200]"
        fit = len(self.hidden) <= 100 and all(1 <= units <= 100_000 for units in self.hidden)
        require(fit, "model.hidden", self.hidden, right)
        weights = sum(one * two for one, two in itertools.pairwise((PIXELS, *self.hidden, CLASSES)))
        require(weights <= 100_000_000, "model.hidden", self.hidden, f"at most 100000000 weights, these are {weights}")
        require_one_of("model.activation", self.activation, ("sigmoid", "relu", "tanh"))
        require_one_of("model.initialisation", self.initialisation, ("torch", "fan_out", "normal", "uniform"))
        if self.initialisation in ("normal", "uniform"):
            fit, right = self.spread is not None and 0 < self.spread < math.inf, "above 0 and finite"
        else:
            fit, right = self.spread is None, f"null with model.initialisation={self.initialisation}"
        require(fit, "model.spread", "null" if self.spread is None else self.spread, right)
        require_one_of("model.output", self.output, ("softmax", "sigmoid"))
        require_one_of("model.loss", self.loss, ("cross_entropy", "squared_error"))
        ends = [0.0, 1.0] if self.input_range is None else self.input_range
        right = "two finite numbers, black and white, such as [0, 1], or null"
        require(len(ends) == 2 and -math.inf < ends[0] < ends[1] < math.inf, "model.input_range", ends, right)
        right = "two numbers from 0 to 1, the smaller one first"
        require(
            len(self.targets) == 2 and 0 <= self.targets[0] < self.targets[1] <= 1, "model.targets", self.targets, right
        )
        plain = (self.output, self.loss) != ("softmax", "cross_entropy") or self.targets == [0, 1]
        require(plain, "model.targets", self.targets, "[0, 1] with softmax and cross_entropy")
        require(0 <= self.l2 < math.inf, "model.l2", self.l2, "0 or above and finite")


@dataclass
class OptimizerConfig:
    """The optimizer; its name is that of its file in conf/optimizer/."""

    name: str
    learning_rate: float
    """The highest learning rate of the run; the schedule scales it."""
    ema: float | None
    """What the moving average of the weights keeps of itself at each step; it is what is validated, kept and exported.
    null: no average."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        rate = self.learning_rate
        require(0 < rate < math.inf, "optimizer.learning_rate", rate, "above 0 and finite")
        right = "above 0 and below 1, such as 0.999, or null for none"
        require(self.ema is None or 0 < self.ema < 1, "optimizer.ema", self.ema, right)


@dataclass
class AdamConfig(OptimizerConfig):
    """Adam; with the name adamw, weight decay apart from the gradient."""

    weight_decay: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        decay = self.weight_decay
        require(0 <= decay < math.inf, "optimizer.weight_decay", decay, "0 or above and finite")


@dataclass
class SGDConfig(AdamConfig):
    """Stochastic gradient descent, with Nesterov's momentum where momentum is above 0."""

    momentum: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "0 to below 1")


@dataclass
class LBFGSConfig(OptimizerConfig):
    """Limited-memory BFGS; a step is an iteration with its line search."""

    history_size: int
    """How many steps back the curvature is remembered."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require(1 <= self.history_size <= 1000, "optimizer.history_size", self.history_size, "1 to 1000")


@dataclass
class LossConfig:
    """What the network is to say of an image, beside its label."""

    label_smoothing: float
    """The share of certainty that is spread over all ten digits (Szegedy et al. 2016, section 7)."""
    teacher_share: float
    """How much of the loss is the difference from the teacher's answer, instead of from the label; where there is a
    `teacher` (Hinton, Vinyals, Dean 2015)."""
    temperature: float
    """What the logits of both are divided by for that."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        smoothing = self.label_smoothing
        require(0 <= smoothing < 1, "loss.label_smoothing", smoothing, "0 to below 1")
        require(0 < self.teacher_share <= 1, "loss.teacher_share", self.teacher_share, "above 0, to 1")
        require(0.1 <= self.temperature <= 100, "loss.temperature", self.temperature, "0.1 to 100")


@dataclass
class ScheduleConfig:
    """How the learning rate changes from step to step; its name is that of its file in conf/schedule/."""

    name: str


@dataclass
class OneCycleConfig(ScheduleConfig):
    """Up in a straight line, then down along a cosine."""

    warmup: float
    """The share of the run that the way up takes."""

    def __post_init__(self) -> None:
        """Check the range."""
        require(0 < self.warmup < 1, "schedule.warmup", self.warmup, "above 0 and below 1")
