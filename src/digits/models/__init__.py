"""The networks; one file each."""

from digits.config import ModelConfig, OptimizerConfig, ScheduleConfig
from digits.models.classifier import DigitClassifier
from digits.models.lenet5 import LeNet5
from digits.models.sigmoid import Sigmoid

MODELS: dict[str, type[DigitClassifier]] = {"lenet5": LeNet5, "sigmoid": Sigmoid}


def build(model: ModelConfig, optimizer: OptimizerConfig, schedule: ScheduleConfig) -> DigitClassifier:
    """Make the network that the config names, with first weights from torch's global random numbers."""
    return MODELS[model.name](model, optimizer, schedule)
