"""The user's own digits: pictures saved by the draw page, and read to train on."""

import itertools
import logging
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import UserError, renamed_setting
from digits.files import ROOT, file_errors, made_folder, write_picture
from digits.formats.images import ImageSet
from digits.handwriting.find import PageNetwork
from digits.handwriting.labelled import find_labelled
from digits.handwriting.page import find

log = logging.getLogger("digits")

FOLDER = ROOT / "data" / "own_digits"
"""Where they are if nothing else is said."""

MAX_SAVED = 10_000
"""Pictures in the folder: more than anybody draws, and less than fills a disk."""


def read(folder: Path, network: PageNetwork) -> ImageSet:
    """Bring each picture of one digit in a folder to 28x28; others are left out, and their number is logged.

    Args:
        folder: pictures named LABEL_n, or an .npz file, as score.py takes them.
        network: the page network.

    Returns:
        Images, uint8 [N, 28, 28], bright ink on black, and labels, int64 [N], 0 to 9.

    Raises:
        UserError: if a picture has no label in its name, cannot be read or has no ink, or none is of one digit.
    """
    if not folder.exists():
        expected = "draw digits and save them: python src/draw.py"
        raise UserError(f"data.own_digits={folder}: there is no such folder; {expected}")
    with renamed_setting("pictures", to="data.own_digits"):
        labelled, errors = find_labelled(str(folder))
    if errors:
        raise errors[0]
    single = [picture for picture in labelled if len(picture.label) == 1 and picture.label.isdecimal()]
    if not single:
        raise UserError(f"data.own_digits={folder}: has no picture of one digit; name it LABEL_n, such as 7_1.png")
    if others := len(labelled) - len(single):
        log.info("%d of %d pictures in %s are left out: not one digit", others, len(labelled), folder)
    images = []
    for picture in single:
        digit = find(picture.brightness(), network).whole
        if digit is None:
            name = picture.source if isinstance(picture.source, Path) else picture.name
            raise UserError(f"{name}: has no ink; take it away")
        images.append(np.rint(digit.image * 255).astype(np.uint8))
    return ImageSet(np.stack(images), np.array([int(picture.label) for picture in single], dtype=np.int64))


def pictures(folder: Path) -> list[Path]:
    """Return the pictures that were saved there."""
    return list(folder.glob("[0-9]_*.png"))


def save(folder: Path, label: int, pixels: NDArray[np.uint8]) -> Path:
    """Write a picture whole as LABEL_n.png, n the next number that is free; never over another.

    Args:
        folder: made if it is not there.
        label: the digit on it.
        pixels: [height, width], dark ink on light.

    Returns:
        The file.

    Raises:
        UserError: if it cannot be written, or there are MAX_SAVED already.
    """
    saved = pictures(made_folder("own_digits", folder))
    if len(saved) >= MAX_SAVED:
        raise UserError(f"{folder}: has {len(saved)} pictures, and takes no more; move some of them away")
    of_label = [file.stem[2:] for file in saved if file.name[0] == str(label)]
    number = max((int(number) for number in of_label if number.isdecimal()), default=0)
    path = _reserved(folder, label, number + 1)
    try:
        write_picture(path, Image.fromarray(pixels))
    except UserError:
        path.unlink()
        raise
    return path


def _reserved(folder: Path, label: int, first: int) -> Path:
    """Make an empty file of the next number that is free, so that no other draw page takes it."""
    with file_errors(folder):
        for number in itertools.count(first):
            path = folder / f"{label}_{number}.png"
            with suppress(FileExistsError):
                path.touch(exist_ok=False)
                break
    return path
