"""Images from an .npz file, which has thousands of them in one array."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError
from digits.formats.images import unpacked
from digits.formats.npz import arrays_of
from digits.handwriting.normalize import BOX, MIDDLE, SIDE

NAMES = ("x", "images", "x_test", "x_train")
"""Of the array with the images; the first that is there is read."""

TOGETHER = 512
"""Images that are looked at together: few enough for a processor's cache."""

HALF = 0.53
"""Of a pixel, and what MNIST's makers rounded."""

EXPECTED = "uint8 [N, height, width], 0 to 255, or N rows of 784, with at least one image"
"""What it must be."""


def is_array_file(path: Path) -> bool:
    """Whether a file is an .npz, by its name."""
    return path.suffix.lower() == ".npz"


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read the images of an .npz file, uint8 [N, height, width]; it cannot run code, since pickled objects are refused.

    Raises:
        UserError: if it is not as it must be.
    """
    arrays = arrays_of(unpacked(path), NAMES, path)
    name = next((name for name in NAMES if name in arrays), None)
    if name is None:
        raise UserError(f"{path}: has none of the arrays {', '.join(NAMES)}; one must have the images, {EXPECTED}")
    return checked_images(arrays[name], f"{path}: {name}")


def checked_images(images: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Return images as uint8 [N, height, width], 0 to 255; those that go to 1 are taken for black and white.

    Raises:
        UserError: if they are not whole numbers of such a shape.
    """
    if images.ndim == 2 and images.shape[1] == SIDE**2:
        images = images.reshape(-1, SIDE, SIDE)
    if images.ndim != 3 or 0 in images.shape or images.dtype.kind not in "bu" or images.dtype.itemsize > 1:
        raise UserError(f"{what} is {images.dtype} {list(images.shape)}; must be {EXPECTED}")
    return images.astype(np.uint8) * np.uint8(255) if images.max() <= 1 else images.astype(np.uint8, copy=False)


def in_mnist_form(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return for each image, uint8 [N, height, width], whether it is as MNIST's are, which the network takes as it is.

    These have bright ink on black, its longer side of 20 pixels (16 of MNIST's 70,000 have 19), and its centre of mass
    in the middle to the nearest whole pixel. All of MNIST's are.
    """
    count, height, width = images.shape
    if (height, width) != (SIDE, SIDE):
        return np.zeros(count, dtype=bool)
    blocks = range(0, count, TOGETHER)
    formed = [_formed(images[start : start + TOGETHER].reshape(-1, SIDE**2)) for start in blocks]
    return np.concatenate(formed)


def _formed(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return for each image, uint8 [N, 784], whether it is as MNIST's; by the exact sums of its rows and columns."""
    each = np.eye(SIDE, dtype=np.float32)
    to_rows, to_columns = each.repeat(SIDE, axis=0), np.tile(each, (SIDE, 1))
    formed = np.ones(len(images), dtype=bool)
    ink = images.astype(np.float32)
    places = np.arange(SIDE) + 0.5
    longest = np.zeros(len(images), dtype=np.intp)
    for to_sums in (to_rows, to_columns):
        sums = (ink @ to_sums).astype(np.float64)
        occupied = sums > 0
        extent = SIDE - occupied.argmax(axis=1) - occupied[:, ::-1].argmax(axis=1)  # SIDE where there is no ink
        longest = np.maximum(longest, extent)
        middle = sums @ places / sums.sum(axis=1).clip(min=1)
        formed &= np.abs(middle - MIDDLE) < HALF
    formed &= (longest >= BOX - 1) & (longest <= BOX)
    return formed
