"""Several networks trained at once: each is what it would be alone, and together they are one network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Command, Train, settings
from run_folders import figures, weights
from torch import nn

from digits import checkpoints, resuming
from digits.errors import UserError
from digits.models.build import apart, build
from digits.models.members import Members
from digits.reading.reader import Reader


def members_of(folder: Path) -> list[dict[str, torch.Tensor]]:
    """The weights of a run's networks, as they would be called alone."""
    config = resuming.load_settings(folder)
    model = build(config)
    checkpoints.restore(model, config.model, folder / "checkpoints" / "last.ckpt")
    assert isinstance(model.layers, Members)
    return [model.layers.member(place).state_dict() for place in range(config.members)]


@pytest.mark.parametrize(
    "typed",
    [
        ["model=lenet5", "augment=handwriting", "data.strokes=0.2"],
        ["model=lenet5", "augment=handwriting", "data.hardest=0.4", "trainer.max_epochs=3"],
        [
            "model=sigmoid",
            "optimizer=sgd",
            "augment=light",
            "augment.versions=2",
            "optimizer.ema=0.9",
            "teacher=shipped",
        ],
    ],
)
def test_members_are_what_they_would_be_alone(typed: list[str], train_tiny: Train) -> None:
    together = train_tiny(*typed, "members=2", "seed=5")
    for seed, found in zip((5, 6), members_of(together), strict=True):
        alone = weights(train_tiny(*typed, f"seed={seed}"))
        for name, value in found.items():
            torch.testing.assert_close(value, alone[f"layers.{name}"], rtol=1e-3, atol=2e-4)


def test_their_answer_is_the_mean_of_their_probabilities(train_tiny: Train) -> None:
    folder = train_tiny("members=3")
    config = resuming.load_settings(folder)
    model = build(config)
    checkpoints.restore(model, config.model, folder / "checkpoints" / "best.ckpt")
    images = torch.rand(20, 1, 28, 28)
    model.eval()
    assert isinstance(model.layers, Members)
    alone = [model.layers.member(place)(model.scaled(images)).softmax(dim=1) for place in range(3)]
    mean = torch.stack(alone).mean(dim=0)
    torch.testing.assert_close(model(images).softmax(dim=1), mean)
    torch.testing.assert_close(apart(model)(images).softmax(dim=1), mean)
    temperature = json.loads((folder / "metrics.json").read_text())["val/temperature"]
    expected = (mean.log() / temperature).softmax(dim=1).detach().numpy()
    np.testing.assert_allclose(Reader(folder / "model.onnx").probabilities(images[:, 0].numpy()), expected, atol=1e-5)


def test_a_run_of_several_is_tested_again(train_tiny: Train, command: Command) -> None:
    part = train_tiny("model=sigmoid", "members=2")
    outcome = command("evaluate", f"run={part}", "accelerator=cpu", f"weights={part / 'text'}")
    assert outcome.code == 0, outcome.err
    assert json.loads((part / "evaluate" / "metrics.json").read_text()).items() <= figures(part).items()
    assert len(list((part / "text").iterdir())) == 4  # two layers of two networks


def test_networks_alike_but_for_their_weights_are_one() -> None:
    networks = [nn.Linear(3, 10) for _ in range(2)]
    members = Members(networks)
    assert [one.shape for one in members.state_dict().values()] == [(2, 10, 3), (2, 10)]
    images = torch.rand(8, 3)
    for place, network in enumerate(networks):
        half = images[4 * place : 4 * place + 4]
        torch.testing.assert_close(members.train()(images)[4 * place : 4 * place + 4], network(half))
        torch.testing.assert_close(members.member(place)(half), network(half))


# convnet in float64: behind each other, six normalisations make much of how float32 rounds
@pytest.mark.parametrize(("model", "dtype"), [("convnet", torch.float64), ("lenet5", torch.float32)])
@pytest.mark.parametrize("batched", [True, False])
def test_each_convolves_and_normalises_its_own_batch(
    model: str, dtype: torch.dtype, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = [build(settings(f"model={model}")).layers.to(dtype) for _ in range(2)]
    members = Members(networks).train()
    assert members.convolve
    if batched:  # as on a card, where a convolution computes as for the export
        members.convolve = False
        monkeypatch.setattr("torch.compiler.is_exporting", lambda: True)
    images = torch.rand(16, 1, 28, 28, dtype=dtype)
    together = members(images)
    together.square().sum().backward()
    for place, network in enumerate(networks):
        alone = network.train()(images[8 * place : 8 * place + 8])
        torch.testing.assert_close(together[8 * place : 8 * place + 8], alone)
        alone.square().sum().backward()
        first = next(network.parameters()).grad
        found = next(members.parameters()).grad
        assert found is not None
        torch.testing.assert_close(found[place], first)
        torch.testing.assert_close(members.member(place).state_dict(), network.state_dict())


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["members=0"], "members=0: must be 1 to 100"),
        (["members=2", "seed=4294967295"], "members=2: must be at most 1 with seed=4294967295"),
        (["members=2", "optimizer=lbfgs"], "members=2: must be 1 with data.batch_size=None"),
        (["members=2", "data.negatives=0.1"], "members=2: must be 1 with data.negatives=0.1"),
        (["members=2", "data.mixup=0.1"], "members=2: must be 1 with data.mixup=0.1"),
        (["members=2", "model.dropout=0.1"], "members=2: must be 1 with model.dropout=0.1"),
        (["members=2", "experiment=online_sgd_01"], "members=2: must be 1 with model.loss=squared_error"),
        (["members=2", "start_from=shipped"], "members=2: must be 1 with start_from=shipped"),
    ],
)
def test_what_several_cannot_have_is_one_line(typed: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        settings(*typed)
    assert str(caught.value).startswith(message)
