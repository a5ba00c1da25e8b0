"""The benchmark: everyone has a turn, the figures are those that were measured, and the files are there."""

import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from conftest import Command, settings
from contenders import broken, ended, steady

from digits import runs
from digits.benchmarks import ours, peers, training
from digits.benchmarks.predicting import predicting
from digits.benchmarks.round_robin import Contender, images_per_second
from digits.config.commands import BenchmarkConfig
from digits.reading.reader import GPU


def test_each_round_gives_everyone_a_turn() -> None:
    said: list[str] = []
    contenders = [Contender(name, steady, {"images": images}) for name, images in (("one", 10), ("two", 1000))]
    rates = images_per_second(contenders, 3, said.append)
    assert [len(values) for values in rates.values()] == [3, 3]
    assert said == ["one is ready", "two is ready", "warmed up", "round 1 of 3", "round 2 of 3", "round 3 of 3"]


def test_what_one_of_them_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="as it must"):
        images_per_second([Contender("broken", broken, {})], 1, lambda _: None)
    with pytest.raises(RuntimeError, match="the process of ended ended"):
        images_per_second([Contender("ended", ended, {})], 1, lambda _: None)


class NoMoreTurnsError(Exception):
    """There are no more turns."""


class TwoTurns:
    """Gives two turns in this process, whose start costs nothing."""

    def __init__(self) -> None:
        self.images: list[int] = []
        self.seconds: list[float | None] = []

    def wait(self, images: int = 0, seconds: float | None = None) -> None:
        self.images.append(images)
        self.seconds.append(seconds)
        if len(self.images) == 3:
            raise NoMoreTurnsError


@pytest.mark.parametrize("peer", [peers.bare, peers.examples, peers.template])
def test_a_peer_trains_in_each_turn(peer: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = torch.optim.Adam.step

    def counted(self: torch.optim.Adam, closure: Any = None) -> Any:
        steps.append(1)
        return step(self, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", counted)
    turns = TwoTurns()
    with warnings.catch_warnings(), pytest.raises(NoMoreTurnsError):
        peer(turns, model="sigmoid", batch_size=64, images=192, data_dir=str(data_dir), device="cpu")
    assert len(steps) == 2 * 3


@pytest.mark.parametrize("steps_alone", [False, True])
def test_ours_is_a_run_an_epoch_a_turn(
    tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_alone: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # given back at the end
    turns: Any = TwoTurns()
    config = settings(
        *tiny, f"outputs_dir={tmp_path}", "trainer.max_epochs=3", "data.hard_example_fraction=0.5", "run_name=one"
    )
    with pytest.raises(NoMoreTurnsError):
        ours.train(turns, config, steps_alone)
    assert turns.images == [512, 512, 256]
    epochs = runs.read_metrics(tmp_path / "lenet5" / "one")
    assert len(epochs) == 2
    alone = [images / row["train/images_per_second"] for images, row in zip([512, 256], epochs, strict=True)]
    assert turns.seconds == [None, *(alone if steps_alone else [None, None])]


@pytest.mark.parametrize("what", ["train", "predict", "all"])
def test_what_is_measured_is_written(
    command: Command, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, what: str, finished: Path
) -> None:
    def measured(contenders: list[Contender], rounds: int, report: Any) -> dict[str, list[float]]:
        report("a round")
        return {contender.name: [1000.0 * number] * rounds for number, contender in enumerate(contenders, 1)}

    real = subprocess.run

    def run(arguments: list[str], **options: Any) -> Any:
        if arguments[0] != sys.executable:  # platform.processor() asks uname
            return real(arguments, **options)
        ran.append(arguments)
        if "train.py" in arguments:
            typed = dict(setting.split("=", 1) for setting in arguments[2:])
            shutil.copytree(finished, Path(typed["outputs_dir"], "lenet5", typed["run_name"]))
        return None

    ran: list[list[str]] = []
    monkeypatch.setattr(training, "images_per_second", measured)
    monkeypatch.setattr(subprocess, "run", run)
    out = tmp_path / "benchmark"
    where = [f"outputs_dir={tmp_path}", f"data_dir={data_dir}"]
    outcome = command("benchmark", f"what={what}", "models=[sigmoid]", "rounds=2", "accelerator=cpu", *where)
    written = json.loads((out / "figures.json").read_text())
    ((title, part),) = written["figures"].items()
    assert written["machine"]["torch"] == torch.__version__.partition("+")[0]
    assert (out / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["benchmark"]
    if what != "predict":
        assert title == "sigmoid, batch 128"
        assert next(iter(part)) == "this project"
        assert len(part) == 5
        assert "| this project | 1,000 | 1,000 to 1,000 | 0.33 |" in outcome.out
    else:
        assert "predict.py" in part
    assert len(ran) == {"train": 0, "predict": 3 * 3, "all": 3 + 12 + 3 * 3}[what]
    if what == "all":
        assert "| the same run twice | the same weights to the bit |" in outcome.out
        assert "| train.py experiment=fast/lenet5 | 10 |" in outcome.out


@pytest.mark.parametrize("has_compiler", [True, False])
def test_on_a_gpu_steps_alone_and_compiled_ones_are_measured_too(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, has_compiler: bool
) -> None:
    asked: list[Contender] = []
    monkeypatch.setattr(training, "images_per_second", lambda contenders, *_: asked.extend(contenders))
    monkeypatch.setattr(training, "find_spec", lambda _: object())
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/cc" if has_compiler else None)
    config = BenchmarkConfig("train", ["sigmoid"], [512], 2, "gpu", "outputs", "data")
    training.training(config, data_dir, "gpu", lambda _: None)
    names = [contender.name for contender in asked]
    assert "this project, steps alone" in names
    assert "this project, steps not captured" in names
    assert ("a bare loop over tensors, compiled" in names) == has_compiler
    assert [contender.name for contender in asked if contender.arguments.get("steps_alone")] == [names[2]]


@pytest.mark.parametrize("available", [True, False])
def test_the_gpu_reads_where_onnx_runtime_is_built_for_it(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, available: bool
) -> None:
    monkeypatch.setattr(ours, "command", lambda *_: None)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [GPU] if available else [])
    ((_, seconds),) = predicting(data_dir, "gpu", 1, lambda _: None).items()
    assert ("predict.py accelerator=gpu" in seconds) == available
    assert "predict.py" in seconds
