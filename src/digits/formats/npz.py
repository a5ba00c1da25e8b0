"""NumPy's .npz: an archive of arrays, from which pickled objects, which could run code, are refused.

It has images of 28x28 to train on, or images of any size to read.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError
from digits.formats.images import MAX_BYTES, PIXELS, SIDE, ImageSet, image_set, short_message, unpacked, whole_numbers

TO_READ = ("x", "images", "x_test", "x_train")
"""Names of the array with the images to read; the first that is there is taken."""


def is_npz(path: Path) -> bool:
    """Whether a file is an .npz, by its name."""
    return path.suffix.lower() == ".npz"


def read(content: bytes, path: Path) -> list[ImageSet]:
    """Read an .npz file with x_train, y_train, x_test and y_test, as Keras has them, or with x and y.

    Returns:
        The training images and the test images; or all, of which it does not say what they are for.

    Raises:
        UserError: if it is not as it must be.
    """
    arrays = arrays_of(content, ("x_train", "y_train", "x_test", "y_test", "x", "y"), path)
    if "x_train" in arrays:
        halves = ("train", "test") if "x_test" in arrays else ("train",)
        return [image_set(arrays, f"x_{half}", f"y_{half}", path) for half in halves]
    if "x" in arrays:
        return [image_set(arrays, "x", "y", path)]
    expected = "x_train, y_train, x_test and y_test, or x and y"
    raise UserError(f"{path}: has {', '.join(arrays) or 'none'} of the arrays it must have: {expected}")


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read images of any size, uint8 [N, height, width], 0 to 255; those that go to 1 are taken for black and white.

    Raises:
        UserError: if the file is not as it must be.
    """
    return _images(arrays_of(unpacked(path), TO_READ, path), path)


def read_labelled(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images of any size, as `read_images` does, and their labels, 0 to 9, from the array y.

    Raises:
        UserError: if the file is not as it must be.
    """
    arrays = arrays_of(unpacked(path), (*TO_READ, "y"), path)
    images = _images(arrays, path)
    labels = whole_numbers(arrays.get("y", np.empty(0)), 9, "y", path)
    if labels.shape != images.shape[:1]:
        raise UserError(f"{path}: y has the shape {list(labels.shape)}; must have [{len(images)}], a label an image")
    return images, labels


def _images(arrays: dict[str, NDArray[Any]], path: Path) -> NDArray[np.uint8]:
    expected = f"uint8 [N, height, width], 0 to 255, or N rows of {PIXELS}, with at least one image"
    name = next((name for name in TO_READ if name in arrays), None)
    if name is None:
        raise UserError(f"{path}: has none of the arrays {', '.join(TO_READ)}; one must have the images, {expected}")
    images = arrays[name]
    if images.shape[1:] == (PIXELS,):
        images = images.reshape(-1, SIDE, SIDE)
    if images.ndim != 3 or 0 in images.shape or images.dtype not in (np.uint8, np.bool_):
        raise UserError(f"{path}: {name} is {images.dtype} {list(images.shape)}; must be {expected}")
    return images.astype(np.uint8) * np.uint8(255) if images.max() <= 1 else images


def arrays_of(content: bytes, names: tuple[str, ...], path: Path) -> dict[str, NDArray[Any]]:
    """Return those of the named arrays that an .npz file has; pickled objects are refused.

    Raises:
        UserError: if it is damaged, or has more than MAX_BYTES unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            size = sum(member.file_size for member in members.infolist())
            if size > MAX_BYTES:
                raise UserError(f"{path}: has {size} bytes unpacked; at most {MAX_BYTES} are read")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            read_arrays = {name: arrays[name] for name in names if name in arrays}
        for name, array in read_arrays.items():
            if not isinstance(array, np.ndarray):  # the bytes of a member that is something else
                raise ValueError(f"{name} is no array")
    except UserError:
        raise
    except Exception as error:  # what NumPy and zipfile raise for damaged files has no common class
        raise UserError(f"{path}: cannot be read as .npz ({short_message(error)})") from error
    return read_arrays
