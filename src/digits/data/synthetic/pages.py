"""Draw pages of handwritten digits as people photograph, scan and draw them, and pictures without a digit.

A page is laid out in rows on a sheet, which lies on a desk, is lit and seen through a lens; with it comes which pixels
are ink of which digit. Endless and seeded: the place of a page and the seed are all that it is drawn by.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from digits.data.synthetic import paper
from digits.data.synthetic.glyphs import Digits
from digits.data.synthetic.paper import Grey
from digits.data.synthetic.writing import IGNORED, written
from digits.handwriting.boxes import Box

SIDE = 256
"""Pixels of a page, which is a part of a real one's size."""

MARGIN = 32
"""Pixels of the sheet outside of the picture on each side, which turning it brings in."""

CROPPED = 0.25
"""The share of pictures that are cut to their digits, or signs, as people cut a picture."""

WHOLE = 0.65
"""The share of a digit's ink that is in the picture, if it is to be read."""


def draw(place: int, seed: int, mnist: Digits) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draw a page.

    Args:
        place: of the page among all.
        seed: what they are drawn by.
        mnist: images, uint8 [N, 28, 28], and labels, to take digits from.

    Returns:
        The picture, uint8 [SIDE, SIDE], and the number of the digit that each pixel is ink of, int16 [SIDE, SIDE]: from
        1 on, 0 for no writing, IGNORED for what may be a digit or not, below it for other signs.
    """
    rng = np.random.default_rng((seed, place, 3))
    kind = rng.choice(["photo", "scan", "drawing", "scene", "blank"], p=[0.57, 0.07, 0.19, 0.16, 0.01])
    side = SIDE + 2 * MARGIN
    ink, whole = np.zeros((side, side), dtype=np.float32), np.zeros((side, side), dtype=np.int16)
    if kind != "blank" and (kind != "scene" or rng.random() < 0.15):  # a number that is painted on a thing
        ink, whole = written(rng, SIDE, MARGIN, mnist)
    inner = (slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
    if kind == "drawing":
        picture, numbers = _drawing(ink[inner], rng), whole[inner]
        if rng.random() < 0.3:
            picture = paper.camera(picture, rng)
    elif kind == "scene":
        thing, numbers = paper.scene(rng, SIDE), whole[inner]
        tone = rng.integers(2)
        picture = paper.camera((thing + ink[inner] * (tone - thing)) * paper.light(rng, SIDE), rng)
    else:
        picture, numbers = _laid(_inked(ink, rng, mnist), whole, rng, flat=kind == "scan")
        if kind != "scan":
            picture = picture * paper.light(rng, SIDE)
            if rng.random() < 0.06:
                picture = _finger(picture, numbers, rng)
        picture = paper.camera(picture, rng)
    if rng.random() < CROPPED and ((numbers > 0) | (numbers < IGNORED)).any():
        picture, numbers = _cropped(picture, numbers, rng)
    return _finished(picture, numbers, whole)


_digits: list[Digits] = []
"""What a process that draws for another one writes with."""


def begin(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Keep MNIST's images for the pages that this process draws."""
    _digits.append((images, labels))


def draw_here(seed: int, place: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draw a page with what `begin` kept."""
    return draw(place, seed, _digits[0])


def _drawing(ink: Grey, rng: Generator) -> Grey:
    """Return ink as a program for drawing has it: even, on an even ground, dark on light or light on dark."""
    ground, line = 1 - rng.uniform(0, 0.5) * (rng.random() < 0.25), rng.uniform(0, 0.4) * (rng.random() < 0.3)
    if rng.random() < 0.4:
        ground, line = 1 - ground, 1 - line
    return np.asarray(ground + ink * (line - ground), dtype=np.float32)


def _inked(ink: Grey, rng: Generator, mnist: Digits) -> Grey:
    """Return a sheet with ink on it: pencil, pen or marker; chalk on a board now and then."""
    side = ink.shape[0]
    sheet = paper.paper(rng, side)
    if rng.random() < 0.1:  # the back shines through
        back, _ = written(rng, SIDE, MARGIN, mnist)
        soft = Image.fromarray((back[:, ::-1] * 255).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(float(rng.uniform(0.5, 3)))
        )
        sheet -= np.asarray(soft, dtype=np.float32) / 255 * rng.uniform(0.03, 0.25)
    if rng.random() < 0.4:  # a pencil leaves the grain of the paper white
        ink = ink * np.clip(rng.uniform(0.6, 1.2) + paper.grain(rng, side) * rng.uniform(0, 0.35), 0, 1)
    sheet = sheet * (1 - ink * (1 - 0.9 * rng.random() ** 1.5))
    if rng.random() < 0.1:
        sheet = (1 - sheet) * rng.uniform(0.6, 1) + rng.uniform(0, 0.25)
    return np.asarray(sheet, dtype=np.float32)


def _cropped(picture: Grey, numbers: NDArray[np.int16], rng: Generator) -> tuple[Grey, NDArray[np.int16]]:
    """Cut a picture about to its digits, and fill it up by its last row and column, as a picture is before it is read.

    Without digits it is cut to its signs. Of some pictures one of them is left.
    """
    kept = numbers > 0 if (numbers > 0).any() else numbers < IGNORED
    if rng.random() < 0.35:
        kept = numbers == rng.choice(np.unique(numbers[kept]))
    box = Box.around(kept)
    rims = rng.uniform(-0.05, 0.8, 4) * min(box.height, box.width)
    top, left = max(0, int(box.top - rims[0])), max(0, int(box.left - rims[1]))
    bottom, right = max(top + 8, int(box.bottom - 1 + rims[2])), max(left + 8, int(box.right - 1 + rims[3]))
    cut, cut_numbers = picture[top:bottom, left:right], numbers[top:bottom, left:right]
    missing = ((0, SIDE - cut.shape[0]), (0, SIDE - cut.shape[1]))
    return np.pad(cut, missing, mode="edge"), np.pad(cut_numbers, missing)


def _finished(
    picture: Grey, numbers: NDArray[np.int16], whole: NDArray[np.int16]
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Return a page as bytes, the digits ignored of which less than WHOLE is in it."""
    digits = np.bincount(whole.clip(0).ravel(), minlength=1)
    seen = np.bincount(numbers.clip(0).ravel(), minlength=len(digits))
    cut = 1 + np.flatnonzero(seen[1:] < WHOLE * digits[1:])
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8), np.where(np.isin(numbers, cut), IGNORED, numbers)


