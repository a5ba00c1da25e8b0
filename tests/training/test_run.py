"""Runs: what they leave behind, and that they repeat exactly."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import Command, Train
from run_folders import figures, rows, same, steps, weights

from digits.data import mnist
from digits.reading.reader import Reader

DRAWN = ("data.synthetic_fraction=0.2", "data.negative_fraction=0.1")


def test_a_run_leaves_its_folder(train_tiny: Train, tmp_path: Path) -> None:
    folder = train_tiny("run_name=mine", "trainer.max_epochs=2")
    assert folder == tmp_path / "outputs" / "lenet5" / "mine"
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    events = {file for file in files if file.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert files - events == {
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "checkpoints/previous.ckpt",
        "config.yaml",
        "metrics.csv",
        "metrics.json",
        "model.onnx",
        "overrides.yaml",
        "train.log",
    }
    assert "run_name=mine" in yaml.safe_load((folder / "overrides.yaml").read_text(encoding="utf-8"))
    log = (folder / "train.log").read_text(encoding="utf-8")
    assert "epoch 2/2  train loss" in log
    assert "test accuracy" in log
    found = figures(folder)
    assert {"test/accuracy", "test/loss", "val/accuracy", "val/loss", "train/accuracy", "train/loss"} < found.keys()
    table = rows(folder)
    assert [(row["epoch"], row["step"]) for row in table] == [("0", "4"), ("1", "8")]
    assert 0 < found["test/accuracy"] < 1


def test_the_run_can_be_run_again_from_its_config(fit_tiny: Train, command: Command) -> None:
    folder = fit_tiny("model=sigmoid", "run_name=first")
    command("train", "--config-dir", str(folder), "--config-name", "config")
    (again,) = (one for one in folder.parent.iterdir() if one != folder)
    assert same(weights(folder), weights(again))


@pytest.mark.parametrize("model", ["lenet5", "sigmoid"])
def test_the_same_command_gives_the_same_run(fit_tiny: Train, model: str) -> None:
    first, second = (fit_tiny(f"model={model}", "trainer.max_epochs=2") for _ in range(2))
    assert first != second
    assert same(weights(first), weights(second))
    assert same(weights(first, "best"), weights(second, "best"))
    assert rows(first) == rows(second)


@pytest.mark.parametrize(
    ("images", "own"),
    [(48, ["trainer.precision=bf16-mixed"]), (33, ["augment=handwriting", *DRAWN])],  # MNIST's in a mini-batch of 48
)
def test_the_size_of_a_chunk_changes_nothing(fit_tiny: Train, images: int, own: list[str]) -> None:
    common = ("data.batch_size=48", "trainer.max_epochs=2", *own)
    one, four = (fit_tiny(*common, f"data.chunk_size={size}") for size in (1, 4))
    steps_an_epoch = -(-512 // images)
    assert steps(one) == steps(four) == 2 * steps_an_epoch
    assert same(weights(one), weights(four))
    assert [row["step"] for row in rows(one)] == [str(steps_an_epoch), str(2 * steps_an_epoch)]


def test_later_epochs_take_what_was_read_worst(fit_tiny: Train) -> None:
    common = ("data.hard_example_fraction=0.25", "data.batch_size=48", "trainer.max_epochs=3", "schedule=none")
    whole, other = (fit_tiny(*common, f"data.chunk_size={size}") for size in (1, 4))
    assert [row["step"] for row in rows(whole)] == ["11", "14", "17"]  # 512 images, then 128 of them
    assert same(weights(whole), weights(other))
    part = fit_tiny(*common, "trainer.max_epochs=1")
    fit_tiny(f"resume={part}", "trainer.max_epochs=3")
    assert same(weights(whole), weights(part))
    assert [row["step"] for row in rows(part)] == ["11", "14", "17"]
    state = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)["MNISTDataModule"]
    assert state["losses"].isfinite().all()


def test_confidence_is_calibrated_on_validation(train_tiny: Train, data_dir: Path) -> None:
    folder = train_tiny("trainer.max_epochs=2", *DRAWN)
    found = figures(folder)
    assert found["val/temperature"] != 1
    assert 0.1 <= found["val/reject_below"] <= 1
    assert found["val/mnist_rejected"] <= 0.003
    assert found["val/synthetic_rejected"] <= 0.01
    assert found["test/uncalibrated/nll"] == pytest.approx(found["test/loss"], abs=1e-4)
    assert found["test/calibrated/nll"] < found["test/uncalibrated/nll"]
    images, labels = (tensor[:500].numpy() for tensor in mnist.read(data_dir, train=False))
    probabilities = Reader(folder / "model.onnx").probabilities(images)
    assert probabilities.sum(axis=1).mean() < 1  # what is missing is a non-digit's
    likelihoods = probabilities[np.arange(500), labels]
    assert -np.log(likelihoods).mean() == pytest.approx(found["test/calibrated/nll"], abs=1e-4)


def test_without_validation_the_last_weights_are_tested(train_tiny: Train) -> None:
    folder = train_tiny("data.val_size=0", "trainer.max_epochs=2")
    assert sorted(file.name for file in (folder / "checkpoints").iterdir()) == ["last.ckpt", "previous.ckpt"]
    assert not any(key.startswith("val/") for key in figures(folder))
    assert figures(folder)["epoch"] == 1
    assert "nothing was held out to give a temperature" in (folder / "train.log").read_text()


@pytest.mark.parametrize(("optimizer", "schedule"), [("adam", "none"), ("adamw", "onecycle"), ("sgd", "cosine")])
def test_every_optimizer_and_schedule_learns(fit_tiny: Train, optimizer: str, schedule: str) -> None:
    folder = fit_tiny(f"optimizer={optimizer}", f"schedule={schedule}", "data.batch_size=16", "trainer.max_epochs=2")
    losses = [float(row["train/loss"]) for row in rows(folder)]
    assert losses[1] < losses[0]


def test_evaluate_repeats_the_test(copied: Path, command: Command, tmp_path: Path) -> None:
    folder = copied
    expected = {key: value for key, value in figures(folder).items() if key.startswith("test/")}
    of_validation = {"val/temperature", "val/reject_below", "val/mnist_rejected"}
    expected |= {key: figures(folder)[key] for key in of_validation}
    for arguments in ([f"run={folder}"], []):  # the second time it finds the newest run, and replaces its own figures
        outcome = command("evaluate", *arguments, f"outputs_dir={tmp_path / 'outputs'}", "accelerator=cpu")
        assert f"test accuracy  {expected['test/accuracy']:.2%}".replace("%", " %") in outcome.err
        assert json.loads((folder / "evaluate" / "metrics.json").read_text(encoding="utf-8")) == expected
        assert len(list((folder / "evaluate").glob("events.out.tfevents.*"))) == 1


def test_evaluate_needs_a_run(command: Command, tmp_path: Path) -> None:
    outcome = command("evaluate", f"outputs_dir={tmp_path}", code=2)
    assert outcome.err == f"error: run: no finished run in {tmp_path}; train one first: python src/train.py\n"
