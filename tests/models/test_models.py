"""The networks are what the papers say, and the optimizers and schedules what the settings say."""

import math
from typing import Any

import pytest
import torch
from conftest import settings
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from digits.models.build import build
from digits.models.classifier import MEAN, STD, DigitClassifier, MeanLoss
from digits.models.optimizers import build_optimizer, rate_factor


def network(*overrides: str) -> DigitClassifier:
    config = settings(*overrides)
    return build(config)


def weights_by_layer(model: DigitClassifier) -> list[int]:
    layers = [layer for layer in model.layers.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [sum(parameter.numel() for parameter in layer.parameters()) for layer in layers]


def test_lenet5_has_the_papers_weights_layer_by_layer() -> None:
    model = network("model=lenet5")
    assert weights_by_layer(model) == [156, 2_416, 48_120, 10_164, 850]
    assert sum(parameter.numel() for parameter in model.parameters()) == 61_706


def test_lenet5_has_the_papers_maps() -> None:
    shapes = []
    value = torch.zeros(3, 1, 28, 28)
    for layer in network("model=lenet5").layers.children():
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


def test_convnet_has_six_convolutions_and_places() -> None:
    model = network("model=convnet")
    assert weights_by_layer(model) == [320, 9_248, 18_496, 36_928, 73_856, 147_584, 20_490]
    assert sum(parameter.numel() for parameter in model.parameters()) == 307_818


@pytest.mark.parametrize(("hidden", "weights"), [(200, [157_000, 2_010]), (30, [23_550, 310])])
def test_sigmoid_is_784_hidden_10(hidden: int, weights: list[int]) -> None:
    model = network("model=sigmoid", f"model.hidden=[{hidden}]")
    assert weights_by_layer(model) == weights
    images = torch.rand(2, 1, 28, 28)
    first, second = (layer for layer in model.layers.children() if isinstance(layer, nn.Linear))
    by_hand = second(torch.sigmoid(first(((images - MEAN) / STD).reshape(2, 784))))
    assert torch.equal(model(images), by_hand)


@pytest.mark.parametrize("model", ["lenet5", "sigmoid"])
def test_hyperparameters_are_plain_values(model: str) -> None:
    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(isinstance(key, str) and plain(one) for key, one in value.items())
        if type(value) is list:
            return all(map(plain, value))
        return type(value) in (str, int, float, bool, type(None))

    hyperparameters = dict(network(f"model={model}").hparams)
    assert plain(hyperparameters)
    assert hyperparameters["model"]["name"] == model


@pytest.mark.parametrize(
    ("name", "kind", "extra"),
    [
        ("adam", Adam, {"decoupled_weight_decay": False}),
        ("adamw", Adam, {"decoupled_weight_decay": True}),
        ("sgd", SGD, {"momentum": 0.9}),
    ],
)
def test_optimizers_have_the_settings(name: str, kind: type[Optimizer], extra: dict[str, Any]) -> None:
    config = settings(f"optimizer={name}", "optimizer.learning_rate=0.25", "optimizer.weight_decay=0.125")
    optimizer = build_optimizer(config.optimizer, nn.Linear(2, 2).parameters())
    assert isinstance(optimizer, kind)
    expected = {"lr": 0.25, "weight_decay": 0.125, "fused": True, **extra}
    assert {key: optimizer.param_groups[0][key] for key in expected} == expected


def rates(*overrides: str, steps: int = 100) -> list[float]:
    factor = rate_factor(settings(*overrides).schedule)
    return [factor(step / steps) for step in range(steps + 1)]


def test_schedule_none_is_constant() -> None:
    assert rates("schedule=none") == [1.0] * 101


def test_schedule_cosine_falls_to_0_along_half_a_cosine() -> None:
    assert rates("schedule=cosine") == pytest.approx([(1 + math.cos(math.pi * step / 100)) / 2 for step in range(101)])


def test_schedule_onecycle_is_torchs_but_for_the_shape_of_the_way_up() -> None:
    found = rates("schedule=onecycle", "schedule.warmup=0.25")
    assert found[0] == 1 / 25
    assert found[25] == 1
    assert found[100] == pytest.approx(0)
    assert found[:26] == pytest.approx([1 / 25 + step / 25 * 24 / 25 for step in range(26)])
    assert found[25:] == pytest.approx([(1 + math.cos(math.pi * step / 75)) / 2 for step in range(76)])


def test_the_loss_is_the_mean_over_all_images() -> None:
    logits, labels = torch.randn(7, 10), torch.arange(7)
    metric = MeanLoss(nn.functional.cross_entropy)
    metric.update(logits[:2], labels[:2])
    metric.update(logits[2:], labels[2:])
    torch.testing.assert_close(metric.compute(), nn.functional.cross_entropy(logits, labels))
