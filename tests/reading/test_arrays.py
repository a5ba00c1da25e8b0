"""Images from .npz files: which are taken as they are, which are read as pictures, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command
from numpy.typing import NDArray
from run_folders import table

from digits.data import mnist
from digits.errors import UserError
from digits.handwriting.normalize import in_mnist_form
from digits.reading import many
from digits.reading.many import Source
from digits.reading.reader import SHIPPED, Reader, shipped_page_network
from digits.reading.recognize import Recognizer


@pytest.fixture(scope="module")
def images(data_dir: Path) -> NDArray[np.uint8]:
    """MNIST's first 300 test images."""
    found: NDArray[np.uint8] = mnist.read(data_dir, train=False)[0][:300].numpy()
    return found


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_all_of_mnist_is_in_its_form(data_dir: Path) -> None:
    for train in (True, False):
        assert in_mnist_form(mnist.read(data_dir, train)[0].numpy()).all()


def test_images_are_read_in_order_those_in_form_and_others(
    images: NDArray[np.uint8], command: Command, tmp_path: Path
) -> None:
    mixed = images.copy()
    mixed[1::3] = 255 - mixed[1::3]  # dark on white
    mixed[2::3] = np.roll(mixed[2::3], 3, axis=2)  # through the steps from a picture to the network's form
    file, out = saved(tmp_path / "some.npz", x=mixed, y=np.arange(300)), tmp_path / "answers.csv"
    outcome = command("predict", f"img={file}", "run=shipped", "format=csv", f"out={out}")
    assert (outcome.out, f"300 predictions are in {out}" in outcome.err) == ("", True)
    found = table(out)
    assert [one["file"] for one in found] == [f"{file}[{number}]" for number in range(300)]
    plain = tmp_path / "plain.csv"
    in_form = saved(tmp_path / "p.npz", x=images)
    command("predict", f"img={in_form}", "run=shipped", f"out={plain}", "format=csv")
    same = [one["answer"] == other["answer"] for one, other in zip(found, table(plain), strict=True)]
    assert all(same[::3])
    assert all(same[1::3])
    assert sum(same) > 290


def test_images_in_form_are_turned_as_pictures_are(images: NDArray[np.uint8], command: Command, tmp_path: Path) -> None:
    file = saved(tmp_path / "turned.npz", x=np.rot90(images[:20], 2, axes=(1, 2)))
    upright = saved(tmp_path / "upright.npz", x=images[:20])
    answers = [
        [one["answer"] for one in json.loads(command("predict", f"img={given}", "run=shipped", *typed).out)]
        for given, *typed in ((file, "format=json", "rotate=180"), (upright, "format=json"))
    ]
    assert answers[0] == answers[1]


def test_images_that_cannot_be_read_are_named_and_the_others_are_in_order(
    images: NDArray[np.uint8], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Source) -> tuple[float, NDArray[np.float32]]:
        raise UserError("cannot be read today")

    mixed = images[:4].copy()
    mixed[::2] = np.roll(mixed[::2], 3, axis=2)  # which is not in form
    monkeypatch.setattr(Source, "open", fail)
    outcome = command("predict", f"img={saved(tmp_path / 'm.npz', x=mixed)}", "run=shipped", "format=csv", code=2)
    assert outcome.err.count("cannot be read today") == 2
    assert [line.partition(",")[0][-3:] for line in outcome.out.splitlines()[1:]] == ["[1]", "[3]"]


def test_a_gpu_is_not_shared_by_processes(draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "WORTH_IT", 0.0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    reader = Reader(SHIPPED)
    reader.accelerator = "gpu"
    monkeypatch.setattr(many, "workers", None)  # not called
    sources = [Source(draw(f"{number}.png")) for number in range(2)]
    predictions, errors = many.read_on_all_cores(Recognizer(reader, shipped_page_network()), sources)
    assert (len(predictions), errors) == (2, [])


def test_table_and_json_are_as_for_pictures(images: NDArray[np.uint8], command: Command, tmp_path: Path) -> None:
    file = saved(tmp_path / "few.npz", x_test=images[:2].reshape(2, 784))
    outcome = command("predict", f"img={file}", "run=shipped", "format=json")
    (first, second) = json.loads(outcome.out)
    assert (first["answer"], second["answer"]) == ("7", "2")
    assert first["digits"] == [
        {"row": 0, "answer": "7", "likeliest": 7, "confidence": first["confidence"], "box": [0, 0, 28, 28]}
    ]
    assert first["p7"] == first["confidence"]
    assert "few.npz[1]" in command("predict", f"img={file}", "run=shipped").out


def test_pictures_are_read_by_several_processes_as_by_one_and_a_damaged_one_is_named(
    draw: Any, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        draw(f"some/{number}.png")
    (tmp_path / "some" / "1.png").write_bytes(b"no picture")
    typed = (f"img={tmp_path / 'some'}", "run=shipped", "format=csv")
    alone = command("predict", *typed, code=2)
    monkeypatch.setattr(many, "WORTH_IT", 0.0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    outcome = command("predict", *typed, code=2)
    assert outcome == alone
    assert "1.png: " in outcome.err
    assert len(outcome.out.splitlines()) == 1 + 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.arange(3)}, "has none of the arrays x, images, x_test, x_train"),
        ({"x": np.zeros((3, 28))}, "x is float64 [3, 28]; must be uint8 [N, height, width]"),
        ({"x": np.zeros((0, 28, 28), np.uint8)}, "x is uint8 [0, 28, 28]; must be"),
        ({"x": np.full((2, 28, 28), -1)}, "x is int64 [2, 28, 28]; must be"),
    ],
)
def test_other_arrays_are_refused(arrays: Any, message: str, command: Command, tmp_path: Path) -> None:
    file = saved(tmp_path / "other.npz", **arrays)
    outcome = command("predict", f"img={file}", "run=shipped", code=2)
    assert outcome.err.splitlines()[-1].startswith(f"error: {file}: ")
    assert message in outcome.err
