"""Runs: what they leave behind, that they repeat exactly, and that they go on where they stopped."""

import csv
import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
import yaml
from conftest import Command, Train

from digits import resuming, runs
from digits.config import ROOT, ModelConfig
from digits.errors import UserError


def weights(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return state


def steps(folder: Path) -> int:
    checkpoint: dict[str, int] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint["global_step"]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv but for what a clock says."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{key: row[key] for key in row if key != "train/images_per_second"} for row in csv.DictReader(file)]


def figures(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    del found["train/images_per_second"]
    return found


def test_a_run_leaves_its_folder(train_tiny: Train, tmp_path: Path) -> None:
    folder = train_tiny("run_name=mine", "trainer.max_epochs=2")
    assert folder == tmp_path / "outputs" / "lenet5" / "mine"
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    events = {file for file in files if file.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert files - events == {
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
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


def test_the_run_can_be_run_again_from_its_config(train_tiny: Train, command: Command) -> None:
    folder = train_tiny("model=sigmoid", "run_name=first")
    outcome = command("train", "--config-dir", str(folder), "--config-name", "config")
    assert outcome.code == 0, outcome.err
    (again,) = (one for one in folder.parent.iterdir() if one != folder)
    assert same(weights(folder), weights(again))


@pytest.mark.parametrize("model", ["lenet5", "sigmoid"])
def test_the_same_command_gives_the_same_run(train_tiny: Train, model: str) -> None:
    first, second = (train_tiny(f"model={model}", "trainer.max_epochs=2") for _ in range(2))
    assert first != second
    assert same(weights(first), weights(second))
    assert same(weights(first, "best"), weights(second, "best"))
    assert rows(first) == rows(second)
    assert figures(first) == figures(second)


def test_another_seed_gives_another_run(train_tiny: Train) -> None:
    assert not same(weights(train_tiny("seed=1")), weights(train_tiny("seed=2")))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_size_of_a_chunk_changes_nothing(train_tiny: Train, precision: str) -> None:
    common = ("data.batch_size=48", "trainer.max_epochs=2", f"trainer.precision={precision}")
    one, some, all_at_once = (train_tiny(*common, f"data.chunk_size={size}") for size in (1, 4, 16))
    assert steps(one) == steps(some) == steps(all_at_once) == 22
    assert same(weights(one), weights(some))
    assert same(weights(one), weights(all_at_once))
    assert [row["step"] for row in rows(one)] == ["11", "22"]


class Interrupt(L.Callback):
    """Press Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Send the signal that a terminal sends."""
        if trainer.current_epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def interrupt(train_tiny: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Start a run of LeNet-5 and interrupt it in an epoch; gives its folder."""
    trainer = L.Trainer

    def start(epoch: int, *overrides: str) -> Path:
        def with_interrupt(**arguments: Any) -> L.Trainer:
            return trainer(**{**arguments, "callbacks": [*arguments["callbacks"], Interrupt(epoch)]})

        handler = signal.getsignal(signal.SIGINT)
        with monkeypatch.context() as patch:
            patch.setattr("digits.training.L.Trainer", with_interrupt)
            with pytest.raises(SystemExit) as stop:
                train_tiny("run_name=stopped", *overrides)
        signal.signal(signal.SIGINT, handler)  # which Lightning turned off, since the process is to end
        assert stop.value.code == 130
        return tmp_path / "outputs" / "lenet5" / "stopped"

    return start


@pytest.mark.parametrize("how", ["auto", "folder", "file"])
def test_a_resumed_run_equals_an_undisturbed_one(train_tiny: Train, interrupt: Callable[..., Path], how: str) -> None:
    common = ("trainer.max_epochs=3", "data.chunk_size=2", "schedule=onecycle")
    stopped = interrupt(2, *common)
    assert not (stopped / "model.onnx").exists()
    log = (stopped / "train.log").read_text(encoding="utf-8")
    assert "stopped; the last whole epoch is kept" in log
    assert "resume=" in log
    assert "run_name" not in log.split("To go on:")[1]
    resume = {"auto": "auto", "folder": stopped, "file": stopped / "checkpoints" / "last.ckpt"}[how]
    resumed = train_tiny(*common, f"resume={resume}")
    undisturbed = train_tiny(*common)
    assert resumed == stopped
    assert same(weights(resumed), weights(undisturbed))
    assert same(weights(resumed, "best"), weights(undisturbed, "best"))
    assert rows(resumed) == rows(undisturbed)
    assert figures(resumed) == figures(undisturbed)


def test_a_run_stopped_in_its_first_epoch_says_so(interrupt: Callable[..., Path]) -> None:
    stopped = interrupt(0)
    assert "nothing to go on from" in (stopped / "train.log").read_text(encoding="utf-8")


def test_a_finished_run_goes_on_with_more_epochs(train_tiny: Train) -> None:
    folder = train_tiny("model=sigmoid", "optimizer.learning_rate=0.002", "schedule=none")
    longer = train_tiny("model=sigmoid", f"resume={folder}", "trainer.max_epochs=2")
    assert longer == folder
    assert [row["epoch"] for row in rows(folder)] == ["0", "1"]
    whole = train_tiny("model=sigmoid", "optimizer.learning_rate=0.002", "schedule=none", "trainer.max_epochs=2")
    assert same(weights(longer), weights(whole))


def test_a_run_stopped_after_its_last_epoch_is_tested_and_exported(train_tiny: Train) -> None:
    folder = train_tiny()
    before = figures(folder)
    for file in ("model.onnx", "metrics.json"):
        (folder / file).unlink()
    assert train_tiny("resume=auto") == folder
    assert (folder / "model.onnx").exists()
    assert figures(folder) == before


def test_resume_auto_starts_anew_where_nothing_is_unfinished(train_tiny: Train) -> None:
    first = train_tiny()
    second = train_tiny("resume=auto")
    assert second != first
    assert "new run" in (second / "train.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=sigmoid", "was made with model=lenet5 and goes on with it"),
        ("seed=5", "was made with seed=1 and goes on with it"),
        ("data.batch_size=64", "was made with data.batch_size=128 and goes on with it"),
        ("trainer.max_epochs=1", "has 1 epochs already"),
    ],
)
def test_a_run_goes_on_as_what_it_was(train_tiny: Train, override: str, message: str) -> None:
    folder = train_tiny()
    with pytest.raises(UserError, match=message):
        train_tiny(f"resume={folder}", override)


def test_a_resume_that_is_not_there_is_named(train_tiny: Train, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*last\.ckpt; give the folder of a run"):
        train_tiny(f"resume={tmp_path}")


def test_checkpoints_of_others_are_refused(train_tiny: Train, tmp_path: Path) -> None:
    folder = train_tiny("model=sigmoid")
    checkpoint = folder / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match=r"is a checkpoint of .*sigmoid.*, this is .*lenet5"):
        resuming.load(checkpoint, ModelConfig("lenet5"))
    for name, content in {"empty": b"", "text": b"no checkpoint", "cut": checkpoint.read_bytes()[:1000]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}: is damaged, or is not a checkpoint of this project"):
            resuming.load(tmp_path / name, ModelConfig("lenet5"))


def test_a_strangers_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"hyper_parameters": Malicious()}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match="is not a checkpoint of this project"):
        resuming.load(tmp_path / "evil.ckpt", ModelConfig("lenet5"))
    assert not (tmp_path / "ran").exists()


def test_without_validation_the_last_weights_are_tested(train_tiny: Train) -> None:
    folder = train_tiny("data.val_size=0", "trainer.max_epochs=2")
    assert [file.name for file in (folder / "checkpoints").iterdir()] == ["last.ckpt"]
    assert not any(key.startswith("val/") for key in figures(folder))
    assert figures(folder)["epoch"] == 1


def test_training_stops_early(train_tiny: Train) -> None:
    folder = train_tiny(
        "trainer.early_stopping.patience=1", "trainer.max_epochs=9", "optimizer.learning_rate=1e-9", "schedule=none"
    )
    assert len(rows(folder)) == 2
    assert figures(folder)["epoch"] == 0


@pytest.mark.parametrize(("optimizer", "schedule"), [("adam", "none"), ("adamw", "onecycle"), ("sgd", "cosine")])
def test_every_optimizer_and_schedule_learns(train_tiny: Train, optimizer: str, schedule: str) -> None:
    folder = train_tiny(f"optimizer={optimizer}", f"schedule={schedule}", "data.batch_size=16", "trainer.max_epochs=2")
    losses = [float(row["train/loss"]) for row in rows(folder)]
    assert losses[1] < losses[0]


def test_evaluate_repeats_the_test(train_tiny: Train, command: Command, tmp_path: Path) -> None:
    folder = train_tiny()
    expected = {key: value for key, value in figures(folder).items() if key.startswith("test/")}
    for arguments in ([f"run={folder}"], []):  # the second time it finds the newest run, and replaces its own figures
        outcome = command("evaluate", *arguments, f"outputs_dir={tmp_path / 'outputs'}", "accelerator=cpu")
        assert outcome.code == 0, outcome.err
        assert f"test accuracy  {expected['test/accuracy']:.2%}".replace("%", " %") in outcome.err
        assert json.loads((folder / "evaluate" / "metrics.json").read_text(encoding="utf-8")) == expected
        assert len(list((folder / "evaluate").glob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("checkpoints/best.ckpt", "is damaged, or is not a checkpoint of this project"),
        ("config.yaml", "is not the folder of a run"),
    ],
)
def test_evaluate_names_what_is_damaged(train_tiny: Train, command: Command, damage: str, message: str) -> None:
    folder = train_tiny()
    (folder / damage).unlink()
    outcome = command("evaluate", f"run={folder}")
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_evaluate_needs_a_run(command: Command, tmp_path: Path) -> None:
    outcome = command("evaluate", f"outputs_dir={tmp_path}")
    assert outcome.code == 2
    assert outcome.err == f"error: run: no finished run in {tmp_path}; train one first: python src/train.py\n"


def test_a_run_name_is_not_used_twice(train_tiny: Train) -> None:
    train_tiny("run_name=mine")
    with pytest.raises(UserError, match=r"run_name=mine: .*mine is there already"):
        train_tiny("run_name=mine")


def test_runs_of_the_same_second_get_their_own_folders(tmp_path: Path) -> None:
    folders = {runs.create(str(tmp_path), "lenet5", None) for _ in range(5)}
    assert len(folders) == 5


def test_outputs_that_cannot_be_written_are_named(command: Command, tiny: list[str], tmp_path: Path) -> None:
    blocked = tmp_path / "outputs"
    blocked.write_text("a file where the folder should be")
    outcome = command("train", *tiny, f"outputs_dir={blocked}")
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: outputs_dir={blocked}: cannot make")
    assert outcome.err.count("\n") == 1


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    runs.write_text(target, "before")

    def fail_half_way() -> None:
        with runs.whole(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text(encoding="utf-8") == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]
    with pytest.raises(UserError, match="cannot be written"):
        runs.write_text(tmp_path / "nowhere" / "file.txt", "text")


def test_relative_folders_are_the_projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs.newest_unfinished("outputs", "no such model") is None
    with pytest.raises(UserError, match=str(ROOT / "outputs")):
        runs.newest_finished("outputs/no such folder")


def test_the_log_is_handed_back(train_tiny: Train) -> None:
    before = logging.getLogger("digits").handlers.copy()
    train_tiny()
    assert logging.getLogger("digits").handlers == before
