"""Images from an .npz file, which has thousands of them in one array."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError
from digits.formats.images import unpacked
from digits.formats.npz import arrays_of
from digits.handwriting.normalize import SIDE

NAMES = ("x", "images", "x_test", "x_train")
"""Of the array with the images; the first that is there is read."""

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
