"""NumPy's .npz: an archive of arrays, from which pickled objects, which could run code, are refused."""

import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError
from digits.formats.images import MAX_BYTES, ImageSet, image_set, short_message


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
            for info in members.infolist():
                if info.filename.removesuffix(".npy") in names:
                    with members.open(info) as member:
                        _check_header(member, info.file_size)
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


def _check_header(member: IO[bytes], size: int) -> None:
    """Check that a member is as large as its header says, because NumPy makes room for that before it reads.

    Raises:
        ValueError: if it is not.
    """
    version = np.lib.format.read_magic(member)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"has the version {version}")
    shape, _, dtype = readers[version](member)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: they are pickled, and may run code")
    expected = math.prod(shape) * dtype.itemsize
    if expected != size - member.tell():
        raise ValueError(f"has {size - member.tell()} bytes, and is said to have {expected}")
