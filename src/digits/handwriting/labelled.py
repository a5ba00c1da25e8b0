"""Labelled pictures: folders of LABEL_n.ext, one a writer, and .npz files with x and y."""

import csv
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digits.errors import UserError
from digits.files import expanded
from digits.formats.npz import is_npz, read_labelled
from digits.handwriting.load import brightness, open_picture, pictures_in

NAME = re.compile(r"(?P<label>[0-9]+(_[0-9]+)*|x)_[0-9]+", re.IGNORECASE)
"""The name of a labelled file without its ending: rows parted by _, and a number last."""

LABEL = re.compile(r"[0-9]+(/[0-9]+)*|x")
"""What is on a picture: rows of digits, or NON_DIGIT."""

NON_DIGIT = "x"
"""The label of a picture without digits."""


@dataclass(frozen=True)
class Labelled:
    """A picture that somebody says what is on."""

    name: str
    label: str
    """Rows of digits separated by `/`, or NON_DIGIT."""
    kind: str
    """What figures are given for apart."""
    writer: str
    source: Path | NDArray[np.float32]
    """The file, or the brightness, [height, width], 0 to 255."""

    def brightness(self) -> NDArray[np.float32]:
        """Return the brightness, float32 [height, width], 0 to 255.

        Raises:
            UserError: if the file cannot be read.
        """
        return brightness(open_picture(self.source).image) if isinstance(self.source, Path) else self.source


def find_labelled(pictures: str) -> tuple[list[Labelled], list[UserError]]:
    """Find the labelled pictures that a folder or an .npz file has.

    Returns:
        The pictures, and an error for each file that cannot be scored.

    Raises:
        UserError: if there are none.
    """
    path = expanded(pictures)
    if is_npz(path):
        pairs = enumerate(zip(*read_labelled(path), strict=True))
        return [
            Labelled(f"{path.stem}[{number}]", str(label), path.stem, path.stem, image.astype(np.float32))
            for number, (image, label) in pairs
        ], []
    if not path.is_dir():
        expected = "a folder of LABEL_n.png, or an .npz file with x and y"
        raise UserError(f"pictures={pictures}: {'is a file' if path.exists() else 'no such folder'}; give {expected}")
    files, errors = pictures_in(path)
    known = _labels_file(path)
    labelled = []
    for file in files:
        label, kind = known.get(os.path.realpath(file), ("", ""))
        name = NAME.fullmatch(file.stem)
        if not label and name is None:
            expected = "LABEL_n, such as 7_1.png, 12345_6879_1.jpg, or x_1.png for a non-digit"
            errors.append(UserError(f"{file}: has no label in its name; name it {expected}"))
            continue
        label = label or (name["label"].lower().replace("_", "/") if name else "")
        if LABEL.fullmatch(label) is None:
            errors.append(
                UserError(f"{file}: labels.tsv has the label {label!r}; must be digits, rows of them parted by /, or x")
            )
            continue
        writer = file.absolute().parent.name
        labelled.append(Labelled(str(file.relative_to(path)), label, kind or _kind(label), writer, file))
    if not labelled and not errors:
        raise UserError(f"pictures={pictures}: has no pictures")
    return labelled, errors


def _kind(label: str) -> str:
    return "no digit" if label == NON_DIGIT else "one digit" if len(label) == 1 else "several digits"


def _labels_file(folder: Path) -> dict[str, tuple[str, str]]:
    """Read label and kind of each file from a labels.tsv in the folder or one of the two above it."""
    files = [place / "labels.tsv" for place in (folder, *folder.resolve().parents[:2])]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t"))
        if not rows:
            raise ValueError("it names no file")
        for name, times in Counter(row["file"] for row in rows).items():
            if times > 1 or not (file.parent / name).exists():
                problem = "twice" if times > 1 else "which is not there"
                raise UserError(f"{file}: names {name}, {problem}; mend that line")
        return {os.path.realpath(file.parent / row["file"]): (row["label"], row["kind"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        expected = "needs the columns file, label and kind, parted by tabs"
        raise UserError(f"{file}: cannot be read ({error}); {expected}") from error
