"""The family of fully connected networks: what its settings make, and that the articles' are computed as they say."""

import itertools
import math
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from conftest import Train, settings
from numpy.typing import NDArray
from run_folders import steps, weights
from torch import Tensor, nn

from digits.config import TrainConfig
from digits.data.chunks import ChunkSampler, MiniBatch
from digits.data.datamodule import MNISTDataModule
from digits.models.build import build
from digits.models.mlp import MLP

Array = NDArray[np.float64]


def network(*overrides: str, seed: int = 1) -> MLP:
    config = settings(*overrides)
    L.seed_everything(seed, verbose=False)
    model = build(config)
    assert isinstance(model, MLP)
    return model


@pytest.mark.parametrize(
    ("experiment", "shapes", "biases", "activation"),
    [
        ("online_sgd_02", [(200, 784), (10, 200)], False, nn.Sigmoid),
        ("online_sgd_01", [(200, 784), (10, 200)], False, nn.Sigmoid),
        ("hundred_samples", [(200, 784), (10, 200)], False, nn.Sigmoid),
        ("mlp_256_128_64", [(256, 784), (128, 256), (64, 128), (10, 64)], True, nn.ReLU),
        ("lbfgs_100", [(100, 784), (10, 100)], True, nn.Sigmoid),
        ("relu_30_60", [(30, 784), (60, 30), (10, 60)], True, nn.ReLU),
    ],
)
def test_the_articles_networks_have_their_layers(
    experiment: str, shapes: list[tuple[int, int]], biases: bool, activation: type
) -> None:
    model = network(f"experiment={experiment}")
    assert [tuple(layer.weight.shape) for layer in model.linear] == shapes
    assert {layer.bias is not None for layer in model.linear} == {biases}
    assert [type(layer) for layer in model.layers.children() if not isinstance(layer, nn.Linear | nn.Flatten)] == [
        activation
    ] * (len(shapes) - 1)


def test_a_network_may_have_no_hidden_layer() -> None:
    assert [tuple(layer.weight.shape) for layer in network("model=mlp", "model.hidden=[]").linear] == [(10, 784)]


