"""Numbers from a .mat file of level 5, the format of MATLAB 5 to 7 (MathWorks: MAT-File Format, chapter 1).

SciPy's reader crashes on some damaged files, which a stranger's may be on purpose; this one reads numbers only, and
checks every length before it uses it.
"""

import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError
from digits.formats.images import MAX_BYTES, PIXELS, ImageSet, image_set, short_message

MATRIX, COMPRESSED = 14, 15
"""Types of elements that are variables."""

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy's name for each type of element that holds numbers."""

CLASSES = {1: "a cell array", 2: "a structure", 3: "an object", 4: "text", 5: "a sparse matrix"}
"""Kinds of variables that are not read; those from 6 to 15 are numbers."""

MAX_NAMES = 20
"""Other variables that are named at most."""

MAX_NAME = 63
"""Characters, in MATLAB."""

COMPLEX = 0x800
"""The flag of a variable with imaginary parts."""


def variables(content: bytes, names: tuple[str, ...], most: int) -> dict[str, NDArray[Any] | str]:
    """Read the named variables.

    Args:
        content: of the file.
        names: of the variables to read; of others only the name is.
        most: bytes that the variables may have together, unpacked.

    Returns:
        By the name of each variable of the file, its array if it was asked for, else or if it holds no numbers what
        it is.

    Raises:
        ValueError: if the file is damaged, or has more bytes than that.
    """
    order = "<" if content[126:128] == b"IM" else ">"
    values: dict[str, NDArray[Any] | str] = {}
    for kind, data in _elements(content[128:], order):
        if kind == COMPRESSED:
            inflate = zlib.decompressobj()
            unpacked = inflate.decompress(data, most + 1)
            if not inflate.eof and len(unpacked) <= most:
                raise ValueError("a compressed variable is cut off")
        else:
            unpacked = struct.pack(f"{order}II", kind, len(data)) + data
        most -= len(unpacked)
        if most < 0:
            raise ValueError("has too many bytes, unpacked")
        for inner, variable in _elements(unpacked, order):
            if inner == MATRIX:
                name, value = _variable(variable, order, names)
                if name in names or len(values) < MAX_NAMES:
                    values[name] = value
    return values


def _variable(data: bytes, order: str, names: tuple[str, ...]) -> tuple[str, NDArray[Any] | str]:
    parts = list(itertools.islice(_elements(data, order), 5))
    if len(parts) < 3:
        raise ValueError("a variable has no name")
    (_, flags), (_, dimensions), (_, name) = parts[:3]
    (flag,) = struct.unpack_from(f"{order}I", flags)
    shape = np.frombuffer(dimensions, f"{order}i4").tolist()
    title, kind = name.decode("ascii"), flag & 0xFF
    if not title.isidentifier() or len(title) > MAX_NAME:
        raise ValueError("a variable has no name")
    if kind in CLASSES or flag & COMPLEX or title not in names:
        return title, CLASSES.get(kind, "complex numbers" if flag & COMPLEX else "numbers")
    if len(parts) != 4 or parts[3][0] not in NUMBERS:
        raise ValueError(f"{title} has no numbers")
    values = np.frombuffer(parts[3][1], f"{order}{NUMBERS[parts[3][0]]}")
    if min(shape, default=-1) < 0 or math.prod(shape) != values.size:
        raise ValueError(f"{title} has {values.size} values, and is said to be {'x'.join(map(str, shape))}")
    return title, values.reshape(shape, order="F")


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Return the type and the bytes of each element."""
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        small = kind >> 16
        if small:  # size and type in four bytes, up to four of data behind them
            kind, size, start = kind & 0xFFFF, small, place + 4
        else:
            start = place + 8
        if start + size > len(data):
            raise ValueError("is cut off")
        yield kind, data[start : start + size]
        place = place + 8 if small else start + size + (0 if kind == COMPRESSED else -size % 8)


def read(content: bytes, path: Path) -> ImageSet:
    """Read a .mat file with data, [784, N] or [N, 784], and label, as mnist-original.mat has them.

    Raises:
        UserError: if it is not as it must be.
    """
    try:
        values = variables(content, ("data", "label"), MAX_BYTES)
    except (ValueError, struct.error, zlib.error) as error:
        raise UserError(f"{path}: cannot be read as .mat ({short_message(error)})") from error
    arrays: dict[str, NDArray[Any]] = {}
    for field in ("data", "label"):
        if field not in values:
            raise UserError(f"{path}: has no {field}; must have data and label, has {', '.join(values) or 'nothing'}")
        value = values[field]
        if isinstance(value, str):
            raise UserError(f"{path}: {field} is {value}; must be numbers")
        arrays[field] = value
    data = arrays["data"]
    arrays["data"] = data.T if data.shape[:1] == (PIXELS,) else data
    arrays["label"] = arrays["label"].ravel()
    return image_set(arrays, "data", "label", path)
