"""Pictures of one's own digits: saved by the draw page, and read to train on."""

import itertools
import logging
import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.data.formats import ImageSet
from digits.errors import UserError
from digits.handwriting.page import normalize
from digits.reading.labelled import find_labelled
from digits.runs import user_errors

log = logging.getLogger("digits")

MOST_SAVED = 10_000
"""Pictures in the folder: more than anybody draws, and less than fills a disk."""


def read(folder: Path) -> ImageSet:
    """Bring each picture of one digit in a folder to 28x28; others are left out, and their number is said.

    Args:
        folder: pictures named LABEL_n, or an .npz file, as score.py takes them.

    Returns:
        Images, uint8 [N, 28, 28], bright ink on black, and labels, int64 [N], 0 to 9.

    Raises:
        UserError: if a picture has no label in its name, cannot be read or has no ink, or none is of one digit.
    """
    if not folder.exists():
        raise UserError(f"data.mine={folder}: there is no such folder; draw digits and save them: python src/draw.py")
    try:
        found, errors = find_labelled(str(folder))
    except UserError as error:
        raise UserError(str(error).replace("pictures=", "data.mine=", 1)) from error
    if errors:
        raise errors[0]
    single = [one for one in found if len(one.label) == 1 and one.label.isdecimal()]
    if not single:
        raise UserError(f"data.mine={folder}: has no picture of one digit; name it LABEL_n, such as 7_1.png")
    if len(single) < len(found):
        log.info("%d of %d pictures in %s are left out: not one digit", len(found) - len(single), len(found), folder)
    images = []
    for one in single:
        image = normalize(one.brightness())
        if image is None:
            raise UserError(f"{one.source if isinstance(one.source, Path) else one.name}: has no ink; take it away")
        images.append(np.rint(image * 255).astype(np.uint8))
    return ImageSet(np.stack(images), np.array([int(one.label) for one in single], dtype=np.int64))


def pictures(folder: Path) -> list[Path]:
    """Give the pictures that were saved there."""
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
        UserError: if it cannot be written, or there are MOST_SAVED already.
    """
    saved = pictures(folder)
    if len(saved) >= MOST_SAVED:
        raise UserError(f"{folder}: has {len(saved)} pictures, and takes no more; move some of them away")
    numbers = [int(one.stem[2:]) for one in saved if one.name[0] == str(label) and one.stem[2:].isdecimal()]
    temporary = folder / f".{os.getpid()}.{threading.get_ident()}.part"
    with user_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            Image.fromarray(pixels).save(temporary, "png")
            for number in itertools.count(max(numbers, default=0) + 1):
                path = folder / f"{label}_{number}.png"
                try:
                    os.link(temporary, path)  # which fails where the name is taken by now; a rename would not
                except FileExistsError:
                    continue
                return path
        finally:
            temporary.unlink(missing_ok=True)
    raise AssertionError("there is always a number that is free")
