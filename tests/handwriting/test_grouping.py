"""Pixels that vote for one place are one digit, whatever they look like."""

import numpy as np
import pytest
from numbered import SIDE, votes_of
from numpy.typing import NDArray

from digits.handwriting.grouping import INK, grouped


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


def test_doubtful_ink_is_no_digit(numbers: NDArray[np.int16]) -> None:
    votes = votes_of(numbers)
    assert grouped(np.zeros((SIDE, SIDE), dtype=np.float32), votes)[1] == []
    assert grouped(np.where(numbers > 0, INK - 0.01, 0).astype(np.float32), votes)[1] == []
