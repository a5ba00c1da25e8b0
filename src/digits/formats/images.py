"""Labelled images, checked; and a file's content, unpacked, and of which format it is."""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError

SIDE, PIXELS = 28, 28 * 28

MAX_BYTES = 2**30
"""The most that a file may have, unpacked, or a stranger's could fill the memory; MNIST has 55 MB, as .csv 128 MB."""

SHAPES = ((PIXELS,), (SIDE, SIDE), (1, SIDE, SIDE), (SIDE, SIDE, 1))
"""The shapes that an image in an array may have."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Excel begins its CSV files with it."""


@dataclass(frozen=True)
class ImageSet:
    """Images, uint8 [N, 28, 28], 0 to 255, bright ink on black, and labels, int64 [N], 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def unpacked(path: Path) -> bytes:
    """Read a file, and unpack it where it is gzipped.

    Raises:
        UserError: if it cannot be read, is damaged, or is too large.
    """
    too_large = f"{path}: has more than {MAX_BYTES} bytes unpacked; at most that many are read"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(too_large)
        content = path.read_bytes()
        if not content.startswith(b"\x1f\x8b"):
            return content
        inflate = zlib.decompressobj(wbits=31)  # gzip's header and check sum
        content = inflate.decompress(content, MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except zlib.error as error:
        raise UserError(f"{path}: is a damaged gzip file ({error})") from error
    if len(content) > MAX_BYTES:
        raise UserError(too_large)
    if not inflate.eof:
        raise UserError(f"{path}: is a gzip file that was cut off")
    if inflate.unused_data.strip(b"\0"):
        raise UserError(f"{path}: has something behind its gzipped content; unpack it, or gzip it in one piece")
    return content


def format_of(content: bytes, path: Path) -> str:
    """Return the format of an unpacked file by how it begins: idx, csv, mat or npz.

    Raises:
        UserError: if it is none of these.
    """
    if not content:
        raise UserError(f"{path}: is empty; needs labelled images as IDX, CSV, .mat or .npz")
    if content.startswith(b"MATLAB 7.3"):
        raise UserError(f"{path}: is a .mat file of version 7.3; save it with save(..., '-v7')")
    for begin, name in ((b"PK", "npz"), (b"MATLAB 5.0", "mat"), (b"\x00\x00", "idx")):
        if content.startswith(begin):
            return name
    if not re.match(rb"[\r\n]*[ -~\t]+(\r?\n|$)", content.removeprefix(BYTE_ORDER_MARK)):
        start = content[:4].hex()
        raise UserError(f"{path}: begins with the bytes 0x{start}, which no IDX, CSV, .mat or .npz file does")
    return "csv"


def image_set(arrays: dict[str, NDArray[Any]], images: str, labels: str, path: Path) -> ImageSet:
    """Return the images and labels that two arrays of a file hold, by their names.

    Raises:
        UserError: if they are not as they must be.
    """
    if labels not in arrays:
        raise UserError(f"{path}: has {images}, but no {labels}")
    pixels = arrays[images]
    count = len(pixels) if pixels.ndim else 0
    if not count or pixels.shape[1:] not in SHAPES:
        expected = f"[N, {SIDE}, {SIDE}] or [N, {PIXELS}], with at least one image"
        raise UserError(f"{path}: {images} has the shape {list(pixels.shape)}; must have {expected}")
    values = whole_numbers(arrays[labels], 9, labels, path).astype(np.int64)
    if values.shape == (count, 1):
        values = values.ravel()
    if values.shape != (count,):
        raise UserError(f"{path}: {labels} has the shape {list(values.shape)}; must have [{count}], as {images} has")
    return ImageSet(whole_numbers(pixels, 255, images, path).reshape(-1, SIDE, SIDE), values)


def whole_numbers(values: NDArray[Any], most: int, field: str, path: Path) -> NDArray[np.uint8]:
    """Turn numbers of any type into bytes.

    Raises:
        UserError: if they are not whole numbers from 0 to the most.
    """
    if values.dtype.kind not in "biuf":
        raise UserError(f"{path}: {field} is {values.dtype}; must be whole numbers from 0 to {most}")
    wrong = ~((values >= 0) & (values <= most))
    if values.dtype.kind == "f":
        wrong |= values != np.floor(values)
    if wrong.any():
        place = [int(index) for index in np.unravel_index(int(wrong.argmax()), values.shape)]
        raise UserError(f"{path}: {field}{place} is {values[tuple(place)]}; must be a whole number from 0 to {most}")
    return values.astype(np.uint8)


def short_message(error: BaseException) -> str:
    """Return an error's message in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
