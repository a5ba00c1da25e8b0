"""Pictures of one's own: read to train on, mixed in by their share, and learnt."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Train, settings
from hand import STROKES
from PIL import Image
from web_page import drawn

from digits import runs
from digits.data.datamodule import MNISTDataModule
from digits.data.synthetic.strokes import NON_DIGIT
from digits.errors import UserError
from digits.handwriting import own_digits
from digits.reading.reader import shipped_page_network
from digits.web.app import SIDE


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a drawing of each digit, as the page saves them."""
    folder = tmp_path / "own"
    for digit in STROKES:
        own_digits.save(folder, int(digit), np.frombuffer(drawn(digit), dtype=np.uint8).reshape(SIDE, SIDE))
    return folder


def test_what_is_not_one_digit_is_left_out(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("x_1.png", "25_1.png"):
        (own / name).write_bytes((own / "7_1.png").read_bytes())
    with caplog.at_level("INFO", logger="digits"):
        assert len(own_digits.read(own, shipped_page_network()).labels) == 10
    assert f"2 of 12 pictures in {own} are left out: not one digit" in caplog.text


def test_no_picture_is_saved_over_that_of_another_draw_page(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (own / "7_1.png").read_bytes()
    monkeypatch.setattr(own_digits, "pictures", lambda _: [])  # the other one's was not there yet
    assert own_digits.save(own, 7, np.zeros((SIDE, SIDE), dtype=np.uint8)).name == "7_2.png"
    assert (own / "7_1.png").read_bytes() == before


def file(name: str, content: bytes | None = None) -> Callable[[Path], None]:
    """Make a folder with one file in it, a blank picture if nothing else is said."""

    def make(folder: Path) -> None:
        folder.mkdir()
        if content is None:
            Image.new("L", (28, 28), 255).save(folder / name)
        else:
            (folder / name).write_bytes(content)

    return make


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda _: None, r"data\.own_digits=.*: there is no such folder; draw digits and save them"),
    "nothing in it": (lambda folder: folder.mkdir(), r"data\.own_digits=.*: has no pictures"),
    "a file": (lambda folder: folder.write_text(""), r"data\.own_digits=.*: is a file; give a folder of LABEL_n\.png"),
    "no digit": (file("x_1.png"), r"data\.own_digits=.*: has no picture of one digit; name it LABEL_n"),
    "no label": (file("me.png"), r"me\.png: has no label in its name"),
    "no ink": (file("7_1.png"), r"7_1\.png: has no ink; take it away"),
    "no picture": (file("7_1.png", b"seven"), r"7_1\.png: is not a picture that can be read"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_one_line_and_leaves_no_run(tmp_path: Path, fit_tiny: Train, kind: str) -> None:
    make, message = WRONG[kind]
    make(tmp_path / "wrong")
    with pytest.raises(UserError, match=message):
        fit_tiny("experiment=my_hand", f"data.own_digits={tmp_path / 'wrong'}", "start_from=shipped")
    assert not (tmp_path / "outputs").exists()


def test_each_batch_has_its_share_before_the_negatives(own: Path, tiny: list[str]) -> None:
    typed = [
        "data.own_fraction=0.1",
        "data.synthetic_fraction=0.2",
        "data.negative_fraction=0.1",
        f"data.own_digits={own}",
    ]
    config = settings(*tiny, *typed)
    data = MNISTDataModule(config.data, config.augment, 1)
    data.setup("fit")
    assert [share.per_batch for share in data.shares] == [128 - 26 - 13 - 13, 26, 13, 13]
    own_part = data.shares[2].images
    assert data.train_set.labels[own_part[0] : own_part[-1] + 1].tolist() == list(range(10))
    assert data.train_set.labels[data.shares[3].images[0]] == NON_DIGIT
    assert data.images_in(0) == 512 + data.steps(1) * (26 + 13 + 13)
    assert {kind: len(images.labels) for kind, images in data.synthetic.items()} == {"digits": 4, "negatives": 4}


def test_a_run_learns_them_from_where_the_network_stood(
    own: Path, train_tiny: Train, capfd: pytest.CaptureFixture[str]
) -> None:
    (own / "x_1.png").write_bytes((own / "7_1.png").read_bytes())
    for _ in range(4):  # somebody's 1s
        own_digits.save(own, 1, np.frombuffer(drawn("7"), dtype=np.uint8).reshape(SIDE, SIDE))
    (own / "7_1.png").unlink()
    typed = ["experiment=my_hand", "start_from=shipped", f"data.own_digits={own}", "data.steps_per_epoch=100"]
    folder = train_tiny(*typed, "data.synthetic_count=40", "optimizer.learning_rate=1e-3")
    figures = runs.read_figures(folder)
    assert figures["own_digits/accuracy"] == 1
    assert figures["test/accuracy"] > 0.98
    assert f"of 14 pictures in {own} are left out: not one digit" in capfd.readouterr().err
    assert "your digits    100.00 % are read correctly" in (folder / "train.log").read_text()
