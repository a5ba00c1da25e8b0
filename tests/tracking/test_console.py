"""A terminal gets a bar, a log gets lines."""

import io
import logging
from pathlib import Path

import pytest
from conftest import Train
from rich.console import Console

from digits.tracking import console


def test_a_terminal_shows_a_bar_of_optimizer_steps(train_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(console, "console", terminal)
    monkeypatch.setattr("digits.training.run.console", terminal)
    train_tiny("data.batch_size=32")
    shown = screen.getvalue()
    assert "16/16 steps" in shown
    assert "epoch 1/1  train loss" in shown


def test_without_a_terminal_there_are_plain_lines(train_tiny: Train, capfd: pytest.CaptureFixture[str]) -> None:
    folder = train_tiny()
    lines = capfd.readouterr().err.splitlines()
    assert any(line.startswith("epoch 1/1  train loss") for line in lines)
    assert not any("━" in line or "\x1b" in line for line in lines)
    in_file = Path(folder / "train.log").read_text(encoding="utf-8").splitlines()
    assert [line.split("  ", 1)[1] for line in in_file] == lines


def test_a_long_line_is_not_broken_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=screen, force_terminal=True, width=40, color_system=None))
    line = "python src/predict.py img=my_digit.png run=outputs/lenet5/2026-11-20_12-00-00 [b]"
    with console.logging_to(None):
        logging.getLogger("digits").info(line)
    assert screen.getvalue() == f"{line}\n"
