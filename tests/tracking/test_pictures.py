"""The pictures show what they are given."""

import numpy as np
import pytest

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


@pytest.mark.parametrize("wrong", [0, 3, 60])
def test_misread_images_are_drawn_however_many(wrong: int) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (100, 28, 28), dtype=np.uint8)
    labels = random.integers(0, 10, 100)
    answers = np.where(np.arange(100) < wrong, (labels + 1) % 10, labels)
    probabilities = np.full((100, 10), 0.05, dtype=np.float32)
    probabilities[np.arange(100), answers] = random.uniform(0.5, 0.55, 100)
    picture = pictures.misread(images, labels, probabilities)
    ink = (picture < 128).any(axis=2).mean()
    empty = (pictures.misread(images, labels, np.eye(10, dtype=np.float32)[labels]) < 128).any(axis=2).mean()
    assert ink > 2 * empty if wrong else ink == empty


@pytest.mark.parametrize(("units", "side"), [(6, 5), (200, 28), (1, 28)])
def test_the_first_layer_shows_excitation_red_and_inhibition_blue(units: int, side: int) -> None:
    weights = np.ones((units, side, side), dtype=np.float32)
    weights[:, :, : side // 2] = -1
    picture = pictures.first_layer(weights).astype(int)
    red = (picture[..., 0] > picture[..., 2] + 50).mean()
    blue = (picture[..., 2] > picture[..., 0] + 50).mean()
    assert red > 0.1
    assert blue > 0.1
