"""From the settings of a run to its network."""

from collections.abc import Callable
from dataclasses import replace

import torch

from digits.config import TrainConfig
from digits.models.classifier import DigitClassifier
from digits.models.convnet import ConvNet
from digits.models.lenet5 import LeNet5
from digits.models.members import Ensemble, Members
from digits.models.mlp import MLP

MODELS: dict[str, Callable[[TrainConfig], DigitClassifier]] = {
    "convnet": ConvNet,
    "lenet5": LeNet5,
    "mlp": MLP,
    "sigmoid": MLP,
}


def build(settings: TrainConfig) -> DigitClassifier:
    """Make the network, or the networks, that the settings name.

    The first weights are of torch's global random numbers, but for several members, which are drawn by their seeds.
    """
    network = MODELS[settings.model.name](settings)
    if settings.members > 1:
        alone = []
        for seed in settings.seeds:
            torch.manual_seed(seed)
            alone.append(MODELS[settings.model.name](settings).layers)
        network.layers = Members(alone)
    return network


def apart(network: DigitClassifier) -> DigitClassifier:
    """Give a network of several members with its layers side by side, which is how it is exported; else the same."""
    if not isinstance(network.layers, Members):
        return network
    members = network.layers
    one = build(replace(network.settings, members=1))
    one.layers = Ensemble([members.member(place) for place in range(members.count)])
    return one
