"""The networks are what the papers and articles say, built without a run."""

import itertools
import math
from typing import Any

import pytest
import torch
from conftest import settings
from torch import nn

from digits.models.build import build_network
from digits.models.convnet import ConvNet
from digits.models.lenet5 import LeNet5
from digits.models.mlp import MLP
from digits.models.standardize import MEAN, STD


def weights_by_layer(network: nn.Module) -> list[int]:
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]


def test_lenet5_has_the_papers_weights_and_maps_layer_by_layer() -> None:
    network = LeNet5()
    assert weights_by_layer(network) == [156, 2_416, 48_120, 10_164, 850]
    assert sum(parameter.numel() for parameter in network.parameters()) == 61_706
    shapes = []
    value = torch.zeros(3, 1, 28, 28)
    for layer in network.layers:
        value = layer(value)
        shapes.append((type(layer).__name__, *value.shape[1:]))
    assert shapes == [
        ("PooledConv2d", 6, 14, 14),
        ("PooledConv2d", 16, 5, 5),
        ("Flatten", 400),
        ("Linear", 120),
        ("Tanh", 120),
        ("Linear", 84),
        ("Tanh", 84),
        ("Linear", 10),
    ]


def test_convnet_has_six_convolutions() -> None:
    network = ConvNet()
    assert weights_by_layer(network) == [320, 9_248, 18_496, 36_928, 73_856, 147_584, 20_490]
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(("hidden", "weights"), [(200, [157_000, 2_010]), (30, [23_550, 310])])
def test_an_mlp_is_784_hidden_10(hidden: int, weights: list[int]) -> None:
    network = MLP([hidden])
    assert weights_by_layer(network) == weights
    images = torch.rand(2, 1, 28, 28)
    first, second = (layer for layer in network.layers if isinstance(layer, nn.Linear))
    assert torch.equal(network(images), second(torch.sigmoid(first(((images - MEAN) / STD).reshape(2, 784)))))
    assert weights_by_layer(MLP([])) == [7850]


def article(experiment: str) -> tuple[MLP, list[nn.Linear]]:
    torch.manual_seed(1)
    network: Any = build_network(settings(f"experiment={experiment}").model)
    return network, [layer for layer in network.layers if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize(
    ("experiment", "sizes", "biases", "activation", "ends"),
    [
        ("online_sgd_02", [784, 200, 10], False, nn.Sigmoid, (0.01, 1)),
        ("online_sgd_01", [784, 200, 10], False, nn.Sigmoid, (0.01, 1)),
        ("hundred_samples", [784, 200, 10], False, nn.Sigmoid, (0.01, 1)),
        ("mlp_256_128_64", [784, 256, 128, 64, 10], True, nn.ReLU, (-0.4242, 2.8215)),
        ("lbfgs_100", [784, 100, 10], True, nn.Sigmoid, (0, 1)),
        ("relu_30_60", [784, 30, 60, 10], True, nn.ReLU, (0, 255)),
    ],
)
def test_the_articles_networks_have_their_layers(
    experiment: str, sizes: list[int], biases: bool, activation: type, ends: tuple[float, float]
) -> None:
    network, layers = article(experiment)
    assert [(layer.in_features, layer.out_features) for layer in layers] == list(itertools.pairwise(sizes))
    assert {layer.bias is not None for layer in layers} == {biases}
    others = [type(layer) for layer in network.layers if not isinstance(layer, nn.Linear | nn.Flatten)]
    assert others == [activation] * (len(sizes) - 2)
    scaled = network._scaled(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(scaled, torch.tensor([float(end) for end in ends]), atol=1e-4, rtol=0)


def test_first_weights_are_drawn_as_the_articles_say() -> None:
    _, (hidden, output) = article("online_sgd_02")
    assert hidden.weight.std().item() == pytest.approx(200**-0.5, rel=0.02)
    assert output.weight.std().item() == pytest.approx(10**-0.5, rel=0.05)
    for layer in article("online_sgd_01")[1]:
        assert layer.weight.std().item() == pytest.approx(200**-0.5, rel=0.05)
    for layer in article("lbfgs_100")[1]:
        values = torch.cat([layer.weight.flatten(), layer.bias])
        assert values.abs().max().item() <= 0.15
        assert values.std().item() == pytest.approx(0.15 / math.sqrt(3), rel=0.05)
    biases = torch.cat([layer.bias for layer in article("relu_30_60")[1]])
    assert biases.std().item() == pytest.approx(0.01, rel=0.3)
