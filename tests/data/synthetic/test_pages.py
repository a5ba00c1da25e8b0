"""Synthetic pages: the same each time, and true about their ink."""

from pathlib import Path

import numpy as np
import pytest

from digits.data import mnist
from digits.data.synthetic import pages
from digits.data.synthetic.forms import OTHERS
from digits.data.synthetic.letters import LETTERS, LOW, OPERATORS, TALL
from digits.data.synthetic.strokes import parse
from digits.data.synthetic.writing import IGNORED

Digits = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def digits(data_dir: Path) -> Digits:
    images, labels = mnist.read(data_dir, train=True)
    return images[:500].numpy(), labels[:500].numpy()


def test_a_page_is_drawn_by_its_place_and_seed_alone(digits: Digits) -> None:
    first = pages.draw(7, 1, digits)
    pages.draw(8, 1, digits)
    again, other = pages.draw(7, 1, digits), pages.draw(7, 2, digits)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_pages_are_of_all_kinds(digits: Digits) -> None:
    drawn = [pages.draw(place, 1, digits) for place in range(40)]
    assert all(picture.shape == numbers.shape == (pages.SIDE, pages.SIDE) for picture, numbers in drawn)
    assert {picture.dtype.name for picture, _ in drawn} == {"uint8"}
    counts = [len(set(numbers[numbers > 0].tolist())) for _, numbers in drawn]
    assert min(counts) == 0
    assert max(counts) > 20
    assert any((numbers == IGNORED).any() for _, numbers in drawn)  # cut by the picture's edge
    heights = [
        np.ptp(np.nonzero(numbers == one)[0]) for _, numbers in drawn for one in set(numbers[numbers > 0].tolist())
    ]
    assert min(heights) < 20
    assert max(heights) > 90


def test_targets_point_to_the_middle_of_each_digit() -> None:
    numbers = np.zeros((pages.SIDE, pages.SIDE), dtype=np.int16)
    numbers[10:31, 40:51] = 1
    numbers[100:111, 200:241] = 2
    numbers[0:5, 0:5] = IGNORED
    numbers[50:60, 0:5] = IGNORED - 1
    ink, writing, across, down, size = pages.targets(numbers)
    assert (ink == np.where(numbers < IGNORED, 0, np.sign(numbers))).all()
    assert (writing == (numbers != 0)).all()
    y, x = np.mgrid[: pages.SIDE, : pages.SIDE]
    for number, middle, longer in ((1, (45, 20), 21), (2, (220, 105), 41)):
        own = numbers == number
        assert set(zip((x + across)[own], (y + down)[own], strict=True)) == {middle}
        assert np.exp(size[own]) == pytest.approx(longer, rel=1e-5)
    assert not pages.targets(np.zeros_like(numbers)).any()


@pytest.mark.parametrize("name", LETTERS)
def test_every_letter_can_be_drawn(name: str) -> None:
    for form in LETTERS[name]:
        assert parse(form).curves


def test_the_signs_that_are_named_are_there() -> None:
    assert set(TALL) | set(LOW) <= set(LETTERS)
    assert set(OPERATORS) <= set(LETTERS) | set(OTHERS)
