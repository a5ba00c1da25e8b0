"""The benchmark: everyone has a turn, the figures are those that were measured, and the files are there."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Command, settings
from contenders import broken, ended, steady
from run_folders import rows
from torch import nn

from digits.benchmarks import commands, measure, ours, peers
from digits.benchmarks.floor import floor
from digits.benchmarks.turns import Contender, images_per_second, ratio


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


def test_the_ratio_is_of_each_round() -> None:
    assert ratio([2.0, 30.0, 4.0], [1.0, 10.0, 4.0]) == 2.0


def test_the_floor_counts_a_networks_work() -> None:
    least = floor(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), 8, "cpu", torch.float32)
    assert least.operations == 2 * 2 * 784 * 10  # forwards, and backwards for the weights alone
    assert least.bytes == 784 + 4 * (4 * (784 + 10) + 8 * 7850 / 8)
    bounds = least.operations_per_second / least.operations, least.bytes_per_second / least.bytes
    assert least.images_per_second == pytest.approx(min(bounds))


@pytest.mark.parametrize(("model", "weights"), [("lenet5", 61_706), ("sigmoid", 159_010)])
def test_the_peers_networks_have_our_weights(model: str, weights: int) -> None:
    assert sum(one.numel() for one in peers.network(model).parameters()) == weights


class Over(Exception):  # noqa: N818  # nothing is wrong then
    """There are no more turns."""


class TwoTurns:
    """Gives two turns in this process, whose start costs nothing."""

    def __init__(self) -> None:
        self.images: list[int] = []

    def wait(self, images: int = 0) -> None:
        self.images.append(images)
        if len(self.images) == 3:
            raise Over


@pytest.mark.parametrize("peer", [peers.bare, peers.examples, peers.template])
def test_a_peer_trains_in_each_turn(peer: Any, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = torch.optim.Adam.step

    def counted(self: torch.optim.Adam, closure: Any = None) -> Any:
        steps.append(1)
        return step(self, closure)

    monkeypatch.setattr(torch.optim.Adam, "step", counted)
    turns = TwoTurns()
    with warnings.catch_warnings(), pytest.raises(Over):
        peer(turns, model="sigmoid", batch_size=64, images=192, data_dir=str(data_dir), device="cpu")
    assert len(steps) == 2 * 3


def test_ours_is_a_run_an_epoch_a_turn(tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # given back at the end
    turns: Any = TwoTurns()
    config = settings(*tiny, f"outputs_dir={tmp_path}", "trainer.max_epochs=3", "data.hardest=0.5", "run_name=one")
    with pytest.raises(Over):
        ours.train(turns, config)
    assert turns.images == [512, 512, 256]
    assert len(rows(tmp_path / "lenet5" / "one")) == 2


def test_training_is_measured_and_written(
    command: Command, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(contenders: list[Contender], rounds: int, say: Any) -> dict[str, list[float]]:
        say("a round")
        return {one.name: [1000.0 * place] * rounds for place, one in enumerate(contenders, 1)}

    monkeypatch.setattr(measure, "images_per_second", measured)
    out = tmp_path / "out"
    where = [f"out={out}", f"outputs_dir={tmp_path}", f"data_dir={data_dir}"]
    outcome = command("benchmark", "models=[sigmoid]", "rounds=2", "accelerator=cpu", "batch_size=512", *where)
    assert outcome.code == 0, outcome.err
    found = json.loads((out / "figures.json").read_text())
    (part,) = found["figures"].values()
    assert next(iter(part)) == "this project"
    assert len(part) == 5
    assert found["machine"]["torch"] == torch.__version__.partition("+")[0]
    assert "| this project | 1,000 | 1,000 to 1,000 | 0.33 |" in outcome.out
    assert "the floor is" in (out / "table.md").read_text()
    assert (out / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out"]


def test_reading_and_starting_are_whole_commands(
    command: Command, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def in_turn(wanted: dict[str, list[str]], rounds: int, _say: Any, after: Any = None) -> dict[str, list[float]]:
        ran.extend(wanted.values())
        return {name: [1.0] * rounds for name in (*wanted, *([commands.FIT] if after else []))}

    monkeypatch.setattr(commands, "_in_turn", in_turn)
    monkeypatch.setattr(commands, "_imports", lambda: ["imports"])
    where = [f"outputs_dir={tmp_path}", f"data_dir={data_dir}", "rounds=2"]
    for what in ("predict", "start"):
        outcome = command("benchmark", f"what={what}", *where)
        assert outcome.code == 0, outcome.err
    assert any("experiment=fast/lenet5" in one for one in ran)


def test_commands_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "TRAINING", "pass")
    seconds = commands._in_turn({"one": ["-c", "pass"], "two": ["-c", "1"]}, 2, lambda _: None, lambda: 3.0)
    assert {name: len(values) for name, values in seconds.items()} == {"one": 2, "two": 2, commands.FIT: 2}
    with pytest.raises(RuntimeError, match="one: "):
        commands._in_turn({"one": ["-c", "raise SystemExit(1)"]}, 1, lambda _: None)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("what=all", "what=all: must be one of train, predict, start"),
        ("models=[]", "models=[]: must be a list of lenet5, sigmoid or both"),
        ("models=[mlp]", "models=mlp: must be one of lenet5, sigmoid"),
        ("rounds=0", "rounds=0: must be 1 to 1000"),
        ("batch_size=0", "batch_size=0: must be 1 to 30000"),
        ("accelerator=tpu", "accelerator=tpu: must be one of auto, cpu, gpu"),
    ],
)
def test_wrong_settings_are_answered_in_a_line(typed: str, message: str, command: Command) -> None:
    outcome = command("benchmark", typed)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {message}")
    assert len(outcome.err.splitlines()) == 1


def test_a_cache_folder_that_cannot_be_made_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    outcome = command("benchmark", f"data_dir={tmp_path / 'file' / 'data'}", f"out={tmp_path / 'out'}")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith(f"error: data_dir={tmp_path / 'file' / 'data'}: ")
