"""From a config to its network."""

from collections.abc import Callable

from digits.models.classifier import DigitClassifier
from digits.models.config import ModelConfig, OptimizerConfig, ScheduleConfig
from digits.models.lenet5 import LeNet5
from digits.models.mlp import MLP

MODELS: dict[str, Callable[..., DigitClassifier]] = {"lenet5": LeNet5, "mlp": MLP, "sigmoid": MLP}


def build(model: ModelConfig, optimizer: OptimizerConfig, schedule: ScheduleConfig) -> DigitClassifier:
    """Make the network that the config names, with first weights from torch's global random numbers."""
    return MODELS[model.name](model, optimizer, schedule)
