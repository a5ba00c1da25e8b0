"""A ring round a digit is no part of it."""

import numpy as np
import pytest
from drawn_pages import Array, brightness, page
from PIL import Image, ImageDraw

from digits.handwriting.ring import without_ring
from digits.reading.reader import SHIPPED, Reader, shipped_page_network
from digits.reading.recognize import Recognizer


def drawing(
    *boxes: tuple[int, int, int, int], lines: tuple[tuple[int, int, int, int], ...] = (), open_by: int = 0
) -> Array:
    """Draw ellipses in boxes, each open on its right by so many degrees, and lines."""
    sheet = Image.new("L", (120, 120))
    pen = ImageDraw.Draw(sheet)
    for box in boxes:
        pen.arc(box, open_by / 2, 360 - open_by / 2, fill=255, width=5)
    for line in lines:
        pen.line(line, fill=255, width=5)
    return brightness(sheet) * np.float32(1 / 255)


RING, ZERO, ONE = (10, 10, 110, 110), (40, 30, 80, 90), (60, 35, 58, 85)


@pytest.mark.parametrize(
    ("ink", "kept"),
    [
        (drawing(RING, ZERO), drawing(ZERO)),
        (drawing(RING, lines=(ONE,)), drawing(lines=(ONE,))),
        (drawing(RING, lines=(ONE,), open_by=40), drawing(lines=(ONE,))),
        (drawing(RING, lines=(ONE,), open_by=150), drawing(lines=(ONE,))),  # the rest was taken for another digit's
        (
            drawing(RING, lines=((40, 35, 40, 85), (80, 35, 80, 85))),
            drawing(lines=((40, 35, 40, 85), (80, 35, 80, 85))),
        ),
    ],
)
def test_what_stands_in_a_ring_is_left(ink: Array, kept: Array) -> None:
    assert np.array_equal(without_ring(ink), kept)


@pytest.mark.parametrize(
    "ink",
    [
        drawing(RING),
        drawing((40, 30, 80, 90), lines=((60, 55, 60, 65),)),  # a dot in a 0
        drawing(RING, lines=((10, 60, 110, 60),)),  # what is in it touches it
        drawing(lines=((20, 10, 20, 110), (60, 30, 60, 90), (100, 10, 100, 110))),  # what is beside it is not round it
        drawing(lines=((10, 100, 110, 100), (90, 10, 90, 100), (40, 30, 40, 80))),  # nor what is under it and beside it
        drawing((30, 10, 90, 60), (30, 60, 90, 110)),
        np.zeros((20, 20), np.float32),
        np.ones((1, 1), np.float32),
    ],
)
def test_all_other_ink_stays_as_it_is(ink: Array) -> None:
    assert without_ring(ink) is ink


@pytest.mark.parametrize("digit", ["2", "4", "7"])
def test_a_digit_in_a_ring_is_read(digit: str) -> None:
    picture = page([(digit, 70, 60)], size=(200, 200), height=80)
    ImageDraw.Draw(picture).ellipse((30, 30, 165, 170), outline=30, width=6)
    recognizer = Recognizer(Reader(SHIPPED), shipped_page_network())
    (row,) = recognizer.read(recognizer.find(brightness(picture)))
    assert [read.answer for read in row] == [digit]
