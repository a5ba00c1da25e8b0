"""Find a stranger's picture files, open them, and turn them to brightness."""

import glob
import logging
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.errors import UserError
from digits.files import expanded
from digits.handwriting.boxes import Box

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000", "ICO", "TGA", "PCX", "SGI", "PSD")
"""What pictures come in, the usual ones first; EPS and WMF are programs, which Pillow would have others run."""

MAX_PIXELS = 64_000_000
"""Larger than a phone's 50-megapixel photograph; decoded, that is 256 MB at the worst."""

MAX_FILE = 2**30
"""Bytes; so many pixels have half of that in any format."""

MAX_SIDE = 1600
"""Pixels; larger pictures are reduced to it while they are read: enough for digits of 5 mm on a sheet of A4."""

MIN_SIDE = 4
"""Pixels of the longer side; the shorter one may have a single pixel, as a tightly cropped 1 has."""

SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".pbm", ".tif", ".tiff", ".webp")
"""What is taken out of a folder; a file that is named itself is opened whatever it is called."""

UNIFORM = 16
"""Grey levels of 255; opaque pixels that differ by less carry no shape, so the transparency does."""

FILLED = 0.5
"""The share of a box round them that opaque pixels are at least, or they are strokes."""

logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it would print of a damaged file, our error says


@dataclass(frozen=True)
class Picture:
    """A picture as it was read: upright, and reduced where it was large."""

    image: Image.Image
    """In any mode."""
    width: int
    """Pixels of the whole picture, upright."""
    height: int
    """Pixels, likewise."""

    @property
    def reduction(self) -> float:
        """How many of the whole picture's pixels one of the reduced one's stands for, each way."""
        return self.width / self.image.width


def find_pictures(names: Iterable[object]) -> tuple[list[Path], list[UserError]]:
    """Return the picture files that files, folders (with all that is in them) and patterns name, each once.

    Returns:
        The files, and an error for each name under which there is no picture.
    """
    files: dict[str, Path] = {}
    errors: list[UserError] = []
    for name in map(str, names):
        path = expanded(name)
        try:
            is_folder, is_there = path.is_dir(), path.exists()
        except OSError as error:  # no permission, or a name that is too long
            errors.append(UserError(f"img={name}: cannot be read ({error.strerror})"))
            continue
        if is_folder:
            pictures, refused = pictures_in(path)
            errors += refused
            missing = "" if refused else f"has no pictures ({' '.join(SUFFIXES)})"
        elif is_there:
            pictures, missing = [path], ""
        else:
            pictures = sorted(file for file in map(Path, glob.glob(str(path), recursive=True)) if file.is_file())
            missing = "no such file or folder; a list is written [a.png,b.png]"
            if glob.has_magic(str(path)):
                missing = "no file matches this pattern"
        if missing and not pictures:
            errors.append(UserError(f"img={name}: {missing}"))
        for picture in pictures:
            files.setdefault(os.path.realpath(picture), picture)  # resolve() fails where a link leads to itself
    return list(files.values()), errors


def pictures_in(folder: Path) -> tuple[list[Path], list[UserError]]:
    """Return the picture files in a folder and all that is in it, and an error for each folder that cannot be read."""
    pictures: list[Path] = []
    errors: list[UserError] = []

    def refuse(error: OSError) -> None:
        errors.append(UserError(f"{error.filename}: cannot be read ({error.strerror})"))

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        there = [Path(parent, file) for file in sorted(files) if not file.startswith(".")]
        pictures += [file for file in there if file.suffix.lower() in SUFFIXES]
    return pictures, errors


def open_picture(path: Path) -> Picture:
    """Read a picture, by its content and not by its name.

    Raises:
        UserError: if it cannot be read or is too small or too large.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise UserError(f"{path}: is not a file; give a picture")
    try:
        if path.stat().st_size > MAX_FILE:
            raise UserError(f"{path}: has {path.stat().st_size} bytes; at most {MAX_FILE} are read")
        with path.open("rb") as file:
            return _picture(file, str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error


def picture_of(content: bytes) -> Picture:
    """Read a picture from the content of a file.

    Raises:
        UserError: as open_picture.
    """
    return _picture(BytesIO(content), "the picture")


def _picture(content: BinaryIO, name: str) -> Picture:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; the size is checked here
            with Image.open(content, formats=FORMATS) as file:
                picture: Image.Image = file
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise UserError(f"{name}: has {width}x{height} pixels; at most {MAX_PIXELS} are read")
                if max(width, height) < MIN_SIDE:
                    raise UserError(
                        f"{name}: has {width}x{height} pixels; a digit needs at least {MIN_SIDE} on the longer side"
                    )
                picture.draft(None, (MAX_SIDE, MAX_SIDE))  # a JPEG is decoded at half, a quarter or an eighth
                if picture.mode in ("1", "P"):  # which Pillow would reduce by leaving pixels out
                    picture = picture.convert("RGBA")
                picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
                upright = ImageOps.exif_transpose(picture)
                turned = (upright.width > upright.height) != (picture.width > picture.height)
                return Picture(upright, *((height, width) if turned else (width, height)))
    except UnidentifiedImageError as error:
        empty = content.seek(0, SEEK_END) == 0
        problem = "is empty" if empty else "is not a picture that can be read"
        raise UserError(f"{name}: {problem}; give a PNG, JPEG, BMP, TIFF, GIF, WebP or AVIF file") from error
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error})") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{name}: has too many pixels; at most {MAX_PIXELS} are read") from error
    except UserError:
        raise
    except Exception as error:  # what Pillow's decoders raise for damaged files has no common class
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{name}: is damaged ({reason})") from error


def brightness(picture: Image.Image) -> NDArray[np.float32]:
    """Turn a picture of any mode to brightness, float32 [height, width], 0 to 255.

    Transparent parts become background: where the opaque pixels are all alike, the transparency is the drawing (black
    on a transparent ground); where they are strokes of several colours, what is behind them is white, or black behind
    bright ones; and otherwise the opaque part is the whole picture, and its median fills the rest.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        values: NDArray[np.float32] = np.nan_to_num(np.asarray(picture, dtype=np.float32), posinf=0, neginf=0)
        values -= min(0, values.min())
        return values * np.float32(255 / _full_scale(float(values.max()), picture.mode))
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return np.asarray(picture.convert("L"), dtype=np.float32)
    grey, alpha = (np.asarray(band, dtype=np.float32) for band in picture.convert("RGBA").convert("LA").split())
    most = float(alpha.max())
    if most < UNIFORM:
        return np.zeros_like(grey)
    alpha *= 255 / most  # ink may be half transparent all over
    opaque = alpha > 127
    if np.ptp(grey[opaque]) < UNIFORM:
        return alpha
    background = usual = float(np.median(grey[opaque]))
    if opaque[Box.around(opaque).slices].mean() < FILLED:
        background = 0.0 if usual > 127 else 255.0
    return np.asarray(background + (grey - background) * alpha / 255, dtype=np.float32)


def _full_scale(largest: float, mode: str) -> float:
    """Return what white is in a picture of whole numbers or fractions, which do not say it themselves."""
    scales = (65535.0,) if mode.startswith("I;16") else (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next((scale for scale in scales if largest <= scale), largest)
