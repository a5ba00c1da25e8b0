"""Runs go on where they stopped, as what they were."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from conftest import Train
from run_folders import figures, rows, same, weights

from digits import resuming
from digits.config import ModelConfig
from digits.errors import UserError


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