def _laid(sheet: Grey, numbers: NDArray[np.int16], rng: Generator, flat: bool) -> tuple[Grey, NDArray[np.int16]]:
    """Lay a sheet on a desk and look at it a little from the side; return what is seen of it."""
    side = sheet.shape[0]
    corners = np.array([(0, 0), (0, side), (side, side), (side, 0)], dtype=np.float64) - side / 2
    turn = rng.normal(0, 0.015 if flat else 0.06)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    tilt = rng.normal(0, 0 if flat else 0.06, (4, 2)) * side
    zoom = rng.uniform(0.95, 1.15)
    shift = rng.normal(0, 0.02 if flat or rng.random() < 0.75 else 0.25, 2) * side
    seen = corners @ rotation.T * zoom + tilt + shift + SIDE / 2
    coefficients = _perspective(seen, corners + side / 2)
    size = (SIDE, SIDE)
    ways = (Image.Transform.PERSPECTIVE, coefficients)
    picture = np.asarray(Image.fromarray(sheet).transform(size, *ways, Image.Resampling.BILINEAR, fillcolor=-1))
    laid = np.asarray(Image.fromarray(numbers.astype(np.int32)).transform(size, *ways, Image.Resampling.NEAREST))
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).polygon([tuple(corner) for corner in seen], fill=255)
    inside = np.asarray(mask) > 0
    if inside.all():
        return np.clip(picture, 0, 1), laid.astype(np.int16)
    if rng.random() < 0.5:
        desk = paper.scene(rng, SIDE) * rng.uniform(0.2, 1)
    else:
        desk = rng.uniform(0.05, 0.9) + paper.grain(rng, SIDE) * rng.uniform(0, 0.08)
    seen_of_it = np.where(inside & (picture >= 0), picture, desk)
    return np.asarray(seen_of_it, dtype=np.float32).clip(0, 1), laid.astype(np.int16)


def _perspective(seen: NDArray[np.float64], sheet: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the eight numbers by which Pillow finds the place on the sheet of each pixel seen."""
    rows = []
    for (x, y), (u, v) in zip(seen, sheet, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    return tuple(np.linalg.solve(np.array(rows), sheet.ravel()))


def _finger(picture: Grey, numbers: NDArray[np.int16], rng: Generator) -> Grey:
    """Hold the page with a finger."""
    mask = Image.new("L", (SIDE, SIDE), 0)
    pen = ImageDraw.Draw(mask)
    edge, along = rng.integers(4), rng.uniform(0, SIDE)
    start = [(along, -20), (along, SIDE + 20), (-20, along), (SIDE + 20, along)][edge]
    end = np.array(start) + (np.array((SIDE / 2, SIDE / 2)) - start) * rng.uniform(0.2, 0.6)
    width = int(rng.uniform(20, 70))
    pen.line([start, tuple(end)], fill=255, width=width)
    pen.ellipse((end[0] - width / 2, end[1] - width / 2, end[0] + width / 2, end[1] + width / 2), fill=255)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(float(rng.uniform(1, 4)))), dtype=np.float32) / 255
    numbers[soft > 0.5] = 0
    skin = rng.uniform(0.25, 0.8) + paper.field(rng, SIDE, 40) * 0.05
    return np.asarray(picture * (1 - soft) + skin * soft, dtype=np.float32)


def targets(numbers: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return what the network is to say of each pixel, float32 [5, SIDE, SIDE].

    Ink of a digit (1, 0, or IGNORED), ink of any writing (1 or 0), how many pixels to the right and down its digit's
    middle is, and the logarithm of its digit's longer side.
    """
    height, width = numbers.shape
    result = np.zeros((5, height, width), dtype=np.float32)
    result[0] = np.where(numbers < IGNORED, 0, np.sign(numbers))
    result[1] = numbers != 0
    y, x = np.mgrid[:height, :width].astype(np.float32)
    highest = int(numbers.max())
    if highest < 1:
        return result
    flat = numbers.ravel().clip(0)
    ys, xs = y.ravel(), x.ravel()
    low = np.full((2, highest + 1), 1e9, np.float32)
    high = np.full((2, highest + 1), -1.0, np.float32)
    there = flat > 0
    for axis, values in enumerate((xs, ys)):
        np.minimum.at(low[axis], flat[there], values[there])
        np.maximum.at(high[axis], flat[there], values[there])
    middle = (low + high) / 2
    size = np.log(np.maximum((high - low).max(axis=0) + 1, 2))
    inside = numbers > 0
    own = numbers[inside]
    result[2][inside] = middle[0][own] - x[inside]
    result[3][inside] = middle[1][own] - y[inside]
    result[4][inside] = size[own]
    return result
