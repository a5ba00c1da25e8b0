"""Scoring: what the figures are of, and what is said of files that cannot be scored."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command
from drawn_pages import page, row
from PIL import Image

from digits.errors import UserError
from digits.handwriting.labelled import find_labelled


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two writers and what is no digit; one picture's label is wrong."""
    folder = tmp_path / "pictures"
    for name, text in (
        ("anna/3_1.png", "3"),
        ("anna/5_1.png", "5"),
        ("anna/58_1.png", "58"),
        ("bert/7_1.png", "7"),
        ("bert/2_1.png", "8"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        page(row(text, left=40)).save(folder / name)
    (folder / "other").mkdir()
    page([("star", 60, 40)], height=100).save(folder / "other" / "x_1.png")
    Image.new("L", (50, 50), 255).save(folder / "other" / "x_2.png")
    return folder


def test_the_score_has_kinds_writers_and_what_is_no_digit(command: Command, pictures: Path, tmp_path: Path) -> None:
    outcome = command("score", f"pictures={pictures}", "run=shipped", f"outputs_dir={tmp_path}")
    figures = json.loads((tmp_path / "score" / "score.json").read_text(encoding="utf-8"))
    assert figures["all"] == {"pictures": 5, "right": 0.8, "digits_wrong": 0.166667, "rejected": 0.0}
    assert figures["kinds"] == {
        "one digit": {"pictures": 4, "right": 0.75, "digits_wrong": 0.25, "rejected": 0.0},
        "several digits": {"pictures": 1, "right": 1.0, "digits_wrong": 0.0, "rejected": 0.0},
    }
    assert {writer: one["right"] for writer, one in figures["writers"].items()} == {"anna": 1.0, "bert": 0.5}
    assert figures["mean_over_writers"] == 0.75
    assert figures["no_digit"] == {"pictures": 2, "rejected": 1.0}
    for line in ("80.00% of 5", "mean of writers  75.00%", "100.00% of 2 rejected"):
        assert line in outcome.out
    with Image.open(tmp_path / "score" / "misread.png") as sheet:
        assert sheet.size == (256, 166)  # one picture, and what the network saw


def test_a_labels_file_tells_kinds_apart(pictures: Path) -> None:
    (pictures / "labels.tsv").write_text("\ufefffile\tlabel\tkind\nanna/3_1.png\t3\tdrawn\nbert/2_1.png\t8\tdrawn\n")
    found, errors = find_labelled(str(pictures / "bert"))
    assert errors == []
    assert [(one.name, one.label, one.kind) for one in found] == [
        ("2_1.png", "8", "drawn"),
        ("7_1.png", "7", "one digit"),
    ]
    (pictures / "labels.tsv").write_text("name\tkind\na\tb\n")
    with pytest.raises(UserError, match=r"labels\.tsv: cannot be read .* needs the columns file, label and kind"):
        find_labelled(str(pictures))
    for lines, line in (
        ("anna/3_1.png\t3\ta\n" * 2, "3_1.png, twice"),
        ("gone.png\t3\ta\n", "gone.png, which is not"),
        ("", "names no file"),
    ):
        (pictures / "labels.tsv").write_text(f"file\tlabel\tkind\n{lines}")
        with pytest.raises(UserError, match=line):
            find_labelled(str(pictures))


@pytest.mark.parametrize("largest", [1, 255])
def test_arrays_are_scored(command: Command, tmp_path: Path, largest: int) -> None:
    drawn = [np.asarray(page([(str(digit), 60, 40)], size=(200, 180), height=100)) for digit in (3, 8)]
    x = np.stack([np.asarray(Image.fromarray(255 - one).resize((32, 32))) for one in drawn])
    np.savez(tmp_path / "set.npz", x=x if largest == 255 else (x > 100).astype(np.uint8), y=np.array([3, 8]))
    outcome = command("score", f"pictures={tmp_path / 'set.npz'}", "run=shipped", f"outputs_dir={tmp_path}")
    assert "right            100.00% of 2" in outcome.out


def test_what_cannot_be_scored_is_named_and_the_rest_is(command: Command, pictures: Path, tmp_path: Path) -> None:
    (pictures / "anna" / "9_7.png").write_bytes(b"no picture")
    page(row("4")).save(pictures / "anna" / "four.png")
    outcome = command("score", f"pictures={pictures}", "run=shipped", f"outputs_dir={tmp_path}", code=2)
    assert "80.00% of 5" in outcome.out
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert any("four.png: has no label in its name; name it LABEL_n" in line for line in errors)
    assert any("9_7.png: is not a picture" in line for line in errors)


X, Y = np.zeros((2, 8, 8), dtype=np.uint8), np.zeros(2, dtype=int)
BAD_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "no y": ({"x": X}, r"y has the shape \[0\]; must have \[2\]"),
    "too few labels": ({"x": X, "y": Y[:1]}, r"y has the shape \[1\]"),
    "label 10": ({"x": X, "y": Y + 10}, r"y\[0\] is 10; must be a whole number from 0 to 9"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_bad_arrays_are_one_line(tmp_path: Path, kind: str) -> None:
    content, message = BAD_ARRAYS[kind]
    np.savez(tmp_path / "set.npz", **content)
    with pytest.raises(UserError, match=message) as caught:
        find_labelled(str(tmp_path / "set.npz"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label", ["/", "seven", "X", "7 ", "1//2"])
def test_a_label_that_is_none_is_named(label: str, pictures: Path) -> None:
    (pictures / "labels.tsv").write_text(f"file\tlabel\tkind\nanna/3_1.png\t{label}\tdrawn\n")
    found, (error,) = find_labelled(str(pictures))
    assert str(error).endswith(
        f"3_1.png: labels.tsv has the label {label!r}; must be digits, rows of them parted by /, or x"
    )
    assert len(found) == 6


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_read(
    command: Command, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def scandir(folder: str | Path) -> Any:
        if str(folder).endswith("anna"):  # as it is for all but root, who may read everything
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    refused = f"error: {pictures / 'anna'}: cannot be read (Permission denied)\n"
    outcome = command("score", f"pictures={pictures}", "run=shipped", f"outputs_dir={tmp_path}", code=2)
    assert outcome.err.endswith(refused)
    assert "of 2;" in outcome.out
    outcome = command("predict", f"img={pictures}", "run=shipped", "format=csv", code=2)
    assert outcome.err.endswith(refused)
    assert len(outcome.out.splitlines()) == 1 + 4
    assert command("predict", f"img={pictures / 'anna'}", "run=shipped", code=2).err == refused
    too_long = 300 * "n"
    outcome = command("predict", f"img=[{too_long},{pictures / 'bert'}]", "run=shipped", "format=csv", code=2)
    assert outcome.err.endswith(f"error: img={too_long}: cannot be read (File name too long)\n")
    assert len(outcome.out.splitlines()) == 1 + 2
