"""Rows as they are read, boxes, and an image that is in MNIST's form already."""

import numpy as np
import pytest
from drawn_pages import Array

from digits.handwriting.boxes import Box
from digits.handwriting.page import find, in_rows


def box(left: int, top: int) -> Box:
    return Box(top, left, top + 40, left + 20)


@pytest.mark.parametrize(
    ("places", "rows"),
    [
        ([(0, 0), (30, 5), (60, 0)], [3]),
        ([(0, 0), (30, 25), (60, 50), (90, 75)], [4]),  # down like stairs
        ([(0, 0), (30, 0), (0, 50), (30, 50)], [2, 2]),
        ([(0, 0), (30, 25), (60, 50), (0, 75)], [3, 1]),  # the last stands under the first
        ([(0, 0), (200, 45)], [1, 1]),  # far apart
        ([(0, 0), (30, 60)], [1, 1]),  # on no common level
    ],
)
def test_what_goes_down_like_stairs_is_one_row_and_what_stands_under_another_is_none(
    places: list[tuple[int, int]], rows: list[int]
) -> None:
    found = in_rows([box(*place) for place in places], lambda place: place)
    assert list(map(len, found)) == rows


def test_a_box_holds_the_middle_of_another_or_not() -> None:
    assert box(0, 0).holds_middle(box(10, 20))
    assert not box(0, 0).holds_middle(box(11, 0))
    assert not box(0, 0).holds_middle(box(0, 21))
    assert box(0, 0).holds_middle(Box(0, 0, 4, 4))
    assert not Box(0, 0, 4, 4).holds_middle(box(0, 0))


@pytest.mark.parametrize("lean", [-0.25, -0.1, 0.1, 0.25])
def test_close_rows_that_lean_are_told_apart(lean: float) -> None:
    rows = [[box(25 * column, round(50 * row + 25 * column * lean)) for column in range(16)] for row in range(5)]
    mixed = [place for column in zip(*rows, strict=True) for place in column]
    assert in_rows(mixed, lambda place: place) == rows


@pytest.mark.parametrize("dark_on_white", [False, True])
def test_an_image_in_mnists_form_is_read_without_the_page_network(dark_on_white: bool) -> None:
    image = np.zeros((28, 28), dtype=np.float32)
    image[4:24, 12:17] = 255

    def never(_: Array) -> tuple[Array, Array]:
        raise AssertionError

    (digit,) = find(255 - image if dark_on_white else image, never).digits
    assert digit.sureness == 1
    assert digit.image.sum() == pytest.approx((image / 255).sum(), rel=0.3)  # its stroke is wider than MNIST's
