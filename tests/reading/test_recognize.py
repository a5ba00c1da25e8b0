"""The shipped network reads pages of drawn digits, parts touching ones, and says what is no digit."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from drawn_pages import Array, brightness, page, row, shade
from PIL import Image, ImageDraw

from digits.handwriting.boxes import Box
from digits.handwriting.find import Found
from digits.handwriting.grouping import USUAL_SIZE
from digits.handwriting.page import find
from digits.reading.explain import CAPTION, GAP, PANEL, explain
from digits.reading.reader import SHIPPED, SHIPPED_PAGES, PageReader, Reader, shipped_page_network
from digits.reading.recognize import Digit, Recognizer, Rows, surest, without_specks

Read = Callable[..., str]


def answer(rows: Rows) -> str:
    return "/".join("".join(digit.answer for digit in line) for line in rows)


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(SHIPPED)


@pytest.fixture
def read(reader: Reader) -> Read:
    def one(picture: Image.Image, digits: str = "auto", reject: bool = True) -> str:
        recognizer = Recognizer(reader, shipped_page_network(), digits, reject)
        return answer(recognizer.read(recognizer.find(brightness(picture))))

    return one


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize(("pen", "ink", "paper"), [(7, 30, 235), (2, 60, 200), (16, 240, 20)])
def test_single_digits_are_read(read: Read, digit: int, pen: int, ink: int, paper: int) -> None:
    picture = page([(str(digit), 60, 40)], size=(200, 180), height=100, pen=pen, ink=ink, paper=paper)
    assert read(picture) == read(picture, "one") == str(digit)


def test_a_page_under_uneven_light_on_ruled_paper_is_read(read: Read) -> None:
    picture = page(row("4026"), size=(320, 220))
    ImageDraw.Draw(picture).line([(0, 180), (320, 176)], fill=120, width=2)
    assert read(shade(picture, 0.5)) == "4026"


def test_what_is_read_alike_upside_down_stays_as_it_lies(read: Read) -> None:
    picture = Image.new("L", (1400, 280), 255)
    pen = ImageDraw.Draw(picture)
    pen.line([(80, 50), (78, 230)], fill=30, width=10)
    for left in (118, 292, 466):
        pen.ellipse((left, 50, left + 144, 230), outline=30, width=10)
    assert read(picture.resize((700, 140), Image.Resampling.BOX)) == "1000"


@pytest.mark.parametrize("text", ["08", "38", "25", "630"])
def test_touching_digits_are_parted(read: Read, text: str) -> None:
    picture = page(row(text, left=40, step=62), size=(100 + 62 * len(text), 160), pen=11)
    assert read(picture) == text


@pytest.mark.parametrize("text", ["2", "4", "7", "25"])
def test_a_ring_round_a_number_is_no_part_of_it(read: Read, text: str) -> None:
    picture = page(row(text, left=90, top=60), size=(240 + 70 * len(text), 200))
    ImageDraw.Draw(picture).ellipse((30, 30, 145 + 75 * len(text), 170), outline=30, width=6)
    assert read(picture) == text


@pytest.mark.parametrize(
    ("text", "step", "pen"), [("0965", 58, 7), ("3716", 54, 11), ("3047", 58, 7), ("9184", 46, 11)]
)
def test_what_is_not_sure_is_seen_again_smaller_and_larger(read: Read, text: str, step: int, pen: int) -> None:
    assert read(page(row(text, left=40, step=step), size=(100 + step * len(text), 160), pen=pen)) == text


@pytest.mark.parametrize(("text", "step"), [("0704", 54), ("44", 44)])
def test_a_page_is_doubted_only_after_it_was_seen_again(read: Read, text: str, step: int) -> None:
    assert read(page(row(text, left=40, step=step), size=(100 + step * len(text), 160), pen=14)) == text


def test_a_turned_page_is_seen_again_as_it_was_turned(reader: Reader) -> None:
    upright = brightness(page(row("9184", left=40, step=46), size=(284, 160), pen=11))
    lying = np.ascontiguousarray(np.rot90(upright))
    rows = []
    for picture, rotate in ((upright, "0"), (lying, "90")):
        recognizer = Recognizer(reader, shipped_page_network(), rotate=rotate)
        rows.append(recognizer.read(recognizer.find(picture)))
    assert answer(rows[0]) == answer(rows[1]) == "9184"
    boxes = [[digit.box for row in of for digit in row] for of in rows]
    assert [box.turned_back(1, *lying.shape) for box in boxes[0]] == boxes[1]


def digit_of(answer: int, sure: float, left: int, width: int = 20, rejected: bool = False, found: float = 1.0) -> Digit:
    probabilities = np.where(np.arange(10) == answer, sure, 0).astype(np.float32)
    place = cast(Found, SimpleNamespace(sureness=found))
    return Digit(place, Box(0, left, 30, left + width), np.zeros((28, 28), np.float32), probabilities, rejected)


@pytest.mark.parametrize(
    ("before", "again", "read"),
    [
        ([digit_of(1, 0.7, 0)], [digit_of(7, 0.8, 2)], "7"),
        ([digit_of(1, 0.7, 0)], [digit_of(7, 0.6, 2)], "1"),
        ([digit_of(1, 0.7, 0)], [digit_of(7, 0.8, 40)], "1"),  # in the place of none
        ([digit_of(2, 0.7, 0, 40)], [digit_of(2, 0.9, 0), digit_of(4, 0.8, 20)], "24"),
        ([digit_of(2, 0.9, 0), digit_of(4, 0.5, 20)], [digit_of(2, 0.8, 0, 40)], "2"),
        ([digit_of(2, 0.9, 0), digit_of(4, 0.8, 20)], [digit_of(2, 0.8, 0, 40)], "24"),
        ([digit_of(4, 0.3, 0, rejected=True)], [digit_of(4, 0.4, 0)], "?"),  # a sign, more probably
        ([digit_of(4, 0.3, 0, rejected=True)], [digit_of(4, 0.6, 0)], "4"),
        ([digit_of(3, 0.7, 0)], [digit_of(3, 0.9, 0, rejected=True)], "3"),
    ],
)
def test_in_each_place_the_surest_digits_are_read(before: list[Digit], again: list[Digit], read: str) -> None:
    assert "".join(sorted((digit.answer for digit in surest(before, again)), key=read.index)) == read


@pytest.mark.parametrize(
    ("again", "read"),
    [
        ([digit_of(2, 0.9, 0), digit_of(4, 0.8, 20)], "24"),
        ([digit_of(2, 0.99, 0), digit_of(4, 0.6, 20)], "8"),  # one of them is not surer
        ([digit_of(2, 0.9, 0), digit_of(4, 0.8, 20, rejected=True)], "8"),
        ([digit_of(3, 0.9, 0)], "8"),  # as many as before
    ],
)
def test_a_wider_page_only_parts_digits(again: list[Digit], read: str) -> None:
    before = [digit_of(8, 0.7, 0, 40)]
    assert "".join(sorted(digit.answer for digit in surest(before, again, parting=True))) == read


def test_specks_beside_digits_are_left_out_and_what_is_surely_ink_is_not() -> None:
    speck, ink = digit_of(1, 0.1, 40, rejected=True, found=0.5), digit_of(1, 0.1, 60, rejected=True, found=0.9)
    digit = digit_of(7, 0.9, 0)
    assert without_specks([digit, speck, ink]) == [digit, ink]
    assert without_specks([speck]) == [speck]  # a picture without digits is answered with ?


def test_two_parts_of_one_digit_are_one(reader: Reader) -> None:
    def halves(pictures: Array) -> tuple[Array, Array]:
        ink = np.where(pictures < 0.5, 0.9, 0).astype(np.float32).repeat(2, axis=1)
        y, x = np.nonzero(ink[0, 0])
        rows, columns = (np.arange(0, side, 2, dtype=np.float32) for side in ink.shape[2:])
        half = np.ptp(y) / 2
        middles = np.where(rows < y.min() + half, y.min() + half / 2, y.max() - half / 2)
        votes = np.zeros((1, 3, len(rows), len(columns)), np.float32)
        votes[0, 0] = (x.mean() - columns) / USUAL_SIZE
        votes[0, 1] = ((middles - rows) / USUAL_SIZE)[:, None]
        votes[0, 2] = np.log(half / USUAL_SIZE)
        return ink, votes

    found = find(brightness(page([("8", 30, 20)], size=(100, 120), height=80)), halves)
    assert len(found.digits) == 2
    assert answer(Recognizer(reader, shipped_page_network()).read(found)) == "8"
    plain = Reader(SHIPPED)
    del plain.metadata["val/negatives_rejected"]  # a network that takes any two digits in one for a digit
    assert len(answer(Recognizer(plain, shipped_page_network()).read(found)).replace("/", "")) == 2


def test_specks_and_an_underline_are_left_out(read: Read) -> None:
    picture = page(row("258"))
    draw = ImageDraw.Draw(picture)
    for x, y in ((20, 20), (260, 15), (240, 180)):
        draw.ellipse((x, y, x + 3, y + 3), fill=30)
    draw.line([(20, 150), (230, 146)], fill=30, width=5)
    assert read(picture) == "258"


def test_one_digit_is_asked_for_and_given(read: Read) -> None:
    assert len(read(page(row("58")), "one", reject=False)) == 1
    assert read(page(row("58"))) == "58"


@pytest.mark.parametrize(("probability", "read"), [(0.2, "1"), (0.05, "")])
def test_ink_alone_that_is_all_of_a_picture_is_a_digit_unless_it_is_faint(
    reader: Reader, probability: float, read: str
) -> None:
    def unsure(pictures: Array) -> tuple[Array, Array]:
        ink = np.where(pictures < 0.5, probability, 0).astype(np.float32).repeat(2, axis=1)
        return ink, np.zeros((1, 3, *(edge // 2 for edge in pictures.shape[2:])), np.float32)

    found = find(brightness(page([("1", 40, 40)], size=(160, 160), height=80)), unsure)
    assert answer(Recognizer(reader, shipped_page_network()).read(found)) == read


@pytest.mark.parametrize("name", ["plus", "star", "E", "H", "hash", "heart", "K"])
def test_what_is_no_digit_is_rejected(read: Read, name: str) -> None:
    picture = page([(name, 60, 40)], size=(220, 180), height=100)
    assert set(read(picture)) <= {"?"}


def test_a_texture_is_no_digit(read: Read) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    assert set(read(Image.fromarray(noise))) <= set("?/")


def test_a_letter_between_digits_is_marked(read: Read) -> None:
    picture = page([("4", 15, 40), ("W", 95, 40), ("8", 210, 40)], size=(300, 170))
    assert read(picture).replace("?", "") == "48"


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("text", ["5824/7369", "2468/1350", "8008/1969"])  # some make sense on a side or upside down
def test_a_page_that_lies_on_its_side_is_turned(reader: Reader, text: str, turns: int) -> None:
    above, below = text.split("/")
    upright = brightness(page([*row(above, top=20), *row(below, top=130)], size=(300, 240)))
    recognizer = Recognizer(reader, shipped_page_network())
    expected = recognizer.read(recognizer.find(upright))
    lying = np.ascontiguousarray(np.rot90(upright, turns))
    rows = recognizer.read(recognizer.find(lying))
    assert answer(rows) == answer(expected) == text
    first = upright[expected[0][0].box.slices]
    assert np.array_equal(lying[rows[0][0].box.slices], np.rot90(first, turns))


def test_the_steps_show_the_ink_of_a_turned_page_as_it_was_read(reader: Reader) -> None:
    upright = brightness(page([*row("5824", top=20), *row("7369", top=130)], size=(300, 240)))
    recognizer = Recognizer(reader, shipped_page_network())
    shown = []
    for turns in (0, 1):
        found = recognizer.find(np.ascontiguousarray(np.rot90(upright, turns)))
        steps = explain(found, recognizer.read(found))
        left, top = PANEL + 2 * GAP, GAP + CAPTION
        shown.append(steps.crop((left, top, left + PANEL, top + PANEL)).tobytes())
    assert shown[0] == shown[1]


class Looking(PageReader):
    """A page network that keeps how large it saw pictures."""

    def __init__(self) -> None:
        super().__init__(SHIPPED_PAGES)
        self.sides: list[int] = []

    def __call__(self, pictures: Array) -> tuple[Array, Array]:
        self.sides.append(max(pictures.shape))
        return super().__call__(pictures)


def test_a_page_is_looked_at_turned_no_larger_than_where_it_was_seen_best(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.reading.recognize.AGAIN", ())  # as it lies too, it is not sure
    upright = brightness(page([*row("2468", top=20), *row("1350", top=130)], size=(400, 320)))
    page_network = Looking()
    recognizer = Recognizer(reader, page_network)
    found = recognizer.find(np.ascontiguousarray(np.rot90(upright)))
    best, lying = max(found.seen[0].ink.shape), len(page_network.sides)
    assert answer(recognizer.read(found)) == "2468/1350"
    assert max(page_network.sides[:lying]) > best == max(page_network.sides[lying:])


class Unsure(Looking):
    """A page network that is never sure of what it sees."""

    def __call__(self, pictures: Array) -> tuple[Array, Array]:
        ink, votes = super().__call__(pictures)
        return 0.8 * ink, votes


@pytest.mark.parametrize(
    ("signs", "size", "read", "again"),
    [
        # they make no sense on a side, or less upside down than as they lie
        ([*row("3474", top=20), *row("7347", top=130)], (300, 240), "3474/7347", 3),
        ([*row("2055", top=20), *row("5082", top=130)], (300, 240), "2055/5082", 3),
        ([("7", 30, 20)], (110, 120), "7", 3),  # too small for a page
        ([], (300, 240), "", 0),  # nothing is written on it
    ],
)
def test_a_page_is_not_turned_where_that_is_not_worth_it(
    reader: Reader, signs: list[tuple[str, float, float]], size: tuple[int, int], read: str, again: int
) -> None:
    page_network = Unsure()
    recognizer = Recognizer(reader, page_network)
    found = recognizer.find(brightness(page(signs, size=size)))
    upright = len(page_network.sides)
    assert answer(recognizer.read(found)) == read
    assert len(page_network.sides) == upright + again


def test_a_large_page_is_not_seen_again(reader: Reader) -> None:
    picture = page(row("26", step=1180), size=(1400, 300), height=50, pen=4)
    page_network = Unsure()
    recognizer = Recognizer(reader, page_network, rotate="0")
    found = recognizer.find(brightness(picture))
    upright = len(page_network.sides)
    assert max(found.seen[0].ink.shape) == 1024
    assert answer(recognizer.read(found)) == "26"
    assert len(page_network.sides) == upright


@pytest.mark.parametrize("shape", [(1504, 64), (96, 1536)])
def test_a_large_picture_is_seen_in_parts_as_on_the_whole(shape: tuple[int, int]) -> None:
    parts = []

    class InParts(PageReader):
        def compute(self, images: Array) -> list[Array]:
            parts.append(images.shape)
            return super().compute(images)

    page_network = InParts(SHIPPED_PAGES)
    picture = np.random.default_rng(0).random((1, 1, *shape), np.float32)
    in_parts = page_network(picture)
    assert max(max(part) for part in parts) < 1024
    for seen, of_whole in zip(in_parts, page_network.compute(picture), strict=True):
        assert np.array_equal(seen, of_whole)


@pytest.mark.parametrize("text", ["802", "200"])
def test_digits_that_make_sense_upside_down_too_are_not_turned(read: Read, text: str) -> None:
    assert read(page(row(text, step=90), size=(380, 200), height=110, pen=9)) == text
