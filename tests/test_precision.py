"""trainer.precision=auto: what rules, what is measured, and that it is measured once."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Train, settings
from run_folders import rows

from digits import precision
from digits.devices import Device

CPU, CARD = Device("cpu", 1, "the CPU"), Device("cuda", [0], "a card")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What measuring finds, one after the other; on a processor that has bfloat16 instructions."""
    gains: list[float] = []
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "cpu_name": "one"})
    monkeypatch.setattr(precision, "_gain", lambda *_: gains.pop(0))
    return gains


def chosen(folder: Path, *typed: str, device: Device = CPU) -> str:
    return precision.resolved(settings(f"data.dir={folder}", *typed), device).trainer.precision


@pytest.mark.usefixtures("measured")
def test_what_is_asked_for_rules(tmp_path: Path) -> None:
    assert chosen(tmp_path, "trainer.precision=bf16-mixed") == "bf16-mixed"
    assert chosen(tmp_path, "trainer.precision=32-true") == "32-true"


def test_the_faster_one_is_taken_and_remembered(tmp_path: Path, measured: list[float]) -> None:
    measured += [1.5, 0.7]
    assert chosen(tmp_path) == "bf16-mixed"
    assert chosen(tmp_path, "model=sigmoid") == "32-true"
    assert measured == []
    assert chosen(tmp_path, "seed=2") == "bf16-mixed"  # nothing is left to measure
    assert sorted(json.loads((tmp_path / precision.FILE).read_text()).values()) == ["32-true", "bf16-mixed"]


@pytest.mark.parametrize("damaged", ["{", "[]", "[1]", "{}", '"text"', "\\udcff"])
def test_what_was_remembered_may_be_damaged(damaged: str, tmp_path: Path, measured: list[float]) -> None:
    (tmp_path / precision.FILE).write_text(damaged)
    measured += [1.05]  # less than is worth it
    assert chosen(tmp_path) == "32-true"


@pytest.mark.usefixtures("measured")
def test_nothing_is_measured_where_there_is_no_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(tmp_path, device=CARD) == "32-true"
    assert chosen(tmp_path, "optimizer=lbfgs") == "32-true"
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert chosen(tmp_path) == "32-true"


def test_a_run_says_what_it_was_made_in(train_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    folder = train_tiny("trainer.precision=auto", "data.batch_size=64")
    log: Any = (folder / "train.log").read_text()
    made_in = next(one for one in ("32-true", "bf16-mixed") if one in log)
    assert f"precision: {made_in}" in (folder / "config.yaml").read_text()
    assert len(rows(folder)) == 1
