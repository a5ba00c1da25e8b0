"""Our morphology gives what SciPy's does."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from digits.handwriting.morphology import Mask, blur, distances, label, spread

SHAPES = [(1, 1), (1, 9), (9, 1), (28, 28), (50, 70)]


def random_mask(shape: tuple[int, int], share: float) -> Mask:
    return np.random.default_rng(shape).random(shape) < share


def spiral(side: int) -> Mask:
    """A single line that winds, so that its numbers take many rounds to meet."""
    mask = np.zeros((side, side), dtype=bool)
    for ring in range(0, side // 2, 2):
        mask[ring, ring : side - ring] = mask[ring : side - ring, side - ring - 1] = True
        mask[side - ring - 1, ring : side - ring] = mask[ring + 2 : side - ring, ring] = True
        mask[ring + 2, ring : ring + 3] = True
    return mask


@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_are_numbered(shape: tuple[int, int], share: float, diagonal: bool) -> None:
    compare(random_mask(shape, share), diagonal)


def test_a_winding_line_is_one_piece() -> None:
    compare(spiral(41), diagonal=False)


def compare(mask: Mask, diagonal: bool) -> None:
    labels, boxes = label(mask, diagonal)
    expected, count = ndimage.label(mask, np.ones((3, 3)) if diagonal else None)
    assert len(boxes) == count
    pairs = set(zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True))
    assert len(pairs) == len(np.unique(expected))
    assert boxes == ndimage.find_objects(labels)


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_and_the_smallest_of_a_window(shape: tuple[int, int], window: int) -> None:
    values: NDArray[np.float64] = np.random.default_rng(0).random(shape)
    largest = ndimage.maximum_filter(values, window, mode="constant", cval=-1)
    np.testing.assert_array_equal(spread(values, window, window), largest)
    smallest = ndimage.minimum_filter(values, (1, window), mode="constant", cval=2)
    np.testing.assert_array_equal(spread(values, 1, window, np.minimum), smallest)


@pytest.mark.parametrize("most", [3, 100])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_the_distance_to_the_outside(share: float, most: int) -> None:
    mask = np.pad(random_mask((40, 30), share), 1)
    expected = np.minimum(ndimage.distance_transform_edt(mask), most)
    np.testing.assert_allclose(distances(mask, most), expected, atol=1e-4)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_mean_of_a_window_twice(window: int) -> None:
    values = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    once = ndimage.uniform_filter(values, window, mode="nearest")
    np.testing.assert_allclose(blur(values, window), ndimage.uniform_filter(once, window, mode="nearest"), atol=1e-5)
