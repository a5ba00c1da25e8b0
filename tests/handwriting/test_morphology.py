"""Our morphology gives what SciPy's does."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from digits.handwriting.morphology import Mask, blur, connected, distances, spread

SHAPES = [(1, 1), (1, 9), (9, 1), (28, 28), (50, 70)]


def random_mask(shape: tuple[int, int], share: float) -> Mask:
    return np.random.default_rng(shape).random(shape) < share


@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_hangs_together_with_seeds(shape: tuple[int, int], share: float) -> None:
    mask = random_mask(shape, share)
    seeds = mask & (np.arange(mask.size).reshape(shape) % 7 == 0)
    expected = ndimage.binary_propagation(seeds, np.ones((3, 3)), mask)
    np.testing.assert_array_equal(connected(seeds, mask, mask.size), expected)
    near = ndimage.binary_dilation(seeds, np.ones((3, 3)), iterations=2, mask=mask)
    np.testing.assert_array_equal(connected(seeds, mask, 2), near)


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_of_a_window(shape: tuple[int, int], window: int) -> None:
    values: NDArray[np.float64] = np.random.default_rng(0).random(shape)
    largest = ndimage.maximum_filter(values, window, mode="constant", cval=-1)
    np.testing.assert_array_equal(spread(values, window), largest)


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
