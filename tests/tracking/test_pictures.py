"""The pictures show what they are given."""

import numpy as np

from digits.tracking import pictures


def test_a_confusion_matrix_shows_each_mistake_in_its_place() -> None:
    right = np.diag(np.full(10, 90))
    plain = pictures.confusion_matrix(right, "title")
    assert plain.dtype == np.uint8
    right[2, 7] = 10  # true 2, predicted 7
    changed = np.argwhere((pictures.confusion_matrix(right, "title") != plain).any(axis=2))
    middle = changed.mean(axis=0) / plain.shape[:2]
    assert middle[0] < 0.5  # row 2 is in the upper half; column 7 is in the right half
    assert changed[:, 1].max() > 0.65 * plain.shape[1]


def test_an_empty_row_of_a_confusion_matrix_is_drawn() -> None:
    assert pictures.confusion_matrix(np.zeros((10, 10), dtype=np.int64), "nothing").shape[2] == 3


def test_no_mistake_is_drawn_too() -> None:
    labels = np.arange(10)
    assert pictures.misread(np.zeros((10, 28, 28), np.uint8), labels, np.eye(10, dtype=np.float32)).shape[2] == 3
