"""What the page may ask, and what it is answered."""

import io
import json
import re
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import drawn_pages
import numpy as np
import pytest
from conftest import Command
from PIL import Image
from web_page import DRAWING, Page, drawn

from digits.handwriting import own_digits
from digits.handwriting.page import find
from digits.reading.reader import shipped_page_network
from digits.web.app import PAGE, SIDE

READ, SAVE = "/read", "/save"

BLANK = b"\xff" * SIDE**2
PICTURE = {"Content-Type": "image/png"}


def page_of(text: str) -> bytes:
    return drawn_pages.png(drawn_pages.page(drawn_pages.row(text)))


def pixels(content: bytes) -> np.ndarray:
    return np.frombuffer(content, dtype=np.uint8).reshape(SIDE, SIDE)


@pytest.mark.parametrize(("path", "kind"), [("", "text/html"), ("draw.css", "text/css"), ("pad.js", "text/javascript")])
def test_the_page_is_there(web: Page, path: str, kind: str) -> None:
    answer = web.ask(f"/{path}")
    assert (answer.status, answer.content) == (200, (PAGE / (path or "index.html")).read_bytes())
    assert answer.headers["content-type"].startswith(kind)


def test_the_page_loads_only_what_is_served() -> None:
    for file in PAGE.iterdir():
        assert "://" not in file.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href)="([^"]+)"', index)) < {file.name for file in PAGE.iterdir()}


@pytest.mark.parametrize("digit", "0123456789")
def test_a_drawing_is_read(web: Page, digit: str) -> None:
    answer = web.ask(READ, drawn(digit), DRAWING)
    assert answer.status == 200
    read = json.loads(answer.content)
    assert (read["answer"], read["reason"], read["size"], read["preview"]) == (digit, "", [SIDE, SIDE], None)
    (found,) = read["digits"]
    assert found["likeliest"] == int(digit)
    assert len(found["probabilities"]) == 10
    assert max(found["probabilities"]) == pytest.approx(found["confidence"], abs=1e-4)
    seen = np.frombuffer(b64decode(found["image"]), dtype=np.uint8).reshape(28, 28)
    (expected,) = find(pixels(drawn(digit)).astype(np.float32), shipped_page_network()).digits
    np.testing.assert_allclose(seen / 255, expected.image, atol=1 / 255)


def test_a_picture_is_read_as_predict_reads_it(web: Page, command: Command, tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(page_of("258"))
    outcome = command("predict", f"img={tmp_path / 'page.png'}", "run=shipped", "format=json")
    (expected,) = json.loads(outcome.out)
    read = json.loads(web.ask(READ, page_of("258"), PICTURE).content)
    assert read["answer"] == expected["answer"] == "258"
    assert read["size"] == [300, 200]
    found = [{key: one[key] for key in expected["digits"][0]} for one in read["digits"]]
    assert found == expected["digits"]
    with Image.open(io.BytesIO(b64decode(read["preview"]))) as preview:
        assert (preview.format, preview.size) == ("JPEG", (300, 200))


def test_a_drawing_is_saved_as_it_is(web: Page) -> None:
    for number in (1, 2):
        answer = web.ask(f"{SAVE}?label=7&digit=0", drawn("7"), DRAWING)
        assert answer.status == 201
        said = json.loads(answer.content)
        assert Path(said["file"]).resolve() == (web.own_digits / f"7_{number}.png").resolve()
        assert said["saved"] == number
        assert said["command"] == f"python src/train.py experiment=my_hand data.own_digits={web.own_digits}"
    assert web.saved() == ["7_1.png", "7_2.png"]
    with Image.open(web.own_digits / "7_1.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved), pixels(drawn("7")))


def test_one_of_several_digits_is_saved_alone(web: Page) -> None:
    for content, kind in ((drawn("25"), DRAWING), (page_of("258"), PICTURE)):
        read = json.loads(web.ask(READ, content, kind).content)
        assert web.ask(f"{SAVE}?label=5&digit=1", content, kind).status == 201
        saved = own_digits.read(web.own_digits, shipped_page_network()).images[-1]
        seen = np.frombuffer(b64decode(read["digits"][1]["image"]), dtype=np.uint8).reshape(28, 28)
        assert np.abs(saved.astype(int) - seen).mean() < 16  # it is seen at another size; another digit is above 40
    assert web.saved() == ["5_1.png", "5_2.png"]


def test_many_at_once_never_write_over_each_other(web: Page) -> None:
    web.own_digits.mkdir()
    (web.own_digits / "3_7.png").write_bytes(b"somebody's own")
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda _: web.ask(f"{SAVE}?label=3&digit=0", drawn("3"), DRAWING), range(40)))
    assert {answer.status for answer in answers} == {201}
    assert web.saved() == sorted(f"3_{number}.png" for number in range(7, 48))
    assert (web.own_digits / "3_7.png").read_bytes() == b"somebody's own"


