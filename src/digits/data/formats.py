"""Labelled images from the bytes of a file: IDX, CSV, .mat and .npz, told apart by content, a stranger's too.

Nothing in them is run, and what would unpack to more than MOST_BYTES is refused before it is unpacked.
"""

import csv as csv_module
import io
import math
import re
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from digits.data import matfile
from digits.errors import UserError

SIDE, PIXELS = 28, 28 * 28

MOST_BYTES = 2**30
"""Of a file, unpacked; MNIST has 55 MB, as .csv 128 MB."""

LONGEST_ROW = 65_535
"""Bytes; 785 quoted numbers have under 5,000."""

IDX_IMAGES, IDX_LABELS = 0x803, 0x801
"""Magic numbers of unsigned bytes in three dimensions and in one (yann.lecun.com/exdb/mnist)."""

SHAPES = ((PIXELS,), (SIDE, SIDE), (1, SIDE, SIDE), (SIDE, SIDE, 1))
"""Of an image in an array."""

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
    too_large = f"{path}: has more than {MOST_BYTES} bytes unpacked; at most that many are read"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(too_large)
        content = path.read_bytes()
        if not content.startswith(b"\x1f\x8b"):
            return content
        inflate = zlib.decompressobj(wbits=31)  # gzip's header and check sum
        content = inflate.decompress(content, MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except zlib.error as error:
        raise UserError(f"{path}: is a damaged gzip file ({error})") from error
    if len(content) > MOST_BYTES:
        raise UserError(too_large)
    if not inflate.eof:
        raise UserError(f"{path}: is a gzip file that was cut off")
    if inflate.unused_data.strip(b"\0"):
        raise UserError(f"{path}: has something behind its gzipped content; unpack it, or gzip it in one piece")
    return content


def format_of(content: bytes, path: Path) -> str:
    """Tell the format of an unpacked file by how it begins: idx, csv, mat or npz.

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
        found = content[:4].hex()
        raise UserError(f"{path}: begins with the bytes 0x{found}, which no IDX, CSV, .mat or .npz file does")
    return "csv"


def idx(content: bytes, path: Path) -> NDArray[np.uint8]:
    """Read an IDX file: a magic number and the dimensions, big-endian, then the bytes.

    Returns:
        Images, uint8 [N, 28, 28], or labels, uint8 [N].

    Raises:
        UserError: if it is not as it must be.
    """
    magic = int.from_bytes(content[:4])
    dimensions = {IDX_IMAGES: 3, IDX_LABELS: 1}.get(magic)
    if dimensions is None:
        right = f"0x{IDX_IMAGES:08x} (images) or 0x{IDX_LABELS:08x} (labels)"
        raise UserError(f"{path}: begins with the magic number 0x{magic:08x}; IDX files of MNIST's kind with {right}")
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
    return _whole(values, 9, "label", path) if dimensions == 1 else values


def csv(content: bytes, path: Path) -> ImageSet:
    """Read a CSV file: rows of a label and 784 pixels, with or without a header.

    Raises:
        UserError: if it is not as it must be; the line names the row and column.
    """
    content = content.removeprefix(BYTE_ORDER_MARK)
    ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(content))
    endless = np.flatnonzero(lengths > LONGEST_ROW)  # the values of a row are all kept at once
    if len(endless):
        right = f"must have {1 + PIXELS} values"
        raise UserError(f"{path}: row {endless[0] + 1} has more than {LONGEST_ROW} bytes; {right}")
    first = content.partition(b"\n")[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of no rows; and of 3.5, which NumPy before 2 cuts to 3
            table = np.loadtxt(
                io.BytesIO(content),
                dtype=np.uint8,
                delimiter=",",
                comments=None,
                quotechar='"',
                ndmin=2,
                skiprows=int(_is_header(first)),
                encoding="utf-8",
            )
        if table.shape[1] != 1 + PIXELS or table[:, 0].max() > 9:
            raise ValueError
    except (ValueError, UserWarning, DeprecationWarning) as error:
        raise UserError(f"{path}: {_first_fault(content)}") from error
    return ImageSet(table[:, 1:].reshape(-1, SIDE, SIDE), table[:, 0].astype(np.int64))


def _is_header(line: bytes) -> bool:
    """Tell a header from a row: its names are all different, which 784 pixels of 256 values cannot be."""
    names = [one.strip(b' "\r') for one in line.split(b",")]
    return not re.fullmatch(rb"[-+.\d]*", names[0]) and len(set(names)) == len(names) > 1


def _first_fault(content: bytes) -> str:
    """Find the first row or value of a CSV file that is not as it must be; slowly, since only a faulty one is asked."""
    lines = csv_module.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", "replace", newline=""))
    right = f"{1 + PIXELS}: the label, and {PIXELS} pixels, separated by commas"
    plain = {str(value) for value in range(256)}
    rows, before = 0, 0
    try:
        for row in lines:
            where, before = f"row {before + 1}", lines.line_num
            if not row or (where == "row 1" and _is_header(",".join(row).encode())):
                continue
            rows += 1
            if len(row) == 1 + PIXELS and len(row[0]) == 1 and plain.issuperset(row):
                continue
            for column, text in enumerate(row, 1):
                most = 9 if column == 1 else 255
                if not re.fullmatch(r"\s*\+?0*\d{1,3}\s*", text, re.ASCII) or int(text) > most:
                    what = "a label, a whole number from 0 to 9" if column == 1 else "a whole number from 0 to 255"
                    return f"{where}, column {column}: {text[:20]!r}; must be {what}"
            if len(row) != 1 + PIXELS:
                return f"{where}: has {len(row)} values; must have {right}"
    except csv_module.Error as error:
        return f"row {before + 1}: {error}"
    return "cannot be read as CSV" if rows else f"has no rows; must have rows of {right}"


def npz(content: bytes, path: Path) -> list[ImageSet]:
    """Read an .npz file with x_train, y_train, x_test and y_test, as Keras has them, or with x and y.

    Returns:
        The training images and the test images; or all, of which it does not say what they are for.

    Raises:
        UserError: if it is not as it must be.
    """
    arrays = npz_arrays(content, ("x_train", "y_train", "x_test", "y_test", "x", "y"), path)
    if "x_train" in arrays:
        halves = ("train", "test") if "x_test" in arrays else ("train",)
        return [_image_set(arrays, f"x_{half}", f"y_{half}", path) for half in halves]
    if "x" in arrays:
        return [_image_set(arrays, "x", "y", path)]
    right = "x_train, y_train, x_test and y_test, or x and y"
    raise UserError(f"{path}: has {', '.join(arrays) or 'none'} of the arrays it must have: {right}")


def npz_arrays(content: bytes, names: tuple[str, ...], path: Path) -> dict[str, NDArray[Any]]:
    """Give those of the named arrays that an .npz file has; pickled objects are refused.

    Raises:
        UserError: if it is damaged, or has more than MOST_BYTES unpacked.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            size = sum(one.file_size for one in members.infolist())
            if size > MOST_BYTES:
                raise UserError(f"{path}: has {size} bytes unpacked; at most {MOST_BYTES} are read")
            for one in members.infolist():
                if one.filename.removesuffix(".npy") in names:
                    with members.open(one) as member:
                        _check_header(member, one.file_size)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in names if name in arrays}
        for name, array in found.items():
            if not isinstance(array, np.ndarray):  # the bytes of a member that is something else
                raise ValueError(f"{name} is no array")
    except UserError:
        raise
    except Exception as error:  # what NumPy and zipfile raise for damaged files has no common class
        raise UserError(f"{path}: cannot be read as .npz ({_short(error)})") from error
    return found


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
    said = math.prod(shape) * dtype.itemsize
    if said != size - member.tell():
        raise ValueError(f"has {size - member.tell()} bytes, and is said to have {said}")


