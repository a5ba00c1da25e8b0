"""What predict answers, in every format, and what it says of files it cannot read."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from drawn_pages import page, row
from PIL import Image

from digits.files import ROOT
from digits.reading import many
from digits.reading.reader import SHIPPED_BESIDE

Draw = Callable[..., Path]
HEADER = ["file", "answer", "confidence", "reason", *(f"p{digit}" for digit in range(10))]


def test_json_and_csv_hold_the_same(command: Command, finished: Path, draw: Draw, tmp_path: Path) -> None:
    draw("pictures/seven.png")
    Image.new("L", (50, 50), 255).save(tmp_path / "pictures" / "blank.png")
    arguments = (f"img={tmp_path / 'pictures'}", f"run={finished}")
    records = json.loads(command("predict", *arguments, "format=json").out)
    rows = list(csv.DictReader(io.StringIO(command("predict", *arguments, "format=csv").out)))
    assert list(records[0]) == [*HEADER, "digits"]
    assert list(rows[0]) == HEADER
    assert [record["answer"] for record in records] == [row["answer"] for row in rows] == ["?", "7"]
    assert [record["reason"] for record in records] == [row["reason"] for row in rows] == ["no ink", ""]
    assert records[0]["confidence"] is None
    assert rows[0]["confidence"] == ""
    params = [records[1][f"p{digit}"] for digit in range(10)]
    assert sum(params) == pytest.approx(1, abs=1e-4)
    assert records[1]["confidence"] == max(params) == float(rows[1]["confidence"])


def test_files_folders_patterns_and_lists(command: Command, finished: Path, draw: Draw, tmp_path: Path) -> None:
    names = ["a.png", "deep/er/b.jpg", "photo (1).bmp", "ziffer_ü_七.png", "[x].png"]
    for name in names:
        draw(f"pictures/{name}")
    (tmp_path / "pictures" / "notes.txt").write_text("not a picture")
    (tmp_path / "pictures" / "loop").symlink_to(tmp_path / "pictures")
    folder = tmp_path / "pictures"

    def read(img: str) -> list[str]:
        outcome = command("predict", f"img={img}", f"run={finished}", "format=json")
        return sorted(str(Path(record["file"]).relative_to(folder)) for record in json.loads(outcome.out))

    assert read(str(folder)) == sorted(names)
    for name in names:
        assert read(str(folder / name)) == [name]
    assert read(f"{folder}/*.png") == ["[x].png", "a.png", "ziffer_ü_七.png"]
    assert read(f"{folder}/**/*.jpg") == ["deep/er/b.jpg"]
    assert read(f"[{folder / 'a.png'},{folder / 'photo (1).bmp'},{folder / 'a.png'}]") == ["a.png", "photo (1).bmp"]


def test_one_bad_file_does_not_stop_the_others(command: Command, finished: Path, draw: Draw, tmp_path: Path) -> None:
    draw("pictures/seven.png")
    (tmp_path / "pictures" / "bad.png").write_bytes(b"no picture")
    (tmp_path / "pictures" / "empty.png").write_bytes(b"")
    outcome = command("predict", f"img={tmp_path / 'pictures'}", f"run={finished}", "format=csv", code=2)
    assert [row["answer"] for row in csv.DictReader(io.StringIO(outcome.out))] == ["7"]
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "bad.png: is not a picture" in errors[0]
    assert "empty.png: is empty" in errors[1]


def test_a_fresh_clone_reads_with_the_shipped_network(command: Command, draw: Draw, tmp_path: Path) -> None:
    outcome = command("predict", f"img={draw()}", f"outputs_dir={tmp_path / 'void'}")
    assert outcome.err == "reading with the shipped network\n"
    assert "seven.png │ 7 " in outcome.out
    assert all(title in outcome.out for title in ("file", "answer", "confidence", "runner-up"))


def test_several_digits_have_boxes_in_the_picture(command: Command, tmp_path: Path) -> None:
    small = page([*row("258", top=20), *row("69", top=130)], size=(300, 240))
    small.resize((3000, 2400)).save(tmp_path / "page.png")
    outcome = command("predict", f"img={tmp_path / 'page.png'}", "run=shipped", "format=json")
    (record,) = json.loads(outcome.out)
    assert record["answer"] == "258/69"
    assert record["confidence"] == min(digit["confidence"] for digit in record["digits"])
    assert record["p0"] is None
    assert [digit["row"] for digit in record["digits"]] == [0, 0, 0, 1, 1]
    left, top, right, bottom = record["digits"][0]["box"]
    assert 80 < left < 250 < right < 850
    assert 120 < top < 350 < bottom < 1150


def test_what_is_no_digit_has_a_reason(command: Command, tmp_path: Path) -> None:
    page([("star", 60, 40)], height=100).save(tmp_path / "star.png")
    arguments = (f"img={tmp_path / 'star.png'}", "run=shipped")
    (record,) = json.loads(command("predict", *arguments, "format=json").out)
    assert (record["answer"], record["reason"]) == ("?", "not a digit")
    assert "not a digit; likeliest" in command("predict", *arguments).out
    (record,) = json.loads(command("predict", *arguments, "format=json", "reject=false").out)
    assert record["answer"].isdecimal()
    assert record["reason"] == ""


def test_the_steps_and_the_answers_can_be_looked_at(command: Command, tmp_path: Path) -> None:
    page(row("58")).save(tmp_path / "page.png")
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    command("predict", f"img={tmp_path / 'page.png'}", "run=shipped", f"annotate={tmp_path / 'read.png'}")
    command("predict", f"img={tmp_path / 'page.png'}", "run=shipped", f"annotate={tmp_path / 'read.jpg'}")
    assert (tmp_path / "read.jpg").read_bytes().startswith(b"\xff\xd8")
    with Image.open(tmp_path / "read.png") as annotated:
        assert annotated.size == (300, 200)
        assert len(annotated.convert("RGB").getcolors() or []) > len(page(row("58")).getcolors() or [])
    command("predict", f"img=[{tmp_path / 'page.png'},{tmp_path / 'blank.png'}]", f"explain={tmp_path / 's'}")
    assert sorted(file.name for file in (tmp_path / "s").iterdir()) == ["001_page.png", "002_blank.png"]
    heights = []
    for file in sorted((tmp_path / "s").iterdir()):
        with Image.open(file) as steps:
            heights.append(steps.height)
    assert heights[0] > 2 * heights[1]  # a line for each of the two digits


def test_steps_that_cannot_be_written_keep_no_answer_back(command: Command, tmp_path: Path) -> None:
    long = "l" * 251
    for name in ("a", long, "z"):
        page(row("58")).save(tmp_path / f"{name}.png")
    (tmp_path / "steps" / "001_a.png").mkdir(parents=True)
    outcome = command("predict", f"img={tmp_path}/*.png", f"explain={tmp_path / 'steps'}", "format=csv", code=2)
    assert [line.split(",")[1] for line in outcome.out.splitlines()[1:]] == ["58"] * 3
    assert "001_a.png: cannot be written" in outcome.err
    assert (tmp_path / "steps" / "003_z.png").is_file()
    command("predict", f"img={tmp_path / 'z.png'}", f"out={tmp_path / ('o' * 255)}")
    assert (tmp_path / ("o" * 255)).is_file()


def test_a_name_cannot_steer_the_terminal(command: Command, tmp_path: Path) -> None:
    page(row("58")).save(tmp_path / "\x1b[31mred.png")
    assert "\x1b" not in command("predict", f"img={tmp_path}").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["img={tmp}/nothing.png"], "nothing.png: no such file or folder"),
        (["img={tmp}/*.xyz"], "no file matches this pattern"),
        (["img={long}.png"], "error: img={long}.png: cannot be read (File name too long)\n"),
        (["img={seven}", "run={long}"], "{long}: File name too long"),
        (["img={seven}", "run=shipped", "out={tmp}/{long}"], "{long}: File name too long"),
        (["img={tmp}/void"], "has no pictures"),
        (["img={seven}", "run={tmp}/void.onnx", "out={tmp}"], "is a folder; give a file's name"),
        (["img={seven}", "run=shipped", "out={tmp}/pipe"], "pipe: is a device or a pipe; give a file's name"),
        (["img={seven}", "run=shipped", "out=/dev/stdout"], "/dev/stdout: is a device or a pipe; give a file's name"),
        (["img={seven}", "run=shipped", "out=/proc/self/fd/1"], "/proc/self/fd/1: is a device or a pipe; give a file"),
        (["img={seven}", "run={tmp}/void.onnx", "out={tmp}/no/where.csv"], "there is no folder"),
        (["img={seven}", "run={tmp}/void.onnx", "out={seven}"], "would be written over, and is to be read"),
        (["img={seven}", "pages={tmp}/a.npz", "out={tmp}/a.npz"], "would be written over, and is to be read"),
        (["img={seven}", "run={tmp}/no.onnx"], "no.onnx: cannot be read"),
        (["img={seven}", "run={tmp}/void"], "has no model.onnx, so it never finished; give the folder of a run"),
        (["img={seven}", "run={tmp}/half"], "no model.onnx, so it never finished; go on with train.py resume="),
        (["img=null"], "img=null: must be a file, a folder, a pattern such as 'scans/*.png', or a list"),
        (["img=[{seven},{tmp}/b.png]", "annotate=a.png"], "annotate=a.png: is one picture, and img= names 2"),
        (["img={seven}", "out={tmp}/a", "annotate={tmp}/a"], "is where the predictions go; give another name"),
        (["img={seven}", "out={tmp}/a", "annotate={tmp}/void/../a"], "is where the predictions go; give another name"),
        (["img={tmp}/a.npz", "run=shipped", "explain={tmp}/s"], "error: explain: is for picture files, and "),
        (["img={tmp}/a.npz", "run=shipped", "annotate={tmp}/s"], "error: annotate: is for picture files, and "),
        (["img={seven}", "run=shipped", "accelerator=gpu"], "error: accelerator=gpu: "),
        (["img={seven}", "run=shipped", f"out={SHIPPED_BESIDE[0]}"], "would be written over, and is to be read"),
        (["img={seven}", "annotate={seven}"], "would be written over, and is to be read"),
        (["img={seven}", "run=shipped", "explain={tmp}"], "has pictures that are to be read; give a folder of its own"),
        (["img={seven}", "explain={seven}"], "seven.png: cannot be made (File exists); give a folder"),
    ],
)
def test_wrong_input_is_one_line(
    command: Command, draw: Draw, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "void").mkdir()
    (tmp_path / "half" / "checkpoints").mkdir(parents=True)
    (tmp_path / "half" / "checkpoints" / "last.ckpt").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.npz").write_bytes(b"")  # told by its name
    seven = str(draw())
    values = {"tmp": str(tmp_path), "seven": seven, "long": 300 * "n"}
    outcome = command("predict", *(one.format_map(values) for one in arguments), code=2)
    assert message.format_map(values) in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert not (tmp_path / "s").exists()


def test_who_reads_the_answers_may_stop(draw: Draw) -> None:
    typed = [sys.executable, str(ROOT / "src" / "predict.py"), f"img={draw()}", "run=shipped"]
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(typed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=buffered) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == "reading with the shipped network\n"
    assert process.returncode == 141


def test_few_pictures_keep_all_cores_busy(
    command: Command, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        draw(f"some/{number}.png")
    given: list[int] = []

    class Here:
        """Does the work in this process."""

        def map(self, work: Callable[[Any], Any], parts: list[Any]) -> list[Any]:
            given.extend(map(len, parts))
            return [work(part) for part in parts]

    @contextmanager
    def here(count: int, begin: Callable[..., None], *args: Any) -> Iterator[Here]:
        assert count == 2
        begin(*args)
        yield Here()

    monkeypatch.setattr(many, "workers", here)
    monkeypatch.setattr(many, "WORTH_IT", 0.0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    command("predict", f"img={tmp_path / 'some'}", "run=shipped", "format=csv")
    assert given == [2, 2, 2, 2, 1]
