"""What the tests share: the real MNIST unpacked once, tiny runs on it, and commands run as a user runs them."""

import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image, ImageDraw
from quick_export import quick_export
from web_page import Page, serving

from digits.command_line import as_typed, checked
from digits.config import ROOT, TrainConfig
from digits.data import mnist
from digits.data.datamodule import MNISTDataModule
from digits.training import train

Train = Callable[..., Path]

torch.set_num_threads(1)  # the tests run in two processes; two threads in each of them would be in each other's way


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with MNIST unpacked."""
    folder = tmp_path_factory.mktemp("data")
    mnist.prepare(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(data_dir: Path) -> list[str]:
    """Overrides that make a run take a second: few images, one epoch; and keep it out of the project's folders."""
    return [
        f"data.dir='{data_dir}'",
        "data.train_size=512",
        "data.val_size=256",
        "data.drawings=40",
        "trainer.max_epochs=1",
        "trainer.precision=32-true",
    ]


def settings(*overrides: str) -> TrainConfig:
    """Compose conf/train.yaml, with overrides as a user types them."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return checked(compose("train", overrides=[as_typed(one) for one in overrides]), TrainConfig)


@pytest.fixture
def train_tiny(tiny: list[str], tmp_path: Path) -> Train:
    """Train a tiny run in this process; gives its folder."""

    def run(*overrides: str) -> Path:
        typed = [*tiny, f"outputs_dir={tmp_path / 'outputs'}", "trainer.accelerator=cpu", *overrides]
        return train(settings(*typed), typed)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """The folder of a finished run that reads most digits right: outputs/lenet5/finished."""
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


@pytest.fixture(autouse=True)
def exports_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch export each network once: it is a third of a tiny run. test_model_file.py exports in earnest."""
    monkeypatch.setattr("digits.training.export", quick_export)


@pytest.fixture(autouse=True)
def pictures_are_quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a figure be a grey pixel: drawing them is half of a tiny run. The tests of pictures draw in earnest."""
    if not {"benchmarks", "tracking", "test_comparing.py"} & set(request.path.parts):
        grey = np.full((1, 1, 3), 128, np.uint8)
        monkeypatch.setattr("digits.tracking.figures.drawn", lambda _: grey)


intact = cache(mnist._is_intact)


@pytest.fixture(autouse=True)
def tests_are_quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tiny run be tested with 2,000 of MNIST's 10,000 images, whose files are looked at only once."""
    prepare = MNISTDataModule.prepare_data

    def prepare_few(self: MNISTDataModule) -> None:
        prepare(self)
        if self.config.path is None and self.read is not None:
            train, (images, labels) = self.read
            self.read = train, (images[:2000], labels[:2000])

    if not {"tracking", "data"} & set(request.path.parts):
        monkeypatch.setattr(MNISTDataModule, "prepare_data", prepare_few)
        monkeypatch.setattr(mnist, "_is_intact", lambda path, md5: path.is_file() and intact(path, md5))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run src/NAME.py with arguments, as a process of its own would, but in this one, where torch is loaded already."""

    def run(name: str, *arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", [str(ROOT / "src" / f"{name}.py"), *arguments])
        capfd.readouterr()
        code = 0
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def web(tmp_path: Path, finished: Path) -> Iterator[Page]:
    """The draw page, with a finished run beside the shipped network."""
    shutil.copytree(finished, tmp_path / "outputs" / "lenet5" / "finished")
    with serving(tmp_path) as page:
        yield page


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Path]:
    """Draw a 7 as a person might, dark on light, and save it; gives the file."""

    def save(name: str = "seven.png", ink: int = 20, paper: int = 235, side: int = 200) -> Path:
        picture = Image.new("L", (side, side), paper)
        points = [(side * x / 10, side * y / 10) for x, y in ((3, 2), (7, 2), (4.5, 8))]
        ImageDraw.Draw(picture).line(points, fill=ink, width=side // 14, joint="curve")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
        return path

    return save
