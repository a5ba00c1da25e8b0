"""CSV: a row an image, the label and then 784 pixels, with or without a header."""

import csv
import io
import re
import warnings
from pathlib import Path

import numpy as np

from digits.errors import UserError
from digits.formats.images import BYTE_ORDER_MARK, PIXELS, SIDE, ImageSet

MAX_ROW_BYTES = 65_535
"""785 quoted numbers have under 5,000."""


def read(content: bytes, path: Path) -> ImageSet:
    """Read a CSV file: rows of a label and 784 pixels, with or without a header.

    Raises:
        UserError: if it is not as it must be; the line names the row and column.
    """
    content = content.removeprefix(BYTE_ORDER_MARK)
    ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(content))
    endless = np.flatnonzero(lengths > MAX_ROW_BYTES)  # the values of a row are all kept at once
    if len(endless):
        expected = f"must have {1 + PIXELS} values"
        raise UserError(f"{path}: row {endless[0] + 1} has more than {MAX_ROW_BYTES} bytes; {expected}")
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
    """Whether a line is a header: its names are all different, which 784 pixels of 256 values cannot be."""
    names = [name.strip(b' "\r') for name in line.split(b",")]
    return not re.fullmatch(rb"[-+.\d]*", names[0]) and len(set(names)) == len(names) > 1


def _first_fault(content: bytes) -> str:
    """Find the first row or value of a CSV file that is not as it must be; slowly, since only a faulty one is asked."""
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", "replace", newline=""))
    expected = f"{1 + PIXELS}: the label, and {PIXELS} pixels, separated by commas"
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
                return f"{where}: has {len(row)} values; must have {expected}"
    except csv.Error as error:
        return f"row {before + 1}: {error}"
    return "cannot be read as CSV" if rows else f"has no rows; must have rows of {expected}"
