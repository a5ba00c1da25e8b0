"""From the settings of conf/model/ to a network."""

from torch import nn

from digits.config.model import MLPConfig, ModelConfig
from digits.models.convnet import ConvNet
from digits.models.lenet5 import LeNet5
from digits.models.mlp import MLP
from digits.models.pagenet import PageNet


def build_network(config: ModelConfig) -> nn.Module:
    """Return the network that the settings name; its first weights are drawn by torch's global random numbers."""
    if isinstance(config, MLPConfig):
        return MLP(
            config.hidden,
            config.activation,
            config.biases,
            config.initialisation,
            config.spread,
            config.input_range,
        )
    return {"convnet": ConvNet, "lenet5": LeNet5, "pages": PageNet}[config.name]()
