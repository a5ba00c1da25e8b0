"""Several runs as one network."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Command, Train, settings

from digits import resuming
from digits.reading.reader import Reader


@pytest.fixture
def two(train_tiny: Train) -> list[Path]:
    return [train_tiny("model=lenet5", "run_name=one"), train_tiny("model=sigmoid", "seed=2", "run_name=two")]


def test_its_probabilities_are_the_mean_of_theirs(
    two: list[Path], command: Command, tmp_path: Path, data_dir: Path
) -> None:
    outputs = f"outputs_dir={tmp_path / 'outputs'}"
    outcome = command("ensemble", f"runs=[{two[0]},{two[1]}]", "run_name=both", outputs)
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "outputs" / "ensemble" / "both"
    assert {one.name for one in folder.iterdir()} == {"ensemble.yaml", "metrics.json", "model.onnx", "train.log"}
    figures = json.loads((folder / "metrics.json").read_text())
    images = np.random.default_rng(1).random((9, 28, 28), dtype=np.float32)
    mean = np.mean([Reader(one / "model.onnx").probabilities(images) for one in two], axis=0)
    powers = mean ** (1 / figures["val/temperature"])
    found = Reader(folder / "model.onnx")
    np.testing.assert_allclose(found.probabilities(images), powers / powers.sum(axis=1, keepdims=True), rtol=1e-3)
    assert found.threshold == figures["val/reject_below"]
    alone = [json.loads((one / "metrics.json").read_text())["test/accuracy"] for one in two]
    assert figures["test/members/accuracy"] == pytest.approx(np.mean(alone), abs=1e-4)
    assert figures["test/accuracy"] > min(alone)
    # what takes the newest run takes one that was trained
    outcome = command("evaluate", outputs, "accelerator=cpu")
    assert outcome.code == 0, outcome.err
    assert (two[1] / "evaluate").exists()
    assert resuming.started(settings("start_from=auto", outputs), []).start_from == str(two[1])
    # it can be read with and learned from like a run, and put together with others
    typed = ("data.train_size=100", "data.val_size=100", "trainer.max_epochs=1", "trainer.precision=32-true")
    assert "test accuracy" in command("train", f"teacher={folder}", outputs, *typed, f"data.dir={data_dir}").err
    outcome = command("ensemble", f"runs=[{two[0]},{folder}]", outputs)
    assert outcome.err.startswith(f"error: {folder}: is not the folder of a run")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["runs=[a]"], "runs=['a']: must be a list of 2 to 100 folders of runs, none of them twice"),
        (["runs=[a,a]"], "runs=['a', 'a']: must be a list of 2 to 100"),
        (["runs=[nowhere,elsewhere]"], "runs="),
        ([], "runs: "),
        (["runs=[a,b]", "run_name=a/b"], "run_name=a/b: must be a folder's name"),
    ],
)
def test_wrong_settings_are_one_line(typed: list[str], message: str, command: Command, tmp_path: Path) -> None:
    outcome = command("ensemble", *typed, f"outputs_dir={tmp_path / 'outputs'}")
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {message}")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "outputs").exists()


def test_runs_that_held_out_other_images_are_refused(train_tiny: Train, command: Command, tmp_path: Path) -> None:
    folders = [train_tiny("model=sigmoid"), train_tiny("model=sigmoid", "data.split_seed=1")]
    outcome = command("ensemble", f"runs=[{folders[0]},{folders[1]}]", f"outputs_dir={tmp_path / 'outputs'}")
    assert outcome.code == 2
    assert f"runs={folders[1]}: has data.split_seed=1; must be 0, as in {folders[0]}" in outcome.err
    assert not (tmp_path / "outputs" / "ensemble").exists()
