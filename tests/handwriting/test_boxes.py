"""Boxes, also those of turned pictures."""

import numpy as np
import pytest

from digits.handwriting.boxes import Box


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_box_comes_back_to_where_it_was_before_the_picture_was_turned(turns: int) -> None:
    picture = np.zeros((30, 50), dtype=bool)
    before = Box(5, 10, 12, 40)
    picture[before.slices] = True
    rows, columns = np.nonzero(np.rot90(picture, -turns))
    turned = Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
    assert turned.turned_back(turns, 30, 50) == before