def mat(content: bytes, path: Path) -> ImageSet:
    """Read a .mat file with data, [784, N] or [N, 784], and label, as mnist-original.mat has them.

    Raises:
        UserError: if it is not as it must be.
    """
    try:
        found = matfile.read(content, ("data", "label"), MOST_BYTES)
    except (ValueError, struct.error, zlib.error) as error:
        raise UserError(f"{path}: cannot be read as .mat ({_short(error)})") from error
    arrays: dict[str, NDArray[Any]] = {}
    for field in ("data", "label"):
        if field not in found:
            raise UserError(f"{path}: has no {field}; must have data and label, has {', '.join(found) or 'nothing'}")
        value = found[field]
        if isinstance(value, str):
            raise UserError(f"{path}: {field} is {value}; must be numbers")
        arrays[field] = value
    data = arrays["data"]
    arrays["data"] = data.T if data.shape[:1] == (PIXELS,) else data
    arrays["label"] = arrays["label"].ravel()
    return _image_set(arrays, "data", "label", path)


def _image_set(arrays: dict[str, NDArray[Any]], images: str, labels: str, path: Path) -> ImageSet:
    if labels not in arrays:
        raise UserError(f"{path}: has {images}, but no {labels}")
    pixels = arrays[images]
    count = len(pixels) if pixels.ndim else 0
    if not count or pixels.shape[1:] not in SHAPES:
        right = f"[N, {SIDE}, {SIDE}] or [N, {PIXELS}], with at least one image"
        raise UserError(f"{path}: {images} has the shape {list(pixels.shape)}; must have {right}")
    found = _whole(arrays[labels], 9, labels, path).astype(np.int64)
    if found.shape == (count, 1):
        found = found.ravel()
    if found.shape != (count,):
        raise UserError(f"{path}: {labels} has the shape {list(found.shape)}; must have [{count}], as {images} has")
    return ImageSet(_whole(pixels, 255, images, path).reshape(-1, SIDE, SIDE), found)


def _whole(values: NDArray[Any], most: int, field: str, path: Path) -> NDArray[np.uint8]:
    """Turn numbers of any type into bytes, if they are whole numbers from 0 to the most."""
    if values.dtype.kind not in "biuf":
        raise UserError(f"{path}: {field} is {values.dtype}; must be whole numbers from 0 to {most}")
    wrong = ~((values >= 0) & (values <= most))
    if values.dtype.kind == "f":
        wrong |= values != np.floor(values)
    if wrong.any():
        place = [int(one) for one in np.unravel_index(int(wrong.argmax()), values.shape)]
        shown = f"{field}{place}"
        raise UserError(f"{path}: {shown} is {values[tuple(place)]}; must be a whole number from 0 to {most}")
    return values.astype(np.uint8)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
