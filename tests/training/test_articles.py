"""The articles' networks are trained as the articles say, against an independent computation in NumPy and float64."""

import itertools
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from conftest import Command, Train, settings
from numpy.typing import NDArray
from run_folders import steps, weights
from torch import Tensor

from digits.config.train import TrainConfig
from digits.data.chunks import Batch
from digits.data.datamodule import MNISTDataModule
from digits.data.sampler import ChunkSampler
from digits.models.build import build_network
from digits.training.classifier import DigitClassifier

Array = NDArray[np.float64]


def classifier(*overrides: str) -> DigitClassifier:
    config = settings(*overrides)
    L.seed_everything(1, verbose=False)
    return DigitClassifier(build_network(config.model), config)


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def online_gradient(state: dict[str, Array], pixels: Array, label: int) -> dict[str, Array]:
    """The article's: errors of the outputs, sent back through the weights."""
    first, second = state["network.layers.1.weight"], state["network.layers.3.weight"]
    inputs = pixels / 255 * 0.99 + 0.01
    hidden = sigmoid(first @ inputs)
    final = sigmoid(second @ hidden)
    target = np.full(10, 0.01)
    target[label] = 0.99
    error = (final - target) * final * (1 - final)
    error_hidden = (second.T @ error) * hidden * (1 - hidden)
    return {
        "network.layers.1.weight": np.outer(error_hidden, inputs),
        "network.layers.3.weight": np.outer(error, hidden),
    }


def lbfgs_objective(state: dict[str, Array], pixels: Array, labels: Any, l2: float) -> tuple[float, dict[str, Array]]:
    """The article's cost with its regularisation, and its gradient."""
    first, second = state["network.layers.1.weight"], state["network.layers.3.weight"]
    inputs = pixels.reshape(len(pixels), -1) / 255
    hidden = sigmoid(inputs @ first.T + state["network.layers.1.bias"])
    final = sigmoid(hidden @ second.T + state["network.layers.3.bias"])
    target = np.eye(10)[labels]
    cost = -(target * np.log(final) + (1 - target) * np.log(1 - final)).sum() / len(pixels)
    cost += l2 / 2 * ((first**2).sum() + (second**2).sum())
    error = (final - target) / len(pixels)
    error_hidden = error @ second * hidden * (1 - hidden)
    return cost, {
        "network.layers.1.weight": error_hidden.T @ inputs + l2 * first,
        "network.layers.1.bias": error_hidden.sum(axis=0),
        "network.layers.3.weight": error.T @ hidden + l2 * second,
        "network.layers.3.bias": error.sum(axis=0),
    }


def exact(state: dict[str, Tensor]) -> dict[str, Array]:
    return {name: value.detach().double().numpy() for name, value in state.items()}


def flat(state: dict[str, Array]) -> Array:
    return np.concatenate([state[name].ravel() for name in sorted(state)])


def difference(found: dict[str, Array], expected: dict[str, Array]) -> float:
    """The largest relative error of a matrix."""
    assert found.keys() == expected.keys()
    return max(float(np.linalg.norm(found[key] - expected[key]) / np.linalg.norm(expected[key])) for key in expected)


def data(config: TrainConfig) -> MNISTDataModule:
    module = MNISTDataModule(config.data, config.augment, config.seed)
    module.setup("fit")
    return module


def test_online_sgd_is_the_articles_to_rounding(fit_tiny: Train, tiny: list[str]) -> None:
    typed = ("experiment=online_sgd_01", "data.steps_per_epoch=1", "data.val_size=0", "trainer.max_epochs=1")
    module = data(settings(*tiny, *typed))
    sampler = ChunkSampler(module.shares_in, module.steps_in, 1, 1, lambda: 0, torch.device("cpu"))
    (first,) = next(iter(sampler)).tolist()
    image, label = module.train_set.images[[first]], module.train_set.labels[[first]]
    model = classifier("experiment=online_sgd_01")
    before = exact(model.state_dict())
    by_hand = online_gradient(before, image.double().numpy().ravel(), int(label))
    folder = fit_tiny(*typed)
    assert steps(folder) == 1
    after = exact(weights(folder))
    assert difference(after, {name: before[name] - 0.1 * by_hand[name] for name in before}) < 1e-6
    change = {name: after[name] - before[name] for name in before}
    assert difference(change, {name: -0.1 * value for name, value in by_hand.items()}) < 1e-4


def test_lbfgs_is_the_articles_to_rounding(fit_tiny: Train, tiny: list[str]) -> None:
    typed = ("experiment=lbfgs_100", "data.val_size=0")
    module = data(settings(*tiny, *typed))
    images, labels = module.train_set.images, module.train_set.labels
    model = classifier(*typed)
    l2 = model.output_loss.l2
    assert l2 == pytest.approx(0.1 / 60_000)

    def objective(state: dict[str, Array]) -> tuple[float, Array]:
        cost, slope = lbfgs_objective(state, images.double().numpy(), labels.numpy(), l2)
        return cost, flat(slope)

    start = exact(model.state_dict())
    path = [start, *(exact(weights(fit_tiny(*typed, f"trainer.max_epochs={epochs}"))) for epochs in (1, 2))]
    costs, slopes = zip(*map(objective, path), strict=True)
    first = flat(path[1]) - flat(path[0])  # along the gradient, since nothing is known of the curvature yet
    assert np.linalg.norm(first / np.linalg.norm(first) + slopes[0] / np.linalg.norm(slopes[0])) < 1e-3
    for (before, slope), (after, _) in itertools.pairwise(zip(costs, slopes, strict=True)):
        assert after < before - 1e-4 * np.linalg.norm(slope)


@pytest.mark.parametrize("classes", [10, 11])
def test_a_large_mini_batch_has_the_gradient_of_the_whole(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(torch.rand(700, 1, 28, 28), torch.randint(0, classes, (700,)))
    states = []
    for size in (2048, 150):
        monkeypatch.setattr("digits.training.classifier.MAX_TOGETHER", size)
        model = classifier("model=mlp", "model.l2=0.1")
        model._backward = Tensor.backward
        model.output_loss.non_digits = classes > 10
        assert model._step(torch.optim.SGD(model.parameters(), 0.1), batch).shape == (700, 10)
        states.append(exact(model.state_dict()))
    assert difference(*states) < 1e-6


def test_an_epoch_may_have_any_number_of_steps(fit_tiny: Train) -> None:
    for wanted in (2, 9):  # fewer and more than the 4 of a pass over 512 images
        assert steps(fit_tiny(f"data.steps_per_epoch={wanted}", "trainer.max_epochs=2", "model=sigmoid")) == 2 * wanted


def test_weights_as_text_are_the_network(fit_tiny: Train, command: Command, tmp_path: Path) -> None:
    folder = fit_tiny("experiment=lbfgs_100", "trainer.max_epochs=1")
    command("evaluate", f"run={folder}", f"weights={tmp_path / 'text'}", "accelerator=cpu")
    (tmp_path / "file").touch()
    refused = command("evaluate", f"run={folder}", f"weights={tmp_path / 'file'}", "accelerator=cpu", code=2)
    assert refused.err == f"error: weights={tmp_path / 'file'}: cannot be made (File exists); give a folder\n"
    state = exact(weights(folder))
    for number, layer in ((1, "network.layers.1"), (2, "network.layers.3")):
        text: Any = np.loadtxt(tmp_path / "text" / f"Theta{number}.txt", dtype=np.float32)
        assert np.array_equal(text[:, 0], state[f"{layer}.bias"])
        assert np.array_equal(text[:, 1:], state[f"{layer}.weight"])
