"""IDX, the format that MNIST comes in (yann.lecun.com/exdb/mnist)."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError
from digits.formats.images import SIDE, whole_numbers

IDX_IMAGES, IDX_LABELS = 0x803, 0x801
"""Magic numbers of unsigned bytes in three dimensions and in one."""


def read(content: bytes, path: Path) -> NDArray[np.uint8]:
    """Read an IDX file: a magic number and the dimensions, big-endian, then the bytes.

    Returns:
        Images, uint8 [N, 28, 28], or labels, uint8 [N].

    Raises:
        UserError: if it is not as it must be.
    """
    magic = int.from_bytes(content[:4])
    dimensions = {IDX_IMAGES: 3, IDX_LABELS: 1}.get(magic)
    if dimensions is None:
        expected = f"0x{IDX_IMAGES:08x} (images) or 0x{IDX_LABELS:08x} (labels)"
        raise UserError(
            f"{path}: begins with the magic number 0x{magic:08x}; IDX files of MNIST's kind with {expected}"
        )
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise UserError(f"{path}: ends within its header of {start} bytes")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if dimensions == 3 and shape[1:] != (SIDE, SIDE):
        raise UserError(f"{path}: its header says images of {shape[1]}x{shape[2]} pixels; must be {SIDE}x{SIDE}")
    size, there = int(np.prod(shape, dtype=object)), len(content) - start
    if size != there:
        less = "fewer" if there < size else "more"
        raise UserError(f"{path}: has {there} bytes behind its header, {less} than the {size} that it says")
    if not size:
        raise UserError(f"{path}: its header says that there is nothing in it")
    values = np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
    return whole_numbers(values, 9, "label", path) if dimensions == 1 else values
