"""Slashes, brackets, commas and degree signs are told from digits by the row that they stand in."""

import numpy as np
import pytest
from drawn_pages import Array, brightness, page, row
from PIL import Image, ImageDraw

from digits.reading.reader import SHIPPED, Reader, shipped_page_network
from digits.reading.recognize import Recognizer
from digits.reading.signs import find_signs

HEIGHT = 80


def stroke(lean: float, bow: float = 0, pen: int = 7, hook: float = 0) -> Array:
    """Draw a stroke that goes so far to the right for each pixel up, and is so far beside its ends in its middle."""
    picture = Image.new("L", (240, HEIGHT + 20))
    down = np.linspace(0, 1, 20)
    across = 120 + HEIGHT * (lean * (0.5 - down) + bow * 4 * down * (1 - down))
    points = list(zip(across, 10 + HEIGHT * down, strict=True))
    ImageDraw.Draw(picture).line([(points[0][0] - hook * HEIGHT, 30), *points], fill=255, width=pen, joint="curve")
    ink = np.asarray(picture, dtype=np.float32) * np.float32(1 / 255)
    return ink[np.ix_(ink.any(axis=1), ink.any(axis=0))]


SLASH, BRACKET, ONE = stroke(0.4), stroke(0, bow=-0.12), stroke(0.1)


@pytest.mark.parametrize(
    ("heights", "strokes", "signs"),
    [
        ([70, 84, 72], [None, SLASH, None], "/"),
        ([70, 84, 72], [None, stroke(0.4, pen=16), None], "/"),
        ([70, 84, 72, 84, 70], [None, SLASH, None, SLASH, None], "//"),
        ([70, 84, 72], [ONE, SLASH, ONE], "/"),
        ([84, 70, 84], [BRACKET, None, stroke(0, bow=0.12)], "//"),
        ([70, 84], [ONE, BRACKET], "/"),
        ([70, 28, 72], [None, ONE, None], "/"),  # a comma
        ([70, 28, 72, 28, 70], [ONE, SLASH, None, ONE, ONE], "//"),
        ([70, 40, 72], [None, ONE, None], ""),
        ([70, 72, 28], [None, None, None], "/"),  # a degree sign
        ([28], [ONE], ""),
        ([70, 72, 72], [None, SLASH, None], ""),  # no higher than the digits
        ([84, 70], [SLASH, None], ""),  # not between digits
        ([70, 84, 72], [None, ONE, None], ""),  # leans too little
        ([70, 84, 72], [None, None, None], ""),  # read as something else
        ([70, 84, 72], [None, stroke(0.4, hook=0.3), None], ""),
        ([70, 84, 72], [None, stroke(0.4, bow=0.12), None], ""),  # leans and is bowed
        ([70, 84, 72], [None, stroke(0, bow=0.03), None], ""),
        ([84], [BRACKET], ""),  # there is nothing that it is higher than
        ([70, 84, 72], [None, np.ones((3, 2), np.float32), None], ""),
        ([70, 84, 72], [None, np.zeros((30, 9), np.float32), None], ""),
        ([], [], ""),
    ],
)
def test_what_stands_out_of_its_row_is_a_sign(heights: list[int], strokes: list[Array | None], signs: str) -> None:
    assert "/" * sum(find_signs(heights, strokes)) == signs


def number(*, slashes: tuple[int, ...] = (), arcs: tuple[tuple[int, int], ...] = ()) -> Array:
    """Draw 2 5 8, slashes from their lower left, and brackets at their left with the angle in their middle."""
    picture = page(row("258", left=70, step=130), size=(460, 170))
    pen = ImageDraw.Draw(picture)
    for left in slashes:
        pen.line([(left, 135), (left + 35, 25)], fill=30, width=7)
    for left, angle in arcs:
        pen.arc((left, 15, left + 70, 145), angle - 52, angle + 52, fill=30, width=7)
    return brightness(picture)


@pytest.mark.parametrize(
    ("picture", "read"),
    [
        (number(), "258"),
        (number(slashes=(152, 280)), "2?5?8"),
        (number(arcs=((30, 180), (370, 0))), "?258?"),
    ],
)
def test_slashes_and_brackets_on_a_page_are_answered_with_a_question_mark(picture: Array, read: str) -> None:
    recognizer = Recognizer(Reader(SHIPPED), shipped_page_network())
    assert "".join(digit.answer for line in recognizer.read(recognizer.find(picture)) for digit in line) == read


def test_without_rejecting_every_stroke_is_a_digit() -> None:
    recognizer = Recognizer(Reader(SHIPPED), shipped_page_network(), reject=False)
    rows = recognizer.read(recognizer.find(number(slashes=(152, 280))))
    assert "".join(digit.answer for digit in rows[0]) == "21518"
