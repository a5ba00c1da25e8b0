"""What the tests share: a few images of MNIST, tiny runs on them, and commands run as a user runs them."""

import functools
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from hydra._internal.hydra import Hydra
from PIL import Image, ImageDraw

from digits.config.train import TrainConfig
from digits.experiments.composed import composed
from digits.files import ROOT

if TYPE_CHECKING:  # xdist's own process, which runs no test, loads this file too
    import lightning.pytorch as L
    from web_page import Page

Train = Callable[..., Path]


@pytest.fixture(scope="session", autouse=True)
def hurried() -> Iterator[None]:
    """Leave out what costs the libraries up to a second of each of many runs, and changes nothing that they make."""
    import torch
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    torch.set_num_threads(1)  # the tests run in two processes; two threads in each would be in each other's way
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", functools.cache(ONNXRegistry.from_torchlib).__call__)
        patch.setattr(Hydra, "get_mode", lambda *_, **__: None)  # composes all, for hydra.mode, which nothing sets
        patch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
        yield


@dataclass
class Outcome:
    """What a command wrote."""

    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with MNIST unpacked."""
    from digits.data import mnist

    folder = tmp_path_factory.mktemp("data")
    mnist.prepare(folder)
    return folder


@pytest.fixture(scope="session")
def few(data_dir: Path) -> Path:
    """A file with 768 of MNIST's training images and 500 of its test images."""
    from digits.data import mnist

    train_set, test_set = (mnist.read(data_dir, train) for train in (True, False))
    path = data_dir / "few.npz"
    np.savez(
        path,
        x_train=train_set.images[:768],
        y_train=train_set.labels[:768],
        x_test=test_set.images[:500],
        y_test=test_set.labels[:500],
    )
    return path


@pytest.fixture(scope="session")
def tiny(data_dir: Path, few: Path) -> list[str]:
    """Overrides that make a run take a second: few images, one epoch; and keep it out of the project's folders."""
    return [
        f"data.path='{few}'",
        f"data.dir='{data_dir}'",
        "data.val_size=256",
        "data.synthetic_count=40",
        "trainer.max_epochs=1",
        "trainer.accelerator=cpu",
    ]


def settings(*overrides: str) -> TrainConfig:
    """Compose conf/train.yaml, with overrides as a user types them."""
    return composed([*overrides])


def fitted(typed: list[str], callbacks: Sequence["L.Callback"] = ()) -> Path:
    """Plan and fit a run, without its test and its model.onnx; return its folder."""
    from digits.training.run import fit, plan, session

    planned = plan(settings(*typed), typed)
    with session(planned):
        fit(planned, callbacks)
    return planned.folder


@pytest.fixture
def fit_tiny(tiny: list[str], tmp_path: Path) -> Train:
    """Fit a tiny run in this process, and no more; returns its folder."""

    def run(*overrides: str, callbacks: Sequence["L.Callback"] = ()) -> Path:
        return fitted([*tiny, f"outputs_dir={tmp_path / 'outputs'}", *overrides], callbacks)

    return run


@pytest.fixture
def train_tiny(tiny: list[str], tmp_path: Path) -> Train:
    """Train a tiny run in this process to its end; returns its folder."""
    from digits.training.run import train

    def run(*overrides: str) -> Path:
        typed = [*tiny, f"outputs_dir={tmp_path / 'outputs'}", *overrides]
        return train(settings(*typed), typed)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """The folder of a finished run that reads most digits correctly: outputs/lenet5/finished."""
    from digits.training.run import train

    outputs = tmp_path_factory.mktemp("finished") / "outputs"
    typed = [
        f"data.dir={data_dir}",
        f"outputs_dir={outputs}",
        "data.train_size=6000",
        "data.val_size=500",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        "run_name=finished",
    ]
    return train(settings(*typed), typed)


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to change: outputs/lenet5/finished in the test's folder."""
    return Path(shutil.copytree(finished, tmp_path / "outputs" / "lenet5" / "finished"))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run src/NAME.py as a process of its own would, but in this one, which has torch; it is to end with `code`."""

    def run(name: str, *arguments: str, code: int = 0) -> Outcome:
        monkeypatch.setattr(sys, "argv", [str(ROOT / "src" / f"{name}.py"), *arguments])
        capfd.readouterr()
        ended = 0
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as stop:
            ended = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        outcome = Outcome(*capfd.readouterr())
        assert ended == code, outcome.err
        return outcome

    return run


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Page"]:
    """The draw page, whose server takes a while to end."""
    from web_page import serving

    with serving(tmp_path_factory.mktemp("web")) as page:
        yield page


@pytest.fixture
def web(served: "Page") -> "Page":
    """The draw page, where nothing was saved yet."""
    if served.own_digits.is_dir():
        shutil.rmtree(served.own_digits)
    served.own_digits.unlink(missing_ok=True)
    return served


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Draw a 7 as a person might, dark on light, and save it; returns the file."""

    def save(name: str = "seven.png", ink: int = 20, paper: int = 235, side: int = 200) -> Path:
        picture = Image.new("L", (side, side), paper)
        points = [(side * x / 10, side * y / 10) for x, y in ((3, 2), (7, 2), (4.5, 8))]
        ImageDraw.Draw(picture).line(points, fill=ink, width=side // 14, joint="curve")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
        return path

    return save
