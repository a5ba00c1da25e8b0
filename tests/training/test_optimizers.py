"""The optimizers and schedules are what the settings say."""

import math
from typing import Any

import pytest
from conftest import settings
from torch import nn
from torch.optim import SGD, Adam, Optimizer

from digits.training.optimizers import build_optimizer, rate_factor


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


def rates(*overrides: str) -> list[float]:
    factor = rate_factor(settings(*overrides).schedule)
    return [factor(step / 100) for step in range(101)]


def test_schedules() -> None:
    assert rates("schedule=none") == [1.0] * 101
    assert rates("schedule=cosine") == pytest.approx([(1 + math.cos(math.pi * step / 100)) / 2 for step in range(101)])
    onecycle = rates("schedule=onecycle")
    assert onecycle[:26] == pytest.approx([1 / 25 + step / 25 * 24 / 25 for step in range(26)])
    assert onecycle[25:] == pytest.approx([(1 + math.cos(math.pi * step / 75)) / 2 for step in range(76)])
