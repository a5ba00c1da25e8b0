"""Pixels that vote for one place are one digit, whatever they look like."""

import numpy as np
import pytest
from numpy.typing import NDArray

from digits.data.synthetic.pages import targets
from digits.handwriting.grouping import INK, USUAL_SIZE, grouped

Array = NDArray[np.float32]
SIDE = 256


def votes_of(numbers: NDArray[np.int16]) -> Array:
    """What a network says that knows the digits, [3, height/2, width/2]."""
    votes = targets(numbers)[1:, ::2, ::2].copy()
    votes[:2] /= USUAL_SIZE
    votes[2] -= np.log(USUAL_SIZE)
    return votes


@pytest.fixture
def numbers() -> NDArray[np.int16]:
    """Two digits that touch, one of them of two strokes apart, and a third of its own."""
    page = np.zeros((SIDE, SIDE), dtype=np.int16)
    page[40:85, 50:56] = 1
    page[40:46, 56:90] = 2
    page[70:85, 84:90] = 2
    page[150:190, 100:104] = 3
    return page


def test_what_votes_for_one_place_is_one_digit(numbers: NDArray[np.int16]) -> None:
    found, groups = grouped((numbers > 0).astype(np.float32), votes_of(numbers))
    assert len(groups) == 3
    for number, box, middle, size, sureness in groups:
        (true,) = np.unique(numbers[found == number])
        rows, columns = np.nonzero(numbers == true)
        assert (box.top, box.left, box.bottom, box.right) == (
            rows.min(),
            columns.min(),
            rows.max() + 1,
            columns.max() + 1,
        )
        assert middle == pytest.approx(((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2), abs=1)
        assert size == pytest.approx(max(box.height, box.width), rel=0.05)
        assert sureness == 1
    assert (found > 0).sum() == (numbers > 0).sum()


def test_specks_and_doubtful_ink_are_no_digits(numbers: NDArray[np.int16]) -> None:
    votes = votes_of(numbers)
    assert grouped(np.zeros((SIDE, SIDE), dtype=np.float32), votes)[1] == []
    assert grouped(np.where(numbers > 0, INK - 0.01, 0).astype(np.float32), votes)[1] == []
    few = np.zeros((SIDE, SIDE), dtype=np.float32)
    few[40:43, 50:52] = 1  # 6 pixels that say they are of a digit of 45
    assert grouped(few, votes)[1] == []
