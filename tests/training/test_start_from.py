"""A run that starts from a finished network: with its weights, as the network that it is."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from conftest import Command, Train, settings
from omegaconf import OmegaConf
from run_folders import rows, same, weights

from digits.config.train import TrainConfig
from digits.errors import UserError
from digits.models.build import build_network
from digits.reading.reader import SHIPPED
from digits.training import resume
from digits.training.classifier import DigitClassifier
from digits.training.export import export, take_weights

STILL = ["optimizer.learning_rate=1e-30", "optimizer.weight_decay=0"]
"""Training that changes nothing."""


@pytest.mark.parametrize("typed", [["model=lenet5"], ["model=sigmoid"], ["experiment=online_sgd_02"], ["model=mlp"]])
def test_the_weights_come_back_out_of_the_file(typed: list[str], tmp_path: Path) -> None:
    config = settings(*typed)
    first, second = (DigitClassifier(build_network(config.model), config) for _ in range(2))
    export(first, 1.7, tmp_path / "model.onnx", {})
    take_weights(second.network, tmp_path / "model.onnx")
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_auto_is_the_newest_run_and_its_network(train_tiny: Train, fit_tiny: Train, tmp_path: Path) -> None:
    first = train_tiny("model=mlp", "model.hidden=[12]", "run_name=first")
    folder = fit_tiny("start_from=auto", "run_name=second", *STILL)
    assert folder == tmp_path / "outputs" / "mlp" / "second"
    assert same(weights(first), weights(folder))
    made_of = OmegaConf.load(folder / "config.yaml")
    assert made_of.model.hidden == [12]
    assert made_of.start_from == str(first)
    assert f"starting from {first}" in (folder / "train.log").read_text()


def test_before_there_is_a_run_auto_is_the_shipped_network(fit_tiny: Train) -> None:
    folder = fit_tiny("start_from=auto", *STILL)
    assert OmegaConf.load(folder / "config.yaml").start_from == "shipped"
    assert float(rows(folder)[0]["val/accuracy"]) > 0.99


@pytest.mark.parametrize("source", ["auto", "{tmp}/outputs/mlp/first"])
def test_a_requeued_run_goes_on_with_the_network_that_it_started_from(
    source: str, train_tiny: Train, fit_tiny: Train, tmp_path: Path
) -> None:
    train_tiny("model=mlp", "model.hidden=[12]", "run_name=first")
    typed = [f"start_from={source.format(tmp=tmp_path)}", "experiment=lenet5_adam", "run_name=again", "resume=auto"]
    folder = fit_tiny(*typed)
    assert fit_tiny(*typed, "trainer.max_epochs=2") == folder == tmp_path / "outputs" / "mlp" / "again"
    assert len(rows(folder)) == 2


def test_a_run_that_goes_on_does_not_start_anew(fit_tiny: Train, tmp_path: Path) -> None:
    source = tmp_path / "source.onnx"
    source.write_bytes(SHIPPED.read_bytes())
    folder = fit_tiny(f"start_from={source}", "run_name=one")
    source.unlink()
    fit_tiny(f"resume={folder}", "trainer.max_epochs=2")
    assert len((folder / "metrics.csv").read_text().splitlines()) == 3


def changed(path: Path, **metadata: str) -> Path:
    model = onnx.load(SHIPPED)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


BOMB = "model:\n  name: &a lenet5\n  b: *a\n"
WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda _: None, r"start_from=.*x\.onnx: cannot be read"),
    "no network": (lambda path: path.write_text("weights"), r"start_from=.*x\.onnx: not an ONNX file that can be run"),
    "silent": (changed, r"start_from=.*x\.onnx: does not say what network it is; give a model\.onnx of train\.py"),
    "another project's": (
        lambda path: changed(path, config="model:\n  name: resnet"),
        r"does not say what network it is",
    ),
    "aliases": (lambda path: changed(path, config=BOMB), r"does not say what network it is"),
    "other weights": (
        lambda path: changed(path, config=OmegaConf.to_yaml({"model": settings("model=sigmoid").model})),
        r"start_from=.*x\.onnx: has no layers\.1\.weight of \[200, 784\]; give one of train\.py",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_files_are_refused_in_one_line_and_leave_no_run(kind: str, tmp_path: Path, fit_tiny: Train) -> None:
    make, message = WRONG[kind]
    make(tmp_path / "x.onnx")
    with pytest.raises(UserError, match=message) as caught:
        fit_tiny(f"start_from={tmp_path / 'x.onnx'}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "outputs").exists()


def test_the_network_cannot_be_called_another() -> None:
    typed = ["model=sigmoid", "start_from=shipped"]
    said = "^model=sigmoid: start_from=shipped is another network, model=lenet5; leave it out$"
    with pytest.raises(UserError, match=said):
        resume.with_network(settings(*typed), typed)
    typed = ["model=lenet5", "start_from=shipped"]
    assert resume.with_network(settings(*typed), typed).model == settings().model


def test_a_path_is_good_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config: TrainConfig = settings("start_from=my run/model.onnx")
    assert config.start_from == str(tmp_path / "my run" / "model.onnx")


def test_compare_collects_a_run_that_started_from_a_network(
    command: Command, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = ["seeds=[1]", f"settings=[{','.join(tiny)}]", f"outputs_dir={tmp_path / 'outputs'}"]
    for _ in range(2):
        command("compare", *typed, "experiments=[model=lenet5 start_from=shipped]")
    assert len(list((tmp_path / "outputs").glob("*/*/model.onnx"))) == 1
    refused = command("compare", *typed, "experiments=[my_hand]", code=2)
    assert "experiments=my_hand: starts from the newest run, which is another one" in refused.err


def test_a_run_can_be_tested_when_the_pictures_it_learnt_are_gone(fit_tiny: Train, command: Command) -> None:
    folder = fit_tiny("start_from=shipped", "run_name=taught")
    config = folder / "config.yaml"
    config.write_text(
        config.read_text()
        .replace("own_fraction: 0.0", "own_fraction: 0.1")
        .replace("own_digits: null", "own_digits: /gone")
    )
    command("evaluate", f"run={folder}")
