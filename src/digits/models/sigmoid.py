"""The network of the tutorials: 784 inputs, one hidden layer of sigmoid units, 10 outputs."""

from torch import nn

from digits.config import OptimizerConfig, ScheduleConfig, SigmoidConfig
from digits.models.classifier import DigitClassifier


class Sigmoid(DigitClassifier):
    """784-200-10 with a sigmoid hidden layer; 159,010 weights with 200 hidden units."""

    def __init__(self, model: SigmoidConfig, optimizer: OptimizerConfig, schedule: ScheduleConfig) -> None:
        super().__init__(model, optimizer, schedule)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, model.hidden_size),
            nn.Sigmoid(),
            nn.Linear(model.hidden_size, 10),
        )