def test_a_full_folder_takes_no_more(web: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_digits, "MAX_SAVED", 1)
    assert web.ask(f"{SAVE}?label=7&digit=0", drawn("7"), DRAWING).status == 201
    answer = web.ask(f"{SAVE}?label=7&digit=0", drawn("7"), DRAWING)
    assert (answer.status, answer.text) == (
        422,
        f"{web.own_digits}: has 1 pictures, and takes no more; move some of them away",
    )


def test_what_cannot_be_saved_is_said(web: Page) -> None:
    web.own_digits.write_text("a file where the folder should be")
    answer = web.ask(f"{SAVE}?label=7&digit=0", drawn("7"), DRAWING)
    assert answer.status == 422
    assert "cannot be made" in answer.text


WRONG: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "digits": (f"{READ}?digits=some", b"", DRAWING, 400, "digits=some: must be auto or one"),
    "no type": (READ, b"x", {}, 415, "send a drawing as application/octet-stream"),
    "a form": (READ, b"x", {"Content-Type": "multipart/form-data"}, 415, "send a drawing as"),
    "too few pixels": (READ, b"x" * 784, DRAWING, 400, "a drawing has 38416 bytes, a pixel each; 784"),
    "no pixels": (READ, b"", DRAWING, 400, "a drawing has 38416 bytes, a pixel each; 0 came"),
    "too many pixels": (READ, b"x" * 38417, DRAWING, 413, "at most 38416 bytes are taken"),
    "no picture": (READ, b"<svg/>", PICTURE, 422, "the picture: is not a picture that can be read"),
    "an empty picture": (READ, b"", PICTURE, 422, "the picture: is empty"),
    "no label": (f"{SAVE}?digit=0", b"", DRAWING, 400, "label=: must be a whole number from 0 to 9"),
    "a label too large": (f"{SAVE}?label=10&digit=0", b"", DRAWING, 400, "label=10: must be a whole number"),
    "a path for a label": (f"{SAVE}?label=../7&digit=0", b"", DRAWING, 400, "label=../7: must be"),
    "another script's label": (f"{SAVE}?label=%D9%A7&digit=0", b"", DRAWING, 400, "must be a whole number"),
    "no digit there": (f"{SAVE}?label=7&digit=1", drawn("7"), DRAWING, 422, "digit=1: there are 1 digits"),
    "nothing to save": (f"{SAVE}?label=7&digit=0", BLANK, DRAWING, 422, "there are 0 digits on it"),
    "another path": ("/../../etc/passwd", b"", DRAWING, 405, "Method Not Allowed"),
    "a page asked by POST": ("/draw.js", b"", DRAWING, 405, "Method Not Allowed"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_refused_with_a_sentence(web: Page, kind: str) -> None:
    path, body, headers, status, sentence = WRONG[kind]
    answer = web.ask(path, body, headers, "POST")
    assert answer.status == status
    assert answer.text.startswith(sentence) or sentence in answer.text
    assert "\n" not in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert web.saved() == []


@pytest.mark.parametrize("folder", ["/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/draw.js/../../app.py", "/..%5c"])
def test_no_other_file_is_served(web: Page, folder: str) -> None:
    assert web.ask(folder).status == 404


def test_a_picture_that_would_fill_the_memory_is_refused(web: Page) -> None:
    answer = web.ask(READ, drawn_pages.png(Image.new("1", (30_000, 30_000))), PICTURE)
    assert answer.status == 422
    assert "at most 64000000 are read" in answer.text


@pytest.mark.parametrize("what", ["read", "save"])
def test_a_crash_of_ours_is_no_end(
    web: Page, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("digits.reading.recognize.find", crash)
    answer = web.ask(f"/{what}?label=7&digit=0", drawn("7"), DRAWING)
    assert answer.status == 500
    monkeypatch.undo()
    assert web.ask(READ, drawn("7"), DRAWING).status == 200
    assert "ZeroDivisionError: of ours" in caplog.text