def test_first_weights_are_drawn_as_the_articles_say() -> None:
    hidden, output = network("experiment=online_sgd_02").linear
    assert hidden.weight.std().item() == pytest.approx(200**-0.5, rel=0.02)
    assert output.weight.std().item() == pytest.approx(10**-0.5, rel=0.05)
    for layer in network("experiment=online_sgd_01").linear:
        assert layer.weight.std().item() == pytest.approx(200**-0.5, rel=0.05)
        assert layer.weight.mean().item() == pytest.approx(0, abs=0.005)
    for layer in network("experiment=lbfgs_100").linear:
        values = torch.cat([layer.weight.flatten(), layer.bias])
        assert values.abs().max().item() <= 0.15
        assert values.std().item() == pytest.approx(0.15 / math.sqrt(3), rel=0.05)
    biases = torch.cat([layer.bias for layer in network("experiment=relu_30_60").linear])
    assert biases.std().item() == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize(
    ("experiment", "black", "white"),
    [("online_sgd_01", 0.01, 1), ("lbfgs_100", 0, 1), ("relu_30_60", 0, 255), ("mlp_256_128_64", -0.4242, 2.8215)],
)
def test_inputs_are_scaled_as_the_articles_say(experiment: str, black: float, white: float) -> None:
    scaled = network(f"experiment={experiment}").scaled(torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(scaled, torch.tensor([float(black), float(white)]), atol=1e-4, rtol=0)


def test_probabilities_of_sigmoid_outputs_are_their_shares() -> None:
    model = network("experiment=online_sgd_01")
    images = torch.rand(3, 1, 28, 28)
    outputs = model.outputs(images).sigmoid()
    torch.testing.assert_close(model(images).softmax(dim=1), outputs / outputs.sum(dim=1, keepdim=True))


def test_losses_are_their_formulas() -> None:
    outputs, labels = torch.randn(5, 10, dtype=torch.float64), torch.tensor([3, 0, 9, 3, 1])
    wanted = torch.full((5, 10), 0.01, dtype=torch.float64)
    wanted[range(5), labels] = 0.99
    squared = network("experiment=online_sgd_01").loss(outputs, labels)
    torch.testing.assert_close(squared, ((wanted - outputs.sigmoid()) ** 2).sum() / 2 / 5)
    brier = network("model=mlp", "model.loss=squared_error").loss(outputs, labels)
    torch.testing.assert_close(brier, ((wanted.round() - outputs.softmax(dim=1)) ** 2).sum() / 2 / 5)
    crossed = network("experiment=lbfgs_100").loss(outputs, labels)
    likelihoods = torch.where(wanted > 0.5, outputs.sigmoid(), 1 - outputs.sigmoid())
    torch.testing.assert_close(crossed, -likelihoods.log().sum() / 5)


# an independent computation, in NumPy and float64 ---------------------------------------------------------------------


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def online_gradient(state: dict[str, Array], pixels: Array, label: int) -> dict[str, Array]:
    """The article's: errors of the outputs, sent back through the weights."""
    first, second = state["layers.1.weight"], state["layers.3.weight"]
    inputs = pixels / 255 * 0.99 + 0.01
    hidden = sigmoid(first @ inputs)
    final = sigmoid(second @ hidden)
    target = np.full(10, 0.01)
    target[label] = 0.99
    error = (final - target) * final * (1 - final)
    error_hidden = (second.T @ error) * hidden * (1 - hidden)
    return {"layers.1.weight": np.outer(error_hidden, inputs), "layers.3.weight": np.outer(error, hidden)}


def lbfgs_objective(state: dict[str, Array], pixels: Array, labels: Any, l2: float) -> tuple[float, dict[str, Array]]:
    """The article's cost with its regularisation, and its gradient."""
    first, second = state["layers.1.weight"], state["layers.3.weight"]
    inputs = pixels.reshape(len(pixels), -1) / 255
    hidden = sigmoid(inputs @ first.T + state["layers.1.bias"])
    final = sigmoid(hidden @ second.T + state["layers.3.bias"])
    target = np.eye(10)[labels]
    cost = -(target * np.log(final) + (1 - target) * np.log(1 - final)).sum() / len(pixels)
    cost += l2 / 2 * ((first**2).sum() + (second**2).sum())
    error = (final - target) / len(pixels)
    error_hidden = error @ second * hidden * (1 - hidden)
    return cost, {
        "layers.1.weight": error_hidden.T @ inputs + l2 * first,
        "layers.1.bias": error_hidden.sum(axis=0),
        "layers.3.weight": error.T @ hidden + l2 * second,
        "layers.3.bias": error.sum(axis=0),
    }


def exact(state: dict[str, Tensor]) -> dict[str, Array]:
    return {name: value.detach().double().numpy() for name, value in state.items()}


def flat(state: dict[str, Array]) -> Array:
    return np.concatenate([state[name].ravel() for name in sorted(state)])


def difference(found: dict[str, Array], expected: dict[str, Array]) -> float:
    """The largest relative error of a matrix."""
    assert found.keys() == expected.keys()
    return max(float(np.linalg.norm(found[key] - expected[key]) / np.linalg.norm(expected[key])) for key in expected)


def gradient(model: MLP, images: Tensor, labels: Tensor) -> dict[str, Array]:
    loss, penalty = model.loss(model.outputs(images[:, None].float() / 255), labels), model.penalty()
    (loss if penalty is None else loss + penalty).backward()
    return exact({name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None})


def data(config: TrainConfig) -> MNISTDataModule:
    module = MNISTDataModule(config.data, config.augment, [config.seed])
    module.setup("fit")
    return module


def test_online_sgd_is_the_articles_to_rounding(train_tiny: Train, tiny: list[str]) -> None:
    typed = ("experiment=online_sgd_01", "data.steps_per_epoch=1", "data.val_size=0")
    module = data(settings(*tiny, *typed))
    (first,) = next(
        iter(ChunkSampler(module.shares_of, module.steps_in, 1, [1], lambda: 0, torch.device("cpu")))
    ).tolist()
    image, label = module.train_set.images[[first]], module.train_set.labels[[first]]
    model = network("experiment=online_sgd_01")
    before = exact(model.state_dict())
    by_hand = online_gradient(before, image.double().numpy().ravel(), int(label))
    assert difference(gradient(model, image, label), by_hand) < 1e-5
    updated = {name: before[name] - 0.1 * by_hand[name] for name in before}
    folder = train_tiny(*typed)
    assert steps(folder) == 1
    after = exact(weights(folder))
    assert difference(after, updated) < 1e-6
    assert difference({name: after[name] - before[name] for name in before}, by_hand_steps(by_hand, 0.1)) < 1e-4


def by_hand_steps(by_hand: dict[str, Array], rate: float) -> dict[str, Array]:
    return {name: -rate * value for name, value in by_hand.items()}


def test_lbfgs_is_the_articles_to_rounding(train_tiny: Train, tiny: list[str]) -> None:
    typed = ("experiment=lbfgs_100", "data.val_size=0")
    config = settings(*tiny, *typed)
    module = data(config)
    images, labels = module.train_set.images, module.train_set.labels
    l2 = network(*typed).model.l2
    assert l2 == pytest.approx(0.1 / 60_000)

    def objective(state: dict[str, Array]) -> tuple[float, Array]:
        cost, slope = lbfgs_objective(state, images.double().numpy(), labels.numpy(), l2)
        return cost, flat(slope)

    model = network(*typed)
    start = exact(model.state_dict())
    _, by_hand = lbfgs_objective(start, images.double().numpy(), labels.numpy(), l2)
    assert difference(gradient(model, images, labels), by_hand) < 1e-5

    path = [start, *(exact(weights(train_tiny(*typed, f"trainer.max_epochs={epochs}"))) for epochs in (1, 2))]
    costs, slopes = zip(*map(objective, path), strict=True)
    first, second = (flat(after) - flat(before) for before, after in itertools.pairwise(path))
    change = slopes[1] - slopes[0]
    # the two-loop recursion with the one pair of the first iteration (Nocedal and Wright 2006, algorithm 7.4)
    alpha = first @ slopes[1] / (change @ first)
    scaled = (first @ change) / (change @ change) * (slopes[1] - alpha * change)
    direction = -(scaled + first * (alpha - change @ scaled / (change @ first)))
    for step, towards, before, after in ((first, -slopes[0], 0, 1), (second, direction, 1, 2)):
        length = step @ towards / (towards @ towards)
        assert np.linalg.norm(step - length * towards) < 1e-3 * np.linalg.norm(step)  # the update itself is rounded
        assert np.linalg.norm(flat(path[before]) + length * towards - flat(path[after])) < 1e-5 * np.linalg.norm(
            flat(path[after])
        )
        falls = slopes[before] @ towards  # the strong Wolfe conditions, of which the line search has to keep both
        assert costs[after] <= costs[before] + 1e-4 * length * falls
        assert abs(slopes[after] @ towards) <= 0.9 * abs(falls)


# the loop that they all share -----------------------------------------------------------------------------------------


def test_the_line_optimizer_lbfgs_is_enough(train_tiny: Train) -> None:
    config = settings("model=sigmoid", "optimizer=lbfgs")
    assert config.data.batch_size is None
    assert config.schedule.name == "none"
    folder = train_tiny("model=sigmoid", "optimizer=lbfgs", "trainer.max_epochs=3")
    assert steps(folder) == 3


@pytest.mark.parametrize("negatives", [0, 300])
def test_a_large_mini_batch_has_the_gradient_of_the_whole(negatives: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = torch.rand(700, 1, 28, 28), torch.randint(0, 10, (700,))
    found = []
    for most in (2048, 150):
        monkeypatch.setattr("digits.models.classifier.MOST_AT_ONCE", most)
        model = network("model=mlp", "model.l2=0.1")
        model.objective.negatives = negatives
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        outputs = model._step(optimizer, Tensor.backward, MiniBatch(images, labels, None, None))
        assert outputs.shape == (700 - negatives, 10)
        found.append(exact(model.state_dict()))
    assert difference(*found) < 1e-6


def test_an_epoch_may_have_any_number_of_steps(train_tiny: Train) -> None:
    for wanted in (2, 9):  # fewer and more than the 4 of a pass over 512 images
        folder = train_tiny(f"data.steps_per_epoch={wanted}", "trainer.max_epochs=2", "model=sigmoid")
        assert steps(folder) == 2 * wanted


def test_training_one_image_at_a_time_repeats_exactly(train_tiny: Train) -> None:
    typed = ("experiment=hundred_samples", "data.train_size=100", "trainer.max_epochs=2")
    first, second = (weights(train_tiny(*typed)) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_as_text_are_the_network(train_tiny: Train, command: Any, tmp_path: Path) -> None:
    for experiment, shapes in (("lbfgs_100", [(100, 785), (10, 101)]), ("online_sgd_01", [(200, 784), (10, 200)])):
        folder = train_tiny(f"experiment={experiment}", "trainer.max_epochs=1")
        outcome = command("evaluate", f"run={folder}", f"weights={tmp_path / experiment}", "accelerator=cpu")
        assert outcome.code == 0, outcome.err
        found = [np.loadtxt(tmp_path / experiment / f"Theta{number}.txt", dtype=np.float32) for number in (1, 2)]
        assert [one.shape for one in found] == shapes
        state = exact(weights(folder))
        for text, layer in zip(found, ("layers.1", "layers.3"), strict=True):
            bias = text[:, : text.shape[1] - state[f"{layer}.weight"].shape[1]].ravel()
            assert np.array_equal(text[:, len(bias) > 0 :], state[f"{layer}.weight"])
            assert len(bias) == 0 or np.array_equal(bias, state[f"{layer}.bias"])
