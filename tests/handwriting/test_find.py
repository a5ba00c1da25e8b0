"""Pixels that vote for one place are one digit, whatever they look like; each digit is taken where it is seen best."""

import numpy as np
import pytest
from drawn_pages import SIDE, Array, votes_of
from numpy.typing import NDArray

from digits.handwriting import find
from digits.handwriting.boxes import Box
from digits.handwriting.find import Found, PageNetwork, Seen, find_digits
from digits.handwriting.grouping import USUAL_SIZE, grouped


def knowing(numbers: NDArray[np.int16]) -> PageNetwork:
    """A network that knows the digits of a picture of SIDE x SIDE at every size."""

    def network(pictures: Array) -> tuple[Array, Array]:
        side = pictures.shape[2]
        places = (np.arange(side) * SIDE / side).astype(np.intp)
        small = numbers[np.ix_(places, places)]
        return np.stack([small > 0] * 2).astype(np.float32)[None], votes_of(small)[None]

    return network


def picture(numbers: NDArray[np.int16], ink: float = 40, paper: float = 220) -> Array:
    return np.where(numbers > 0, ink, paper).astype(np.float32)


@pytest.mark.parametrize(("height", "scale", "looks"), [(12, 0.5, 4), (40, 1, 4), (180, 4, 2)])
def test_a_digit_is_taken_at_the_size_that_suits_it(height: int, scale: float, looks: int) -> None:
    numbers = np.zeros((SIDE, SIDE), dtype=np.int16)
    numbers[20 : 20 + height, 20 : 20 + max(4, height // 6)] = 1
    seen, (digit,) = find_digits(picture(numbers), knowing(numbers))
    assert len(seen) == looks  # it is not enlarged where everything is large already
    assert digit.box.height == pytest.approx(height, abs=4)
    assert digit.seen.scale == scale
    assert digit.misfit < 1


@pytest.mark.parametrize(("seen_as", "shape"), [((36, 372), (18, 186)), ((64, 48), (1600, 1190))])
def test_a_box_has_a_pixel_and_is_in_the_picture(seen_as: tuple[int, int], shape: tuple[int, int]) -> None:
    ink = np.ones(seen_as, dtype=np.float32)
    seen = Seen(ink, ink, ink, ink.astype(np.int32), shape)
    for row in range(seen_as[0]):
        box = Found(seen, 1, Box(row, seen_as[1] - 1, row + 1, seen_as[1]), (0.0, 0.0), 1.0, 1.0).box
        assert 0 <= box.top < box.bottom <= shape[0]
        assert 0 <= box.left < box.right == shape[1]


def test_what_is_missing_at_the_best_size_is_taken_from_others_however_large_it_is() -> None:
    numbers = np.zeros((SIDE, SIDE), dtype=np.int16)
    for number, left in enumerate((20, 80, 140), 1):
        numbers[100:140, left : left + 6] = number
    numbers[20:32, 20:24] = 4  # much smaller
    network = knowing(numbers)

    def but_the_first(pictures: Array) -> tuple[Array, Array]:
        """Sees the others at the best size, and everything at others."""
        ink, votes = network(pictures)
        if pictures.shape[2] == SIDE:
            ink[..., :40] = 0
        return ink, votes

    _, digits = find_digits(picture(numbers), but_the_first)
    assert sorted(digit.box.left for digit in digits) == pytest.approx([20, 20, 80, 140], abs=2)
    assert len({digit.seen.scale for digit in digits}) == 2


@pytest.mark.parametrize(
    ("right", "down", "ink_of_other", "digits"),
    [(12, 0, 12, 1), (18, 0, 12, 2), (18, 0, 2, 1), (26, 0, 2, 2), (0, 30, 12, 1), (0, 42, 12, 2)],
)
def test_two_places_voted_for_are_one_digit_where_they_are_near_or_one_is_weak(
    right: int, down: int, ink_of_other: int, digits: int
) -> None:
    ink, votes = np.zeros((96, 96), dtype=np.float32), np.zeros((3, 48, 48), dtype=np.float32)
    votes[2] = np.log(60 / USUAL_SIZE)
    for x, y, side in ((30, 30, 12), (30 + right, 30 + down, ink_of_other)):
        ink[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = 1
        rows, columns = np.mgrid[
            (y - side // 2) // 2 : (y + side // 2) // 2, (x - side // 2) // 2 : (x + side // 2) // 2
        ]
        votes[:2, rows, columns] = np.stack([x - 2 * columns, y - 2 * rows]) / USUAL_SIZE
    assert len(grouped(ink, votes)[1]) == digits


def test_what_the_pictures_edge_cuts_off_and_specks_are_not_read() -> None:
    numbers = np.zeros((SIDE, SIDE), dtype=np.int16)
    numbers[100:140, 60:80] = 1
    numbers[200:203, 150:152] = 3  # which says that it is 45 high, as below
    votes = votes_of(np.where(np.arange(SIDE) < 12, np.int16(2), numbers))
    votes[2, 99:103, 74:77] = 0
    votes[2, :, :6] = 0  # what is seen of it, 12 pixels wide and high, says that it is 45 high
    numbers[100:112, 0:12] = 2

    def network(_: Array) -> tuple[Array, Array]:
        return np.stack([numbers > 0] * 2).astype(np.float32)[None], votes[None]

    _, found = find.look(picture(numbers), SIDE, network)
    assert [digit.box.left for digit in found] == [60]


@pytest.mark.parametrize(
    ("probability", "contrast", "height"), [(1, 1, 45), (0.05, 1, 45), (0.05, 0.2, 45), (0.05, 0.05, 20), (0.01, 1, 20)]
)
def test_ink_that_hangs_together_with_what_was_seen_is_of_the_digit_even_where_it_fades(
    probability: float, contrast: float, height: int
) -> None:
    numbers = np.zeros((SIDE, SIDE), dtype=np.int16)
    numbers[100:145, 100:106] = 1
    numbers[100:106, 100:130] = 1
    drawn = picture(numbers)
    drawn[120:] = 220 - contrast * (220 - drawn[120:])

    def upper_part(pictures: Array) -> tuple[Array, Array]:
        """Sees of the rest that it may be writing."""
        ink, votes = knowing(numbers)(pictures)
        rest = slice(round(ink.shape[2] * 120 / SIDE), None)
        ink[:, 0, rest], ink[:, 1, rest] = 0, probability * ink[:, 1, rest]
        return ink, votes

    _, (digit,) = find_digits(drawn, upper_part)
    assert digit.found_box.height < 25
    assert digit.box.height == pytest.approx(height, abs=4)
    assert digit.cropped.shape[0] * digit.seen.scale == pytest.approx(height, abs=4)


def test_a_stroke_that_fades_is_full_ink() -> None:
    numbers = np.zeros((SIDE, SIDE), dtype=np.int16)
    numbers[100:145, 100:106] = 1
    drawn = picture(numbers)
    drawn[130:] = 220 - 0.4 * (220 - drawn[130:])
    _, (digit,) = find_digits(drawn, knowing(numbers))
    assert digit.cropped[-5:-1].max(axis=1).min() > 0.95


def test_a_line_that_is_no_writing_is_of_no_digit() -> None:
    numbers = np.zeros((SIDE, SIDE), dtype=np.int16)
    numbers[100:145, 100:108] = 1
    lined = picture(numbers)
    lined[142:146] = 40
    for drawn in (picture(numbers), lined):
        _, (digit,) = find_digits(drawn, knowing(numbers))
        assert digit.cropped.shape[1] * digit.seen.scale < 20


@pytest.mark.parametrize(("lines", "shows"), [(1, True), (6, False)])
def test_where_most_writing_is_no_digit_none_is_shown(lines: int, shows: bool) -> None:
    numbers = np.zeros((64, 64), dtype=np.int32)
    numbers[0, :40] = 1
    writing = np.zeros((64, 64), dtype=np.float32)
    writing[: 1 + lines, :40] = 0.9
    assert Seen(writing, writing, writing, numbers, (64, 64)).shows_digits == shows
